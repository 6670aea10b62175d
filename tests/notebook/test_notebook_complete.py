"""Completion of what stands after the magics, as IPython shows it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from front_ends import Kernel
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from nosana_jupyter import settings
from nosana_jupyter.local.catalogue import CATALOGUE
from nosana_jupyter.market import known
from nosana_jupyter.market.reputation import Reputation
from nosana_jupyter.money.journal import Journal
from nosana_jupyter.notebook import complete, extension, grammar


@pytest.fixture
def shell() -> Iterator[Any]:
    """A shell with our magics."""
    made = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    made.run_line_magic("load_ext", "nosana_jupyter")
    yield made
    made.run_line_magic("unload_ext", "nosana_jupyter")


def shown(shell: Any, text: str) -> list[str]:
    """Return what is offered at the end of a text, as the text would then read."""
    with provisionalcompleter():
        found = list(shell.Completer.completions(text, len(text)))
    return [text[: each.start] + each.text for each in found]


NETWORKS = [f"%nosana network {name}" for name in sorted([*settings.teams.PUBLIC, "join", "leave"])]
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
    "%nosana help swe": ["%nosana help sweep"],
    "%nosana template s": [f"%nosana template {each}" for each in ("save", "share", "show")],
    "%nosana template use tra": [
        f"%nosana template use {each}" for each in ("train-classifier", "transcribe")
    ],
    "%nosana stake u": ["%nosana stake unstake"],
    "%nosana template use hello-gpu s": ["%nosana template use hello-gpu size="],
    "%nosana template save x --p": [
        f"%nosana template save x --{each}" for each in ("parameters", "project")
    ],
    "%nosana up train --i": ["%nosana up train --idle", "%nosana up train --image"],
    "%nosana serve ": [f"%nosana serve {each}" for each in ("ollama", "stop", "vllm")],
    "%nosana serve vllm m --re": ["%nosana serve vllm m --replicas"],
    "%nosana serve python:3.12 --po": ["%nosana serve python:3.12 --port"],
    "%%ask --n": ["%%ask --new"],
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


VALUES = {
    "%nosana config vram ": {"8", "24", "--unset"},
    "%nosana config gpu ": {"4090", "H100", "--unset"},
    "%nosana config timeout ": {"30m", "2h", "--ask", "--unset"},
    "%nosana config max_cost ": {"$5", "none", "--unset"},
    "%nosana config lease_detached ": {"30m", "--unset"},
    "%nosana up --for ": {"2h"},
    "%%nosana --vram ": {"24"},
    "%%nosana --gpu ": {"4090", "H100"},
    "%nosana extend Job ": {"30m"},
    "%nosana attach Job ": {"--peek"},
}


@pytest.mark.parametrize("text", VALUES)
def test_values_are_shown_before_anything_was_asked(text: str, shell: Any, home: Path) -> None:
    """
    Whoever has not looked at the network yet is offered what is usual, and no option in its place.
    """
    found = {each.removeprefix(text) for each in shown(shell, text)}

    assert VALUES[text] <= found
    assert not {each for each in found if each.startswith("--")} - {"--ask", "--unset", "--peek"}


def test_the_usual_cards_are_those_of_the_network() -> None:
    """
    What is offered before anybody has asked is what the network has, and all of it.
    """
    names = {name for each in CATALOGUE for name in each.gpus}

    assert {complete._model(name) for name in names} == {*known.CARDS}


def test_nothing_is_asked_of_a_network_that_hangs(
    shell: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    No key press waits for a service: none is connected to, or looked up.
    """
    asked: list[str] = []
    sys.addaudithook(lambda name, _: asked.append(name) if name in WATCHED else None)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        place = f"127.0.0.1:{deaf.getsockname()[1]}"
        for name in ("rpc", "pin", "gateway", "api"):
            monkeypatch.setenv(f"NOSANA_{name.upper()}", f"http://{place}")
        monkeypatch.setenv("NOSANA_NETWORK", "devnet")
        Journal().close()
        asked.clear()
        for text in (*SHOWN, *VALUES, *WAITS):
            shown(shell, text)
        assert asked == []


WATCHED = ("socket.connect", "socket.getaddrinfo", "socket.sendto")
WAITS = [f"%nosana {name} " for name in grammar.COMMANDS] + [
    f"%%nosana {action.option_strings[0]} " for action in grammar.cell_grammar()._actions
]


