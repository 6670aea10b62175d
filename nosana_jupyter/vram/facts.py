"""
What an estimate says: a range, what of it to ask a market for, and why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

GIB = float(1 << 30)

SOURCES = ("said", "learned", "live object", "weights", "config", "formula")
"""Where a number may come from, the surest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """One thing that takes memory of the card."""

    what: str
    """In a word or two: `weights`, `KV cache`."""

    gib: float
    """What it takes at most, in GiB."""

    least: float
    """What it takes at least, in GiB."""

    sentence: str
    """The same in plain words, with its numbers."""

    source: str
    """One of `SOURCES`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """How much memory of a card a cell needs."""

    low: float = 0.0
    """What it takes at least, in GiB."""

    high: float = 0.0
    """What it takes at most, in GiB."""

    need: float = 0.0
    """What to ask a market for, in GiB. 0: the cell needs no card, or any will do."""

    reasons: tuple[Reason, ...] = ()
    """Largest first."""

    certain: bool = True
    """Whether all that tells is known. Where it is not, `need` is the high end."""

    gpu: bool = False
    """Whether it uses a card at all."""

    cuda: str = ""
    """Least CUDA that the host's driver has to know, as in `12.4`. Empty: unknown."""

    capability: str = ""
    """Least compute capability, as in `8.0`. Empty: any."""

    below: str = ""
    """Compute capability from which on the cell's packages have no code for a card. Empty: any."""

    spreads: bool = False
    """Whether what it loads may lie on several cards of one host."""

    greedy: bool = False
    """Whether it takes all of a card that it gets: what it took says nothing then."""

    models: tuple[str, ...] = ()
    """Models that it loads, as it names them."""

    fingerprint: str = ""
    """Tells this code with these models from others: peaks are learned by it."""

    notes: tuple[str, ...] = ()
    """What may surprise, one sentence each."""

    said: str = ""
    """The amount that the user asks for in the cell's own first line, as written."""

    @property
    def range(self) -> str:
        """The range in words: `9–11 GiB`."""
        return spelled(self.low, self.high)

    @property
    def text(self) -> str:
        """The whole in a line: `needs about 9–11 GiB: weights 7.5, KV cache 1.0`."""
        if not self.gpu:
            return "needs no GPU memory"
        parts = ", ".join(f"{each.what} {amount(each.gib)}" for each in self.reasons)
        return f"needs about {self.range}{f': {parts}' if parts else ''}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """What of a model's build decides how much memory its use takes."""

    params: float
    """Number of its parameters."""

    layers: int = 0
    hidden: int = 0
    kv: int = 0
    """Width of keys: KV heads times the size of a head."""

    vocab: int = 0
    window: int = 0
    """Tokens that most layers look back at. 0: all of them."""

    tied: bool = False
    """Whether the table of words serves as the last layer, too."""

    context: int = 0
    """Longest text, in tokens."""

    kind: str = "decoder"
    """`decoder`, `encoder`, `seq2seq`, `speech`, `image`, `cnn` or `diffusion`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """What the files of a model hold, read from their headers."""

    params: int
    """Numbers in them."""

    size: int
    """Bytes of them."""

    dtype: str = ""
    """The type of most of them, as in `bfloat16`."""

    shape: Shape | None = None
    """What its configuration says, where it has one."""

    source: str = ""
    """Where they were read: `local files`, `the cache`, or the name of the server."""

    parts: Mapping[str, int] = field(default_factory=dict)
    """Bytes of each of its folders, where a model is made of several, as for images."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Peak:
    """What such a cell was seen to take."""

    gib: float
    """The most, in GiB."""

    runs: int = 1
    card: str = ""
    """The card on which it was seen."""

    failed: bool = False
    """Whether it ran out of memory there: it needs more than that."""


Weigh = Callable[[str], Weights | None]
"""Says what is known of a model's files, by its name."""


def amount(gib: float) -> str:
    """Spell an amount in few digits: `0.3`, `7.5`, `16`."""
    if gib >= 9.95:
        return f"{gib:.0f}"
    return f"{gib:.1f}" if gib >= 0.05 else "0"


def spelled(low: float, high: float) -> str:
    """Spell a range: `9–11 GiB`, or one number where both round to the same."""
    first, last = amount(low), amount(high)
    return f"{last} GiB" if first == last else f"{first}–{last} GiB"
