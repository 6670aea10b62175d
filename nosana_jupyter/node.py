"""
A host's own HTTP API, from the poster's side: hand over a definition, ask, follow, fetch, stop.

Each request is authorized by the job's project, with a time and a message that names the job; the
authorization is a secret while it holds, and is never logged. A host is a stranger: what it says is
bounded, read as data, and cleaned before it is shown.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from . import dial
from .errors import NodeError
from .network import Network, proxied
from .units import duration

if TYPE_CHECKING:
    import httpx

    from .chain.authorization import Sign

log = logging.getLogger("nosana_jupyter.node")

SILENCE_ALLOWED = 90.0
"""Seconds without an answer of its own after which a host is given up."""

FIRST, SLOWEST = 0.05, 5.0
"""Pauses between attempts to hand over a definition, in seconds; they grow."""

STUBBORN = 10.0
"""Seconds for which a refusal is not believed: a host may not have seen the job yet."""

FINAL = (413, 422)
"""Answers to a definition that no further attempt changes: too large, or not a definition."""

FOREIGN = (404, 500, 502, 503, 504)
"""Answers of a tunnel in place of a host that it does not find, or of a host that is broken."""

FRESH = 30.0
"""Seconds for which an authorization is sent again."""

SILENCE = 45.0
"""Seconds without a word on a stream that speaks every 15 s or 30 s."""

LARGEST = 32 << 20
"""Most bytes of an answer."""

LONGEST = 4 << 20
"""Most bytes of an event in a stream."""

_MUTE = logging.getLogger("nosana_jupyter.node.line")
"""What the WebSocket library has to say; its frames carry the authorization."""

_MUTE.disabled = True

_BASE58 = re.compile("[1-9A-HJ-NP-Za-km-z]{12,}")
_IDENT = re.compile("[0-9A-Za-z]{20,63}")


class Node:
    """
    One host, for one job.

    Args:
        network: Where.
        address: The node.
        sign: Makes authorization strings of the job's project.
        job: Address of the job.
    """

    def __init__(self, network: Network, address: str, sign: Sign, job: str) -> None:
        self.address = address
        self.job = job
        self._base = network.address(address)
        self._secure = self._base.startswith("https:")
        self._proxied = proxied(self._base)
        self._sign = sign
        self._header = ("", 0.0)
        self.result: dict[str, Any] = {}
        """The result, once it was fetched: it may be had only once."""

        self.since = self.heard = time.monotonic()
        """When it took the job; and when it last said anything itself, not a tunnel for it."""

    async def deliver(
        self,
        definition: dict[str, Any],
        *,
        within: float = math.inf,
        silence: float = SILENCE_ALLOWED,
    ) -> None:
        """
        Hand over the real definition of a confidential job; try until the host takes it.

        Args:
            definition: As JSON-able data.
            within: Seconds to try.
            silence: Seconds without an answer of the host's own after which it is given up.

        Raises:
            NodeError: It does not.
        """
        began = self.heard = time.monotonic()
        pause = FIRST
        async with self._client() as http:
            while True:
                try:
                    await self._ask(http, "POST", "job-definition", definition)
                except NodeError as error:
                    if error.status == 400 and await self._has(http, definition):
                        return  # It took it, and only its answer was lost.
                    log.debug("job %s cannot be delivered yet: %s", self.job, error)
                    now = time.monotonic()
                    stubborn = error.status in (401, 403) and now - began > STUBBORN
                    silent = now - self.heard > silence
                    if silent:
                        raise self._absent(silence, error.status) from None
                    if error.status in FINAL or stubborn or now - began > within:
                        raise
                else:
                    return
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, SLOWEST)

    async def results(self) -> dict[str, Any]:
        """Fetch the result of a confidential job; the host then finishes it, and forgets it."""
        found = await self._json("results")
        if found.get("opStates"):
            self.result = found
        return found

    async def definition(self) -> dict[str, Any]:
        """Return the definition that the host runs."""
        return await self._json("job-definition")

    async def endpoints(self) -> dict[str, Any]:
        """Return the services of the job, and whether they are up."""
        return await self._json("endpoints")

    async def service(self, port: int, *, within: float) -> str | None:
        """
        Ask for the name of a service; one that the definition has as private cannot be derived.

        Args:
            port: As in the definition.
            within: Seconds in which the host may come to know it.

        Returns:
            Its id; nothing if the host does not say.
        """
        deadline = time.monotonic() + within
        pause = FIRST
        while True:
            try:
                urls = (await self.endpoints()).get("urls")
            except NodeError as error:
                log.debug("job %s has no endpoints yet: %s", self.job, error)
                urls = None
            for ident, told in urls.items() if isinstance(urls, dict) else ():
                # The address is made of it here: a host must not send us anywhere.
                if isinstance(told, dict) and told.get("port") == port and _IDENT.fullmatch(ident):
                    return str(ident)
            if time.monotonic() > deadline:
                return None
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, SLOWEST)

    async def operations(self) -> dict[str, Any]:
        """Return the status of each operation."""
        return await self._json("ops")

    async def stop(self) -> None:
        """Ask the host to end the job, as if its time were over."""
        async with self._client() as http:
            await self._ask(http, "POST", "stop", None)

    async def info(self) -> AsyncIterator[dict[str, Any]]:
        """
        Follow the state of the job until it ends.

        Raises:
            NodeError: The host refuses, or the line is lost.
        """
        import httpx

        address = f"{self._base}/job/{self.job}/info"
        headers = await self._headers()
        try:
            async with (
                self._client(read=SILENCE) as http,
                http.stream("GET", address, headers=headers) as answer,
            ):
                if not answer.is_success:
                    raise self._refused(answer.status_code, "")
                async for line in _lines(answer):
                    self.heard = time.monotonic()
                    if line.startswith(b"data:"):
                        yield _record(line[5:])
        except httpx.HTTPError as error:
            raise self._silent(error) from None
        except (ValueError, RecursionError):
            raise self._garbled() from None

    async def logs(self) -> AsyncIterator[dict[str, Any]]:
        """
        Follow what the job says: all of it from its beginning, then as it comes.

        Yields:
            `{opId, group, type, timestamp, message}`; the time is in Unix milliseconds, and with
            the operation it names a line for good.

        Raises:
            NodeError: The host refuses, or the line is lost.
        """
        from websockets.asyncio.client import connect
        from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, WebSocketException

        header = (await self._headers())["Authorization"]
        address = self._base.replace("http", "ws", 1) + "/flog"
        asked = {"path": "/flog", "header": header, "body": {"jobAddress": self.job}}
        try:
            async with connect(
                address,
                max_size=LONGEST, close_timeout=1, logger=_MUTE, **await dial.options(address),
            ) as line:  # fmt: skip
                await line.send(json.dumps(asked))
                async for frame in line:
                    self.heard = time.monotonic()
                    data = _record(frame).get("data")
                    yield _record(data) if isinstance(data, str | bytes) else _checked(data)
        except ConnectionClosedOK:
            return
        except ConnectionClosed as error:
            code = error.rcvd.code if error.rcvd else 0
            reason = error.rcvd.reason if error.rcvd else ""
            if code <= 1000:
                raise self._silent(error) from None
            raise self._refused(code, _clean(reason, header)) from None
        except (OSError, WebSocketException) as error:
            raise self._silent(error) from None
        except (ValueError, RecursionError):
            raise self._garbled() from None

    async def _has(self, http: httpx.AsyncClient, definition: dict[str, Any]) -> bool:
        """
        Say whether the host runs this very definition.

        Raises:
            NodeError: It runs another, which no further attempt changes.
        """
        try:
            held = json.loads(await self._ask(http, "GET", "job-definition", None))
        except (NodeError, ValueError, RecursionError):
            return False
        if held != definition:
            raise NodeError(f"node {self.address} runs another definition of this job")
        return True

    async def _json(self, path: str) -> dict[str, Any]:
        async with self._client() as http:
            answer = await self._ask(http, "GET", path, None)
        try:
            return _record(answer)
        except (ValueError, RecursionError):
            raise self._garbled() from None

    async def _ask(self, http: httpx.AsyncClient, method: str, path: str, body: Any) -> bytes:
        """Send a request; return the body of a good answer."""
        import httpx

        headers = await self._headers()
        address = f"{self._base}/job/{self.job}/{path}"
        content = bytearray()
        try:
            async with http.stream(method, address, headers=headers, json=body) as answer:
                async for piece in answer.aiter_bytes():
                    content += piece
                    if len(content) > LARGEST:
                        raise self._garbled()
        except httpx.HTTPError as error:
            raise self._silent(error) from None
        if answer.status_code not in FOREIGN:
            self.heard = time.monotonic()
        if not answer.is_success:
            # A page is for people with browsers.
            page = bytes(content).lstrip()[:1] == b"<"
            said = "" if page else _clean(_sentence(bytes(content)), headers["Authorization"])
            raise self._refused(answer.status_code, said)
        return bytes(content)

    def _client(self, *, read: float = 30.0) -> httpx.AsyncClient:
        import httpx

        # Reading the certificates takes longer than a request: not each time, or without need.
        verify = dial.certificates() if self._secure else False
        return httpx.AsyncClient(
            timeout=httpx.Timeout(10, read=read), verify=verify, trust_env=self._proxied
        )

    async def _headers(self) -> dict[str, str]:
        """Return a fresh authorization: to sign may be to ask another."""
        header, made = self._header
        if not header or time.monotonic() - made > FRESH:
            header = await self._sign(self.job)
            self._header = (header, time.monotonic())
        return {"Authorization": header}

    def _refused(self, status: int, said: str) -> NodeError:
        text = f"node {self.address} answers {status}" + (f": {said}" if said else "")
        return NodeError(text, status=status)

    def _absent(self, silence: float, status: int) -> NodeError:
        place = f"; a tunnel in its place answers {status}" if status else ""
        return NodeError(
            f"node {self.address} has not answered for {duration(silence)}{place}",
            status=status,
            hint="Run the cell again: another host may take it.",
        )

    def _garbled(self) -> NodeError:
        return NodeError(
            f"node {self.address} answers what nobody can read",
            hint="Run the cell again: another host may take it.",
        )

    def _silent(self, error: Exception) -> NodeError:
        # Errors of libraries repeat what a host said, which may be our authorization: they are
        # named, and not passed on.
        return NodeError(
            f"node {self.address} does not answer ({type(error).__name__})",
            hint="Run the cell again: another host may take it.",
        )


async def _lines(answer: httpx.Response) -> AsyncIterator[bytes]:
    """
    Yield the lines of an answer as they come.

    Raises:
        ValueError: One has no end.
    """
    rest = b""
    async for piece in answer.aiter_bytes():
        *whole, rest = (rest + piece).split(b"\n")
        if len(rest) > LONGEST:
            raise ValueError("a line without an end")
        for line in whole:
            yield line


def _record(text: str | bytes) -> dict[str, Any]:
    """
    Read a JSON object.

    Raises:
        ValueError: It is none.
    """
    return _checked(json.loads(text))


def _checked(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise ValueError(f"a {type(found).__name__} where an object is due")
    return found


def _sentence(content: bytes) -> str:
    """Return what an error answer says, whether as a sentence or as JSON."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return content.decode(errors="replace")
    return str(found.get("error", found) if isinstance(found, dict) else found)


def _clean(said: str, header: str) -> str:
    """Return what a host says as one short line that can be shown, without our authorization."""
    signature = header.split(":")[1]
    said = said.replace(signature, "…")
    # It may have been cut.
    said = _BASE58.sub(lambda match: "…" if match[0] in signature else match[0], said)
    return " ".join("".join(c if c.isprintable() else " " for c in said).split())[:200]
