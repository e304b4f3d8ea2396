"""Floor 6: ipywidgets shells around the views; the only room that imports ipywidgets.

One render thread (``crlab-render``) and one command thread (``crlab-cmd``) serve all of
them, and live only while there is something to do. Read first: `source.py` (what a
widget needs), `view.py` (what all have in common), `loop.py` (the threads).

Importing this package imports neither ipywidgets nor IPython; showing a view does.
"""
