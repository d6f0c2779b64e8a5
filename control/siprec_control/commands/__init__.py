"""One module for each noun of the command line.

Each has `add(nouns, common)`, which declares its parsers with the action as default `act`:
a function of the parsed arguments that gives the exit code.
"""
