"""
JSON-RPC over HTTP: one question, one answer, and what can go wrong in between.

What matters most is whether an answer came at all. `Declined` is the node's own word, and nothing
has happened. `Unanswered` leaves open what the node did with the question, unless it says `unsent`.

Addresses of an RPC may hold an API key, and nodes like to repeat it: everything that is said of one
here goes through `network.shown` and `network.hidden`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import RemoteProtocolError, RpcError
from ..network import hidden, proxied, shown, unreached

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

RETRIES = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Pauses before a question is asked again, in seconds."""

PATIENCE = 60.0
"""Seconds after which no further attempt is made, and longest pause a node may ask for."""

LARGEST = 64 << 20
"""Most bytes of an answer."""

PASSING = frozenset({-32004, -32005, -32007, -32014, -32016})
"""Codes of nodes that are behind: a moment later, or at another node, the answer is another."""

HINT = "Try again in a moment, or set another RPC: %nosana config rpc --ask"


class Unanswered(RpcError):
    """
    No answer came, or none that can be read.

    Args:
        message: What happened.
        unsent: Whether the question certainly never reached the node.
        final: Whether asking again is of no use.
        pause: Seconds that the node asks to be left alone.
    """

    def __init__(
        self, message: str, *, unsent: bool = False, final: bool = False, pause: float = 0.0
    ) -> None:
        super().__init__(message, hint=HINT)
        self.unsent = unsent
        self.final = final
        self.pause = pause


class Declined(RpcError):
    """The node answered with an error."""

    def __init__(self, message: str, *, code: int, text: str, data: Any) -> None:
        super().__init__(message, hint=HINT if code in PASSING else "")
        self.code = code
        self.text = text
        """What the node said, without anything secret."""

        self.data = data
        """What came with it, as it came: of a refused transaction, its error and its log."""


