"""crlab."""
