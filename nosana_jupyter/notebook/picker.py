"""
`--pick`: markets to choose from by clicking, and the line of a cell that asks for what was chosen.

The line is there to be copied, and for all to read. Where the sidebar's extension is, a click puts
it into a cell.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any

from ..market.choosing import Requirements, fitting
from ..market.markets import Market, Quote
from ..sanitize import line
from ..settings.forms import order_of
from ..units import GiB, Seconds, duration, nos
from .table import Bar, Table

if TYPE_CHECKING:
    from ..market.preferring import Known
    from ..market.rates import Rate

TIMES = (600, 1800, 3600, 2 * 3600, 4 * 3600, 8 * 3600, 24 * 3600)
"""Seconds that are offered as the longest run."""

CHEAPEST = ""
"""In place of a market: whichever is cheapest then."""

SHOWN = 8
"""Most markets that are listed."""

Ranked = tuple[Sequence[Market], Sequence["Known"]]
"""Markets in an order, and what is known of each."""

WIDE = {"description_width": "8em"}


class Picker:
    """
    What is asked for, as widgets, and as text where there are none.

    Args:
        markets: All there are, cheapest first.
        wanted: What to begin with.
        timeout: Longest run to begin with.
        usual: Longest run that is paid for where a cell does not say.
        rate: What a NOS is worth.
        prefer: The order that markets are chosen by, where it is not the usual one.
        rank: Puts markets into that order, and says what is known of each.
    """

    def __init__(
        self,
        markets: Sequence[Market],
        wanted: Requirements,
        timeout: Seconds,
        *,
        usual: Seconds,
        rate: Rate | None,
        prefer: str = "",
        rank: Callable[[Sequence[Market]], Ranked] | None = None,
    ) -> None:
        self._markets = markets
        self._usual = usual
        self._rate = rate
        self._order = prefer
        self._rank = rank
        self._asked = wanted.prefer
        self.vram = wanted.vram or GiB(0)
        self.gpu = wanted.gpu or ""
        self.market = wanted.market or CHEAPEST
        self.timeout = timeout

    @property
    def fits(self) -> list[Market]:
        """The markets with the memory and the card, the best first."""
        return list(self._ranked[0])

    @property
    def _ranked(self) -> Ranked:
        wanted = Requirements(vram=self.vram or None, gpu=self.gpu or None)
        found = fitting(self._markets, wanted)
        return self._rank(found) if self._rank is not None else (found, ())

    @property
    def chosen(self) -> Market | None:
        """The market that the line asks for, or that would be the one."""
        fits = self.fits
        named = [each for each in fits if self.market in (each.slug, each.address)]
        # An order that was asked for says itself what a free host is worth.
        free = [] if self._order else [each for each in fits if each.hosts]
        return next(iter(named or ([] if self.market else free or fits)), None)

    @property
    def line(self) -> str:
        """The line of a cell."""
        words = ["%%nosana"]
        if self.market:
            words += ["--market", shlex.quote(self.market)]
        else:
            words += ["--vram", f"{self.vram:g}"] if self.vram else []
            words += ["--gpu", shlex.quote(self.gpu)] if self.gpu else []
            words += ["--prefer", shlex.quote(self._asked)] if self._asked else []
        if self.timeout != self._usual:
            words += ["--timeout", duration(self.timeout).replace(" ", "")]
        return " ".join(words)

    @property
    def cost(self) -> str:
        """What a run may cost, in words."""
        market = self.chosen
        if market is None:
            return "No market has that: ask for less memory, or for any card."
        quote = Quote(market=market, timeout=self.timeout, rate=self._rate)
        dollars = quote.dollars(quote.most)
        most = f"at most {nos(quote.most)}{f' ({dollars})' if dollars else ''}"
        free = "1 host is free" if market.hosts == 1 else f"{market.hosts} hosts are free"
        return (
            f"{line(market.gpu)} in {market.slug}: {most} for {duration(self.timeout)}; what is "
            f"not used returns. {free if market.hosts else 'No host is free now.'}"
        )

    def table(self) -> Table:
        """Return the markets that fit."""
        fits, known = self._ranked
        bars = Bar.several([each.price for each in fits[:SHOWN]])
        keeps = [line(each.kept) for each in known] or ["–"] * len(fits)
        rows = [
            (
                each.slug, line(each.gpu), f"{each.vram:g} GiB", bar,
                nos(each.price * 3600), f"{each.hosts} free" if each.hosts else "none free", kept,
            )
            for each, bar, kept in zip(fits, bars, keeps, strict=False)
        ]  # fmt: skip
        more = len(fits) - SHOWN
        note = f"and {more} more" if more > 0 else "" if rows else "No market fits."
        note += f"{'. ' if more > 0 else ' '}Chosen by {', then '.join(order_of(self._order))}."
        return Table(
            head=("market", "card", "memory", "price", "NOS an hour", "hosts", "keeps"),
            rows=rows,
            note=note.strip(),
        )

    def told(self) -> Table:
        """Return the same where nobody can click."""
        note = f"{self.table().note}\n{self.cost}\nTo run a cell there: {self.line}".strip()
        return replace(self.table(), note=note)

    def __repr__(self) -> str:
        return repr(self.told())

    def _ipython_display_(self) -> None:
        from .widgets import cells

        cells.show(self.widget(), repr(self))

    def widget(self) -> Any:
        """Return the picker as a widget."""
        import ipywidgets

        from .widgets import cells

        sizes = sorted({each.vram for each in self._markets if each.vram} | {GiB(0), self.vram})
        cards = sorted({each.gpu for each in self._markets})
        times = sorted({*TIMES, self.timeout})
        wide = {"width": "34em"}
        vram = ipywidgets.SelectionSlider(
            description="GPU memory", value=self.vram, style=WIDE, layout=wide,
            options=[(f"{each:g} GiB" if each else "any", each) for each in sizes],
        )  # fmt: skip
        gpu = ipywidgets.Dropdown(
            description="Card", style=WIDE, layout=wide, value=self.gpu,
            options=[("any", ""), *((line(each), each) for each in _with(self.gpu, cards))],
        )  # fmt: skip
        timeout = ipywidgets.Dropdown(
            description="Longest run", value=self.timeout, style=WIDE, layout=wide,
            options=[(duration(each), Seconds(each)) for each in times],
        )  # fmt: skip
        market = ipywidgets.Dropdown(
            description="Market", style=WIDE, layout=wide, value=self.market,
            options=self._offers(),
        )  # fmt: skip
        listed, told = ipywidgets.HTML(), ipywidgets.HTML()
        text = ipywidgets.Text(description="The line", style=WIDE, layout={"width": "auto"})

        def show() -> None:
            # A page spaces what is in its outputs, and not what is in widgets.
            space = 'style="padding:2px 16px 2px 0;'
            listed.value = self.table()._repr_html_().replace('style="text', f"{space}text")
            told.value = f"<p>{escape(self.cost)}</p>"
            text.value = self.line

        def ask(change: Any) -> None:
            setattr(self, change["owner"].asks, change["new"])
            if change["owner"] is not market and change["owner"] is not timeout:
                self.market = CHEAPEST
                market.options = self._offers()
                market.value = CHEAPEST
            show()

        for name, each in [("vram", vram), ("gpu", gpu), ("timeout", timeout), ("market", market)]:
            each.asks = name
            each.observe(ask, names="value")
        show()
        put = cells.buttons(lambda: f"{self.line}\n")
        return ipywidgets.VBox([vram, gpu, market, timeout, listed, told, text, *put])

    def _offers(self) -> list[tuple[str, str]]:
        offers = [
            (f"{each.slug} · {line(each.gpu)} · {nos(each.price * 3600)}/h", each.slug)
            for each in self.fits
        ]
        known = {slug for _, slug in offers} | {CHEAPEST}
        named = [] if self.market in known else [(line(self.market), self.market)]
        return [("the cheapest that is free", CHEAPEST), *offers, *named]


def _with(asked: str, cards: Sequence[str]) -> list[str]:
    """Return cards, and what was asked for where it is no card's whole name."""
    return [*cards] if asked in ("", *cards) else [*cards, asked]
