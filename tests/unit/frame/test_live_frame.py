"""The indexer as a live DataFrame."""

import threading
import warnings
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from support.frame_rig import COLUMNS, DTYPES, SERVICES, frame_of, indexer_of, put, thing, types_of

from crlab.frame import LiveFrame, age_of, codec, live, plane
from crlab.model.object import KubeObject
from crlab.model.resource import ApiResource, GroupVersionResource
from crlab.runtime.clock import FakeClock


def test_an_empty_frame_has_the_dtypes_of_a_full_one():
    """No flapping between snapshots."""
    indexer = indexer_of()
    live = frame_of(indexer)
    assert types_of(live.df) == DTYPES
    put(indexer, thing("a", spec={"image": 5, "replicas": "x"}, status={"load": None}))
    assert types_of(live.df) == DTYPES
    put(indexer, gone=("d/a",))
    assert types_of(live.df) == DTYPES
    assert live.df.index.name == "key"


def test_nothing_changed_gives_the_same_object():
    """Asking is free."""
    live = frame_of(indexer_of(thing("a")))
    assert live.df is live.df


def test_a_change_is_followed_and_rows_stay_sorted():
    """Adds, updates and deletes in one step."""
    indexer = indexer_of(thing("b"), thing("d"))
    live = frame_of(indexer)
    first = live.df
    put(indexer, thing("a", 5), thing("c", 6), thing("d", 7, spec={"replicas": 3}), gone=("d/b",))
    assert list(live.df.index) == ["d/a", "d/c", "d/d"]
    assert live.df.loc["d/d", "replicas"] == 3
    assert live.df.attrs["resource_version"] == "7"
    assert list(first.index) == ["d/b", "d/d"]  # what was handed out stays as it was


@pytest.mark.parametrize("count", [3, 500])
def test_rows_are_found_again_after_many_came_and_went(count):
    """Few and many at once, in one step; later changes reach the right rows."""
    indexer = indexer_of(*(thing(f"m{n:03}") for n in range(0, count * 2, 2)))
    live = frame_of(indexer)
    assert len(live.df) == count
    gone = tuple(f"d/m{n:03}" for n in range(0, count * 2, 4))
    put(indexer, *(thing(f"m{n:03}", 2) for n in range(1, count * 2, 2)), gone=gone)
    assert len(live.df) == len(indexer.list_keys())
    put(indexer, *(thing(o.name, 3, spec={"image": o.name}) for o in indexer.list()))
    assert list(live.df["image"]) == list(live.df["name"])
    assert list(live.df.index) == indexer.list_keys()


def test_a_frame_that_only_got_a_cell_written_is_not_handed_out_again():
    """Neither its labels nor its attrs tell; its blocks do."""
    live = frame_of(indexer_of(thing("a", status={"phase": "x"})))
    mine = live.df
    mine.iloc[0, list(DTYPES).index("phase")] = "mine"
    assert live.df.loc["d/a", "phase"] == "x"


def test_clean_columns_are_shared_between_snapshots():
    """Only the columns with a changed cell are copied."""
    indexer = indexer_of(*(thing(f"n{i}", spec={"replicas": i}) for i in range(9)))
    live = frame_of(indexer, columns={"raw": ".spec"})
    before = live.df
    put(indexer, thing("n1", 2, spec={"replicas": 1}, status={"phase": "Ready"}))
    after = live.df
    assert before["raw"].to_numpy() is not None
    assert np.shares_memory(before["raw"].to_numpy(), after["raw"].to_numpy())
    assert list(before["phase"].isna()) == [True] * 9
    assert after.loc["d/n1", "phase"] == "Ready"


@pytest.mark.parametrize("column", ["phase", "replicas", "created", "raw"])
def test_a_users_write_never_reaches_the_store(column):
    """Copy-on-write, for every kind of column; the next read is clean."""
    indexer = indexer_of(thing("a", spec={"replicas": 1}, status={"phase": "x"}), thing("b"))
    live = frame_of(indexer, columns={"raw": ".spec"})
    mine = live.df
    value = (
        pd.Timestamp("2030-01-01", tz="UTC") if column == "created" else {"replicas": 7}.get(column)
    )
    clean = mine.copy(deep=True)
    mine.loc["d/a", column] = value
    mine["new"] = 1
    pd.testing.assert_frame_equal(live.df, clean)
    put(indexer, thing("b", 2, status={"phase": "later"}))
    assert live.df.loc["d/b", "phase"] == "later"
    assert "new" not in live.df
    assert pd.isna(mine.loc["d/b", "phase"])  # the store's change never reaches the user's frame


