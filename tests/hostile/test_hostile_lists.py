"""A market list that means harm, served over HTTP: what comes of it can be shown and counted."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from nosana_jupyter import network
from nosana_jupyter.chain.accounts import Market
from nosana_jupyter.errors import NetworkError
from nosana_jupyter.market import listing

KEY = Pubkey.default()
MARKET = Market(
    authority=KEY, job_expiration=1, job_price=40, job_timeout=1, job_type=0, vault=KEY,
    vault_bump=1, node_access_key=KEY, node_xnos_minimum=0, queue_type=1, queue=(KEY,),
)  # fmt: skip
ADDRESS = "7dqmbhQQDMDTbcSKGLnKKKgCrkFTaBpEEM9vYAejH4Wr"
TEXTS = st.text() | st.sampled_from(["\x1b]0;x\x07", "a\nb", "\u202eabc", "x" * 10_000, "<b>"])
NUMBERS = st.sampled_from(["NaN", "1e999", "-1", "1e300", "true", '"9"', "null", "9" * 500, "[]"])


def serve(content: bytes) -> list[Any]:
    """Read a list that a server gives."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(content)}\r\n\r\n"
        writer.write(head.encode() + content)
        writer.close()

    async def story() -> list[Any]:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        there = msgspec.structs.replace(network.MAINNET, api=f"http://127.0.0.1:{port}")
        async with server:
            return await listing._get(there, "/api/markets/", listing.listed)

    return asyncio.run(story())


@settings(max_examples=60)
@given(TEXTS, st.lists(TEXTS, max_size=60))
def test_a_market_list_is_names(slug: str, cards: list[str]) -> None:
    """Names are one line of what can be seen, and no longer than names are."""
    entry = {"address": ADDRESS, "slug": slug, "name": slug, "gpu_types": cards}
    [read] = listing.listed(json.dumps([entry]).encode())
    made = listing.market(read, MARKET, 1)
    shown = [made.slug, made.name, made.kind, *made.gpus]
    assert all(each.isprintable() and len(each) <= 80 for each in shown)
    assert len(made.gpus) <= listing.MOST_CARDS


@settings(max_examples=40)
@given(NUMBERS, st.sampled_from(["lowest_vram", "usd_reward_per_hour", "network_fee_percentage"]))
def test_numbers_that_are_none(number: str, field: str) -> None:
    """An entry with one is left out or says nothing; the others stay."""
    bad = f'{{"address": "{ADDRESS}", "{field}": {number}}}'
    good = f'{{"address": "{ADDRESS}", "slug": "good", "{field}": 7}}'
    try:
        found = listing.listed(f"[{bad}, {good}]".encode())
    except listing.UNREADABLE:
        return  # It is no JSON.
    assert found[-1].slug == "good"
    assert all(0 <= (getattr(each, field) or 0) <= 1e6 for each in found)


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000, b"{}", b"nonsense", b"\xff", b" " * (listing.LARGEST + 1),
        b"[" + b",".join([b"{}"] * (listing.MOST + 1)) + b"]", b'[{"address": "no address"}]',
    ],
    ids=["deep", "object", "text", "bytes", "large", "many", "addresses"],
)  # fmt: skip
def test_what_is_no_list(content: bytes) -> None:
    """The error says whose answer it is, and names no more of it."""
    with pytest.raises(NetworkError, match="its answer is no list of markets"):
        serve(content)
