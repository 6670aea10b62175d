"""What a host says of its cards is heard with doubt."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.line import gauging
from nosana_jupyter.line.gauging import Gauges
from nosana_jupyter.wire.messages import Gauge

floats = st.floats(width=64)


@given(used=floats, total=floats, busy=st.none() | floats, card=st.booleans())
def test_only_what_can_be_is_shown(
    used: float, total: float, busy: float | None, *, card: bool
) -> None:
    """Whatever a host sends, numbers that are shown are finite, and such as machines have."""
    gauges = Gauges()
    seen = gauges.seen(Gauge(used, total, busy, card))

    assert 0 <= gauges.peak <= gauging.MOST
    if seen is not None:
        assert seen.used is not None
        assert 0 <= seen.used <= (seen.total or 0) <= gauging.MOST
        assert seen.busy is None or 0 <= seen.busy <= 100


def test_a_flood_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that tells without end is heard twice a second."""
    clock = [0.0]
    monkeypatch.setattr(gauging.time, "monotonic", lambda: clock[0])
    gauges = Gauges()
    heard = 0
    for number in range(1000):
        clock[0] = number / 100
        heard += gauges.seen(Gauge(number, 2000, math.nan, card=True)) is not None

    assert heard == 20
    assert gauges.peak == 950
