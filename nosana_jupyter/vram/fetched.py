"""
What a cell's libraries will fetch by name: a host that keeps it has a head start.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..wire.keeping import HUB, OLLAMA, WHISPER
from .calls import Call, Reading, Word
from .loads import Load, find_loads
from .reading import read

_OF_HUB = ("snapshot_download", "hf_hub_download", "load_dataset")
_OF_OLLAMA = ("pull", "chat", "generate", "embed")


def fetched(code: str, namespace: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Return kinds and names of what a cell fetches, as far as its text tells."""
    reading = read(code, namespace)
    loads = [each for each in find_loads(reading) if not each.unclear]
    # Of the files of small vision models the name is not that of the model.
    found = [_loaded(each) for each in loads if each.library != "vision"]
    return tuple(dict.fromkeys([*found, *_called(reading)]))


def _loaded(load: Load) -> tuple[str, str]:
    if load.library == "whisper":
        return WHISPER, load.name
    owners = {"sentence": "sentence-transformers/", "ctranslate": "Systran/faster-whisper-"}
    return HUB, ("" if "/" in load.name else owners.get(load.library, "")) + load.name


def _called(reading: Reading) -> Iterator[tuple[str, str]]:
    for call in reading.named(*_OF_HUB):
        name = _name(call, "repo_id", "path")
        sets = call.last == "load_dataset" or call.get("repo_type") == "dataset"
        if name:
            yield HUB, f"datasets/{name}" if sets else name
    for call in reading.named(*_OF_OLLAMA):
        name = _name(call, "model")
        if name and "ollama" in (call.top, call.owner):
            yield OLLAMA, name if ":" in name else f"{name}:latest"


def _name(call: Call, *names: str) -> str:
    found = call.get(*names, at=0)
    return found if isinstance(found, str) and not isinstance(found, Word) else ""
