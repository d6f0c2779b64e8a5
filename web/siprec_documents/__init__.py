"""Documents of the web, for whoever follows them: calls that come in, and live ones."""
