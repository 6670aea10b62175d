"""
What the environment says of the notebook that this process is the kernel of.
"""

from __future__ import annotations

import os

CARDS = "NOSANA_JUPYTER_CARDS"
"""Set by a Jupyter server that has our extension, for its kernels."""


def draws_cards() -> bool:
    """Say whether the server of this notebook has our extension, which draws job cards."""
    return bool(os.environ.get(CARDS))


def promise_cards() -> None:
    """Tell the kernels that this server will start that job cards are drawn."""
    os.environ[CARDS] = "1"
