"""The line of `%nosana serve`, and what is shown of services."""

from __future__ import annotations

import os
import re

import msgspec
import pytest
from front_ends import Kernel

from nosana_jupyter.errors import UsageError
from nosana_jupyter.money.journal import owner_of
from nosana_jupyter.notebook import grammar, served, serving
from nosana_jupyter.rent.servicebook import ServiceRecord
from nosana_jupyter.serving.terms import ENDLESS, View
from nosana_jupyter.units import Seconds

pytestmark = pytest.mark.usefixtures("home", "offline")


class Portal:
    """Nothing is kept here, and other kernels keep what is given."""

    def __init__(self, elsewhere: list[ServiceRecord]) -> None:
        self.services_elsewhere = lambda: elsewhere
        self.session_names = self.service_names = self.sessions_elsewhere = list


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No hub is asked how large a model is."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_a_line_says_what_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """Model or image, what is asked of its host, and how long it lasts; secrets by name."""
    monkeypatch.setenv("HF_TOKEN", "hf_hidden")
    line = (
        "vllm org/model-7b --name big --gpu 4090 --for 1h --idle 5m --replicas 2 --max-cost '1 NOS'"
        " --secret HF_TOKEN --env LEVEL=3 --yes"
    )
    terms, yes = serving.terms_of(grammar.split(line))
    assert yes
    assert (terms.name, terms.replicas, terms.most, terms.idle) == ("big", 2, 3600, 300)
    assert (terms.wanted.gpu, terms.wanted.vram, terms.max_cost) == ("4090", None, "1 NOS")
    assert terms.form.env["LEVEL"] == "3"
    assert terms.secrets == {"HF_TOKEN": "hf_hidden"}
    assert "hf_hidden" not in repr(terms)
    terms, yes = serving.terms_of(grammar.split("ollama llama3.2:3b"))
    assert not yes
    assert (terms.name, terms.wanted.vram) == ("llama3-2-3b", 4.2)
    line = "ghcr.io/a/b:1 --port 80 --health up --cmd 'run --fast it' --key-in KEY"
    form = serving.terms_of(grammar.split(line))[0].form
    assert (form.image, form.port, form.health) == ("ghcr.io/a/b:1", 80, "/up")
    assert (form.cmd, form.key_in) == ("run --fast it", "KEY")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "what is to be served"),
        ("--vram 16", "what is to be served"),
        ("vllm --vram 16", "which model is vllm to serve"),
        ("vllm a/b-7b --replica 2", "there is no option --replica"),
        ("vllm a/b-7b c", "'c' is not understood"),
        ("python:3.12 --port x", "--port"),
        ("vllm a/b-7b --name 7", "cannot be called '7'"),
    ],
)
def test_what_is_not_understood(line: str, said: str) -> None:
    """Says what is missing or was meant; nothing is opened."""
    with pytest.raises(UsageError, match=said):
        serving.terms_of(grammar.split(line))


def test_the_list_says_how_each_stands() -> None:
    """A service has its address, hosts, requests, idleness and cost, and what it lacks."""
    view = View(
        name="big", runs="org/model with vLLM", state="1 of 2 up; waiting for a host",
        url="http://127.0.0.1:41", gpu="RTX 4090", hosts=1, replicas=2, spent="0.2 NOS", requests=7,
        idle=61.0, ends_idle=Seconds(600), left=3000.0, trouble="the cap is 1 NOS",
    )  # fmt: skip
    told = repr(served.table([view]))
    for each in ("http://127.0.0.1:41", "1 of 2", "7", "of 10 min", "50 min", "0.2 NOS"):
        assert each in told
    assert "big gets no more time: the cap is 1 NOS" in told
    assert "%nosana serve opens" in repr(served.table([]))


def test_strategies_are_read() -> None:
    """Each says what is paid when, and how long it lasts; a schedule alone is one."""
    simple = serving.terms_of(grammar.split("ollama a:1b --strategy simple --for 2h"))[0]
    assert (simple.step, simple.most) == (7200, 7200)
    line = "ollama a:1b --strategy infinite --max-cost '5 NOS'"
    endless = serving.terms_of(grammar.split(line))[0]
    assert endless.most == endless.idle == ENDLESS
    assert endless.step < 7200
    line = "ollama a:1b --schedule '0 9 * * 1-5' --for 1h --max-cost none"
    planned = serving.terms_of(grammar.split(line))[0]
    assert (planned.strategy, planned.schedule, planned.most) == ("scheduled", "0 9 * * 1-5", 3600)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--strategy infinite", "goes on until it is stopped, and nobody says"),
        ("--schedule '0 9 * * *'", "goes on until it is stopped, and nobody says"),
        ("--strategy infinite --for 2h --max-cost 1", "has no longest time"),
        ("--strategy scheduled --max-cost 1", "when is it to be served"),
        ("--strategy simple --schedule '0 9 * * *'", "the strategy simple has no schedule"),
        ("--schedule '0 25 * * *' --max-cost 1", "is no schedule: bad hour"),
        ("--schedule '9:00' --max-cost 1", "five fields"),
        ("--strategy forever", "there is no strategy .forever."),
    ],
)
def test_what_no_strategy_is(line: str, said: str) -> None:
    """Whatever may cost without an end needs a cap; nothing is opened."""
    with pytest.raises(UsageError, match=said):
        serving.terms_of(grammar.split(f"ollama a:1b {line}"))


def test_others_keep_or_have_left_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service of another kernel is never taken for a job: what ends it is said."""
    record = ServiceRecord(
        name="big", network="local", wallet="W", port=1, runs="m", model="m",
        form=msgspec.Raw(b"{}"), opened=0.0, most=Seconds(1), idle=Seconds(1), step=Seconds(1),
        replicas=1,
    )  # fmt: skip
    for owner, hint in [(owner_of(os.getppid()), "there: %nosana down big"), ("", "%nosana sweep")]:
        here = Portal([msgspec.structs.replace(record, owner=owner)])
        monkeypatch.setattr(serving.ServiceCommands, "portal", here)
        for verb in ("do_down", "do_stop"):
            with pytest.raises(UsageError, match="Nothing was ended") as caught:
                getattr(serving.ServiceCommands(), verb)("big")
            assert hint in caught.value.hint


@pytest.mark.kernel
@pytest.mark.network
def test_the_same_words_end_services_and_sessions(kernel: Kernel) -> None:
    """
    `%nosana` names what runs and costs; `stop NAME`, `down NAME`, `down` and `down --all` end it.
    """
    assert not kernel.run("%nosana serve tiny --name one").error
    try:
        kernel.run("%nosana up two")
        text = kernel.run("%nosana").result["text/plain"]
        assert re.search(r"services +one: up, [0-9.]+ NOS so far, .* left; %nosana down one", text)
        taken = kernel.run("%nosana up one").traceback
        assert "there is a service one already. Nothing was spent" in taken
        assert "there is a session two" in kernel.run("%nosana serve tiny --name two").traceback
        assert "more time by itself" in kernel.run("%nosana extend one 10m").traceback
        both = kernel.run("%nosana down --all").result["text/plain"]
        assert both.count(" done ") == 2
        for line in ("%nosana stop one", "%nosana down one", "%nosana down"):
            assert not kernel.run("%nosana serve tiny --name one").error
            assert re.search(r"status +done", kernel.run(line).result["text/plain"])
        assert "services" not in kernel.run("%nosana").result["text/plain"]
        assert "no session and no service" in kernel.run("%nosana down --all").traceback
    finally:
        kernel.run("%nosana down --all")
