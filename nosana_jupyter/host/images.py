"""
Images: found here or pulled, layer by layer, in the words in which real nodes say how far it is.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import docker.auth
import docker.errors
import docker.utils
import httpx

from ..engines import Engine
from ..errors import UsageError
from ..settings.forms import check_image
from ..wire.definition import Login, Run
from . import outside
from .container import UNANSWERED
from .executor import Tell, Unstartable
from .pulled import Pulled

log = logging.getLogger("nosana_jupyter.host")

OFTEN = 0.25
"""Seconds between two messages about the bytes of one layer."""

FAILED = "image-pull-error"

# In the order in which they are looked for, in what engines and registries say.
_REASONS = {
    "no such host": "its registry cannot be found",
    "manifest unknown": "its registry has no such image, or no such tag",
    "not found": "its registry has no such image, or no such tag",
    "no basic auth": "its registry asks for a login",
    "unauthorized": "its registry refuses the login",
    "authentication required": "its registry asks for a login",
    "denied": "there is none of that name, or it is private",
    "toomanyrequests": "its registry has had too many requests from this host",
    "no space left": "the disk of this host is full",
    "connection refused": "its registry does not answer",
    "timeout": "its registry does not answer in time",
    "deadline exceeded": "its registry does not answer in time",
    "no matching manifest": "there is none for this kind of machine",
}
_STATUS = {
    "no basic auth": 401, "unauthorized": 401, "authentication required": 401, "denied": 403,
    "manifest unknown": 404, "not found": 404, "toomanyrequests": 429,
}  # fmt: skip

T = TypeVar("T")


async def ensure(
    engine: Engine, run: Run, tell: Tell, *, pulled: Pulled, anywhere: bool = True
) -> dict[str, Any]:
    """
    Return what the engine knows of an image, pulled first if it is not here for anybody.

    Args:
        engine: Where.
        run: Whose image, and whose login.
        tell: Takes how far it is.
        pulled: What was pulled for anybody.
        anywhere: Whether its registry may be on this machine, or near it, and the image one of its
            user's own.

    Raises:
        Unstartable: It cannot be had.
    """
    try:
        # It becomes part of an address: what is no name leads elsewhere.
        check_image(run.image)
    except UsageError as error:
        raise Unstartable(FAILED, str(error)) from None
    login = run.authentication.docker if run.authentication else None
    if login is None:
        found = await asyncio.to_thread(_here, engine, run.image)
        if found is not None and (anywhere or pulled.has(run.image, found["Id"])):
            return found
        if found is not None:
            log.info("%s is here, but was not pulled for anybody: it is pulled again", run.image)
    if not anywhere:
        await _check_registry(run.image)
    began = time.monotonic()
    await _beside(lambda say, gone: _pull(engine, run.image, login, say, gone), tell)
    found = await asyncio.to_thread(_here, engine, run.image)
    if found is None:
        raise Unstartable(FAILED, f"the image {run.image} was pulled, and is not there")
    if login is None:
        pulled.note(run.image, found["Id"])
    log.info("pulled %s in %.1f s", run.image, time.monotonic() - began)
    return found


async def _check_registry(image: str) -> None:
    """
    See that a registry is of the public network: the engine would ask whatever listens there, and
    what that says would be in the result.
    """
    registry, _ = docker.auth.resolve_repository_name(image)
    host = urlsplit(f"//{registry}").hostname or registry
    try:
        await outside.public_address(host)
    except outside.Inside as error:
        raise Unstartable(FAILED, f"the image {image} cannot be pulled: {error}") from None
    except httpx.ConnectError:
        # The engine may have a way of its own, as through a proxy.
        return


async def _beside(work: Callable[[Tell, threading.Event], None], tell: Tell) -> None:
    """Work in a thread that nobody waits for when this is cancelled."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    gone = threading.Event()

    def say(kind: str, event: dict[str, Any]) -> None:
        if not gone.is_set():
            loop.call_soon_threadsafe(tell, kind, event)

    def finish(error: Exception | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def run() -> None:
        error: Exception | None = None
        try:
            work(say, gone)
        except (Unstartable, *UNANSWERED) as failure:
            error = failure
        if not gone.is_set():
            loop.call_soon_threadsafe(finish, error)

    threading.Thread(target=run, daemon=True, name="pull").start()
    try:
        await done
    finally:
        gone.set()


def _here(engine: Engine, image: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = engine.client.api.inspect_image(image)
    except docker.errors.ImageNotFound:
        return None
    except UNANSWERED as error:
        raise Unstartable(FAILED, f"the engine does not answer: {type(error).__name__}") from None
    return found


def _pull(
    engine: Engine, image: str, login: Login | None, say: Tell, gone: threading.Event
) -> None:
    repository, tag = docker.utils.parse_repository_tag(image)
    name = {"id": image, "progressDetail": {}}
    say("multi-process-bar-start", {**name, "status": f"Pulling {image}"})
    try:
        events = engine.client.api.pull(
            repository, tag=tag or "latest", stream=True, decode=True, auth_config=_login(login)
        )
        seen: dict[str, tuple[str, float]] = {}
        for event in events:
            if gone.is_set():
                return
            if "error" in event:
                detail = event.get("errorDetail") or {}
                raise _failed(image, str(event["error"]), int(detail.get("code") or 0))
            _report(event, seen, say)
    except docker.errors.APIError as error:
        text, status = str(error.explanation or error), error.status_code or 0
        raise _failed(image, text, 0 if status == 500 else status) from None
    except UNANSWERED:
        raise _failed(image, "the engine went away meanwhile", 0) from None
    say("multi-process-bar-stop", {**name, "status": f"Pulled {image}"})


def _login(login: Login | None) -> dict[str, str] | None:
    if login is None:
        # Not what the user of this machine has logged in to.
        return {}
    return {"username": login.username or "", "password": login.password or ""}


def _report(event: Mapping[str, Any], seen: dict[str, tuple[str, float]], say: Tell) -> None:
    """Pass an event on, of the bytes of one layer not every one."""
    layer, status = str(event.get("id") or ""), str(event.get("status") or "")
    if not layer:
        return
    before, at = seen.get(layer, ("", 0.0))
    if status == before and time.monotonic() - at < OFTEN:
        return
    seen[layer] = status, time.monotonic()
    told = {"id": layer, "status": status, "progressDetail": event.get("progressDetail") or {}}
    say("multi-process-bar-update", told)


def _failed(image: str, said: str, status: int) -> Unstartable:
    lower = said.lower()
    key = next((key for key in _REASONS if key in lower), "")
    # What a registry says may be long; it holds no login.
    why = _REASONS.get(key) or said.strip().splitlines()[0][:200]
    text = f"the image {image} cannot be pulled: {why}"
    return Unstartable(FAILED, text, status=status or _STATUS.get(key, 0))
