"""Faults 1-22: what networks do. One fault, then equality, through real sockets."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any

import pytest
import trustme
from support.fault_proxy import FaultProxy, semantic, toxic
from support.fault_rig import TIMING, FaultRig
from support.fault_swarm import reconnects_per_second

from crlab.client.credential import token_credentials
from crlab.client.endpoint import TlsSettings

UTF8 = "é漢🙂" * 20


@dataclass
class Case:
    """A fault in an open stream, and what must hold besides convergence."""

    number: int
    fault: Any
    is_relist: bool = False
    violations: int = 0
    passes_stale: bool = False

    def __str__(self) -> str:
        return f"{self.number}-{self.fault().name}"


IN_STREAM = [
    Case(1, toxic.HalfOpen, passes_stale=True),
    Case(4, toxic.RstMidLine),
    Case(5, toxic.FinMidLine),
    Case(5, lambda: toxic.FinMidLine(is_clean=True)),
    Case(5, lambda: toxic.FinMidLine(is_clean=True, is_whole=True)),
    Case(6, semantic.End),
    Case(6, lambda: semantic.End(is_clean=False)),
    Case(7, toxic.Trickle, passes_stale=True),
    Case(8, lambda: toxic.Slicer(1)),
    Case(9, toxic.Corrupt, violations=1),
    Case(10, semantic.Framing),
    Case(13, lambda: semantic.Batch(10_000)),
]


@pytest.mark.parametrize("case", IN_STREAM, ids=str)
def test_a_broken_stream_is_resumed(case):
    """Faults 1, 4, 5, 6, 7, 8, 9, 10, 13: from the last version, nothing listed again."""
    with FaultRig().start() as rig:
        fault = case.fault()
        assert rig.proxy.inject(fault) == 1
        rig.put("a", pad="x" * 400, text=UTF8)
        rig.put("c", pad="z" * 400)
        rig.delete("b")
        rig.converges()
        assert rig.proxy.journal.happened(fault.name)
        assert rig.count("list") == 0
        assert rig.informer.status.violations >= case.violations
        assert rig.fold.kinds("default/b") == ["add", "delete"]
        assert rig.fold.tombstones == []
        if case.passes_stale:
            assert "stale" in rig.healths()


@pytest.mark.parametrize("mode", ["list", "auto"])
def test_an_answer_that_never_comes_is_given_up(mode):
    """Fault 2: at the first-byte deadline, and asked again."""
    with FaultRig(list_mode=mode) as rig:
        rig.proxy.add(toxic.Blackhole(), "any", times=2)
        rig.start(is_synced=False)
        rig.converges()
        assert rig.proxy.journal.count("fault", "blackhole") == 2


def test_a_stop_does_not_wait_for_an_answer():
    """Fault 2, C10: within a second, while the headers are awaited."""
    with FaultRig(transport={"first_byte_seconds": 30}) as rig:
        rig.proxy.add(toxic.Blackhole())
        rig.start(is_synced=False)
        rig.until(lambda: rig.proxy.journal.happened("blackhole"))
        began = time.monotonic()
        assert rig.informer.close(1) == ()
        assert time.monotonic() - began < 1


def test_a_name_is_looked_up_at_each_connect(monkeypatch):
    """Fault 17: no answer, then an address where nobody is, then another one; R_max meanwhile."""
    real, where = socket.getaddrinfo, ["127.0.0.1"]

    def look_up(host, *args, **options):
        if host == "cluster.test" and not where[0]:
            raise socket.gaierror("Name or service not known")
        return real(where[0] if host == "cluster.test" else host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with FaultRig(host="cluster.test").start() as rig:
        for where[0], text in (("", "cannot be resolved"), ("127.0.0.9", "refused")):
            rig.proxy.inject(semantic.End())
            rig.put("a", at=where[0] or "nowhere")
            rig.until(lambda text=text: text in rig.informer.status.cause)
            rig.fails_for(0.3)
            assert rig.words == {"degraded"}
        where[0] = "127.0.0.1"
        rig.converges()
        assert rig.count("list") == 0


def test_a_stop_does_not_wait_for_an_audit_nor_does_an_event():
    """Faults 2, 54, C10: the answer to an audit never comes; the cache follows, and it stops."""
    with FaultRig(audit_seconds=0.1, transport={"first_byte_seconds": 30}).start() as rig:
        rig.proxy.add(toxic.Blackhole(), "list")
        rig.until(lambda: rig.proxy.journal.happened("blackhole"))
        rig.put("a", n="2")
        rig.converges(5)
        began = time.monotonic()
        assert rig.informer.close(1) == ()
        assert time.monotonic() - began < 1


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def context_of(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_a_stalled_handshake_is_given_up(authority):
    """Fault 3: at the connect deadline; the next connection is shaken."""
    trust = TlsSettings(ca_data=authority.cert_pem.bytes())
    with FaultRig(tls=context_of(authority), client_tls=trust) as rig:
        rig.proxy.add(toxic.StallHandshake(), "connect", times=2)
        rig.start(is_synced=False)
        rig.converges()
        assert rig.proxy.journal.count("fault", "stall_handshake") == 2


def test_a_line_without_an_end_is_cut_off():
    """Fault 11: at the line's cap, and resumed."""
    with FaultRig(source={"max_line_bytes": 1 << 20}).start() as rig:
        rig.proxy.inject(toxic.Flood(4 << 20))
        rig.put("a", n="2")
        rig.converges()
        assert rig.proxy.journal.happened("flood")
        assert rig.informer.status.violations >= 1


