"""The console: a page for people, served beside the interface of programs, which it uses."""
