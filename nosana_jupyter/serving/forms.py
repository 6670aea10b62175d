"""
What a service runs: vLLM, Ollama or any image with a port, as the official templates have them.

Its name on the tunnel is private, so that it cannot be derived from the chain; where the server can
ask for a key, it has one of its own job. Both are known here alone: see `gateway`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

from ..errors import UsageError
from ..market.caches import RESOURCE, Want
from ..settings.forms import check_image
from ..units import GiB
from ..wire.definition import (
    Definition,
    Expose,
    HealthCheck,
    HuggingFace,
    Ollama,
    Run,
    RunOperation,
)
from . import tiny

VLLM = "docker.io/vllm/vllm-openai:v0.10.2"
OLLAMA = "docker.io/ollama/ollama:0.31.2"

CUDA = ["12.8", "12.9"]
"""Versions of drivers that the image of vLLM is made for."""

MORE = 3.0
"""GiB beside the weights, of which a conversation or two are the most."""

MODELS = "/models"
"""Where vLLM finds its model, which the host has fetched."""

# Gemma's "effective" sizes and mixtures of experts say little of what has to be in memory.
_SIZE = re.compile(r"(?<![\w.])(?:(\d+)x)?(\d+(?:\.\d+)?)b(?![a-z0-9])", re.IGNORECASE)

_FOUR = re.compile(r"awq|gptq|int4|4bit|bnb|nf4|w4a16|fp4", re.IGNORECASE)
_EIGHT = re.compile(r"fp8|int8|8bit|w8a8|w8a16", re.IGNORECASE)


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """What a service runs."""

    kind: str
    """`vllm`, `ollama` or `image`."""

    image: str
    port: int
    health: str
    """Path that answers 200 once the service is up."""

    model: str = ""
    """What requests call the model. Empty: what the service says at `/v1/models`."""

    cmd: str | list[str] | None = None
    env: dict[str, str] = {}
    key_in: str = ""
    """Variable that tells the server which key to require; empty if it cannot."""

    vram: float | None = None
    """What it needs, in GiB, as far as its files or its name say."""

    @property
    def starting(self) -> str:
        """What it does before it is up, in words."""
        return "starting the server" if self.kind == "image" else "loading the model"

    @property
    def title(self) -> str:
        """What runs, in words."""
        if self.kind == "image":
            return self.image
        return f"{self.model} with {'vLLM' if self.kind == 'vllm' else 'Ollama'}"


TINY = Form(
    kind="image", image="docker.io/library/python:3.12-slim", port=8000, health="/health",
    model="tiny", cmd=["python3", "-c", tiny.SOURCE], key_in="KEY",
)  # fmt: skip
"""What is in place of a model, to try the way there and back."""


def vllm(model: str) -> Form:
    """Return what serves a model of the Hugging Face hub with vLLM."""
    weight = 0.6 if _FOUR.search(model) else 1.05 if _EIGHT.search(model) else 2.0
    return Form(
        kind="vllm", image=VLLM, port=8000, health="/health", model=model,
        cmd=["--model", MODELS, "--served-model-name", model, "--port", "8000"],
        key_in="VLLM_API_KEY", vram=_needs(model, weight, MORE),
    )  # fmt: skip


def ollama(model: str) -> Form:
    """Return what serves a model of Ollama's library."""
    return Form(
        kind="ollama", image=OLLAMA, port=11434, health="/api/tags", model=model,
        # It would forget the model after five minutes without a request.
        env={"OLLAMA_KEEP_ALIVE": "-1"}, vram=_needs(model, 0.65, 2.3),
    )  # fmt: skip


