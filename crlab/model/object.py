"""The object as everything above the wire sees it: immutable bytes, read as a mapping.

A `KubeObject` keeps the JSON bytes that came from the server and the four metadata
fields that the pipeline needs. The rest is decoded on first look. It reads like a dict
(``obj["spec"]["replicas"]``, ``obj.get("status")``) and like an attribute tree
(``obj.spec.replicas``), and cannot be changed: what a handler is given can never corrupt
the cache. `to_dict` returns a fresh, ordinary dict that is the caller's own.

Guarantees:
  1. Nothing reached from a KubeObject can be changed through it.
  2. Making one costs a partial decode; a field costs a full decode once.

Thread: any; the lazy decode may run twice in a race, with equal results.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from sys import intern
from typing import TYPE_CHECKING, Any, NoReturn, overload

import msgspec

from crlab.errors import DecodeError, KeyFuncError
from crlab.model.escape import plain


class _Metadata(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resourceVersion: str = ""  # noqa: N815 - the wire's spelling


class _Header(msgspec.Struct, gc=False):
    metadata: _Metadata


_decode_header = msgspec.json.Decoder(_Header).decode
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder(order="deterministic").encode

_ADVICE = "objects from the cache are read-only; change obj.to_dict() instead"


def tree_of(raw: bytes) -> Any:
    """Decode JSON; a number no integer should hold becomes a float, as in Go."""
    try:
        return _decode(raw)
    except msgspec.ValidationError:
        return json.loads(raw, parse_int=_number)


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) < 20 else float(digits)


def frozen(value: Any, above: Any = None, field: str = "") -> Any:
    """Return a read-only view of a JSON value (scalars as they are).

    Args:
        above: the view that holds it, `field` its name there: they decide what of it a repr
            shows.
    """
    if type(value) is dict:
        return FrozenMap(value, above, field)
    if type(value) is list:
        return FrozenList(value, above, field)
    return value


def thawed(value: Any) -> Any:
    """Return a fresh, mutable copy of a JSON value or of a view of one."""
    if isinstance(value, KubeObject):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: thawed(item) for key, item in value.items()}
    if isinstance(value, list | tuple | FrozenList):
        return [thawed(item) for item in value]
    return value


class _Frozen:
    __slots__ = ()

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise TypeError(_ADVICE)

    def __delitem__(self, key: Any) -> NoReturn:
        raise TypeError(_ADVICE)

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(_ADVICE)

    update = setdefault = pop = popitem = clear = append = extend = insert = remove = _refuse
    sort = reverse = _refuse


def _shown(tree: Any, view: Any) -> Any:
    """Return a tree as a repr may show it; the names above it say what is secret in it."""
    from crlab.model.redaction import below, shown

    trail = []
    while type(view) is not KubeObject and view._above is not None:  # noqa: SLF001 - the same class
        view, field = view._above, view._field  # noqa: SLF001 - the same class
        trail.append((view, field))
    under, kind = "", ""
    for above, field in reversed(trail):
        if isinstance(above, KubeObject):
            kind = str(above.get("kind") or "")
        if not isinstance(above, FrozenList):
            node = above._decoded() if isinstance(above, KubeObject) else above._tree  # noqa: SLF001 - the same class
            under = below(node, under, field, kind)
    return shown(tree, under)


class FrozenMap(_Frozen, Mapping[str, Any]):
    """A JSON object that can only be read; its repr shows no secret."""

    __slots__ = ("_above", "_field", "_tree")

    def __init__(self, tree: dict[str, Any], above: Any = None, field: str = "") -> None:
        _set_tree(self, tree)
        _set_above(self, above)
        _set_field(self, field)

    def __getitem__(self, key: str) -> Any:
        return frozen(self._tree[key], self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tree)

    def __len__(self) -> int:
        return len(self._tree)

    def __contains__(self, key: object) -> bool:
        return key in self._tree

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return frozen(object.__getattribute__(self, "_tree")[name], self, name)
        except KeyError:
            raise AttributeError(f"no field {name!r}; fields: {', '.join(self)}") from None

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise TypeError(_ADVICE)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(key for key in self._tree if key.isidentifier())]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, FrozenMap):
            return bool(self._tree == other._tree)
        return self._tree == other if isinstance(other, Mapping) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(_shown(self._tree, self))

    def to_dict(self) -> dict[str, Any]:
        """Return a fresh, ordinary dict."""
        fresh = thawed(self._tree)
        assert isinstance(fresh, dict)
        return fresh


_set_tree, _set_above, _set_field = (
    vars(FrozenMap)[name].__set__ for name in ("_tree", "_above", "_field")
)


class FrozenList(_Frozen, Sequence[Any]):
    """A JSON array that can only be read; its repr shows no secret."""

    __slots__ = ("_above", "_cut", "_field", "_items")

    def __init__(self, items: list[Any], above: Any = None, field: str = "") -> None:
        self._items = items
        self._above = above
        self._field = field
        self._cut: tuple[FrozenList, slice] | None = None

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> FrozenList: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):  # it stands where the whole list does
            part = FrozenList(self._items[index], self._above, self._field)
            part._cut = self, index
            return part
        return frozen(self._items[index], self)

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, FrozenList):
            return self._items == other._items
        return self._items == other if isinstance(other, list) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._as_shown())

    def _as_shown(self) -> Any:
        if self._cut is None:
            return _shown(self._items, self)
        whole, index = self._cut  # the flag before an argument says what it is
        return whole._as_shown()[index]  # noqa: SLF001 - the same class


class _KubeObjectMeta(msgspec.StructMeta):
    """Makes ``KubeObject(raw)`` read the header instead of taking fields."""

    def __call__(self, raw: bytes) -> KubeObject:
        try:
            metadata = _decode_header(raw).metadata
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DecodeError(f"not a Kubernetes object: {error}") from error
        if not metadata.name:
            raise KeyFuncError("an object without metadata.name cannot be stored")
        return KubeObject.trusted(
            raw, metadata.name, metadata.namespace, metadata.uid, metadata.resourceVersion
        )


if TYPE_CHECKING:

    class _Fields(Mapping[str, Any]):
        raw: bytes
        name: str
        namespace: str
        uid: str
        resource_version: str
        key: str
        _tree: dict[str, Any] | None
        is_partial: bool

        def __init__(self, raw: bytes) -> None: ...

else:

    class _Fields(msgspec.Struct, metaclass=_KubeObjectMeta, gc=False, eq=False):
        raw: bytes
        name: str
        namespace: str
        uid: str
        resource_version: str
        key: str
        _tree: dict[str, Any] | None = None
        is_partial: bool = False


class KubeObject(_Frozen, _Fields):
    """One object at one resourceVersion: ``KubeObject(raw)``.

    Not known to the cyclic garbage collector (nothing in it can refer back to it), so that
    a cache of any size costs no collection, and no pause.

    Attributes:
        raw: its JSON bytes as received.
        size_bytes: of them.
        key: "namespace/name" or "name".
        name, namespace, uid, resource_version: from its metadata, "" if absent.
        is_partial: whether a transform changed it: written as a whole, it would drop the rest.

    Raises:
        DecodeError: not JSON, no metadata, or a header field of the wrong type.
        KeyFuncError: metadata.name is absent or empty.
    """

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> KubeObject:
        """Make one from a mapping (a KubeObject is returned as it is)."""
        if isinstance(obj, KubeObject):
            return obj
        return cls(_encode(thawed(obj)))

    @staticmethod
    def trusted(
        raw: bytes, name: str, namespace: str, uid: str, resource_version: str
    ) -> KubeObject:
        """Make one from header fields that were decoded already; nothing is checked."""
        if namespace:
            namespace = intern(namespace)  # one string for all of its objects
            return _make(raw, name, namespace, uid, resource_version, f"{namespace}/{name}")
        return _make(raw, name, "", uid, resource_version, name)

    def kept_of(self, whole: KubeObject) -> KubeObject:
        """Return this, which a transform made of `whole`, under the identity of that."""
        head = whole.name, whole.namespace, whole.uid, whole.resource_version, whole.key
        is_partial = _written(tree_of(self.raw)) != _written(whole._decoded())
        return _make(self.raw, *head, None, is_partial)

    @property
    def size_bytes(self) -> int:
        return len(self.raw)

    def _decoded(self) -> dict[str, Any]:
        tree = self._tree
        if tree is None:
            try:
                tree = tree_of(self.raw)
            except (msgspec.DecodeError, RecursionError) as error:
                raise DecodeError(f"{self.key}: body does not decode: {error}") from error
            _keep_tree(self, tree)
        assert isinstance(tree, dict)
        return tree

    def __getitem__(self, field: str) -> Any:
        return frozen(self._decoded()[field], self, field)

    def __iter__(self) -> Iterator[str]:
        return iter(self._decoded())

    def __len__(self) -> int:
        return len(self._decoded())

    def __contains__(self, field: object) -> bool:
        return field in self._decoded()

    get, keys, items, values = Mapping.get, Mapping.keys, Mapping.items, Mapping.values

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        tree = self._decoded()
        if name not in tree:
            raise AttributeError(f"no field {name!r}; fields: {', '.join(tree)}")
        return frozen(tree[name], self, name)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise TypeError(_ADVICE)

    def __delattr__(self, name: str) -> NoReturn:
        raise TypeError(_ADVICE)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(f for f in self._decoded() if f.isidentifier())]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, KubeObject):
            return self.raw == other.raw or self._decoded() == other._decoded()
        return self._decoded() == thawed(other) if isinstance(other, Mapping) else NotImplemented

    def __ne__(self, other: object) -> bool:  # not inherited: a Struct brings one of its own
        return not self == other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        kind = self._decoded().get("kind", "object")
        return f"<{plain(kind)} {plain(self.key)} rv={plain(self.resource_version) or '?'}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return KubeObject, (self.raw,)

    def to_dict(self) -> dict[str, Any]:
        """Return a fresh, ordinary dict of the whole object; the caller may change it."""
        tree = tree_of(self.raw)
        assert isinstance(tree, dict)
        return tree

    def __copy__(self) -> KubeObject:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> KubeObject:
        return self


_make: Callable[..., KubeObject] = partial(msgspec.StructMeta.__call__, KubeObject)
_keep_tree: Callable[[KubeObject, dict[str, Any]], None] = vars(_Fields)["_tree"].__set__
Mapping.register(KubeObject)


def _written(tree: dict[str, Any]) -> dict[str, Any]:
    """Return of an object what a write of it states: the server keeps managedFields by itself."""
    metadata = tree["metadata"]
    return {**tree, "metadata": {k: v for k, v in metadata.items() if k != "managedFields"}}