def test_a_large_object_is_taken():
    """Fault 12: as large as a ConfigMap may be, in a stream and in a list."""
    with FaultRig().start() as rig:
        rig.put("large", pad="x" * 1_040_000)
        rig.converges()
        rig.proxy.inject(semantic.Inject(semantic.error_line(410)))
        rig.until(lambda: rig.count("list") > 0 or rig.count("watch") > 0)
        rig.converges()
        assert rig.informer.status.violations == 0


def test_a_stop_comes_between_ten_thousand_events():
    """Fault 13, C10: reading yields to stop."""
    with FaultRig().start() as rig:
        rig.proxy.inject(semantic.Batch(10_000))
        rig.put("a", n="2")
        rig.until(lambda: rig.proxy.journal.happened("batch"))
        began = time.monotonic()
        assert rig.informer.close(1) == ()
        assert time.monotonic() - began < 1


FAILING = [
    (15, lambda: semantic.CloseAfter(0), "watch", {"degraded"}),
    (18, lambda: semantic.Status(502, b"<html>Bad Gateway", content_type="text/html"), "any", {}),
    (18, lambda: semantic.Status(407, b"<html>Who are you?", content_type="text/html"), "any", {}),
    (18, semantic.Buffered, "watch", {}),
    (20, lambda: semantic.Gzip("truncated"), "list", {}),
    (20, lambda: semantic.Gzip("bomb", bomb_bytes=64 << 20), "list", {}),
    (21, lambda: semantic.Redirect("http://127.0.0.1:9/"), "any", {}),
    (4, toxic.ResetPeer, "any", {}),
]


@pytest.mark.parametrize(
    ("number", "fault", "match", "words"),
    FAILING,
    ids=[f"{number}-{fault().name}" for number, fault, _, _ in FAILING],
)
def test_a_failing_way_is_not_hammered(number, fault, match, words):
    """Faults 4, 15, 18, 20, 21, C9: asked as often as allowed; well again afterwards."""
    with FaultRig(list_mode="list").start() as rig:
        fault = fault()
        rig.proxy.add(fault, match)
        rig.proxy.inject(semantic.Inject(semantic.error_line(410)))
        rig.until(lambda: rig.proxy.journal.happened(fault.name))
        rig.put("a", n="2")
        rig.delete("b")
        rig.fails_for(1.3)
        assert set(words) <= rig.words
        assert len(rig.informer.indexer) >= 1, "the cache was touched by a failure"
        rig.proxy.clear()
        rig.converges()


def test_a_refused_connection_lists_nothing_again():
    """Fault 16: the version is still good."""
    with FaultRig().start() as rig:
        rig.proxy.down()
        rig.put("a", n="2")
        rig.fails_for(0.8)
        assert "live" not in (rig.state, rig.informer.status.state)
        rig.proxy.up()
        rig.converges()
        assert rig.count("list") == 0
        assert rig.proxy.journal.happened("down")
        assert rig.fold.tombstones == []


def test_a_rotated_authority_is_believed_from_its_file(authority, tmp_path):
    """Fault 19: the next connection fails, typed; the new file is read without a restart."""
    file = tmp_path / "ca.pem"
    file.write_bytes(authority.cert_pem.bytes())
    other = trustme.CA()
    with FaultRig(
        tls=context_of(authority), client_tls=TlsSettings(ca_file=str(file)), timing=TIMING
    ).start() as rig:
        rig.proxy.tls = context_of(other)
        rig.proxy.inject(semantic.End())
        rig.until_state("degraded")
        rig.put("a", n="2")
        assert "certificate is not trusted" in rig.informer.status.cause
        assert rig.count("watch") == 0, "a request was made without verification"
        file.write_bytes(other.cert_pem.bytes())
        rig.converges()


@pytest.mark.parametrize("form", ["good"])
def test_compressed_answers_are_read(form):
    """Fault 20: gzip that is whole is no fault."""
    with FaultRig(list_mode="list") as rig:
        rig.proxy.add(semantic.Gzip(form), "list")
        rig.start().converges()
        assert rig.proxy.journal.happened("gzip")


def test_credentials_are_not_taken_along():
    """Fault 21, S17: the place a redirect names gets no request."""
    credentials = token_credentials("canary-token", "here")
    with FaultProxy("http://127.0.0.1:9/") as elsewhere, FaultRig(credentials=credentials) as rig:
        rig.proxy.add(semantic.Redirect(elsewhere.url), "any")
        rig.start(is_synced=False)
        rig.fails_for(0.4)
        assert elsewhere.journal.entries() == []
        assert "canary" not in f"{rig.informer.status}{rig.errors}"


def test_a_thousand_do_not_come_back_at_once():
    """Fault 22: after a minute's outage at most a fifth of them in any second."""
    assert max(reconnects_per_second(informers=1000, outage_seconds=60)) <= 200
