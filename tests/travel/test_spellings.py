"""A secret is found however a program spells it."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nosana_jupyter.travel.secrecy import HIDDEN, Secrets
from nosana_jupyter.travel.spellings import SHORTEST

SPELLED: dict[str, Callable[[str], str]] = {
    "plain": str,
    "repr": repr,
    "repr beside a quote": lambda text: repr(["it's", text + "'"]),
    "repr of bytes": lambda text: repr(text.encode()),
    "ascii": ascii,
    "JSON": json.dumps,
    "JSON with letters": lambda text: json.dumps({"a": text}, ensure_ascii=False),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "percent": lambda text: quote(text, safe=""),
    "percent in small letters": lambda text: re.sub("%..", lambda m: m[0].lower(), quote(text)),
    "percent in a path": quote,
    "percent in a form": quote_plus,
    "HTML": html.escape,
    "HTML text": lambda text: html.escape(text, quote=False),
    "shell": shlex.quote,
    "hexadecimal": lambda text: text.encode().hex(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of an address": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 after one": lambda text: base64.b64encode(b"x" + text.encode() + b"yz").decode(),
    "base64 after two": lambda text: base64.b64encode(b"a:" + text.encode()).decode(),
    "base64 of a login": lambda text: base64.b64encode(b"user:" + text.encode()).decode(),
}


@pytest.mark.parametrize("how", SPELLED)
@settings(max_examples=40)
@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=12, max_size=40))
def test_all_spellings_are_found(how: str, value: str) -> None:
    """
    Whatever a value is made of, what programs write of it is hidden.
    """
    spell = SPELLED[how]
    if len(value.strip()) < 12:
        return

    assert HIDDEN in Secrets({"A": value}).hide(f"<{spell(value)}>")


def test_little_is_not_looked_for() -> None:
    """
    What is in every text cannot be hidden: a value of few characters is left alone.
    """
    assert Secrets({"A": "abc"}).forms == ("616263",) or not Secrets({"A": "abc"}).forms
    assert all(len(form) >= SHORTEST for form in Secrets({"A": "abcd"}).forms)


def test_it_is_quick() -> None:
    """
    Ten secrets and a flood of output: nothing is spelled again for each line.
    """
    secrets = Secrets({f"A{n}": f"secret-value-number-{n:06}" for n in range(10)})
    forms = secrets.forms

    assert secrets.hide("x" * 1000) == "x" * 1000
    assert secrets.forms is forms
