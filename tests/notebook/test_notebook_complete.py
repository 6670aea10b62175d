"""Completion of what stands after the magics, as IPython shows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from front_ends import Kernel
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

from nosana_jupyter import known, settings
from nosana_jupyter.notebook import complete, grammar


@pytest.fixture
def shell() -> Iterator[Any]:
    """A shell with our magics."""
    made = InteractiveShell()
    made.run_line_magic("load_ext", "nosana_jupyter")
    yield made
    made.run_line_magic("unload_ext", "nosana_jupyter")


def shown(shell: Any, text: str) -> list[str]:
    """Return what is offered at the end of a text, as the text would then read."""
    with provisionalcompleter():
        found = list(shell.Completer.completions(text, len(text)))
    return [text[: each.start] + each.text for each in found]


NETWORKS = [f"%nosana network {name}" for name in sorted(settings.NETWORKS)]
SHOWN = {
    "%nosana ne": ["%nosana network"],
    "%nosana network ": NETWORKS,
    "x = 1\n%nosana network m": ["x = 1\n%nosana network mainnet"],
    "%nosana wallet c": ["%nosana wallet create"],
    "%nosana wallet import k": ["%nosana wallet import keyring:"],
    "%nosana config priority_": [f"%nosana config priority_{each}" for each in ("max", "min")],
    "%nosana config confirm ": [
        f"%nosana config confirm {each}" for each in ("--ask", "--unset", "ask", "yes")
    ],
    "%nosana help sw": ["%nosana help sweep"],
    "%nosana up train --i": ["%nosana up train --idle", "%nosana up train --image"],
    "%nosana quote --t": ["%nosana quote --timeout"],
    "%nosana markets --v": ["%nosana markets --vram"],
    "%%nosana --dry": ["%%nosana --dry-run"],
    "%%nosana --pip a --pi": ["%%nosana --pip a --pip"],
    "%%nosana --vram 16 --ma": [f"%%nosana --vram 16 --{each}" for each in ("market", "max-cost")],
}  # fmt: skip


@pytest.mark.parametrize("text", SHOWN)
def test_what_fits_is_shown_and_nothing_else(text: str, shell: Any) -> None:
    """
    Commands, options, settings and their values; names of Python do not come between.
    """
    assert shown(shell, text) == SHOWN[text]


def test_values_are_those_that_are_known(shell: Any, home: Path) -> None:
    """
    Cards and markets as they were last seen, names of the notebook; body below does not matter.
    """
    known.keep("local", {"a-4090": ["NVIDIA GeForce RTX 4090"], "b-a100": ["NVIDIA A100 80GB"]})
    shell.user_ns["frame"] = 1

    assert shown(shell, "%%nosana --gpu ") == ["%%nosana --gpu 4090", "%%nosana --gpu A100"]
    assert shown(shell, "%%nosana --market b") == ["%%nosana --market b-a100"]
    assert shown(shell, "%%nosana --in fra") == ["%%nosana --in frame"]
    assert shown(shell, "%nosana config vram 16 --p") == ["%nosana config vram 16 --project"]
    line = "%%nosana --gpu 40"
    with provisionalcompleter():
        found = list(shell.Completer.completions(f"{line}\nprint(1)\n", len(line)))
    assert [each.text for each in found] == ["4090"]


def test_every_command_and_option_is_shown(shell: Any) -> None:
    """
    What the help lists can be completed.
    """
    commands = [f"%nosana {name}" for name in sorted(grammar.COMMANDS) if name]
    options = sorted(action.option_strings[0] for action in grammar.cell_grammar()._actions)

    assert shown(shell, "%nosana ") == commands
    assert shown(shell, "%%nosana --") == [f"%%nosana {name}" for name in options]


@pytest.mark.parametrize(
    "text", ["%%nosana --vram 16\nmath.sq", "math.sq", "%timeit math.sq", "%nosana"]
)
def test_the_rest_is_left_to_ipython(text: str, shell: Any) -> None:
    """
    In the body of a cell, in other lines and in the magic's own name nothing of ours is shown.
    """
    shell.run_cell("import math")

    assert all("sqrt" in each or each.startswith("%") for each in shown(shell, text))
    assert any(shown(shell, text))


def test_completion_goes_with_the_extension(shell: Any) -> None:
    """
    An extension that was unloaded, or loaded twice, leaves nothing over.
    """
    shell.run_line_magic("reload_ext", "nosana_jupyter")
    assert shell.Completer.custom_matchers.count(complete.matcher) == 1
    shell.run_line_magic("unload_ext", "nosana_jupyter")
    assert complete.matcher not in shell.Completer.custom_matchers
    shell.run_line_magic("load_ext", "nosana_jupyter")


@given(st.sampled_from(complete.MAGICS), st.text(max_size=30))
def test_any_line_has_candidates_or_none(magic: str, text: str) -> None:
    """
    Whatever is typed, completing it raises nothing.
    """
    assert isinstance(complete.candidates(f"{magic} {text}"), dict)


@pytest.mark.kernel
@pytest.mark.network
def test_a_kernel_completes(kernel: Kernel) -> None:
    """
    A real request: in the first line of a cell, with code below; paths; jobs with their titles.
    """
    kernel.run("import pathlib; pathlib.Path('data').mkdir(); pathlib.Path('data/a.csv').touch()")
    kernel.run("pathlib.Path('dates.txt').touch(); pathlib.Path('.hidden').touch()")

    def completed(text: str, cursor: int | None = None) -> dict[str, str]:
        at = len(text) if cursor is None else cursor
        reply = kernel.client.complete(text, at, reply=True, timeout=30)["content"]
        kinds = {
            each["text"]: each["type"] for each in reply["metadata"]["_jupyter_types_experimental"]
        }
        begun = text[: reply["cursor_start"]]
        return {f"{begun}{each}": kinds[each] for each in reply["matches"]}

    line = "%%nosana --files da"
    body = "\nimport math\nprint(math.pi)\n"
    both = ["%%nosana --files data/", "%%nosana --files dates.txt"]
    assert list(completed(line + " --vram 16" + body, len(line))) == both
    assert list(completed(f"{line}ta/" + body, len(line) + 3)) == ["%%nosana --files data/a.csv"]
    assert next(iter(completed("%%nosana --files !dat"))) == "%%nosana --files !data/"
    assert "%%nosana --files .hidden" not in completed("%%nosana --files ")
    assert list(completed("%%nosana --dry" + body, 14)) == ["%%nosana --dry-run"]

    kernel.run("%nosana up")
    try:
        [(offered, kind)] = completed("%nosana stop ").items()
        assert len(offered.split()[-1]) >= 32
        assert kind == "session main"
    finally:
        kernel.run("%nosana down")
