"""Each fault of a request really happens, is counted, and ends when it should."""

import http.client
import json
import select
import threading

import pytest
from support.api_server import CONFIG_MAPS, Talk

from crlab.apiserver.request import HttpRequest
from crlab.apiserver.server import ApiServer
from crlab.errors import ConfigError
from crlab.runtime.clock import FakeClock
from crlab.runtime.ids import Ids


@pytest.fixture
def talk():
    return Talk()


@pytest.fixture
def faults(talk):
    return talk.server.faults


def test_a_status_is_answered_so_many_times(talk, faults):
    """429 brings Retry-After; the audit names the fault."""
    fault = faults.status(429, verb="list", times=2)
    answers = [talk.server.handle(HttpRequest("GET", CONFIG_MAPS)) for _ in range(3)]
    assert [answer.status for answer in answers] == [429, 429, 200]
    assert answers[0].header("retry-after") == "1"
    assert fault.hits == 2
    assert [record.fault for record in talk.server.audit.records()][-3:] == ["busy", "busy", ""]


@pytest.mark.parametrize(("code", "reason"), [(500, "InternalError"), (503, "ServiceUnavailable")])
def test_server_errors_have_their_reason(talk, faults, code, reason):
    """As a struggling API server."""
    faults.status(code, resource="configmaps")
    assert talk.send("GET", CONFIG_MAPS)[1]["reason"] == reason


def test_a_fault_meets_only_whom_it_is_about(talk, faults):
    """By verb, resource, namespace, name and user agent."""
    faults.status(503, verb="get", resource="cm", name="a", user_agent="tests", times=None)
    assert talk.send("GET", f"{CONFIG_MAPS}/a")[0] == 503
    assert talk.send("GET", f"{CONFIG_MAPS}/b")[0] == 404
    assert talk.send("GET", CONFIG_MAPS)[0] == 200
    other = {"user-agent": "kubectl/1"}
    assert talk.send("GET", f"{CONFIG_MAPS}/a", headers=other)[0] == 404


def test_nth_and_probability_choose(faults, talk):
    """The third request; then a seeded half of a hundred."""
    fault = faults.status(500, verb="list", nth=3, times=None)
    codes = [talk.send("GET", CONFIG_MAPS)[0] for _ in range(4)]
    assert codes == [200, 200, 500, 200]
    assert not fault.is_active
    chosen = [
        Talk(ApiServer(FakeClock(), Ids(7))),
        Talk(ApiServer(FakeClock(), Ids(7))),
    ]
    runs = []
    for one in chosen:
        one.server.faults.status(500, verb="list", probability=0.5, times=None)
        runs.append([one.send("GET", CONFIG_MAPS)[0] for _ in range(30)])
    assert runs[0] == runs[1]
    assert 5 < runs[0].count(500) < 25


def test_conflicts_come_n_times_and_change_nothing(talk, faults):
    """The retry loop of a client is what this tests."""
    talk.create("a", x="1")
    fault = faults.conflict("configmaps", times=2)
    patch = {"headers": {"content-type": "application/merge-patch+json"}}
    codes = [
        talk.send("PATCH", f"{CONFIG_MAPS}/a", {"data": {"x": "2"}}, **patch)[0] for _ in range(3)
    ]
    assert codes == [409, 409, 200]
    assert fault.hits == 2


def test_a_reset_before_commit_leaves_nothing_and_after_it_something(talk, faults):
    """The client sees the same: no answer."""
    faults.reset(verb="create")
    with pytest.raises(ConnectionResetError):
        talk.create("a")
    assert talk.send("GET", f"{CONFIG_MAPS}/a")[0] == 404
    faults.reset(verb="create", after_commit=True)
    with pytest.raises(ConnectionResetError):
        talk.create("a")
    assert talk.send("GET", f"{CONFIG_MAPS}/a")[0] == 200


def test_refused_connections_are_told_from_broken_ones(talk, faults):
    """Until the fault is removed."""
    fault = faults.refuse()
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            talk.send("GET", CONFIG_MAPS)
    fault.remove()
    assert talk.send("GET", CONFIG_MAPS)[0] == 200


