"""Random histories of a queue against a model that is too simple to be wrong."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from crlab.runtime.clock import FakeClock
from crlab.workqueue import ItemExponentialFailureRateLimiter, PriorityQueue, RateLimitingQueue

KEYS = st.sampled_from("abcd")
DELAYS = st.sampled_from([-1.0, 0.0, 1.0, 2.5, 7.0])


class Model(RuleBasedStateMachine):
    """Lists instead of sets and heaps; every rule says what client-go's text says."""

    def __init__(self):
        super().__init__()
        self.clock = FakeClock()
        self.queue = RateLimitingQueue(
            clock=self.clock, limiter=ItemExponentialFailureRateLimiter(1.0, 8.0)
        )
        self.ready, self.dirty, self.running = [], [], []
        self.delayed, self.failures, self.reasons = {}, {}, {}
        self.now, self.is_down = 0.0, False

    def dirtied(self, key, count=1):
        self.reasons[key] = self.reasons.get(key, 0) + count
        if key not in self.dirty:
            self.dirty.append(key)
            if key not in self.running:
                self.ready.append(key)

    @rule(key=KEYS)
    def add(self, key):
        from crlab.workqueue import Trigger

        self.queue.add(key, trigger=Trigger("updated"))
        if not self.is_down:
            self.dirtied(key)

    def later(self, key, delay):
        if self.is_down:
            return
        if delay <= 0:
            self.dirtied(key)
        else:
            due, count = self.delayed.get(key, (float("inf"), 0))
            self.delayed[key] = (min(due, self.now + delay), count + 1)

    @rule(key=KEYS, delay=DELAYS)
    def add_after(self, key, delay):
        from crlab.workqueue import Trigger

        self.queue.add_after(key, delay, trigger=Trigger("later"))
        self.later(key, delay)

    @rule(key=KEYS)
    def add_rate_limited(self, key):
        from crlab.workqueue import Trigger

        failures = self.failures[key] = self.failures.get(key, 0) + 1
        self.queue.add_rate_limited(key, trigger=Trigger("retry"))
        self.later(key, min(8.0, 2.0 ** (failures - 1)))

    @rule(key=KEYS)
    def forget(self, key):
        self.queue.forget(key)
        self.failures.pop(key, None)

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0]))
    def advance(self, seconds):
        self.clock.advance(seconds)
        self.now += seconds
        # The queue looks at delayed keys when it is used; keys due together come in the
        # order of their times.
        due = sorted((at, key) for key, (at, _) in self.delayed.items() if at <= self.now)
        order = [state.key for state in self.queue.snapshot().delayed]
        assert not {key for _, key in due} & set(order)
        newly = [k.key for k in self.queue.snapshot().queued if k.key not in self.ready]
        for _, key in sorted(due, key=lambda d: (d[0], newly.index(d[1]) if d[1] in newly else 0)):
            self.dirtied(key, self.delayed.pop(key)[1])

    @rule()
    def take(self):
        key = self.queue.try_get()
        assert key == (self.ready.pop(0) if self.ready else None)
        if key is not None:
            assert len(self.queue.running_triggers(key)) == self.reasons.pop(key)
            self.dirty.remove(key)
            self.running.append(key)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def done(self, data):
        key = data.draw(st.sampled_from(sorted(self.running)))
        self.queue.done(key)
        self.running.remove(key)
        if key in self.dirty:
            self.ready.append(key)

    @rule(key=KEYS, meanwhile=st.lists(st.one_of(KEYS, st.none()), max_size=3))
    def look(self, key, meanwhile):
        """Held and released: as if it had not been, but for what others did meanwhile."""
        assert self.queue.hold(key) == (key not in self.running)
        if key in self.running:
            return
        assert not self.queue.take(key)
        was_waiting = key in self.ready
        assert len(self.queue.running_triggers(key)) == self.reasons.get(key, 0)
        for other in meanwhile:
            if other is not None:
                self.add(other)
            elif (taken := self.queue.try_get()) is not None:
                assert taken == next(each for each in self.ready if each != key)
                self.ready.remove(taken)
                self.dirty.remove(taken)
                self.reasons.pop(taken)
                self.running.append(taken)
        self.queue.release(key)
        if key in self.ready and not was_waiting:  # it gets its turn when it is free, as at done
            self.ready.append(self.ready.pop(self.ready.index(key)))

    @precondition(lambda self: not self.is_down)
    @rule(chance=st.integers(0, 20))
    def shut_down(self, chance):
        if chance == 0:
            self.queue.shut_down()
            self.is_down = True
            self.delayed.clear()

    @invariant()
    def agrees(self):
        seen = self.queue.snapshot()
        assert [s.key for s in seen.queued] == self.ready
        assert sorted(s.key for s in seen.processing) == sorted(self.running)
        assert {s.key: s.due_in_seconds for s in seen.delayed} == {
            key: at - self.now for key, (at, _) in self.delayed.items()
        }
        assert {s.key for s in seen.processing if s.is_dirty} == {*self.dirty} & {*self.running}
        assert len(self.queue) == len(self.ready) == seen.metrics.depth
        assert {s.key: s.attempts for s in seen.keys if s.attempts} == {
            s.key: self.failures[s.key] for s in seen.keys if s.key in self.failures
        }
        assert {s.key: len(s.triggers) for s in seen.queued} == {
            key: self.reasons[key] for key in self.ready
        }


