"""Everything random, from one place: uids, name suffixes, jitter, tokens.

With a seed, the same calls give the same answers on every run, so that notebook
outputs compare byte for byte. Secrets (`token`) are never seeded.

Thread: every method may be called from any thread; one lock guards the generator.
Source: k8s.io/apimachinery/pkg/util/rand (suffix alphabet), pkg/util/uuid.
"""

from __future__ import annotations

import random
import secrets
import uuid

from crlab.runtime import fork

SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


class Ids:
    """The one random source of a lab."""

    def __init__(self, seed: int | None = None) -> None:
        """Seed the source; None takes the machine's randomness."""
        self.seed = seed
        self._lock = fork.lock()
        self._random = random.Random(seed)

    def uid(self) -> str:
        """Return a fresh UUIDv4 as text."""
        with self._lock:
            return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def suffix(self, length: int = 5) -> str:
        """Return what the API server appends to a generateName."""
        with self._lock:
            return "".join(self._random.choices(SUFFIX_ALPHABET, k=length))

    def uniform(self, low: float, high: float) -> float:
        """Return a float in [low, high)."""
        with self._lock:
            return low + (high - low) * self._random.random()

    def fork(self, name: str) -> Ids:
        """Return a source of its own for one user, so that threads do not share a sequence.

        Two forks of the same name from the same seed give the same sequence.
        """
        if self.seed is None:
            return Ids()
        return Ids(random.Random(f"{self.seed}/{name}").getrandbits(64))

    def state(self) -> object:
        """Return the generator's state, for snapshots."""
        with self._lock:
            return self._random.getstate()

    def restore(self, state: object) -> None:
        """Put back a state taken by `state`."""
        with self._lock:
            self._random.setstate(state)  # type: ignore[arg-type]

    @staticmethod
    def token() -> str:
        """Return 192 random bits, URL-safe, never seeded."""
        return secrets.token_urlsafe(24)
