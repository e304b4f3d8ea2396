"""An object to be changed: a dict that also reads and writes as attributes.

`ctx.get` answers with a `Draft`: a fresh copy that is the reconcile's own (`ctx.object` with
one for the whole run). It is an ordinary dict (``d["spec"]["replicas"] = 2``) and an attribute tree
(``d.spec.replicas = 2``). With the schema of its CRD it completes field names, explains a
field on ``?``, refuses a misspelt one, and lets a section that is not there yet be filled
in (``d.status.phase = "Ready"``). It holds what the server sent; its repr shows no secret.

Names that dict itself uses (``items``, ``keys``, ``values``, ``get``, ``update``, ``copy``,
``pop``) are reached as items: ``d["items"]``.

Thread: one owner, as any dict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from crlab.controller.schema_help import NO_SCHEMA, SchemaNode
from crlab.errors import nearest
from crlab.model.object import FrozenList, thawed
from crlab.model.redaction import below, shown


class Draft(dict[str, Any]):
    """A JSON object that is the caller's own."""

    __slots__ = ("_is_partial", "_parent", "_schema", "_under")

    _is_partial: bool  # a copy of what a transform left of an object
    _parent: tuple[Draft, str] | None
    _schema: SchemaNode
    _under: str  # its place, for its repr

    def __init__(
        self,
        tree: Mapping[str, Any] | None = None,
        schema: SchemaNode = NO_SCHEMA,
        *,
        under: str = "",
        partial: bool = False,
    ):
        """Copy a tree (deeply)."""
        super().__init__()
        put = object.__setattr__
        put(self, "_schema", schema)
        put(self, "_parent", None)
        put(self, "_under", under)
        put(self, "_is_partial", partial)
        for name, value in (tree or {}).items():
            place = below(tree or {}, under, name)
            dict.__setitem__(self, name, _drafted(value, schema.field(name), place))

    def __repr__(self) -> str:
        return repr(shown(self, self._under))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self:
            return self[name]
        field = self._schema.field(name)
        if not self._schema.has(name):
            raise AttributeError(self._unknown(name))
        if field.type != "object":
            return None
        # it joins this object when something is put into it
        section = Draft(schema=field, under=below(self, self._under, name))
        object.__setattr__(section, "_parent", (self, name))
        return section

    def __setattr__(self, name: str, value: Any) -> None:
        if name in Draft.__slots__:
            object.__setattr__(self, name, value)
            return
        if self._schema.is_closed and not self._schema.has(name):
            raise AttributeError(self._unknown(name))
        self[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self:
            raise AttributeError(self._unknown(name))
        del self[name]

    def __setitem__(self, name: str, value: Any) -> None:
        place = below(self, self._under, name)
        dict.__setitem__(self, name, _drafted(value, self._schema.field(name), place))
        if self._parent is not None:
            (parent, field), self._parent = self._parent, None
            dict.__setitem__(parent, field, self)
            if parent._parent is not None:  # noqa: SLF001 - the same class
                parent[field] = self

    def setdefault(self, name: str, default: Any = None) -> Any:
        if name not in self:
            self[name] = default
        return self[name]

    def update(self, *args: Any, **kwargs: Any) -> None:
        for name, value in dict(*args, **kwargs).items():
            self[name] = value

    def _unknown(self, name: str) -> str:
        known = sorted({*self, *self._schema.properties})
        close = nearest(name, known)
        hint = f"; nearest: {', '.join(close)}" if close else ""
        return f"no field {name!r}{hint}; fields: {', '.join(known) or 'none'}"

    def __dir__(self) -> list[str]:
        fields = {*self, *self._schema.properties}
        return [*super().__dir__(), *sorted(name for name in fields if name.isidentifier())]

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        """What the CRD's schema says of this object, for ``?``."""
        return self._schema.documentation() or Draft.__init__.__doc__ or ""

    def describe(self, path: str = "") -> str:
        """Return the documentation of a field, e.g. ``describe("spec.replicas")``."""
        return self._schema.at(path).documentation() or f"no documentation of {path or 'this'}"

    def to_dict(self) -> dict[str, Any]:
        """Return an ordinary dict, deeply copied."""
        plain = thawed(self)
        assert isinstance(plain, dict)
        return plain

    def __deepcopy__(self, memo: dict[int, Any]) -> Draft:
        return Draft(self, self._schema, under=self._under, partial=self._is_partial)

    def __reduce__(self) -> tuple[Any, ...]:
        return Draft, (self.to_dict(),)


def rebased(mine: Any, base: Any, new: Any) -> Any:
    """Return `new` with what was changed between `base` and `mine` on top, in place.

    Dicts, and lists that are as long as before, stay the same objects, so that a part of a
    draft that somebody holds is still a part of it.
    """
    if isinstance(mine, dict) and isinstance(new, Mapping):
        old = base if isinstance(base, Mapping) else {}
        for name in {**mine, **new}:
            if name not in mine:
                if name not in old:
                    mine[name] = new[name]
            elif name in new:
                held = mine[name]
                if (value := rebased(held, old.get(name), new[name])) is not held:
                    mine[name] = value
            elif name in old and mine[name] == old[name]:
                del mine[name]
        return mine
    if isinstance(mine, list) and isinstance(new, list) and len(mine) == len(new):
        same = base if isinstance(base, list) and len(base) == len(mine) else [None] * len(mine)
        mine[:] = [rebased(*each) for each in zip(mine, same, new, strict=True)]
        return mine
    return new if mine == base else mine


class _DraftList(list[Any]):
    """A list in a draft: an ordinary list whose repr shows no secret."""

    __slots__ = ("_under",)

    def __init__(self, items: Iterable[Any] = (), under: str = "") -> None:
        super().__init__(items)
        self._under = under

    def __repr__(self) -> str:
        return repr(shown(self, self._under))

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)

    def __deepcopy__(self, memo: dict[int, Any]) -> _DraftList:
        return _DraftList((deepcopy(item, memo) for item in self), self._under)


def _drafted(value: Any, schema: SchemaNode, under: str = "") -> Any:
    if type(value) is Draft and value._schema is schema:  # noqa: SLF001 - the same class
        return value
    if isinstance(value, Mapping):
        return Draft(value, schema, under=under)
    if isinstance(value, list | tuple | FrozenList):
        return _DraftList((_drafted(item, schema.items, under) for item in value), under)
    return value
