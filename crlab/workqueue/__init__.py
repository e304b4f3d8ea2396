"""Floor 3: the queue between events and reconciles.

Keys go in as often as something happens and come out once per run: dirty, processing and
delayed under one condition, with the reasons of every collapsed add kept. Knows nothing of
informers or of what a key means.
"""

from crlab.workqueue.metrics import Histogram, QueueMetrics
from crlab.workqueue.priority_queue import LOW_PRIORITY, PriorityQueue
from crlab.workqueue.queue import WorkQueue
from crlab.workqueue.rate_limiter import (
    BucketRateLimiter,
    ItemExponentialFailureRateLimiter,
    ItemFastSlowRateLimiter,
    MaxOfRateLimiter,
    RateLimiter,
    WithMaxWaitRateLimiter,
    default_controller_rate_limiter,
    default_item_based_rate_limiter,
)
from crlab.workqueue.rate_limiting_queue import RateLimitingQueue
from crlab.workqueue.snapshot import KeyState, QueueSnapshot
from crlab.workqueue.trigger import Trigger

__all__ = [
    "LOW_PRIORITY",
    "BucketRateLimiter",
    "Histogram",
    "ItemExponentialFailureRateLimiter",
    "ItemFastSlowRateLimiter",
    "KeyState",
    "MaxOfRateLimiter",
    "PriorityQueue",
    "QueueMetrics",
    "QueueSnapshot",
    "RateLimiter",
    "RateLimitingQueue",
    "Trigger",
    "WithMaxWaitRateLimiter",
    "WorkQueue",
    "default_controller_rate_limiter",
    "default_item_based_rate_limiter",
]
