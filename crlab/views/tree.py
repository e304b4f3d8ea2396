"""The owner tree: objects under what owns them, with a status word each.

Thread: pure functions.
Source: Kubernetes garbage collection (ownerReferences, one of them the controller).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from crlab.model.escape import H, Markup, plain
from crlab.views.format import TONES
from crlab.views.state import TreeNode

MAX_CHILDREN = 25
MAX_DEPTH = 12


def owner_tree(root: Mapping[str, Any], objects: Iterable[Mapping[str, Any]]) -> TreeNode:
    """Return `root` with what it owns, directly and through others, among `objects`.

    A loop of owners ends where it would begin again.
    """
    children: dict[str, list[Mapping[str, Any]]] = {}
    for obj in objects:
        for owner in _items(_meta(obj).get("ownerReferences")):
            uid = owner.get("uid") if isinstance(owner, Mapping) else None
            if isinstance(uid, str) and uid:
                children.setdefault(uid, []).append(obj)
    return _node(root, children, frozenset(), 0)


def _meta(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    meta = obj.get("metadata")
    return meta if isinstance(meta, Mapping) else {}


def _items(value: Any) -> list[Any]:
    try:
        return [] if isinstance(value, str | bytes | Mapping) else list(value or ())
    except TypeError:
        return []


def _node(
    obj: Mapping[str, Any],
    children: Mapping[str, list[Mapping[str, Any]]],
    above: frozenset[str],
    depth: int,
) -> TreeNode:
    meta = _meta(obj)
    uid = str(meta.get("uid") or "")
    owned = children.get(uid, []) if depth < MAX_DEPTH else []
    owned = [child for child in owned if str(_meta(child).get("uid") or "") not in above | {uid}]
    owned.sort(key=lambda o: (str(o.get("kind")), str(_meta(o).get("name"))))
    nodes = tuple(_node(o, children, above | {uid}, depth + 1) for o in owned[:MAX_CHILDREN])
    namespace, name = str(meta.get("namespace") or ""), str(meta.get("name") or "?")
    status, tone = status_word(obj)
    return TreeNode(
        kind=str(obj.get("kind") or "?"),
        key=f"{namespace}/{name}" if namespace else name,
        status=status,
        tone=tone,
        children=nodes,
        hidden=max(0, len(owned) - MAX_CHILDREN),
    )


def status_word(obj: Mapping[str, Any]) -> tuple[str, str]:
    """Return one word for an object's state, and its tone."""
    if _meta(obj).get("deletionTimestamp"):
        return "terminating", "warn"
    status = obj.get("status")
    if not isinstance(status, Mapping):
        return "", ""
    for condition in _items(status.get("conditions")):
        if isinstance(condition, Mapping) and condition.get("type") in ("Ready", "Available"):
            is_true = condition.get("status") == "True"
            word = str(condition["type"]).lower()
            reason = str(condition.get("reason") or "")
            return (word, "good") if is_true else (f"not {word} {reason}".strip(), "warn")
    phase = status.get("phase")
    if isinstance(phase, str) and phase:
        tones = {"Running": "good", "Ready": "good", "Active": "good", "Succeeded": "good"}
        return phase, tones.get(phase, "bad" if phase == "Failed" else "busy")
    ready, wanted = status.get("readyReplicas"), status.get("replicas")
    if wanted is not None:
        return f"{ready or 0}/{wanted} ready", "good" if ready == wanted else "busy"
    return "", ""


def _line(node: TreeNode) -> str:
    text = f"{plain(node.kind, limit=60)} {plain(node.key, limit=120)}"
    if not node.status:
        return text
    return f"{text}  {TONES.get(node.tone, '○')} {plain(node.status, limit=60)}"


def tree_text(node: TreeNode) -> str:
    """Return the tree drawn with lines."""
    lines = [_line(node)]
    _branches(node, "", lines)
    return "\n".join(lines) + "\n"


def _branches(node: TreeNode, indent: str, lines: list[str]) -> None:
    last = len(node.children) - (0 if node.hidden else 1)
    for i, child in enumerate(node.children):
        lines.append(f"{indent}{'└─ ' if i == last else '├─ '}{_line(child)}")
        _branches(child, indent + ("   " if i == last else "│  "), lines)
    if node.hidden:
        lines.append(f"{indent}└─ … {node.hidden} more")


def tree_html(node: TreeNode) -> Markup:
    """Return the tree as nested lists."""
    return H.ul(_item(node), cls="tree", aria_label="Owner tree")


def _item(node: TreeNode) -> Markup:
    badge = None
    tone = node.tone if node.tone in TONES else ""
    if node.status:
        sign = TONES[tone]
        badge = H.span(f"{sign} {plain(node.status, limit=60)}", cls=f"badge {tone}".strip())
    below = [_item(child) for child in node.children]
    if node.hidden:
        below.append(H.li(f"… {node.hidden} more", cls="dim"))
    return H.li(
        H.span(plain(node.kind, limit=60), cls="dim"),
        " ",
        H.bdi(plain(node.key, limit=120)),
        " ",
        badge,
        H.ul(below) if below else None,
    )
