"""What is left of the state of a stranger's widget."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import ipywidgets
import pytest
import traitlets
from hypothesis import given
from hypothesis import strategies as st
from ipywidgets.widgets import widget

from nosana_jupyter.notebook.widgets import models, outputs, states
from nosana_jupyter.notebook.widgets.models import MODELS, Model

LIVE = re.compile(
    r"<script|<iframe|\son\w+\s*=\s*[\"'a-z]|=[\"']?javascript:|<style|<link|<object", re.I
)

EVIL = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<a href='javascript:x()'>a</a>",
    "url(http://evil/x.png)", "expression(alert(1))", "</style><script>1</script>",
    "\\href{javascript:x}{y}", "<svg/onload=alert(1)>", "\x1b]8;;http://evil\x07x",
]  # fmt: skip


ABSTRACT = {"Widget", "DOMWidget", "CoreWidget", "ValueWidget", "Style", "Media"}


class Known:
    """The widgets of a host: `a` is a text, `b` shows HTML."""

    def local(self, remote: str) -> str | None:
        return f"here-{remote}" if remote in ("a", "b") else None

    def model(self, remote: str) -> Model | None:
        name = {"a": "TextModel", "b": "HTMLModel"}.get(remote)
        return MODELS[models.CONTROLS, name] if name else None

    def outputs(self, given: list[Any]) -> list[dict[str, Any]]:
        return outputs.clean(given, lambda _: None)


NAMES = Known()

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(EVIL)
    | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip


def cleaned(model: str, state: dict[str, Any], module: str = models.CONTROLS) -> dict[str, Any]:
    return states.clean(MODELS[module, model], state, NAMES)


@given(data=st.data(), model=st.sampled_from(sorted(MODELS.values(), key=lambda each: each.name)))
def test_any_state_becomes_harmless(data: st.DataObject, model: Model) -> None:
    """Whatever a host sends: only known fields are left, and what a page may take for JSON."""
    names = st.sampled_from([*model.fields, "_esm", "msg_id"])
    state = data.draw(st.dictionaries(names, values))

    made = states.clean(model, state, NAMES)

    assert made.keys() <= model.fields.keys()
    shown = {name: each for name, each in made.items() if not isinstance(each, bytes)}
    json.dumps(shown, allow_nan=False)
    for name, kind in model.fields.items():
        if kind in ("html", "css", "outputs") and name in made:
            assert not LIVE.search(json.dumps(made[name]).replace('\\"', '"')), made
        if kind == "css" and made.get(name):
            assert "url" not in made[name].partition("(")[0] or "(" not in made[name]


@pytest.mark.parametrize("text", EVIL)
@pytest.mark.parametrize("model", sorted(MODELS.values(), key=lambda each: each.name))
def test_script_in_each_field(model: Model, text: str) -> None:
    """Script, addresses and escapes in any field are gone, or are text where a field is text."""
    for given_ in (text, [text], {"a": text}):
        made = states.clean(model, dict.fromkeys(model.fields, given_), NAMES)
        for name, value in made.items():
            written = json.dumps(value)
            assert model.fields[name] == "html" or "\\u001b" not in written
            if model.fields[name] == "html":
                assert not LIVE.search(value)
            elif model.fields[name] not in ("text", "texts", "math", "items"):
                assert "script" not in written.lower()
                assert "evil" not in written
            if model.fields[name] == "math":
                assert "\\\\href" not in written


def test_what_ipywidgets_say_stays() -> None:
    """Every widget of ipywidgets itself is known, and its first state stays as it was."""
    for kind in vars(ipywidgets).values():
        if not isinstance(kind, type) or not issubclass(kind, ipywidgets.Widget):
            continue
        try:
            made = kind()
        except (TypeError, traitlets.TraitError):
            continue
        state = json.loads(json.dumps(widget._remove_buffers(made.get_state())[0]))
        model = models.find(state)
        if model is None:
            # What others are made of.
            assert kind.__name__ in ABSTRACT, kind
            continue
        left = {
            name for name, each in state.items()
            if name in model.fields and each is not None
            and name not in states.clean(model, state, NAMES)
            and model.fields[name] not in ("ref", "refs", "end")
        }  # fmt: skip
        assert not left, (kind, {name: state[name] for name in left})


def test_links_do_not_launder() -> None:
    """A page copies between linked fields: what is typed must not become HTML."""
    link = {"source": ["IPY_MODEL_a", "value"], "target": ["IPY_MODEL_b", "value"]}
    made = cleaned("LinkModel", link)

    assert made == {"source": ["IPY_MODEL_here-a", "value"]}


def test_references_are_renamed() -> None:
    """Widgets that are not known are left out of a box."""
    made = cleaned("VBoxModel", {"children": ["IPY_MODEL_a", "IPY_MODEL_x", 3], "layout": "b"})

    assert made == {"children": ["IPY_MODEL_here-a"]}


def test_numbers_are_bounded() -> None:
    """No number is larger than a page can hold, and none is missing."""
    made = cleaned("FloatSliderModel", {"value": math.inf, "max": 1 << 70, "min": -1e308})

    assert made == {"value": None, "max": 1 << 53, "min": -1e300}


def test_pictures_have_a_format() -> None:
    """A page fetches a picture whose format is an address."""
    made = cleaned("ImageModel", {"format": "url", "value": b"http://evil"})

    assert made == {"format": "none", "value": b"http://evil"}


def test_strangers_are_not_found() -> None:
    """A known name with the view of another is refused."""
    state = {"_model_module": models.CONTROLS, "_model_name": "LabelModel",
             "_view_module": models.CONTROLS, "_view_name": "HTMLView"}  # fmt: skip

    assert models.find(state) is None
    assert models.find({**state, "_view_name": "LabelView"}) is not None
    assert models.find({**state, "_model_name": ["LabelModel"]}) is None
