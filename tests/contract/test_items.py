"""Every item of the fidelity list has a recorded scenario, a kubectl session or a test.

The items that neither a scenario nor a kubectl session shows are tested here, or where the
map says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.server import make_server
from support.transcript import TRANSCRIPTS

from crlab.apiserver import ApiServer, HttpRequest, HttpResponse

TESTS = Path(__file__).parents[1]
MAPS = "/api/v1/namespaces/default/configmaps"
PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
ITEMS = range(1, 163)
SESSIONS = range(157, 163)  # what kubectl asks for, in the order it does
ELSEWHERE = {
    132: "unit/apiserver/test_watch.py::test_a_reader_that_fell_behind_is_cut_off",
    147: "contract/test_builtin_controllers.py::test_147_the_collector_can_be_left_out",
    151: "unit/apiserver/test_server.py::test_events_live_for_an_hour",
    152: "unit/apiserver/test_http.py::test_without_the_secret_there_is_nothing",
    156: "unit/apiserver/test_http.py::test_a_foreign_host_is_refused",
}
HERE = {12, 137}


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with make_server() as found:
        yield found


def numbers(folder: str, key: str) -> set[int]:
    """Return what the recordings of a folder say they show."""
    files = (TRANSCRIPTS / folder).glob("*.json")
    return {item for file in files for item in json.loads(file.read_text()).get(key, ())}


def test_every_item_is_held() -> None:
    """1 to 162, none left out."""
    held = numbers("scenarios", "items") | set(ELSEWHERE) | HERE | set(SESSIONS)
    assert set(ITEMS) <= held


def test_every_line_of_the_kubectl_list_has_a_session() -> None:
    """1 to 52 of the acceptance list."""
    assert set(range(1, 53)) <= numbers("kubectl", "list")


@pytest.mark.parametrize("place", ELSEWHERE.values())
def test_the_map_points_at_tests_that_exist(place: str) -> None:
    """A renamed test does not take an item with it."""
    file, _, name = place.partition("::")
    assert f"def {name}(" in (TESTS / file).read_text()


def ask(server: ApiServer, path: str, **headers: str) -> HttpResponse:
    """Send a GET with headers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = server.handle(HttpRequest("GET", path, (), named))
    assert isinstance(answer, HttpResponse)
    return answer


def test_12_openapi_v2_is_a_stub_in_protobuf(server: ApiServer) -> None:
    """Enough for kubectl: the version, a title, and a media type that Go can parse."""
    answer = ask(server, "/openapi/v2", accept=PROTOBUF)
    assert answer.status == 200
    assert answer.body.startswith(b"\n\x032.0")
    kind = {name.lower(): value for name, value in answer.headers}["content-type"]
    assert kind == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


def test_137_cbor_is_not_spoken(server: ApiServer) -> None:
    """406 for an answer, 415 for a body."""
    assert ask(server, MAPS, accept="application/cbor").status == 406
    headers = {"content-type": "application/cbor"}
    answer = server.handle(HttpRequest("POST", MAPS, (), headers, b"\xa0"))
    assert isinstance(answer, HttpResponse)
    assert answer.status == 415


def test_137_an_upgrade_to_a_websocket_is_an_ordinary_watch(server: ApiServer) -> None:
    """Never 101: the client sees at once that there is no WebSocket."""
    answer = server.handle(
        HttpRequest(
            "GET", MAPS, (("watch", "1"),), {"upgrade": "websocket", "connection": "upgrade"}
        )
    )
    assert answer.status == 200
