"""
How much memory of a card a cell needs, found without running it.

`estimate` looks at the code and at what is live in the notebook, touches neither network nor disk,
and takes milliseconds. What the files of models hold is read apart from it (`weights`), as is what
earlier runs took (`learned`); both are handed in.
"""

from __future__ import annotations

from .estimating import estimate, models_of
from .facts import Estimate, Peak, Reason, Weights

__all__ = ["Estimate", "Peak", "Reason", "Weights", "estimate", "models_of"]
