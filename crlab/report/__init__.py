"""Reports: answers about a controller or a cluster, as text, as a frame and as HTML.

They stand above frames and widgets and below the lab, and take parts of the floors below: a trace,
a client, informers, a controller. Read first: `explain.py`.
"""

from crlab.report.explain import Explanation, explain
from crlab.report.rbac import Rbac, Right, derive
from crlab.report.stress import StressReport, stress

__all__ = ["Explanation", "Rbac", "Right", "StressReport", "derive", "explain", "stress"]