class _Shorten(logging.Filter):
    """
    Takes the path of one address out of the log of `httpx`, which names every URL in full.

    Args:
        address: The URL.
    """

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, with the address as it may be shown."""
        if isinstance(record.args, tuple):
            record.args = tuple(
                shown(self._address) if str(each) == self._address else each for each in record.args
            )
        return True


class Transport:
    """
    The line to one RPC.

    Args:
        address: Its URL.
        timeout: Seconds for one question.
        pauses: Seconds before a question is asked again.
    """

    def __init__(
        self, address: str, *, timeout: float = 20.0, pauses: Sequence[float] | None = None
    ) -> None:
        self.place = shown(address)
        """The URL as it may be shown."""

        self._address = address
        self._timeout = timeout
        self._pauses = RETRIES if pauses is None else pauses
        self._numbers = itertools.count(1)
        self._http: httpx.AsyncClient | None = None
        self._shorten = _Shorten(address)

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()
            self._http = None
            logging.getLogger("httpx").removeFilter(self._shorten)

    async def ask(self, method: str, *params: Any) -> Any:
        """
        Ask once, and return the result.

        Raises:
            Declined: The node says no.
            Unanswered: It says nothing, or nothing that can be read.
        """
        ident = next(self._numbers)
        asked = {"jsonrpc": "2.0", "id": ident, "method": method, "params": params}
        answer = self._read(method, await self._post(method, json.dumps(asked).encode()))
        if "error" in answer and answer.get("id") in (ident, None):
            raise self._declined(method, answer["error"])
        if answer.get("id") != ident or "result" not in answer:
            raise self._unread(method, "its answer is to another question")
        return answer["result"]

    async def read(self, method: str, *params: Any, take: Callable[[Any], T]) -> T:
        """
        Ask for something that may be asked again, as long as a moment may help.

        Args:
            method: What is asked.
            params: With which parameters.
            take: Turns the result into what is wanted; may raise as one does who reads a dict.

        Raises:
            Declined: The node says no.
            Unanswered: It says nothing, or nothing that can be read.
        """
        began = time.monotonic()
        for pause in (*self._pauses, None):
            try:
                result = await self.ask(method, *params)
                if _behind(params, result):
                    raise self._unread(method, "it is behind what was seen to happen")
                try:
                    return take(result)
                except (ValueError, TypeError, LookupError, AttributeError, RemoteProtocolError):
                    raise self._unread(method, "its answer has another form") from None
            except (Declined, Unanswered) as error:
                wait = self.pause_after(error, pause)
                if wait is None or time.monotonic() - began + wait > PATIENCE:
                    raise
            await asyncio.sleep(wait)
        raise AssertionError("the loop returns or raises")

    @staticmethod
    def pause_after(error: Declined | Unanswered, pause: float | None) -> float | None:
        """Return the seconds to wait before asking again, or nothing where that is of no use."""
        if isinstance(error, Declined):
            return pause if error.code in PASSING else None
        if pause is None or error.final:
            return None
        return max(pause, error.pause)

    async def _post(self, method: str, body: bytes) -> bytes:
        import httpx

        if self._http is None:
            logging.getLogger("httpx").addFilter(self._shorten)
            # Reading the certificates takes longer than a request; plain HTTP has no use for them.
            self._http = httpx.AsyncClient(
                verify=self._address.startswith("https:"), trust_env=proxied(self._address)
            )
        content = bytearray()
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._http.stream(
                    "POST", self._address, content=body,
                    headers={"Content-Type": "application/json"}, timeout=self._timeout,
                ) as answer,
            ):  # fmt: skip
                async for piece in answer.aiter_bytes():
                    content += piece
                    if len(content) > LARGEST:
                        raise self._unread(method, f"its answer is over {LARGEST >> 20} MiB")
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
            raise self._silent(method, unreached(error), unsent=True) from None
        except TimeoutError:
            raise self._silent(method, f"nothing within {self._timeout:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._silent(method, unreached(error)) from None
        if answer.status_code != 200:
            raise self._turned_away(method, answer, bytes(content))
        return bytes(content)

    def _read(self, method: str, content: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            raise self._unread(method, "its answer is cut off or is not JSON") from None
        if not isinstance(answer, dict):
            raise self._unread(method, "its answer is not JSON-RPC")
        return answer

    def _declined(self, method: str, error: Any) -> RpcError:
        if not isinstance(error, dict):
            return self._unread(method, "its answer is not JSON-RPC")
        code = error.get("code")
        text = hidden(str(error.get("message", "no reason given")), self._address)
        return Declined(
            f"the RPC at {self.place} refuses {method}: {text}",
            code=code if isinstance(code, int) else 0, text=text, data=error.get("data"),
        )  # fmt: skip

    def _turned_away(self, method: str, answer: httpx.Response, content: bytes) -> RpcError:
        """Return the error that an HTTP status stands for."""
        status = answer.status_code
        passing = status in (408, 425, 429) or status >= 500
        pause = _retry_after(answer.headers.get("retry-after", ""))
        said = f"HTTP {status}"
        if status == 429:
            said += ", too many requests"
        if pause > PATIENCE:
            said += f", and asks to be left alone for {pause:.0f} s"
        if not passing and (reason := hidden(_reason(content), self._address)):
            said += f": {reason}"
        # What is behind a proxy may have got the question although the proxy answers 5xx.
        return Unanswered(
            f"the RPC at {self.place} does not answer {method}: {said}",
            unsent=status < 500, final=not passing or pause > PATIENCE, pause=pause,
        )  # fmt: skip

    def _silent(self, method: str, why: str, *, unsent: bool = False) -> Unanswered:
        return Unanswered(f"the RPC at {self.place} does not answer {method}: {why}", unsent=unsent)

    def _unread(self, method: str, why: str) -> Unanswered:
        return Unanswered(f"the RPC at {self.place} does not answer {method} properly: {why}")


def _behind(params: Sequence[Any], result: Any) -> bool:
    """Say whether a node has answered from before the slot that it was to know at least."""
    try:
        least, slot = params[-1]["minContextSlot"], result["context"]["slot"]
    except (LookupError, TypeError):
        return False
    return isinstance(slot, int) and slot < least


def number(value: Any) -> int:
    """Return a number of an answer, for `take`."""
    if not isinstance(value, int):
        raise TypeError("a number is due")
    return value


def _retry_after(text: str) -> float:
    """Return the seconds that a `Retry-After` header asks for, in either of its forms."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _reason(content: bytes) -> str:
    """Return what a refusal says, if it says it as JSON."""
    try:
        found = json.loads(content)
        error = found["error"]
        return str(error["message"] if isinstance(error, dict) else error)[:200]
    except (ValueError, RecursionError, LookupError, TypeError):
        return ""
