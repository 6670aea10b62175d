"""`%nosana swap`, `fund` and `wallet`: what is asked, shown, and where no is an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from exchange_town import HAD_NOS, HAD_SOL, HAD_USDC, Place, exchange_town
from local_networks import LocalNetwork

from nosana_jupyter import settings
from nosana_jupyter.errors import FundsError, UsageError
from nosana_jupyter.market import rates
from nosana_jupyter.money.purse import Purse
from nosana_jupyter.notebook import holding, swapping
from nosana_jupyter.portal import Portal, shared


class Desk:
    """A portal to a town whose money counts as real."""

    def __init__(self, place: Place, loop: asyncio.AbstractEventLoop) -> None:
        purse = SimpleNamespace(payer=Purse(place.rpc, place.wallet))
        self._client = SimpleNamespace(rpc=place.rpc, network=place.rpc.network, jobs=purse)
        self._loop = loop

    def call(self, ask: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
        """Ask on the town's loop, from another thread."""
        return asyncio.run_coroutine_threadsafe(ask(self._client), self._loop).result(60)

    def status(self) -> Any:
        return self._client


def test_real_money_is_asked_for(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    The quote is shown, then the question is asked; no, and nothing moves. `--yes` is not asked, but
    above `ask_above` it is all the same.
    """
    home.mkdir()

    async def script() -> None:
        async with exchange_town(tmp_path) as place:
            asked: list[str] = []
            desk = cast("Portal", Desk(place, asyncio.get_running_loop()))

            def refuse(question: str) -> bool:
                asked.append(question)
                return False

            def swap(line: str) -> Any:
                return asyncio.to_thread(swapping.command, desk, line, refuse)

            with pytest.raises(FundsError, match="swapping 5 USDC on mainnet was not confirmed"):
                await swap("5 USDC")
            assert asked == ["Swap 5 USDC for at least 16.770911 NOS on mainnet? [y/N] "]
            assert "16.770911 NOS, or nothing is swapped" in capsys.readouterr().out
            assert place.held() == (HAD_NOS, HAD_USDC, HAD_SOL)
            settings.save("ask_above", "$4")
            with pytest.raises(FundsError, match="not confirmed"):
                await swap("5 USDC --yes")
            assert len(asked) == 2
            done = await swap("3 USDC --yes")
            assert len(asked) == 2
            assert done.title == "3 USDC swapped."
            assert place.held()[1] == HAD_USDC - 3_000_000

    try:
        asyncio.run(script())
    finally:
        rates._known.clear()
        rates._agreed.clear()


@pytest.mark.network
def test_the_wallet_shows_what_was_swapped(network: LocalNetwork) -> None:
    """
    Play money comes from the faucet, a dry run moves none of it, and a swap shows in wallet and
    list as what it brought.
    """
    del network

    def never(_question: str) -> bool:
        raise AssertionError("play money is not asked for")

    def held(name: str) -> str:
        return dict(holding.table(shared()).rows).get(name, "0").split()[0]

    before = float(held("USDC"))
    rows = dict(holding.fund(shared(), "2 USDC").rows)
    assert float(rows["USDC"].split()[0]) == before + 2
    assert "$" in rows["SOL"]
    had = float(held("NOS"))
    swapping.command(shared(), "2 USDC --dry-run", never)
    assert float(held("NOS")) == had
    done = swapping.command(shared(), "2 USDC --slippage 1%", never)
    got = dict(done.rows)["received"].split()[0]
    assert (float(held("USDC")), f"{float(held('NOS')):.6f}") == (
        before, f"{had + float(got):.6f}",
    )  # fmt: skip
    newest = swapping.command(shared(), "", never).rows[0]
    assert newest == (
        "2 USDC",
        f"{got} NOS",
        "done",
        dict(done.rows)["transaction"],
    )
    with pytest.raises(UsageError, match="no slippage that is offered"):
        swapping.command(shared(), "2 USDC --slippage 6%", never)
