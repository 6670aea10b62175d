"""
A question to a service in the way of OpenAI's API, and the answer as it comes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import JobError

if TYPE_CHECKING:
    import httpx

LONGEST = 1 << 20
"""Most characters of a line of an answer, and of an error."""

MOST = 64 * LONGEST
"""Most characters of an answer."""


def the_model(url: str, key: str) -> str:
    """
    Return the model that a service has.

    Raises:
        JobError: It does not say.
    """
    import httpx

    try:
        with httpx.Client(trust_env=False, timeout=600) as http:
            answer = http.get(f"{url}/v1/models", headers={"Authorization": f"Bearer {key}"})
            return str(answer.raise_for_status().json()["data"][0]["id"])
    except (httpx.HTTPError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise JobError(
            f"the service at {url} does not say which model it has ({type(error).__name__})",
            hint="Name it: %%ask --model NAME, or model= in Python.",
        ) from None


def answer(url: str, key: str, body: dict[str, Any]) -> Iterator[str]:
    """
    Ask, and yield the answer piece by piece.

    Args:
        url: Of the service.
        key: Of the service.
        body: The question, as `/v1/chat/completions` takes it.

    Raises:
        JobError: It refuses, or breaks off.
    """
    import httpx

    headers = {"Authorization": f"Bearer {key}"}
    asked = {**body, "stream": True}
    try:
        with (
            httpx.Client(trust_env=False, timeout=httpx.Timeout(None, connect=10)) as http,
            http.stream("POST", f"{url}/v1/chat/completions", headers=headers, json=asked) as told,
        ):
            if not told.is_success:
                raise JobError(
                    f"the service answers {told.status_code}: {_error(_beginning(told))}",
                    hint="A conversation that has grown too long is begun anew: %%ask --new"
                    if told.status_code == 400
                    else "",
                )
            for line in _lines(told):
                if line.startswith("data:") and (piece := _piece(line[5:])):
                    yield piece
    except httpx.ConnectError:
        raise JobError(f"nothing answers at {url}", hint="See %nosana services.") from None
    except httpx.HTTPError as error:
        raise JobError(
            f"the answer broke off ({type(error).__name__})", hint="Ask again."
        ) from None


def _lines(told: httpx.Response) -> Iterator[str]:
    """
    Yield the lines of an answer, of which a host could send one that never ends.

    Raises:
        JobError: It does.
    """
    size, rest = 0, ""
    for text in told.iter_text():
        size += len(text)
        *whole, rest = (rest + text).split("\n")
        if size > MOST or len(rest) > LONGEST:
            raise JobError("the answer has no end", hint="Ask again, or stop the service.")
        yield from whole
    yield rest


def _beginning(told: httpx.Response) -> bytes:
    """Return what fits of an error."""
    content = bytearray()
    for piece in told.iter_bytes():
        content += piece
        if len(content) > LONGEST:
            break
    return bytes(content)


def _piece(text: str) -> str:
    """Return what one event adds to the answer."""
    try:
        delta = json.loads(text)["choices"][0]["delta"]
        said = delta.get("content")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""  # As `[DONE]`, or an event that only counts.
    return said if isinstance(said, str) else ""


def _error(content: bytes) -> str:
    """Return what an error says, as one short line."""
    text = content[:LONGEST].decode(errors="replace")
    try:
        found = json.loads(text)
        told = found.get("error", found) if isinstance(found, dict) else found
        text = str(told.get("message", told) if isinstance(told, dict) else told)
    except (ValueError, RecursionError):
        pass
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:300]
