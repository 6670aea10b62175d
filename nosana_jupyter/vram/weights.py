"""
What the files of models hold, read from their headers: a few kilobytes say all, however large they
are.

Looked at are folders of this machine, the cache of the Hugging Face tools, and at last the hub or
its mirror, of which no more than the headers are read. What was read is kept in the data folder.
"""

from __future__ import annotations

import json
import re
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from .facts import Shape, Weights
from .live import shape_of

LARGEST_HEADER = 64 << 20
"""Bytes of a header that are read at most: the largest models have some megabytes."""

MOST_FILES = 400
"""Files of one model that are looked at."""

KEPT = 30 * 86_400.0
"""Seconds for which what the hub says is not asked again."""

REFUSED = 600.0
"""The same, where it says nothing."""

_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I8": "int8",
           "U8": "uint8", "I32": "int32", "I64": "int64", "F8_E4M3": "fp8",
           "F8_E5M2": "fp8"}  # fmt: skip
NAME = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")
"""How a model of the hub is named."""


Fetch = Callable[[str, str, int, int], bytes | None]
"""Reads a range of a file of a model: its name, the file, where it begins, and how long it is."""


def parse_header(data: bytes) -> dict[str, Any]:
    """
    Read the header of a safetensors file.

    Raises:
        ValueError: It is none.
    """
    if len(data) < 8:
        raise ValueError("it is cut short")
    (length,) = struct.unpack("<Q", data[:8])
    if length > LARGEST_HEADER or len(data) < 8 + length:
        raise ValueError("it is cut short, or too large")
    try:
        found = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError):
        raise ValueError("its header is no JSON") from None
    if not isinstance(found, dict):
        raise ValueError("its header is no table")
    return found


def counted(headers: Iterable[Mapping[str, Any]]) -> tuple[int, int, str]:
    """
    Return the numbers, the bytes and the usual type that the tensors of some headers have.

    Raises:
        ValueError: They are not what headers hold.
    """
    params = size = 0
    by_type: dict[str, int] = {}
    for header in headers:
        for name, tensor in header.items():
            if name == "__metadata__":
                continue
            try:
                first, last = tensor["data_offsets"]
                kind, shape = str(tensor["dtype"]), tensor["shape"]
                count = 1
                for each in shape:
                    count *= int(each)
                own = int(last) - int(first)
            except (KeyError, TypeError, ValueError, OverflowError):
                raise ValueError("its header is not that of tensors") from None
            if own < 0 or count < 0:
                raise ValueError("its header has sizes below zero")
            params += count
            size += own
            by_type[kind] = by_type.get(kind, 0) + own
    usual = max(by_type, key=lambda each: by_type[each], default="")
    return params, size, _DTYPES.get(usual, usual.lower())


def read_model(model: str, fetch: Fetch, *, source: str = "") -> Weights | None:
    """
    Return what the files of a model hold, or nothing where they are none of safetensors.

    Args:
        model: Its name, or the path of its folder.
        fetch: Reads its files.
        source: Where it reads them, in words.
    """
    config = _json(fetch(model, "config.json", 0, 1 << 20))
    found = _whole(model, "", fetch)
    if found is None:
        found = _parts(model, fetch)
    if found is None:
        return None
    params, size, dtype = found
    shape = shape_of(config, params) if config else None
    return Weights(params=params, size=size, dtype=dtype, shape=shape, source=source)


def _whole(model: str, folder: str, fetch: Fetch) -> tuple[int, int, str] | None:
    """Return what the files in one folder of a model hold."""
    for stem in ("model", "diffusion_pytorch_model"):
        index = _json(fetch(model, f"{folder}{stem}.safetensors.index.json", 0, 32 << 20))
        files = _files(index) if index else [f"{stem}.safetensors"]
        headers = []
        for file in files:
            header = _header(model, f"{folder}{file}", fetch)
            if header is None:
                break
            headers.append(header)
        else:
            return counted(headers)
        if index:
            return _total(index)
    return None


def _parts(model: str, fetch: Fetch) -> tuple[int, int, str] | None:
    """Return what the parts of a pipeline hold, as for images."""
    index = _json(fetch(model, "model_index.json", 0, 1 << 20))
    if not index:
        return None
    params = size = 0
    dtype = ""
    for name, what in index.items():
        if name.startswith("_") or not (isinstance(what, list) and len(what) == 2 and what[0]):
            continue
        if re.search(r"[Tt]okenizer|[Ss]cheduler|Extractor|Processor|Checker", str(what[1])):
            continue
        found = _whole(model, f"{name}/", fetch)
        if found is not None:
            params, size, dtype = params + found[0], size + found[1], dtype or found[2]
    return (params, size, dtype) if params else None


def _header(model: str, file: str, fetch: Fetch) -> dict[str, Any] | None:
    start = fetch(model, file, 0, 8)
    if start is None or len(start) < 8:
        return None
    (length,) = struct.unpack("<Q", start[:8])
    if not 0 < length <= LARGEST_HEADER:
        return None
    rest = fetch(model, file, 8, length)
    return parse_header(start + rest) if rest is not None else None


def _files(index: Mapping[str, Any]) -> list[str]:
    """Return the files that an index names, each once, if they are names of files."""
    named = index.get("weight_map")
    files = sorted({str(each) for each in named.values()}) if isinstance(named, dict) else []
    good = [each for each in files if re.fullmatch(r"[\w.-]{1,200}", each)]
    return good[:MOST_FILES]


