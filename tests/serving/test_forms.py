"""What a service runs is as the official templates have it, and what it needs as they say."""

from __future__ import annotations

import msgspec
import pytest

from nosana_jupyter import settings
from nosana_jupyter.errors import UsageError
from nosana_jupyter.serving import forms, terms
from nosana_jupyter.units import GiB, Seconds
from nosana_jupyter.wire import definition

# GiB that the official templates ask for, by what they serve.
ASKED = [
    ("vllm", "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", 6),
    ("vllm", "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", 17),
    ("vllm", "deepseek-ai/DeepSeek-R1-Distill-Qwen-14B", 32),
    ("vllm", "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", 67),
    ("ollama", "gemma3:4b", 5),
    ("ollama", "gemma3:12b", 10),
    ("ollama", "gemma3:27b", 19),
    ("ollama", "gpt-oss:20b", 16),
    ("ollama", "qwen3.5:9b", 9),
    ("ollama", "qwen3.5:27b", 19),
]


@pytest.mark.parametrize(("kind", "model", "asked"), ASKED)
def test_memory_is_that_of_the_templates(kind: str, model: str, asked: float) -> None:
    """A model's name says within an eighth what the official template of it asks for."""
    found = forms.KINDS[kind](model).vram
    assert found is not None
    assert asked * 7 / 8 <= found <= asked * 9 / 8 + 0.5


@pytest.mark.parametrize("model", ["gemma4:e4b", "mistral", "org/model-large", "phi3:mini"])
def test_a_name_that_says_nothing_is_asked_about(home: object, model: str) -> None:
    """Where the name does not say how large a model is, the user is asked before anything."""
    with pytest.raises(UsageError, match="does not say how large it is") as refused:
        terms.asked(forms.ollama(model), chosen=settings.load())
    assert "--vram 16" in refused.value.hint
    found = terms.asked(forms.ollama(model), chosen=settings.load(), vram=GiB(12))
    assert found.wanted.vram == 12


@pytest.mark.parametrize("kind", ["vllm", "ollama"])
def test_the_definition_is_a_template_s(kind: str) -> None:
    """It reads as strictly as the official validator does; private, checked, and with its key."""
    form = forms.chosen(kind, "org/model-7b")
    made = forms.definition(form, key="secret-key", vram=16.0, secrets={"HF_TOKEN": "hf_x"})
    read = definition.parse(definition.document(made))
    assert read == made
    [operation] = made.ops
    assert isinstance(operation, definition.RunOperation)
    run = operation.args
    assert run.private
    assert run.gpu
    assert run.image.startswith("docker.io/")
    [service] = run.services()
    assert service.health_checks is not None
    assert service.health_checks[0].continuous
    assert made.meta is not None
    assert made.meta["system_requirements"]["vram_total_mb"] == 16384
    assert run.env is not None
    assert run.env.get("VLLM_API_KEY") == ("secret-key" if kind == "vllm" else None)
    assert "secret-key" not in repr(form)
    [resource] = run.resources or []
    assert getattr(resource, "repo", getattr(resource, "model", "")) == "org/model-7b"


@pytest.mark.parametrize(
    ("what", "options", "said"),
    [
        ("vllm", {}, "which model is vllm to serve"),
        ("python:3.12", {}, "where does the image python:3.12 listen"),
        ("python:3.12", {"model": "m"}, "serves no models by name"),
        ("a b", {"port": 80}, "is not the name of an image"),
        ("python:3.12", {"port": 70000}, "is no port"),
    ],
)
def test_what_makes_no_sense_is_refused(what: str, options: dict[str, int], said: str) -> None:
    """What lacks its model or port, or cannot be, is named."""
    with pytest.raises(UsageError, match=said):
        forms.chosen(what, **options)  # type: ignore[arg-type]


def test_names(home: object) -> None:
    """A service is called as what it runs, an image by its whole name, a path by its slash."""
    assert terms.named("Qwen/Qwen2.5-0.5B-Instruct") == "qwen2-5-0-5b-instruct"
    assert terms.named("docker.io/library/python:3.12-slim") == "python-3-12-slim"
    assert terms.named("7b") == "s7b"
    assert forms.image_name("python:3.12") == "docker.io/library/python:3.12"
    assert forms.image_name("vllm/vllm-openai:v1") == "docker.io/vllm/vllm-openai:v1"
    assert forms.image_name("ghcr.io/a/b:1") == "ghcr.io/a/b:1"
    form = forms.chosen("python:3.12", port=8000, health="up")
    assert (form.health, form.port) == ("/up", 8000)
    assert msgspec.json.decode(msgspec.json.encode(form), type=forms.Form) == form
    asked = terms.asked(form, chosen=settings.load(), most=Seconds(60))
    assert asked.step == 60
    with pytest.raises(UsageError, match="17 replicas cannot be"):
        terms.asked(form, chosen=settings.load(), replicas=17)


def test_tiny_is_no_model() -> None:
    """It is a server of its own, which needs no card; an image of the same name wants its port."""
    form = forms.chosen("tiny")
    assert (form.kind, form.model, form.key_in) == ("image", "tiny", "KEY")
    assert terms.asked(form, chosen=settings.load()).name == "tiny"
    assert forms.chosen("tiny", port=80).image == "docker.io/library/tiny"
