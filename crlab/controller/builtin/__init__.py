"""The embedded server's own controllers: namespaces, garbage collection, small workloads.

Each is a `Controller` like the user's: it can be paused, stepped and explained. All of them
run on one stage and are fed by the server's commits instead of watches.
"""

from crlab.controller.builtin.feed import Feed
from crlab.controller.builtin.manager import GROUPS, ControllerManager

__all__ = ["GROUPS", "ControllerManager", "Feed"]
