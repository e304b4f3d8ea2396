"""Floor 5: pure functions from a frozen state to text, HTML or SVG.

No widgets, no threads, no clock: the same state gives the same output. Read first:
`state.py` (what is shown), `header.py` (what every view carries), `pipeline.py`.
"""
