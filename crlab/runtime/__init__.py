"""Floor 1: clock, ids, back-off, deadlines, threads and drivers.

The two seams of the house are here: who performs the stages (`driver.py`) and what time
and chance are (`clock.py`, `ids.py`). Nothing else in crlab touches `time`, `random` or
`threading.Thread`.
"""
