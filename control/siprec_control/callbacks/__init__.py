"""Status callbacks: the worker that sends them. `python -m siprec_control.callbacks`."""
