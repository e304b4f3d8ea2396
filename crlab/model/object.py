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


def frozen(value: Any) -> Any:
    """Return a read-only view of a JSON value (scalars as they are)."""
    if type(value) is dict:
        return FrozenMap(value)
    if type(value) is list:
        return FrozenList(value)
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


class FrozenMap(_Frozen, Mapping[str, Any]):
    """A JSON object that can only be read."""

    __slots__ = ("_tree",)

    def __init__(self, tree: dict[str, Any]) -> None:
        object.__setattr__(self, "_tree", tree)

    def __getitem__(self, key: str) -> Any:
        return frozen(self._tree[key])

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
            return frozen(object.__getattribute__(self, "_tree")[name])
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
        return repr(self._tree)

    def to_dict(self) -> dict[str, Any]:
        """Return a fresh, ordinary dict."""
        fresh = thawed(self._tree)
        assert isinstance(fresh, dict)
        return fresh


class FrozenList(_Frozen, Sequence[Any]):
    """A JSON array that can only be read."""

    __slots__ = ("_items",)

    def __init__(self, items: list[Any]) -> None:
        self._items = items

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> FrozenList: ...
    def __getitem__(self, index: int | slice) -> Any:
        return frozen(self._items[index])

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, FrozenList):
            return self._items == other._items
        return self._items == other if isinstance(other, list) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._items)


Mask = Callable[[bytes], bytes]


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
        _bytes: bytes
        name: str
        namespace: str
        uid: str
        resource_version: str
        key: str
        _tree: dict[str, Any] | None
        _mask: Mask | None

        def __init__(self, raw: bytes) -> None: ...

else:

    class _Fields(msgspec.Struct, metaclass=_KubeObjectMeta, gc=False, eq=False):
        _bytes: bytes
        name: str
        namespace: str
        uid: str
        resource_version: str
        key: str
        _tree: dict[str, Any] | None = None
        _mask: Mask | None = None


class KubeObject(_Frozen, _Fields):
    """One object at one resourceVersion: ``KubeObject(raw)``.

    Not known to the cyclic garbage collector (nothing in it can refer back to it), so that
    a cache of any size costs no collection, and no pause.

    Attributes:
        raw: its JSON bytes as received; masked first, where `mask_on_read` was asked for.
        size_bytes: of what was received.
        key: "namespace/name" or "name".
        name, namespace, uid, resource_version: from its metadata, "" if absent.

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

    @property
    def raw(self) -> bytes:
        if self._mask is not None:
            _settle(self)
        return self._bytes

    @property
    def size_bytes(self) -> int:
        return len(self._bytes)

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
        return frozen(self._decoded()[field])

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
        return frozen(tree[name])

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
        return f"<{kind} {self.key} rv={self.resource_version or '?'}>"

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
_keep_bytes: Callable[[KubeObject, bytes], None] = vars(_Fields)["_bytes"].__set__
_keep_mask: Callable[[KubeObject, Mask | None], None] = vars(_Fields)["_mask"].__set__
Mapping.register(KubeObject)


def mask_on_read(obj: KubeObject, mask: Mask) -> None:
    """Have `mask` change the bytes before anybody reads them, or a field of them.

    For an object that was just made and is nobody else's yet. Key, name, namespace, uid,
    resourceVersion and size stay what they are.
    """
    _keep_mask(obj, mask)


def unmasked(obj: KubeObject) -> bytes:
    """Return the bytes as they are now, for a reader that masks what it takes out of them."""
    return obj._bytes


def _settle(obj: KubeObject) -> None:
    mask = obj._mask
    if mask is not None:  # twice in a race, with equal results
        _keep_bytes(obj, mask(obj._bytes))
        _keep_mask(obj, None)
