"""Fakes for tests of your own controllers: a sandbox per test, a clock that stands still.

In a ``conftest.py``::

    pytest_plugins = ["crlab.testing.fixture"]

and a test takes ``crlab_lab`` (a fresh manual sandbox, closed afterwards)::

    def test_a_service_becomes_ready(crlab_lab):
        reconcile = my_controller(crlab_lab)
        crlab_lab.apply(EXAMPLE)
        assert_converges(crlab_lab, reconcile, lambda: ready(crlab_lab))

What is here is public: `fake_lab`, `assert_converges`, `Converged`, `FakeClock`.
"""

from crlab.runtime.clock import FakeClock
from crlab.testing.convergence import Converged, NotConverged, assert_converges
from crlab.testing.fake import fake_lab

__all__ = ["Converged", "FakeClock", "NotConverged", "assert_converges", "fake_lab"]
