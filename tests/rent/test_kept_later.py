"""What a job leaves with its host is known to the next quote, until the host has it no more."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from file_server import FileServer, serving
from local_networks import LocalNetwork

import nosana_jupyter
from nosana_jupyter import portal
from nosana_jupyter.client import Client
from nosana_jupyter.events import Cell
from nosana_jupyter.links.link import Link
from nosana_jupyter.market.caches import Held
from nosana_jupyter.units import Seconds

FETCH = """
import pathlib
at = pathlib.Path.home() / ".cache/huggingface/hub/models--me--kept"
(at / "snapshots/abc").mkdir(parents=True, exist_ok=True)
_ = (at / "snapshots/abc/weights").write_bytes(b"w" * 1_500_000)
read = corpus.read_text()
"""

NEXT = "AutoModel.from_pretrained('me/kept'); corpus.read_text()"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as place:
        yield place


def held(node: str) -> Held | None:
    """Return what the next cell is told of a host."""

    async def ask(client: Client) -> Held | None:
        return client.hosts.kept(node)

    return portal.shared().call(ask)


def test_the_next_quote_knows_what_is_there(network: LocalNetwork, server: FileServer) -> None:
    """
    A model and a link that a cell has fetched are named in the quote of the next, which is chosen
    for them if that is asked for; once the host has thrown them away, the next job's end says so.
    """
    server.put("/corpus.txt", "words")
    data = {"corpus": f"{server.base}/corpus.txt"}
    done = nosana_jupyter.run(FETCH, data=data)
    node = done.receipt.node
    link = Link(data["corpus"])
    cell = Cell(source=NEXT, namespace={"corpus": link}, timeout=Seconds(60), prefer="cached")
    quote = portal.shared().quote(cell.wanted, cell.timeout, cell=cell)

    assert done.values["read"] == "words"
    found = held(node)
    assert found is not None
    assert {("hub", "me/kept"), ("link", link.source)} <= {each.want for each in found.things}
    assert quote.kept.startswith(f"host {node[:8]}… keeps ")
    assert f"{node[:8]}, should still have me/kept, {link.source} (1.5 MB)" in quote.why[0]

    shutil.rmtree(network.home / "host/cache/models/hub/models--me--kept")
    nosana_jupyter.run("pass")
    left = held(node)
    assert left is None or "me/kept" not in {each.name for each in left.things}
    quote = portal.shared().quote(cell.wanted, cell.timeout, cell=cell)
    assert "nobody says that it keeps me/kept" in quote.why[0]
