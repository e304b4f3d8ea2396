"""Floor 7: whole controllers to read, run and copy; they use public names only.

Run one against a cluster: ``python -m crlab run crlab.examples.myservice:controller``.
"""
