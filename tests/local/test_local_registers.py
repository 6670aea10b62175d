"""What LiteSVM leaves in the processor."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import numpy as np
import pytest
from solders.pubkey import Pubkey

from nosana_jupyter.local.ledger import Ledger
from nosana_jupyter.network import MAINNET


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64",
    reason="other processors have no such registers",
)
def test_numbers_are_numbers_after_a_transaction(tmp_path: Path) -> None:
    """
    After the ledger was made, and after each transaction, a `long double` is right at once.

    SQLite compares with those: without it, a sum over a day took yesterday's jobs in.
    """
    half = np.longdouble(1.5)
    ledger = Ledger(tmp_path / "ledger.sqlite", programs=MAINNET.programs, fee_divisor=0)
    try:
        assert half * half == 2.25
        for _ in range(3):
            ledger.mint(Pubkey.new_unique(), 1_000_000)
            assert half * half == 2.25
    finally:
        ledger.close()
