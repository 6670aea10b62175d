"""Secrets stay out of all that comes back."""

from __future__ import annotations

import base64
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.errors import CellError, UsageError
from nosana_jupyter.events import Event, Given, Relayed, Said, Waiting
from nosana_jupyter.travel import secret_store
from nosana_jupyter.travel.secrecy import HIDDEN, Secrets
from nosana_jupyter.wire.messages import CommMessage, CommOutput, DisplayData, Error, Stream

VALUE = "hf_s3cr3t/value"
SECRETS = Secrets({"HF_TOKEN": VALUE})


def said(*events: Event, secrets: Secrets = SECRETS) -> list[Event]:
    heard: list[Event] = []
    with secrets.hiding(heard.append) as emit:
        for event in events:
            emit(event)
    return heard


@given(st.lists(st.integers(0, len(VALUE)), max_size=4), st.text("hfs_x\n", max_size=6))
def test_a_secret_in_pieces_is_hidden(cuts: list[int], around: str) -> None:
    """However a text is cut into messages, what is passed on is the text without the secret."""
    whole = f"{around}{VALUE}{around}"
    places = [0, *sorted(cuts), len(whole)]
    pieces = [whole[a:b] for a, b in itertools.pairwise(places)]
    heard = said(*(Said(Stream("stdout", each)) for each in pieces))

    text = "".join(each.message.text for each in heard)  # type: ignore[union-attr]
    assert text == f"{around}{HIDDEN}{around}"


@given(st.lists(st.integers(0, len(VALUE)), max_size=4))
def test_a_secret_in_pieces_in_a_widget_is_hidden(cuts: list[int]) -> None:
    """What a widget captures is cut like any other text; two widgets are not mixed up."""
    places = [0, *sorted(cuts), len(VALUE)]
    heard = said(
        *(
            Relayed(CommOutput(comm, Stream("stdout", VALUE[a:b]), captured=True), print)
            for a, b in itertools.pairwise(places)
            for comm in ("1", "2")
        )
    )
    for comm in ("1", "2"):
        texts = [each.message.output.text for each in heard if each.message.comm == comm]  # type: ignore[union-attr]
        assert "".join(texts) == HIDDEN


def test_bytes_and_words_are_hidden() -> None:
    """Buffers of widgets keep their length; reasons by name are texts, values are the user's."""
    message = CommMessage("1", {"a": {"b": VALUE}}, buffers=[b"x" + VALUE.encode() + b"y"])
    given = Given(values={"x": VALUE}, unsent={"y": f"holds {VALUE}"})
    relayed, kept = said(Relayed(message, print), given)

    assert relayed.message.buffers == [b"x" + b"*" * len(VALUE) + b"y"]  # type: ignore[union-attr]
    assert kept == Given(values={"x": VALUE}, unsent={"y": f"holds {HIDDEN}"})


def test_it_is_hidden_in_all_events() -> None:
    """Displays, tracebacks, what is waited for and our own errors."""
    heard = said(
        Waiting(f"a {VALUE}"),
        Said(DisplayData({"text/html": f"<b>{VALUE}</b>", "application/json": [{"a": VALUE}]})),
        Said(Error("E", VALUE, [f"line {VALUE}"])),
        Relayed(CommMessage("1", {"state": {"value": [VALUE]}}), print),
        Relayed(CommOutput("1", Stream("stdout", VALUE), captured=True), print),
    )
    assert VALUE not in repr(heard)
    with pytest.raises(CellError) as caught, SECRETS.hiding(heard.append):
        raise CellError(f"no {VALUE}", hint=f"not {VALUE}")

    assert VALUE not in f"{caught.value} {caught.value.hint}"
    assert VALUE not in repr(SECRETS)


def test_forms_of_an_address_are_hidden() -> None:
    """The password of an address is hidden by itself, unquoted, and as a header has it."""
    secrets = Secrets({"PIP_INDEX_URL": "https://bob:p%2Fw0rd@h/simple"})
    header = base64.b64encode(b"bob:p/w0rd").decode()

    for text in ("p%2Fw0rd", "p/w0rd", header, "https://bob:p%2Fw0rd@h/simple"):
        assert secrets.hide(f"a {text} b") == f"a {HIDDEN} b"
    later = Secrets({"OTHER": "another"}).after(secrets)
    assert later.hide("p/w0rd another") == f"{HIDDEN} {HIDDEN}"
    assert "p%2Fw0rd" not in later.values.values()


def test_a_value_comes_from_where_it_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The environment, a file that only its owner reads, or the user; never the line."""
    monkeypatch.setenv("NOSANA_JUPYTER_HOME", str(tmp_path))
    monkeypatch.setenv("TOKEN_A", "from-environment")
    file = tmp_path / "secrets" / "TOKEN_B"
    file.parent.mkdir()
    file.write_text("from-file\n")
    file.chmod(0o600)
    found = secret_store.find(["TOKEN_A", "TOKEN_B", "TOKEN_C"], lambda prompt: f"typed {prompt}")
    assert list(found.values()) == ["from-environment", "from-file", "typed TOKEN_C: "]

    file.chmod(0o644)
    with pytest.raises(UsageError, match="can be read by others"):
        secret_store.find(["TOKEN_B"])
    with pytest.raises(UsageError, match="has no value"):
        secret_store.find(["TOKEN_C"])
    with pytest.raises(UsageError) as caught:
        secret_store.check("TOKEN_A=value-on-the-line")
    assert "value-on-the-line" not in str(caught.value)
