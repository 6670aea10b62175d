"""
The forms a value may come back in. Plain data only: nothing here runs what the other side wrote.

A value becomes a tree of lists, strings, numbers and bytes, and its large parts become buffers
beside it. Scalars stand for themselves; everything else is a list that begins with a tag. A tag
names one form, and each form is checked as it is read: types, shapes and sizes, before memory is
taken.

Types are exact. A subclass may hold more than its data, so it stays where it is.
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from ..errors import NosanaError, RemoteProtocolError
from ..units import size

Tree = Any
"""None, bool, int of 64 bits, float, str, bytes, or a list that begins with a tag."""

T = TypeVar("T")

Encode = Callable[["Encoder", Any], Tree]
Decode = Callable[..., Any]

DEPTH = 100
"""Most containers within each other."""

ITEMS = 10_000_000
"""Most items of one value, counted through its containers."""

CROWD = 1000
"""Most keys of one hash. Equal ones do no harm, but nobody sends those."""

INLINE = 1024
"""Most bytes that stay within the tree."""

_WORD = 1 << 63

# What broken data makes Python, NumPy, pandas and Pillow raise while a form is put together.
_BROKEN = (
    ArithmeticError, AssertionError, AttributeError, BufferError, LookupError, MemoryError,
    NotImplementedError, OSError, RuntimeError, SyntaxError, TypeError, ValueError, Warning,
    struct.error, zlib.error,
)  # fmt: skip


class NotPlain(NosanaError):
    """
    A value that is not plain data, or not here.

    Args:
        reason: Why, as a clause without a subject: "is not plain data".
        path: Where in the value, as in `[3]['model']`.
    """

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(f"{path} {reason}" if path else reason)
        self.reason = reason
        self.path = path


class NoClass(NotPlain):
    """An object of a class that is not here, or not yet."""


class TooLarge(NotPlain):
    """A value that takes more bytes than may come back."""


def encode(value: Any, buffers: list[memoryview], *, limit: int | None = None) -> Tree:
    """
    Turn a value into plain data.

    Args:
        value: The value.
        buffers: Takes the large parts. They share memory with the value.
        limit: Most bytes the value may take.

    Raises:
        NotPlain: It is not plain data, or `TooLarge`.
    """
    start = len(buffers)
    try:
        return Encoder(buffers, limit).encode(value)
    except _BROKEN as error:
        # Containers that change meanwhile, tensors of a card that has failed.
        del buffers[start:]
        raise NotPlain(f"cannot be read: {type(error).__name__}: {error}") from error
    except NotPlain:
        del buffers[start:]
        raise


def decode(
    tree: Tree,
    buffers: Sequence[bytearray | memoryview],
    classes: Callable[[str, str], type | None] = lambda _, __: None,
) -> Any:
    """
    Put a value together from what a stranger sent.

    Args:
        tree: The tree.
        buffers: The large parts, in writable memory: arrays are made in place.
        classes: Finds a class of the user's own by the name of its module and its own.

    Raises:
        RemoteProtocolError: It is not a value as `encode` makes them.
        NotPlain: It takes a package that is not installed here, or a class: `NoClass`.
    """
    decoder = Decoder(buffers, classes)
    try:
        return decoder.decode(tree)
    except NosanaError:
        raise
    except Exception as error:
        # To compare objects of the user's own classes is the user's code, and may raise anything.
        if not (decoder.has_own or isinstance(error, _BROKEN)):
            raise
        raise RemoteProtocolError(f"not a value: {type(error).__name__}: {error}"[:500]) from error


def unpacked(
    data: msgspec.Raw,
    buffers: Sequence[bytearray | memoryview],
    classes: Callable[[str, str], type | None] = lambda _, __: None,
) -> Any:
    """
    Put a value together whose tree comes encoded, as `decode` does.

    Raises:
        RemoteProtocolError: It is not a value as `encode` makes them.
        NotPlain: It takes a package that is not installed here, or a class: `NoClass`.
    """
    try:
        tree = msgspec.msgpack.decode(data)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise RemoteProtocolError(f"not a value: {error}"[:500]) from error
    return decode(tree, buffers, classes)


class Encoder:
    """Walks a value. Forms call back into `encode` for what they hold."""

    def __init__(self, buffers: list[memoryview], limit: int | None) -> None:
        self.buffers = buffers
        self._limit = sys.maxsize if limit is None else limit
        self._forms: dict[type, Encode] = _forms()
        self._within: set[int] = set()
        self._items = 0
        self._bytes = 0

    def encode(self, value: Any, step: str = "") -> Tree:
        """
        Return the tree of a value.

        Args:
            value: The value.
            step: How it is reached from what holds it, as in `[3]`, for the error.
        """
        kind = type(value)
        self._items += 1
        if self._items > ITEMS:
            raise NotPlain(
                f"is one of more than {ITEMS:,}: a NumPy array or a frame holds more", step
            )
        if value is None or kind is bool or kind is float:
            return value
        if kind is int and -_WORD <= value < _WORD:
            return value
        if kind is str:
            return self._text(value)
        form = self._forms.get(kind) or _inherited(value)
        if form is None:
            where = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
            raise NotPlain(f"is a {where}{kind.__qualname__}, not plain data", step)
        if id(value) in self._within:
            raise NotPlain("holds itself", step)
        if len(self._within) >= DEPTH:
            raise NotPlain(f"is more than {DEPTH} containers deep", step)
        self._within.add(id(value))
        try:
            return form(self, value)
        except NotPlain as error:
            raise type(error)(error.reason, step + error.path) from None
        finally:
            self._within.discard(id(value))

    def items(self, values: Any) -> list[Tree]:
        """Return the trees of an ordered run of values."""
        return [self.encode(item, f"[{index}]") for index, item in enumerate(values)]

    def pairs(self, value: Mapping[Any, Any]) -> list[Tree]:
        """Return the trees of keys and values, by turns."""
        tree = []
        for key, item in value.items():
            tree.append(self.encode(key, f" key {key!r}" if type(key) is str else " a key"))
            tree.append(self.encode(item, f"[{key!r}]" if type(key) in (str, int) else "[…]"))
        return tree

    def data(self, data: bytes | bytearray | memoryview) -> Tree:
        """Return bytes as they are, or the tree of a buffer."""
        view = memoryview(data).cast("B") if memoryview(data).nbytes else memoryview(b"")
        self.spend(view.nbytes)
        if view.nbytes < INLINE:
            return bytes(view)
        self.buffers.append(view)
        return ["buffer", len(self.buffers) - 1]

    def spend(self, count: int) -> None:
        """Count bytes against the limit."""
        self._bytes += count
        if self._bytes > self._limit:
            raise TooLarge(f"is {size(self._bytes)} or more, over the limit of {size(self._limit)}")

    def _text(self, value: str) -> Tree:
        try:
            data = value.encode()
        except UnicodeEncodeError:
            return ["surrogates", self.data(value.encode("utf-8", "surrogatepass"))]
        if len(data) < INLINE:
            self.spend(len(data))
            return value
        return ["text", self.data(data)]


class Decoder:
    """Reads a tree. Forms call back into `decode` for what they hold."""

    def __init__(
        self,
        buffers: Sequence[bytearray | memoryview],
        classes: Callable[[str, str], type | None],
    ) -> None:
        self._buffers = buffers
        self._classes = classes
        self._forms: dict[str, Decode] = _readers()
        self._used: set[int] = set()
        self._items = 0
        self._depth = 0
        self.has_own = False
        """Whether classes of the user's own have been looked up."""

    def decode(self, tree: Tree) -> Any:
        """Return the value of a tree."""
        kind = type(tree)
        self._items += 1
        if self._items > 4 * ITEMS:
            raise RemoteProtocolError("a value holds too many items")
        if tree is None or kind in (bool, int, float, str, bytes):
            return tree
        if kind is not list or not tree or type(tree[0]) is not str:
            raise RemoteProtocolError("a value without a tag")
        form = self._forms.get(tree[0])
        if form is None:
            raise RemoteProtocolError(f"a value with the unknown tag {tree[0][:40]!r}")
        self._depth += 1
        if self._depth > 2 * DEPTH:
            raise RemoteProtocolError("a value is too deep")
        value = form(self, *tree[1:])
        self._depth -= 1
        return value

    def find_class(self, module: str, name: str) -> type:
        """Return a class of the user's own."""
        found = self._classes(module, name)
        if found is None:
            raise NoClass(f"is a {name[:100]}, a class that is not here")
        self.has_own = True
        return found

    def items(self, trees: object) -> list[Any]:
        """Return the values of a list of trees."""
        return [self.decode(tree) for tree in expect(trees, list)]

    def keys(self, trees: object) -> list[Any]:
        """Return the values of a list of trees that are to be told apart by their hashes."""
        return spread(self.items(trees))

    def data(self, tree: Tree) -> bytearray | memoryview:
        """Return bytes in writable memory: a buffer's own, or a copy."""
        if type(tree) is bytes:
            return bytearray(tree)
        kind, index = tree if type(tree) is list and len(tree) == 2 else (None, None)
        if kind != "buffer" or type(index) is not int or not 0 <= index < len(self._buffers):
            raise RemoteProtocolError("bytes were due")
        # Else a few bytes could ask for one buffer a million times.
        if index in self._used:
            raise RemoteProtocolError("a buffer is used twice")
        self._used.add(index)
        return self._buffers[index]