def test_a_changed_attribute_or_name_gives_a_fresh_frame():
    """attrs, columns and index belong to the holder too."""
    live = frame_of(indexer_of(thing("a")))
    live.df.attrs["state"] = "mine"
    assert live.df.attrs["state"] == ""
    live.df.columns = range(8)
    assert list(live.df.columns) == list(DTYPES)


def test_a_name_given_to_an_axis_stays_with_its_frame():
    """Neither earlier nor later frames get it."""
    indexer = indexer_of(thing("a"))
    live = frame_of(indexer)
    earlier = live.df
    put(indexer, thing("a", 2, status={"phase": "x"}))
    mine = live.df
    mine.index.name, mine.columns.name = "mine", "mine too"
    for frame in (earlier, live.df):
        assert (frame.index.name, frame.columns.name) == ("key", None)


def test_an_interrupted_read_loses_no_change(monkeypatch):
    """The next one has the rows that the interrupted one was about to show."""
    indexer = indexer_of(thing("a"), thing("b"))
    live = frame_of(indexer)
    assert len(live.df) == 2
    put(indexer, thing("a", 2, spec={"replicas": 2}), gone=("d/b",))
    with monkeypatch.context() as patch:
        patch.setattr(live._slots, "patch", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            _ = live.df
    put(indexer, thing("c", 3))
    assert live.df["replicas"].fillna(0).to_dict() == {"d/a": 2, "d/c": 0}


@pytest.mark.parametrize("storage", ["none", "python"])
def test_frames_work_where_text_is_not_kept_in_arrow(storage, monkeypatch):
    """Without pyarrow, or where the user has told pandas so."""
    if storage == "none":
        monkeypatch.setattr(codec, "pa", None)
        monkeypatch.setattr(plane, "pa", None)
    with pd.option_context("mode.string_storage", "python"):
        indexer = indexer_of(*(thing(f"n{i}") for i in range(5)))
        live = frame_of(indexer)
        assert types_of(live.df) == DTYPES
        put(indexer, thing("n2", 2, status={"phase": "x"}))
        put(indexer, thing("n9", 3, spec={"image": "y"}), gone=("d/n0",))
        assert types_of(live.df) == DTYPES
        pd.testing.assert_frame_equal(live.df, frame_of(indexer).df)


def test_values_that_do_not_compare_are_followed():
    """A user's function may return an array."""
    indexer = indexer_of(thing("a"))
    live = frame_of(indexer, columns={"v": lambda obj: np.array([1, 2])})
    assert live.df["v"].iloc[0].sum() == 3
    put(indexer, thing("a", 2))
    assert live.df["v"].iloc[0].sum() == 3


def test_nested_cells_cannot_be_changed():
    """The one way past copy-on-write is closed."""
    live = frame_of(indexer_of(thing("a", spec={"x": [1]})), columns={"raw": ".spec"})
    with pytest.raises(TypeError, match="read-only"):
        live.df.loc["d/a", "raw"]["x"].append(2)


def test_attrs_say_what_and_when():
    """Resource, revision, time and state."""
    live = frame_of(indexer_of(thing("a", 7)), clock=FakeClock(), state=lambda: "live")
    assert live.df.attrs == {
        "resource": "myservices.example.com",
        "resource_version": "7",
        "time": "2026-01-01T00:00:00.000Z",
        "state": "live",
    }


def test_odd_shapes_build_a_whole_frame():
    """A spec that is a list, a status that is null, numbers without end, undecodable bytes."""
    odd = [
        thing("a", spec=[1, 2]),
        thing("b", status=None, spec={"replicas": 10**400}),
        thing("c", spec={"image": ["x"], "paused": "yes"}),
        KubeObject(b'{"metadata":{"name":"e","namespace":"d"},"spec":{"replicas":1e999}}'),
        thing("f", spec={"image": "ok", "replicas": 2}),
    ]
    frame = frame_of(indexer_of(*odd)).df
    assert len(frame) == 5
    assert types_of(frame) == DTYPES
    assert frame["replicas"].isna().tolist() == [True, True, True, True, False]
    assert frame.loc["d/c", "image"] == '["x"]'


def test_reading_gives_no_warning():
    """nbval compares stderr."""
    indexer = indexer_of(thing("a"))
    live = frame_of(indexer, labels=True, conditions=True, owner=True, wide=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        repr(live.df)
        put(indexer, thing("b", 2, spec={"deep": {"x": 1}}), gone=("d/a",))
        repr(live.df)


def test_ages_are_worked_out_when_shown():
    """The frame holds the time, not the age."""
    live = frame_of(indexer_of(thing("a"), thing("b", metadata={"creationTimestamp": None})))
    assert list(age_of(live.df["created"], 1_767_225_600 + 206)) == ["3m26s", "<unknown>"]


def test_a_cluster_scoped_kind_has_no_namespace_column():
    """Nodes."""
    node = KubeObject(b'{"metadata":{"name":"n1","labels":{"node-role.kubernetes.io/w":""}}}')
    nodes = ApiResource(GroupVersionResource("", "v1", "nodes"), "Node", False)
    frame = LiveFrame(indexer_of(node), resource=nodes).df
    assert list(frame.columns) == ["name", "status", "roles", "created", "version"]
    assert frame.loc["n1", "roles"] == "w"


def test_a_snapshot_taken_while_events_flow_is_one_moment():
    """Two objects that always change together are never seen apart (P6, fault 91)."""
    indexer = indexer_of(thing("a", 1, spec={"replicas": 0}), thing("b", 1, spec={"replicas": 0}))
    live = frame_of(indexer)
    is_over = threading.Event()

    def write():
        for n in range(2, 400):
            put(indexer, *(thing(x, n, spec={"replicas": n}) for x in "ab"))
        is_over.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = 0
    while not is_over.is_set() or seen == 0:
        frame = live.df
        pair = set(frame["replicas"])
        assert len(pair) == 1
        assert str(pair.pop()) in (frame.attrs["resource_version"], "0")
        seen += 1
    writer.join()
    assert live.df["replicas"].tolist() == [399, 399]


def test_a_change_that_is_stored_but_not_yet_told_is_not_missed():
    """The frame's resourceVersion never claims what its rows do not hold."""
    indexer = indexer_of(thing("a"))
    seen = []
    live = frame_of(indexer)
    assert len(live.df) == 1
    first = indexer.add_change_listener(lambda keys: None)
    first()

    def peek(keys):
        frame = live.df  # runs while our own listener may not have been told
        seen.append((frame.attrs["resource_version"], frame.loc["d/a", "replicas"]))

    live.close()
    indexer.add_change_listener(peek)
    indexer.add_change_listener(live._mark)
    put(indexer, thing("a", 2, spec={"replicas": 2}))
    assert seen == [("2", 2)]


def test_the_state_is_told_in_the_present_tense() -> None:
    """The data of an outage are old, and say so; they are the same data."""
    states = ["live"]
    live = frame_of(indexer_of(thing("a", 7)), clock=FakeClock(), state=lambda: states[-1])
    before = live.df

    states.append("degraded")

    assert (before.attrs["state"], live.df.attrs["state"]) == ("live", "degraded")
    assert live.df is live.df
    assert live.df.equals(before)


def test_columns_that_become_known_later_come_with_the_next_read() -> None:
    """The frames handed out before stay as they were; nobody asks again."""
    found: list[object] = [None, None, (COLUMNS, None)]
    indexer = indexer_of(thing("a", spec={"image": "x"}))
    live = LiveFrame(indexer, resource=SERVICES, columns={"x": ".spec.x"},
                     later=lambda: found.pop(0))  # fmt: skip
    basic = live.df
    assert list(basic.columns) == ["namespace", "name", "created", "x"]
    assert live.df is basic
    full = live.df
    assert list(full.columns) == [*DTYPES, "x"]
    assert full.loc["d/a", "image"] == "x"
    assert live.df is full
    assert not found
    assert list(basic.columns) == ["namespace", "name", "created", "x"]


def test_a_live_expression_sees_columns_that_come_later() -> None:
    """Though no object changed."""
    found: list[object] = []
    frame = LiveFrame(indexer_of(thing("a")), resource=SERVICES,
                      later=lambda: found.pop() if found else None)  # fmt: skip
    names = live(lambda: list(frame.df.columns), min_interval_seconds=0)
    assert names.value == ["namespace", "name", "created"]
    found.append((COLUMNS, None))
    assert names.value == list(DTYPES)


def test_a_path_in_use_survives_a_schema_that_lacks_it() -> None:
    """What was an ordinary column before the outage ended stays one."""
    schema = {"properties": {"spec": {"properties": {}}}}
    live = LiveFrame(indexer_of(thing("a")), resource=SERVICES, columns={"x": ".spec.x"},
                     later=lambda: (COLUMNS, schema))  # fmt: skip
    assert list(live.df.columns) == [*DTYPES, "x"]
