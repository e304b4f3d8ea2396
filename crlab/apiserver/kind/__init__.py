"""The built-in kinds: which there are, and what the server does to their objects."""
