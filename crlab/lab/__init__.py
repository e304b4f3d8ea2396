"""Floor 7: the front door. A `Lab` is one API server and everything that looks at it.

`opening.py` makes labs (sandbox, connect, envtest, replay); `lab.py` is what a user
holds; `informer.py` joins the cache, its frames and its views; `in_process.py` reaches
the embedded server without a socket; `registry.py` knows which labs are open.
"""
