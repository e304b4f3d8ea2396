"""Two CRDs of a group cannot claim one name."""

from __future__ import annotations

from typing import Any

from crlab.apiserver.crd.accepted_name import accept_names


def definition(plural: str, kind: str, **names: Any) -> dict[str, Any]:
    listed = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
    return {"spec": {"group": "x.dev", "names": {**listed, **names}}, "status": {}}


def accepted(plural: str, kind: str, **names: Any) -> dict[str, Any]:
    found = definition(plural, kind, **names)
    found["status"] = {"acceptedNames": found["spec"]["names"]}
    return found


def test_free_names_are_accepted() -> None:
    """Established waits for the server to install them."""
    found = accept_names(definition("tools", "Tool", categories=["all"]), [])

    assert found.is_accepted
    assert found.names["categories"] == ["all"]
    assert found.conditions["Established"][1] == "Installing"


def test_the_last_clash_names_the_reason() -> None:
    """What is free is accepted all the same."""
    found = accept_names(definition("notez", "Note"), [accepted("notes", "Note")])

    assert not found.is_accepted
    assert found.names == {"plural": "notez", "kind": ""}
    assert found.conditions["NamesAccepted"] == (
        "False",
        "ListKindConflict",
        '"NoteList" is already in use',
    )


def test_short_names_clash_with_any_resource_name() -> None:
    """Plurals, singulars and short names share one space."""
    other = accepted("notes", "Note", shortNames=["nt"])
    found = accept_names(definition("tools", "Tool", shortNames=["tl", "nt"]), [other])

    assert found.conditions["NamesAccepted"][1] == "ShortNamesConflict"
    assert "shortNames" not in found.names


def test_other_groups_do_not_matter() -> None:
    """Names are unique per group."""
    other = accepted("tools", "Tool")
    other["spec"]["group"] = "y.dev"

    assert accept_names(definition("tools", "Tool"), [other]).is_accepted


def test_an_established_crd_stays_established_on_a_clash() -> None:
    """It keeps the names it had."""
    mine = accepted("tools", "Tool")
    mine["spec"]["names"] = {**mine["spec"]["names"], "shortNames": ["nt"]}
    mine["status"]["conditions"] = [
        {"type": "Established", "status": "True", "reason": "r", "message": "m"}
    ]
    found = accept_names(mine, [accepted("notes", "Note", shortNames=["nt"])])

    assert found.conditions["Established"] == ("True", "r", "m")
    assert found.names["plural"] == "tools"