class PriorityModel(RuleBasedStateMachine):
    """One entry per key: the highest priority, the earliest time, first come first."""

    def __init__(self):
        super().__init__()
        self.clock = FakeClock()
        self.queue = PriorityQueue(clock=self.clock)
        self.entries, self.running, self.order = {}, {}, 0
        self.delayed = {}  # key → which delay it was; keys due at one time come in that order

    def merged(self, key, priority, due):
        known = self.entries.get(key)
        if known is None or due < known[1]:
            self.delayed[key] = self.order
        if known is not None:
            priority, due = max(priority, known[0]), min(due, known[1])
        now = self.clock.monotonic()
        was_ready = known is not None and known[1] <= now
        self.order += 1
        order = known[2] if was_ready else self.order
        if key in self.running:
            order = None  # gets its turn when it is done
        self.entries[key] = (priority, due, order)

    @rule(key=KEYS, priority=st.integers(-2, 2))
    def add(self, key, priority):
        self.queue.add(key, priority=priority)
        self.merged(key, priority, self.clock.monotonic())

    @rule(key=KEYS, priority=st.integers(-2, 2), delay=DELAYS)
    def add_after(self, key, priority, delay):
        self.queue.add_after(key, delay, priority=priority)
        self.merged(key, priority, self.clock.monotonic() + max(0.0, delay))

    @rule()
    def tick(self):
        self.clock.advance(1.0)
        now = self.clock.monotonic()
        newly = [s.key for s in self.queue.snapshot().queued]
        due = [k for k, e in self.entries.items() if now - 1 < e[1] <= now and k in newly]
        for key in sorted(due, key=lambda k: (self.entries[k][1], self.delayed[k])):
            self.order += 1
            self.entries[key] = (*self.entries[key][:2], self.order)

    def startable(self):
        now = self.clock.monotonic()
        ready = [(-e[0], e[2], k) for k, e in self.entries.items() if e[1] <= now]
        return [key for _, _, key in sorted(r for r in ready if r[2] not in self.running)]

    @rule()
    def take(self):
        expected = self.startable()
        key = self.queue.try_get()
        assert key == (expected[0] if expected else None)
        if key is not None:
            self.running[key] = self.entries.pop(key)[0]

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def done(self, data):
        key = data.draw(st.sampled_from(sorted(self.running)))
        self.queue.done(key)
        del self.running[key]
        if key in self.entries and self.entries[key][1] <= self.clock.monotonic():
            self.order += 1
            self.entries[key] = (*self.entries[key][:2], self.order)

    @rule(key=KEYS, priority=st.integers(-2, 2), is_added=st.booleans())
    def look(self, key, priority, is_added):
        if key in self.running:
            assert not self.queue.hold(key)
            return
        assert self.queue.hold(key)
        assert key not in [s.key for s in self.queue.snapshot().queued]
        if is_added:
            self.add(key, priority)
        self.queue.release(key)

    @invariant()
    def agrees(self):
        assert [s.key for s in self.queue.snapshot().queued] == self.startable()


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestPriorityModel = PriorityModel.TestCase
TestPriorityModel.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
