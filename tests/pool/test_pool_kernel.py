"""A map in a real kernel: what items print, and how far they are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from front_ends import Kernel, environment
from local_networks import LocalNetwork

from nosana_jupyter.pool.audience import MOST

pytestmark = [pytest.mark.kernel, pytest.mark.network]

FIRST = """
from nosana_jupyter import Executor
executor = Executor(hosts=2, timeout="10m")
def tell(name):
    print("hello", name)
    return name
def flood(number):
    for _ in range(110):
        print("x" * 99)
"""


@pytest.fixture(scope="module")
def kernel(
    session_network: LocalNetwork, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kernel]:
    folder = tmp_path_factory.mktemp("kernel")
    (folder / "ipython").mkdir()
    kernel = Kernel(environment(str(session_network.home), str(folder)))
    try:
        assert kernel.run(FIRST).error is None
        yield kernel
        assert kernel.run("executor.shutdown()").error is None
    finally:
        kernel.close()


def test_prints_come_under_the_cell_that_calls(kernel: Kernel) -> None:
    """Each line has its item's number; not the cell that made the executor shows it."""
    first = kernel.run("list(executor.map(tell, ['Ada', 'Grace']))")
    second = kernel.run("executor.submit(tell, 'Emmy').result()")

    assert "item 0: hello Ada\n" in first.text
    assert "item 1: hello Grace\n" in first.text
    assert "item 0: hello Emmy\n" in second.text
    assert "['Ada', 'Grace']" in first.text


def test_one_line_says_how_far_it_is(kernel: Kernel) -> None:
    """It is drawn over where it stands, and its last state says what came of all of it."""
    shown = kernel.run("list(executor.map(abs, range(50)))")
    lines = [each for each in shown.text.splitlines() if " of 50 items" in each]

    assert len(lines) == 1
    assert lines[0].startswith("50 of 50 items, ")
    assert "NOS, took " in lines[0]


def test_prints_have_a_bound(kernel: Kernel) -> None:
    """A map that prints without end fills no notebook, and says that something is left out."""
    shown = kernel.run("list(executor.map(flood, range(40)));")

    assert shown.text.count("which is left out") > 3
    assert shown.text.count("[What these items print further is left out]") == 1
    assert len(shown.text) < MOST + 20_000
