"""Frames and recordings for other programs: guarded CSV, an escaped Styler, Parquet.

Thread: pure functions on frames the caller holds.
Source: reliability requirements S1 (Styler escapes nothing by itself) and S4 (formulas).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from crlab.errors import ConfigError, RecordingError
from crlab.frame.array import cells
from crlab.model.escape import esc, plain
from crlab.model.object import KubeObject, thawed
from crlab.model.redaction import mask_text, redact_kube_object
from crlab.trace.recording import Recording

_PLAIN_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,200}[a-z0-9])?")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_cell(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula (a leading ' is added).

    A carriage return becomes a visible one: csv writes it bare, readers end the row there.
    """
    if isinstance(value, str) and "\r" in value:
        value = value.replace("\r", "\\r")
        return csv_cell(value) if value[:2] != "\\r" else "'" + value
    if isinstance(value, str) and value.lstrip(" ")[:1] in _FORMULA and value.strip():
        return "'" + value
    if isinstance(value, dict | list):
        return csv_cell(msgspec.json.encode(thawed(value)).decode())
    return value


def to_csv(
    frame: pd.DataFrame,
    path: str | os.PathLike[str] | None = None,
    *,
    guard: bool = True,
    **options: Any,
) -> str | None:
    """Write a frame as CSV; return the text if no path is given.

    Args:
        guard: put ' before texts that a spreadsheet would run (=, +, -, @, tab, CR); on
            unless switched off.
        options: passed on to `DataFrame.to_csv`.
    """
    if not guard:
        return frame.to_csv(path, **options)
    safe = frame.copy(deep=False)
    for place in range(len(safe.columns)):
        series = safe.iloc[:, place]
        if pd.api.types.is_string_dtype(series.dtype) or series.dtype == object:
            safe.isetitem(place, cells([csv_cell(value) for value in series]))
    safe.columns = pd.Index([csv_cell(name) for name in safe.columns], dtype="object")
    names = [csv_cell(name) for name in safe.index.names]
    if isinstance(safe.index, pd.MultiIndex):
        safe.index = pd.MultiIndex.from_tuples(
            [tuple(map(csv_cell, row)) for row in safe.index], names=names
        )
    elif safe.index.dtype == object or pd.api.types.is_string_dtype(safe.index.dtype):
        safe.index = pd.Index([csv_cell(key) for key in safe.index], dtype="object", name=names[0])
    return safe.to_csv(path, **options)


def style(frame: pd.DataFrame, *, caption: str = "") -> Any:
    """Return a pandas Styler that escapes everything and renders the same on every run.

    Raises:
        ConfigError: jinja2, which pandas' Styler needs, is not installed.
    """
    safe = frame.copy(deep=False)
    safe.columns = safe.columns.set_names([_escaped(name) for name in safe.columns.names])
    safe.index = safe.index.set_names([_escaped(name) for name in safe.index.names])
    try:
        styler = safe.style
    except ImportError as error:
        raise ConfigError("style() needs jinja2: pip install jinja2") from error
    styler = styler.set_uuid("crlab").format(_shown, escape="html")
    for axis in (0, 1):
        styler = styler.format_index(_shown, escape="html", axis=axis)
    return styler.set_caption(str(esc(caption))) if caption else styler


def _escaped(name: Any) -> Any:
    return None if name is None else str(esc(plain(name)))


def _shown(value: Any) -> Any:
    """A cell with control and bidi characters made visible; the Styler escapes HTML after."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict | list):
        return plain(msgspec.json.encode(thawed(value)).decode())
    return value


def to_parquet(
    recording: Recording | str | os.PathLike[str], directory: str | os.PathLike[str]
) -> Path:
    """Write a recording as one Parquet dataset, partitioned by resource; return its folder.

    Read it as one: ``pandas.read_parquet(folder)``, DuckDB's
    ``read_parquet('folder/**/*.parquet', hive_partitioning=true)``, Dask or Spark.

    Shape: seq (int64), at (timestamp[us, UTC]), stage, kind, key, resource_version, type
        (string), causes (list of int64), object (string, JSON), data (string, JSON);
        partition: resource.

    Raises:
        ConfigError: pyarrow is not installed (``pip install crlab[parquet]``).
        RecordingError: the folder exists, or the recording cannot be read.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ConfigError("to_parquet() needs pyarrow: pip install crlab[parquet]") from error
    held = recording if isinstance(recording, Recording) else Recording.open(recording)
    folder = Path(directory)
    try:
        folder.mkdir(parents=True, mode=0o700)
    except FileExistsError:
        raise RecordingError(f"{folder} exists; choose another folder") from None
    schema = pa.schema(
        [
            ("seq", pa.int64()),
            ("at", pa.timestamp("us", tz="UTC")),
            ("stage", pa.string()),
            ("kind", pa.string()),
            ("key", pa.string()),
            ("resource_version", pa.string()),
            ("type", pa.string()),
            ("causes", pa.list_(pa.int64())),
            ("object", pa.string()),
            ("data", pa.string()),
        ]
    )
    by_folder: dict[str, list[Any]] = {}
    for record in held.records:
        by_folder.setdefault(_folder_name(record.resource), []).append(record)
    for name, records in sorted(by_folder.items()) or [(_folder_name(""), [])]:
        part = folder / f"resource={name}"
        part.mkdir()
        rows = [_parquet_row(record) for record in records]
        table = pa.Table.from_pylist(rows, schema=schema)
        pq.write_table(table, part / "part-0.parquet")
    return folder


def _folder_name(resource: str) -> str:
    """A partition's name; the resource comes from a file that may be hostile."""
    return resource if _PLAIN_NAME.fullmatch(resource) else "__other__"


def _parquet_row(record: Any) -> dict[str, Any]:
    data = dict(record.data or {})
    obj = data.pop("object", None)
    kind = data.pop("type", None)
    return {
        "seq": record.seq,
        "at": round(record.at * 1e6),
        "stage": str(record.stage),
        "kind": record.kind,
        "key": record.key,
        "resource_version": record.resource_version,
        "type": kind if isinstance(kind, str) else None,
        "causes": list(record.causes),
        "object": _text(redact_kube_object(obj).raw) if isinstance(obj, KubeObject) else None,
        "data": msgspec.json.encode(_plain(data)).decode() if data else None,
    }


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _plain(value: Any) -> Any:
    """A record's data as JSON; lists of objects as their keys, with their versions."""
    if isinstance(value, KubeObject):
        return {"key": value.key, "resourceVersion": value.resource_version}
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, int) and abs(value) >= 2**63:
        return str(value)
    return value