def _total(index: Mapping[str, Any]) -> tuple[int, int, str] | None:
    """Return what an index says of files that cannot be read: their bytes, taken for 16 bits."""
    meta = index.get("metadata")
    size = meta.get("total_size") if isinstance(meta, dict) else None
    whole = int(size) if isinstance(size, int | float) and 0 < size < 1e15 else 0
    return (whole // 2, whole, "bfloat16") if whole else None


def _json(data: bytes | None) -> dict[str, Any]:
    if not data:
        return {}
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def from_folder(folder: Path) -> Fetch:
    """Return what reads the files of a folder of this machine."""

    def fetch(_model: str, file: str, start: int, length: int) -> bytes | None:
        try:
            with (folder / file).open("rb") as opened:
                opened.seek(start)
                return opened.read(length)
        except OSError:
            return None

    return fetch


def snapshots(cache: Path, model: str) -> Iterator[Path]:
    """Give the folders in which the cache of the Hugging Face tools has a model, newest first."""
    if not NAME.fullmatch(model):
        return
    kept = cache / f"models--{model.replace('/', '--')}" / "snapshots"
    try:
        found = sorted(kept.iterdir(), key=lambda each: each.stat().st_mtime, reverse=True)
    except OSError:
        return
    yield from found


class _Line(msgspec.Struct, frozen=True):
    """What is kept of a model."""

    at: float
    params: int = 0
    size: int = 0
    dtype: str = ""
    source: str = ""
    shape: dict[str, Any] | None = None


@dataclass(kw_only=True, slots=True)
class Shelf:
    """
    What is known of models' files, here and from earlier.

    Args:
        kept: File in which it is kept.
        cache: Folder of the Hugging Face tools.
        hub: Reads from the hub; None: nothing is asked of it.
        source: Name of the hub, in words.
        limit: Seconds for which the hub is asked at most, for all models of a cell.
    """

    kept: Path
    cache: Path
    hub: Fetch | None = None
    source: str = ""
    limit: float = 4.0
    _known: dict[str, Weights | None] = field(default_factory=dict)

    def find(self, model: str) -> Weights | None:
        """Return what `fetch` has found of a model. Reads nothing."""
        return self._known.get(model)

    def fetch(self, models: Iterable[str]) -> None:
        """Find out what the files of some models hold: here, from earlier, and at the hub."""
        missing = []
        for model in models:
            found = self._here(model)
            self._known[model] = found
            if found is None and NAME.fullmatch(model):
                missing.append(model)
        if missing:
            self._ask(missing)

    def unasked(self, models: Iterable[str]) -> tuple[str, ...]:
        """Return the models that the hub would be asked for: not here, and not asked of late."""
        if self.hub is None:
            return ()
        book = self._read()
        return tuple(
            each
            for each in models
            if NAME.fullmatch(each) and not _counts(book.get(each)) and self._here(each) is None
        )

    def _here(self, model: str) -> Weights | None:
        folder = Path(model).expanduser()
        places = [(folder, "local files")] if folder.is_dir() else []
        places += [(each, "the cache") for each in snapshots(self.cache, model)]
        for place, source in places:
            try:
                found = read_model(model, from_folder(place), source=source)
            except ValueError:
                continue
            if found is not None:
                return found
        return None

    def _ask(self, models: Iterable[str]) -> None:
        book = self._read()
        until = time.monotonic() + self.limit
        changed = False
        for model in models:
            line = book.get(model)
            if line is not None and _counts(line):
                self._known[model] = _weights(line)
            elif self.hub is not None and time.monotonic() < until:
                try:
                    found = read_model(model, self.hub, source=self.source)
                except ValueError:
                    found = None
                self._known[model] = found
                book[model] = _line(found)
                changed = True
        if changed:
            self._write(book)

    def _read(self) -> dict[str, _Line]:
        try:
            return msgspec.json.decode(self.kept.read_bytes(), type=dict[str, _Line])
        except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
            return {}

    def _write(self, book: Mapping[str, _Line]) -> None:
        import contextlib
        import os

        newest = sorted(book.items(), key=lambda each: each[1].at, reverse=True)[:1000]
        with contextlib.suppress(OSError):
            draft = self.kept.with_suffix(f".{os.getpid()}")
            draft.write_bytes(msgspec.json.encode(dict(newest)))
            draft.replace(self.kept)


def _counts(line: _Line | None) -> bool:
    """Say whether what is kept of a model is still believed."""
    return line is not None and time.time() - line.at < (KEPT if line.size else REFUSED)


def _line(found: Weights | None) -> _Line:
    if found is None:
        return _Line(at=time.time())
    shape = None
    if found.shape is not None:
        shape = {name: getattr(found.shape, name) for name in Shape.__dataclass_fields__}
    return _Line(
        at=time.time(), params=found.params, size=found.size, dtype=found.dtype,
        source=found.source, shape=shape,
    )  # fmt: skip


def _weights(line: _Line) -> Weights | None:
    if not line.size:
        return None
    try:
        shape = Shape(**line.shape) if line.shape else None
    except TypeError:
        shape = None
    return Weights(
        params=line.params, size=line.size, dtype=line.dtype, shape=shape, source=line.source
    )
