"""The interface of programs over HTTP. Thin: it reads the store and appends to inboxes."""
