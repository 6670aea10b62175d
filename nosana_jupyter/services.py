"""
Models as services from Python: `serve()`, what it returns, and ready clients of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import settings
from .api import show
from .errors import NosanaError, UsageError
from .events import Event
from .money.consent import unasked
from .portal import Presses, shared
from .portal.following import harmless
from .serving import terms
from .serving.asking import the_model
from .serving.forms import Form, chosen
from .travel import secret_store
from .units import parse_gib, parse_seconds

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI
    from openai import AsyncOpenAI, OpenAI

    from .money.receipt import Receipt
    from .serving.service import Service as Kept


def serve(
    what: str,
    model: str = "",
    *,
    name: str = "",
    port: int | None = None,
    health: str = "",
    cmd: str | Sequence[str] = "",
    env: Mapping[str, str] | None = None,
    secrets: Sequence[str] = (),
    key_in: str = "",
    image: str = "",
    vram: float | str | None = None,
    gpu: str | None = None,
    market: str | None = None,
    prefer: str | None = None,
    replicas: int = 1,
    longest: float | str | None = None,
    idle: float | str | None = None,
    timeout: float | str | None = None,
    max_cost: str | None = None,
    strategy: str = "",
    schedule: str = "",
    through: str = "",
    yes: bool = False,
    on_event: Callable[[Event], None] | None = None,
) -> Service:
    """
    Serve a model on rented hosts, as `%nosana serve` does; return when the first answers.

    Args:
        what: `vllm` or `ollama`, which then serve a model; or an image; or `tiny`, a server that
            counts words, to try the way there and back.
        model: Of the Hugging Face hub, or of Ollama's library.
        name: What the service is called; by default as the model or image.
        port: That the image listens on.
        health: Path that answers 200 once it is up; by default `/health`.
        cmd: Command of the image, in place of its own.
        env: Environment of the server.
        secrets: Names of variables whose values nothing shows, such as `HF_TOKEN`.
        key_in: Variable that tells the server which key to require, such as `API_KEY`.
        image: Image of vLLM or Ollama, in place of the usual.
        vram: GPU memory to ask for, in GiB, or as text: `16GB`.
        gpu: Card to ask for, as in `4090`.
        market: Slug or address of a market; no other is looked at.
        prefer: What decides among markets that fit: `reliability,price`, or `cached`.
        replicas: Hosts that answer, over which requests are spread.
        longest: Longest run in all, in seconds, or as text: `2h`.
        idle: Time without a request after which it ends: `10m`.
        timeout: What is paid for at a time, within `longest`: `15m`.
        max_cost: Cap on all of it: `0.5`, `0.5 NOS` or `$0.10`.
        strategy: `extend`, the usual; `simple`: all is paid at once, and no lost host is replaced;
            `infinite`: until it is stopped; `scheduled`: see `schedule`.
        schedule: Times at which it is served, as cron has them: `0 9 * * 1-5`.
        through: `deployments`: Nosana's Deployment API keeps it, from a vault that is filled step
            by step; by default it is kept by this process, with jobs of its own.
        yes: Spend real money without asking.
        on_event: Called with each event as it comes.

    Raises:
        NosanaError: No host could be had; `money` says where the money is.
        KeyboardInterrupt: Ctrl-C. Its jobs are settled.
    """

    def seconds(given: float | str | None) -> Any:
        return None if given is None else parse_seconds(str(given))

    settings.tell_unheeded()
    form: Form = chosen(
        what, model, port=port, health=health, cmd=cmd, env=dict(env or {}), key_in=key_in,
        image=image,
    )  # fmt: skip
    asked = terms.asked(
        form, chosen=settings.load(), name=name,
        vram=parse_gib(str(vram)) if vram is not None else None, gpu=gpu, market=market,
        prefer=prefer,
        replicas=replicas, step=seconds(timeout), most=seconds(longest), idle=seconds(idle),
        max_cost=max_cost, strategy=strategy, schedule=schedule, through=through,
        secrets=secret_store.find(tuple(secrets)),
    )  # fmt: skip
    opening = shared().serve(asked, confirm=unasked if yes else None)
    return Service(_followed(opening, on_event or show))


class Service:
    """A model that answers at an address of this machine. Leaving its block ends it."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self.name = kept.name
        self.url = kept.url
        """Where its requests go. It does not change when it moves to another host."""

    def __repr__(self) -> str:
        view = self._kept.view()
        return f"<service {self.name}: {view.state}, {self.url}, {view.spent} so far>"

    @property
    def state(self) -> str:
        """How it stands, in words."""
        return self._kept.view().state

    @property
    def receipts(self) -> list[Receipt]:
        """Of its jobs that have ended."""
        return list(self._kept.receipts)

    def stop(self) -> list[Receipt]:
        """End it, settle its jobs, and return their receipts."""
        if shared().serves(self._kept):
            _followed(shared().end_service(self.name), lambda _: None)
        return self.receipts

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        self.stop()


def openai(service: Service | str = "", *, asynchronous: bool = False, **options: Any) -> Any:
    """
    Return a client of the package `openai` that asks a service.

    Args:
        service: The service, or its name, also of another kernel; by default the only one.
        asynchronous: Whether it is an `AsyncOpenAI`.
        **options: Others of the client.

    Raises:
        UsageError: There is no such service, or the package is not installed.
    """
    try:
        import openai as package
    except ImportError:
        raise _absent("openai", "openai") from None
    url, key, _ = _of(service)
    made: type[OpenAI] | type[AsyncOpenAI]
    http: Any
    if asynchronous:
        made, http = package.AsyncOpenAI, package.DefaultAsyncHttpxClient
    else:
        made, http = package.OpenAI, package.DefaultHttpxClient
    # No proxy leads to an address of this machine.
    return made(
        **{"base_url": f"{url}/v1", "api_key": key, "http_client": http(trust_env=False), **options}
    )


def langchain(service: Service | str = "", **options: Any) -> ChatOpenAI:
    """
    Return a chat model of LangChain that asks a service.

    Args:
        service: The service, or its name, also of another kernel; by default the only one.
        **options: Others of the chat model, such as `temperature`.

    Raises:
        UsageError: There is no such service, or the package is not installed.
    """
    try:
        from langchain_openai import ChatOpenAI
    except ImportError:
        raise _absent("langchain_openai", "langchain") from None
    import httpx

    url, key, model = _of(service)
    return ChatOpenAI(
        **{
            "base_url": f"{url}/v1", "api_key": key, "model": model or the_model(url, key),
            "http_client": httpx.Client(trust_env=False),
            "http_async_client": httpx.AsyncClient(trust_env=False), **options,
        }
    )  # fmt: skip


def _of(service: Service | str) -> tuple[str, str, str]:
    return shared().service(service if isinstance(service, str) else service.name)


def _absent(package: str, extra: str) -> UsageError:
    return UsageError(
        f"the package {package} is not installed here",
        hint=f"%pip install 'nosana-jupyter[{extra}]'",
    )


def _followed(opening: Any, tell: Callable[[Event], None]) -> Kept:
    """Follow what is done to a service to its end."""
    try:
        with Presses() as presses:
            for event in opening.ticks():
                if event is not None:
                    tell(event)
                presses.act(opening)
        kept: Kept = opening.outcome
    except CancelledError:
        raise KeyboardInterrupt from None
    except NosanaError as error:
        raise harmless(error) from None
    return kept
