"""
What a host keeps of models and links for later jobs of the same payer, as a runner tells it.
"""

from __future__ import annotations

import msgspec

from .outputs import Message

HUB, OLLAMA, TORCH, WHISPER, KERAS, LINK = KINDS = (
    "hub", "ollama", "torch", "whisper", "keras", "link"
)  # fmt: skip
"""Whose names they are: of the Hugging Face hub, of Ollama's library, of files, of links."""

MOST = 64
"""Things that are told, what was used last first."""

LONGEST = 200
"""Characters of a name that are told."""


class Kept(msgspec.Struct, frozen=True):
    """A model, a set of data, or what a link led to."""

    kind: str
    """One of `KINDS`."""

    name: str
    """As in `Qwen/Qwen2.5-7B-Instruct`, or `hf://datasets/org/name`."""

    size: int
    """Bytes of it."""


class Keeps(Message, frozen=True):
    """What later jobs find on this host. No output of the cell's, and kept by nobody."""

    found: list[Kept]
    """What was there when the runner began."""

    now: list[Kept]
    """What is there now, as far as the host has room to keep it."""
