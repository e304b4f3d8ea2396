"""CSV, Styler and Parquet."""

import csv
import io
from html.parser import HTMLParser

import pandas as pd
import pytest
from support.tiny_cluster import SERVICES, TinyCluster

from crlab.errors import RecordingError
from crlab.frame.export import style, to_csv, to_parquet
from crlab.trace.recording import Recorder

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "ok"]
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</td><script>alert(1)</script>",
    "&lt;b&gt;",
    "\x1b[31m",
]


def test_no_cell_of_a_csv_is_a_formula():
    """Cells, keys and headers (S4); numbers stay numbers."""
    frame = pd.DataFrame(
        {"=cmd": pd.array(FORMULAS, dtype="str"), "n": range(-4, 4)},
        index=pd.Index(FORMULAS, dtype="str", name="@key"),
    )
    rows = list(csv.reader(io.StringIO(to_csv(frame), newline="")))
    texts = [cell for row in rows for cell in (row[0], row[1])] + rows[0]
    assert not [t for t in texts if t.lstrip(" ")[:1] in "=+-@\t\r" and t]
    assert rows[1][2] == "-4"
    assert "=1+1" in to_csv(frame, guard=False)
    assert list(frame.columns) == ["=cmd", "n"]


class _Elements(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = set()

    def handle_starttag(self, tag, attrs):
        self.found |= {tag} | {name for name, _ in attrs}


def test_a_styled_frame_escapes_everything():
    """Cells, headers, index, names and caption (S1); the same on every run."""
    frame = pd.DataFrame({h: pd.array(HOSTILE, dtype="str") for h in HOSTILE}, index=HOSTILE)
    frame.index.name = frame.columns.name = HOSTILE[0]
    html = style(frame, caption=HOSTILE[1]).to_html()
    parser = _Elements()
    parser.feed(html)
    known = {"style", "type", "table", "id", "caption", "thead", "tr", "th", "td", "class", "tbody"}
    assert parser.found <= known
    assert "\x1b" not in html
    assert style(frame, caption=HOSTILE[1]).to_html() == html


def test_a_recording_is_one_parquet_dataset(tmp_path):
    """Partitioned by resource, read as one."""
    pytest.importorskip("pyarrow", reason="needs the extra crlab[parquet]")
    cluster = TinyCluster()
    cluster.informer(SERVICES)
    cluster.driver.settle()
    cluster.service("a", image="x")
    cluster.driver.settle()
    cluster.trace.append("lab", "note", resource="../../evil")
    with Recorder(cluster.trace, tmp_path / "r", clock=cluster.clock, threaded=False):
        pass
    folder = to_parquet(tmp_path / "r", tmp_path / "set")
    frame = pd.read_parquet(folder)
    assert sorted(frame["seq"]) == list(range(1, len(cluster.trace) + 1))
    assert sorted(p.name for p in folder.iterdir()) == [
        "resource=__other__",
        "resource=myservices.example.com",
    ]
    with pytest.raises(RecordingError, match="exists"):
        to_parquet(tmp_path / "r", tmp_path / "set")
