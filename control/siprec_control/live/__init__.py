"""Documents that live calls follow: the worker that goes on with them."""