def expect(value: object, kind: type[T]) -> T:
    """Return a value of exactly this type, or refuse it."""
    if type(value) is not kind:
        raise RemoteProtocolError(f"a {kind.__name__} was due, not a {type(value).__name__}")
    return value


def spread(keys: list[Any]) -> list[Any]:
    """Return keys, or refuse them: those of one hash are compared each with each."""
    if len(keys) > CROWD and max(Counter(map(hash, keys)).values()) > CROWD:
        raise RemoteProtocolError("too many keys have the same hash")
    return keys


def pick(table: Mapping[str, T], key: object) -> T:
    """Return what a table holds for a key, or refuse the key."""
    if type(key) is not str or key not in table:
        raise RemoteProtocolError("a value of an unknown kind")
    return table[key]


def _inherited(value: Any) -> Encode | None:
    """Return the form of types that are many, or others': scalars, images, lists of a shell."""
    if type(value).__module__ == "IPython.utils.text" and isinstance(value, list):
        return lambda encoder, value: ["list", encoder.items(list.__iter__(value))]
    if (numpy := sys.modules.get("numpy")) and isinstance(value, numpy.generic):
        from . import arrays

        return arrays.encode_scalar
    image = sys.modules.get("PIL.Image")
    if image and isinstance(value, image.Image) and type(value).__module__.startswith("PIL."):
        from . import images

        return images.encode_image
    from . import instances

    return instances.find(value)


def _forms() -> dict[type, Encode]:
    """Return the forms of types that can exist: those of packages that have been imported."""
    from . import builtin, randoms

    forms = {**builtin.FORMS, **randoms.forms()}
    # A package that is half imported by another thread lacks its names.
    if hasattr(sys.modules.get("numpy"), "ndarray"):
        from . import arrays

        forms |= arrays.forms()
    if hasattr(sys.modules.get("pandas"), "DataFrame"):
        from . import frames

        forms |= frames.forms()
    if hasattr(sys.modules.get("torch"), "Tensor"):
        from . import tensors

        forms |= tensors.forms()
    return forms


def _readers() -> dict[str, Decode]:
    from . import arrays, builtin, frames, images, instances, randoms, tensors

    numeric = arrays.READERS | frames.READERS | images.READERS | tensors.READERS
    return builtin.READERS | numeric | instances.READERS | randoms.READERS
