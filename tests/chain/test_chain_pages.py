"""Lists that a node tells page by page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.chain import pages
from nosana_jupyter.errors import RpcError


class Node:
    """A node with transactions of one account, newest first."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows
        self.asked = 0

    async def read(
        self, _method: str, _address: str, options: dict[str, Any], *, take: Callable[..., Any]
    ) -> Any:
        """Answer as `getSignaturesForAddress` does."""
        self.asked += 1
        names = [row["signature"] for row in self.rows]
        start = names.index(options["before"]) + 1 if "before" in options else 0
        return take(self.rows[start : start + pages.PAGE])


@given(st.lists(st.booleans(), max_size=12))
def test_all_pages_are_read(good: list[bool]) -> None:
    """However many there are, all that succeeded are told once, the oldest first."""
    node = Node([{"signature": str(n), "err": None if ok else {}} for n, ok in enumerate(good)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "PAGE", 3)
        found = asyncio.run(pages.signatures(node.read, "A", {}))

    assert found == [str(n) for n, ok in enumerate(good) if ok][::-1]
    assert node.asked == len(good) // 3 + 1


def test_a_list_without_an_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that tells the same page again and again is not asked for ever."""

    async def again(*_: Any, take: Callable[..., Any]) -> Any:
        return take([{"signature": "S", "err": None}])

    monkeypatch.setattr(pages, "PAGE", 1)
    with pytest.raises(RpcError, match="more than 100"):
        asyncio.run(pages.signatures(again, "A", {}))
