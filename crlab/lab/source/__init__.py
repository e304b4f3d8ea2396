"""What views ask for, answered from a lab: one small adapter per view.

Each implements a Protocol of `crlab.widgets.view_source` over informers, controllers and the
trace. They read; only commands (`step`, `inject`…) act.
"""