def test_latency_moves_a_clock_that_only_moves_when_told(talk, faults):
    """So a slow server is fast to test."""
    faults.latency(1.5, verb="list", times=1)
    before = talk.server.core.clock.monotonic()
    talk.send("GET", CONFIG_MAPS)
    talk.send("GET", CONFIG_MAPS)
    assert talk.server.core.clock.monotonic() - before == 1.5


def test_stale_lists_are_n_revisions_old(talk, faults):
    """Only cached reads (resourceVersion=0) may be."""
    talk.create("a")
    talk.create("b")
    faults.stale_reads("configmaps", behind=1)
    _, stale = talk.send("GET", CONFIG_MAPS, query={"resourceVersion": "0"})
    _, fresh = talk.send("GET", CONFIG_MAPS)
    assert [len(stale["items"]), len(fresh["items"])] == [1, 2]
    assert int(stale["metadata"]["resourceVersion"]) < int(fresh["metadata"]["resourceVersion"])


def test_the_servers_own_controllers_meet_no_faults(talk, faults):
    """They are the server."""
    faults.status(500, times=None)
    assert talk.server.request("GET", CONFIG_MAPS)[0] == 200


def test_whoever_listens_hears_of_each_injection(talk, faults):
    """The lab writes them into its trace."""
    heard = []
    talk.server.fault_gate.on_inject = heard.append
    faults.status(500, verb="get")
    talk.send("GET", f"{CONFIG_MAPS}/a")
    assert [(i.fault, i.verb, i.resource, i.namespace, i.name) for i in heard] == [
        ("status", "get", "configmaps", "default", "a")
    ]


def test_a_status_that_is_no_error_is_refused(faults):
    """A fault is a failure."""
    with pytest.raises(ConfigError, match="is no error"):
        faults.status(200)


@pytest.fixture
def serving():
    with ApiServer(ids=Ids(0)).start() as server:
        yield server


def connect(server):
    host, prefix = server.url.removeprefix("http://").split("/", 1)
    return http.client.HTTPConnection(host, timeout=10), f"/{prefix}"


def test_over_http_a_reset_is_a_broken_connection(serving):
    """After the commit: the object is there."""
    serving.faults.reset(verb="create", after_commit=True)
    connection, prefix = connect(serving)
    body = json.dumps({"metadata": {"name": "a"}})
    connection.request("POST", prefix + CONFIG_MAPS, body, {"Content-Type": "application/json"})
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        connection.getresponse()
    connection.close()
    assert serving.request("GET", f"{CONFIG_MAPS}/a")[0] == 200


def test_over_http_a_cut_watch_is_a_broken_stream(serving):
    """Not the end of the chunks."""
    connection, prefix = connect(serving)
    connection.request("GET", f"{prefix}{CONFIG_MAPS}?watch=1")
    response = connection.getresponse()
    serving.faults.cut_watch("configmaps")
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        response.read()
    connection.close()


def test_over_http_a_clean_end_is_the_end_of_the_chunks(serving):
    """With everything that was ready before it."""
    connection, prefix = connect(serving)
    connection.request("GET", f"{prefix}{CONFIG_MAPS}?watch=1")
    response = connection.getresponse()
    serving.faults.cut_watch("configmaps", after_events=1, clean=True)
    serving.request("POST", CONFIG_MAPS, {"metadata": {"name": "a"}})
    lines = response.read().splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["ADDED"]
    connection.close()


def test_over_http_latency_delays_without_blocking_others(serving):
    """The loop goes on: the second request overtakes the first."""
    serving.faults.latency(60, resource="secrets")
    delayed = threading.Event()
    serving.fault_gate.on_inject = lambda injection: delayed.set()
    slow, prefix = connect(serving)
    fast, _ = connect(serving)
    slow.request("GET", f"{prefix}/api/v1/secrets")
    assert delayed.wait(10)
    fast.request("GET", f"{prefix}{CONFIG_MAPS}")
    assert fast.getresponse().status == 200
    assert select.select([slow.sock], [], [], 0)[0] == []
    fast.close()
    slow.close()
