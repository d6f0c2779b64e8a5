"""A small reference Session Recording Server: strict, truthful, and able to misbehave on demand.

It depends on nothing else of this project, so that what it says about a recording is a
second opinion.
"""
