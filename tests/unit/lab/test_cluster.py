"""A connection to a server that is not ours: read-only, dry runs, nothing broken on purpose."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import crlab
from crlab.errors import ConfigError, ReadOnlyError
from crlab.examples import myservice


@pytest.fixture
def served() -> Iterator[crlab.Lab]:
    """A sandbox on a socket, with one MyService: the "real" cluster of these tests."""
    with crlab.sandbox(seed=0, controllers=False) as lab:
        lab.apply(myservice.CRD)
        lab.apply(myservice.EXAMPLE)
        yield lab


def controller_of(cluster: crlab.Lab):
    """The guide's controller, on a cluster where it does not apply its CRD itself."""
    return myservice.controller(cluster)


def test_a_step_is_a_dry_run_on_a_real_cluster(served: crlab.Lab) -> None:
    """By default: even with leave to write, a step by hand shows what it would do."""
    with crlab.connect(url=served.url, allow_writes=True) as cluster:
        record = controller_of(cluster).step()

    assert record is not None
    assert record.error is None
    assert record.writes
    assert all(call.is_dry_run for call in record.writes)
    assert served.client.list("deployments")["items"] == []
    assert "finalizers" not in served.client.get("myservices", "web")["metadata"]


def test_a_step_writes_when_told_to(served: crlab.Lab) -> None:
    """The mode is a default, not a wall."""
    with crlab.connect(url=served.url, allow_writes=["default"]) as cluster:
        record = controller_of(cluster).step(dry_run=False)

    assert record is not None
    assert not any(call.is_dry_run for call in record.writes)
    assert served.client.list("deployments")["items"]


def test_nothing_is_written_without_leave(served: crlab.Lab) -> None:
    """Not by the client, not by a reconcile; only a dry run, which writes nothing, passes."""
    with crlab.connect(url=served.url) as cluster:
        with pytest.raises(ReadOnlyError, match="allow_writes"):
            cluster.client.delete("myservices", "web")
        with pytest.raises(ReadOnlyError, match="allow_writes"):
            cluster.apply(myservice.EXAMPLE)
        cluster.apply(myservice.EXAMPLE, dry_run=True)
        controller = controller_of(cluster)
        dry, record = controller.step(), controller.step(dry_run=False)

    assert dry is not None
    assert (dry.error, {call.error for call in dry.writes}) == (None, {""})
    assert record is not None
    assert isinstance(record.error, ReadOnlyError)
    verbs = set(served.audit_log["verb"][served.audit_log["user_agent"].str.contains("crlab")])
    assert served.client.get("myservices", "web")["spec"]
    assert "delete" not in verbs


def test_leave_for_one_namespace_is_none_for_another(served: crlab.Lab) -> None:
    """Nor for what belongs to the whole cluster."""
    with crlab.connect(url=served.url, allow_writes=["default"]) as cluster:
        body = {"metadata": {"name": "a", "namespace": "kube-system"}}
        with pytest.raises(ReadOnlyError, match="kube-system"):
            cluster.client.create("configmaps", body)
        with pytest.raises(ReadOnlyError, match="namespaces"):
            cluster.client.create("namespaces", {"metadata": {"name": "a"}})
        cluster.client.create("configmaps", {"metadata": {"name": "a", "namespace": "default"}})


def test_what_needs_our_own_server_is_refused(served: crlab.Lab) -> None:
    """Each with a sentence, none with a half-done deed."""
    with crlab.connect(url=served.url, allow_writes=True) as cluster:
        reconcile = controller_of(cluster)
        reconcile.step()
        for act in (
            lambda: cluster.faults,
            lambda: cluster.snapshot(),
            lambda: cluster.fork(),
            lambda: cluster.compact(),
            reconcile.back,
            reconcile.fork,
            lambda: cluster.stress(reconcile),
        ):
            with pytest.raises(ConfigError, match="not a sandbox"):
                act()
        assert not hasattr(cluster, "rewind")
        with pytest.raises(AttributeError, match="no attribute 'rewnid'"):
            _ = cluster.rewnid


def test_a_cluster_says_that_it_is_read_only(served: crlab.Lab) -> None:
    """In its repr, wherever it is shown."""
    with crlab.connect(url=served.url) as cluster:
        assert "read-only" in repr(cluster)
        assert served.url.rstrip("/").rpartition("/")[2] not in repr(cluster)
