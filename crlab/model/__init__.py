"""Floor 0: objects, keys, resources, selectors, paths, diffs, redaction, escaping.

Pure values and functions: no threads, no clock, no I/O. Read first: `object.py`
(`KubeObject`, what every floor passes around), `resource.py`, `key.py`.
"""