def chosen(
    what: str,
    model: str = "",
    *,
    port: int | None = None,
    health: str = "",
    cmd: str | Sequence[str] = "",
    env: dict[str, str] | None = None,
    key_in: str = "",
    image: str = "",
) -> Form:
    """
    Return what is to be served, as a user writes it.

    Args:
        what: `vllm`, `ollama`, `tiny` or an image.
        model: For the first two.
        port: That it listens on.
        health: Path that answers 200 once it is up.
        cmd: Command, in place of the usual.
        env: Environment, beside the usual.
        key_in: Variable that tells the server which key to require.
        image: In place of the usual.

    Raises:
        UsageError: Something is missing, or makes no sense.
    """
    if what in KINDS:
        if not model:
            raise UsageError(
                f"which model is {what} to serve?", hint=f"Write it, as in {what} {EXAMPLES[what]}"
            )
        form = KINDS[what](model)
    elif what == TINY.model and not (model or port):
        form = TINY
    else:
        if model:
            raise UsageError(
                f"{what!r} serves no models by name",
                hint=f"Write vllm or ollama before {model}, or an image alone.",
            )
        if port is None:
            raise UsageError(
                f"where does the image {what} listen?", hint="Say its port, as in --port 8000"
            )
        form = Form(kind="image", image=image_name(what), port=port, health="/health")
    if port is not None and not 0 < port < 65536:
        raise UsageError(f"{port} is no port", hint="Write a number up to 65535.")
    path = health or form.health
    return msgspec.structs.replace(
        form,
        image=image_name(image) if image else form.image,
        port=port or form.port,
        health=path if path.startswith("/") else f"/{path}",
        cmd=(cmd if isinstance(cmd, str) else list(cmd)) or form.cmd,
        env={**form.env, **(env or {})},
        key_in=key_in or form.key_in,
    )


def image_name(name: str) -> str:
    """
    Return the whole name of an image: hosts with podman know no short ones.

    Raises:
        UsageError: It can be none.
    """
    check_image(name)
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return name
    return f"docker.io/{name}" if slash else f"docker.io/library/{name}"


def _needs(model: str, weight: float, more: float) -> float | None:
    """Return about how many GiB a model takes, by the billions in its name; nothing without."""
    found = _SIZE.search(model)
    if found is None:
        return None
    billions = float(found[2]) * int(found[1] or 1)
    return round(billions * weight + more, 1)


def beside(size: int) -> float:
    """Return about how many GiB a model with so many bytes of weights takes with vLLM."""
    return round(size / (1 << 30) * 1.02 + MORE, 1)


KINDS: dict[str, Callable[[str], Form]] = {"vllm": vllm, "ollama": ollama}
EXAMPLES = {"vllm": "Qwen/Qwen2.5-0.5B-Instruct", "ollama": "llama3.2:3b"}


def wanted(form: Form, *, vram: GiB | None, chosen: bool) -> GiB | None:
    """
    Return the GPU memory that is asked for.

    Args:
        form: What runs.
        vram: What the user says.
        chosen: Whether the user has said which card or market.

    Raises:
        UsageError: Nobody says, of a model whose name does not.
    """
    if vram is not None or chosen or form.kind == "image":
        return vram
    if form.vram is None:
        raise UsageError(
            f"neither the files of {form.model} nor its name say how large it is. Nothing was spent"
            if form.kind == "vllm"
            else f"the name of {form.model} does not say how large it is. Nothing was spent",
            hint="Say how much GPU memory it takes: --vram 16",
        )
    return GiB(form.vram)


def resources(form: Form) -> tuple[Want, ...]:
    """Return what its host fetches for it, and keeps."""
    return ((RESOURCE, form.model),) if form.kind in KINDS else ()


def definition(
    form: Form, *, key: str, vram: float | None, secrets: dict[str, str], private: bool = True
) -> Definition:
    """
    Return the definition of the job.

    Args:
        form: What runs.
        key: What the server is to require, where it can.
        vram: GPU memory asked for, in GiB.
        secrets: Variables of its environment that nothing shows.
        private: Whether its name on the tunnel is told to us alone.
    """
    environment = {**form.env, **secrets, **({form.key_in: key} if form.key_in else {})}
    check = HealthCheck(
        type="http", path=form.health, method="GET", expected_status=200, continuous=True
    )
    needs: dict[str, object] = {"vram_total_mb": int(vram * 1024)} if vram else {}
    resources: list[HuggingFace | Ollama] = []
    if form.kind == "vllm":
        needs["required_cuda"] = CUDA
        token = secrets.get("HF_TOKEN")
        resources = [HuggingFace(repo=form.model, target=MODELS, token=token)]
    elif form.kind == "ollama":
        resources = [Ollama(model=form.model)]
    return Definition(
        version="0.1",
        type="container",
        meta={"trigger": "api", **({"system_requirements": needs} if needs else {})},
        ops=[
            RunOperation(
                id="server",
                args=Run(
                    image=form.image,
                    cmd=form.cmd,
                    env=environment or None,
                    gpu=True,
                    private=private,
                    resources=[*resources] or None,
                    expose=[Expose(port=form.port, type="api", health_checks=[check])],
                ),
            )
        ],
    )
