"""Where a lab may be opened."""

from __future__ import annotations

import pytest

import crlab


def test_no_cluster_is_looked_for_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Binder a search would hang at a firewall; the error names the way out."""
    monkeypatch.setenv("CRLAB_BACKEND", "embedded")

    with pytest.raises(crlab.CrlabError, match=r"crlab\.sandbox\(\)"):
        crlab.connect()


def test_a_server_that_is_named_is_connected_to_anyway(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox has a URL, on Binder too."""
    monkeypatch.setenv("CRLAB_BACKEND", "embedded")

    with crlab.sandbox() as lab, crlab.connect(url=lab.url) as other:
        assert len(other.client.list("namespaces")["items"]) == 4
