"""The commands of ``python -m crlab``, one module each: `add_arguments` and `perform`."""
