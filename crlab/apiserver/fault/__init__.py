"""Faults: what the embedded server does wrong when asked to, before, after or inside an answer."""