def test_a_broken_file_of_settings_is_no_matter(shell: Any, home: Path) -> None:
    """
    What completes says nothing of what is wrong elsewhere.
    """
    home.mkdir(exist_ok=True)
    (home / "settings.toml").write_text("no toml")

    assert shown(shell, "%%nosana --dry") == ["%%nosana --dry-run"]
    shown(shell, "%%nosana --gpu ")


def test_values_are_those_that_are_known(shell: Any, home: Path) -> None:
    """
    Cards and markets as they were last seen, names of the notebook; body below does not matter.
    """
    known.keep("local", {"a-4090": ["NVIDIA GeForce RTX 4090"], "b-a100": ["NVIDIA A100 80GB"]})
    shell.user_ns["frame"] = 1

    assert shown(shell, "%%nosana --gpu ") == ["%%nosana --gpu 4090", "%%nosana --gpu A100"]
    assert shown(shell, "%%nosana --market b") == ["%%nosana --market b-a100"]
    assert shown(shell, "%%nosana --verify ") == ["%%nosana --verify "]
    assert shown(shell, "%%nosana --in fra") == ["%%nosana --in frame"]
    assert shown(shell, "%nosana config vram 16 --p") == ["%nosana config vram 16 --project"]
    line = "%%nosana --gpu 40"
    with provisionalcompleter():
        found = list(shell.Completer.completions(f"{line}\nprint(1)\n", len(line)))
    assert [each.text for each in found] == ["4090"]


def test_hosts_are_those_that_something_is_held_against(shell: Any, home: Path) -> None:
    """To be forgiven those that come last; to be reported those whose results or words were bad."""
    settings.save("network", "local")
    hosts = Reputation("local")
    try:
        hosts.ran("GoodHost")
        hosts.failed("LateHost", "it said nothing")
        hosts.differed("WrongHost", "x: 1 and 2")
    finally:
        hosts.close()

    assert shown(shell, "%nosana hosts fo") == ["%nosana hosts forgive"]
    forgive, report = "%nosana hosts forgive ", "%nosana hosts report "
    assert shown(shell, forgive) == [f"{forgive}LateHost", f"{forgive}WrongHost"]
    assert shown(shell, report) == [f"{report}WrongHost"]
    assert shown(shell, f"{report}WrongHost ") == [f"{report}WrongHost --job"]
    assert complete.candidates(forgive)["WrongHost"] == "x: 1 and 2"
    assert shown(shell, f"{forgive}LateHost ") == [f"{forgive}LateHost "]


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


@pytest.mark.parametrize("text", ["%nosana stop ", "%nosana down x", "%nosana receipts ma"])
def test_where_nothing_fits_nothing_is_put_in(text: str, shell: Any) -> None:
    """
    Where jobs or sessions are asked for and none is open, names of Python are not offered instead.
    """
    shell.user_ns["x1"] = 1

    assert shown(shell, text) == [text]


def test_completion_goes_with_the_extension(shell: Any) -> None:
    """
    An extension that was unloaded, or loaded twice, leaves nothing over.
    """
    shell.run_line_magic("reload_ext", "nosana_jupyter")
    assert shell.Completer.custom_matchers.count(extension.matcher) == 1
    shell.run_line_magic("unload_ext", "nosana_jupyter")
    assert extension.matcher not in shell.Completer.custom_matchers
    shell.run_line_magic("load_ext", "nosana_jupyter")


@given(st.sampled_from(extension.MAGICS), st.text(max_size=30))
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
        stoppable = completed("%nosana stop ")
        assert "%nosana stop main" in stoppable
        [(offered, kind)] = [each for each in stoppable.items() if len(each[0].split()[-1]) >= 32]
        assert kind == "session main"
        assert {"%nosana attach main", f"%nosana attach {offered.split()[-1]}"} == {
            *completed("%nosana attach ")
        }
        assert "%nosana down main" in completed("%nosana down ")
        assert "%%nosana --session main" in completed("%%nosana --session ")
    finally:
        kernel.run("%nosana down")
    [kind] = [
        kind
        for each, kind in completed("%nosana receipts ").items()
        if each in offered.replace("stop", "receipts")
    ]
    assert kind.startswith("done, 0.")
