"""What views ask for, answered from a lab's parts: one small adapter per view.

Each implements a Protocol of `crlab.widgets.view_source` over informers, frames and the trace.
They read; only commands (`step`, `inject`…) act. They know no lab: `crlab.lab.view` hands them
the pieces.
"""
