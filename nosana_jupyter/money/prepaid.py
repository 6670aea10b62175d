"""
A Nosana account with credits, as its HTTP API shows it. An API key opens it.

What matters most of a request that failed is whether it may have been done all the same. `refused`
says that it was not, on the service's own word or because it never left this machine.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ..errors import CreditsError, FundsError, NosanaError
from ..network import Network, hidden, proxied, shown
from ..units import MicroUsd, dollars

if TYPE_CHECKING:
    import httpx

log = logging.getLogger("nosana_jupyter.money.prepaid")

T = TypeVar("T")

TIMEOUT = 60.0
"""Seconds for one request: the service answers once its transaction is confirmed."""

RETRIES = (0.5, 1.0, 2.0, 4.0)
"""Pauses before a request is sent again that was certainly not done, or may be done twice."""

PATIENCE = 30.0
"""Longest pause that the service may ask for, in seconds."""

MOST = 10**9
"""Dollars that no account has."""

LARGEST = 8 << 20
"""Most bytes of an answer."""

PLACE = "https://deploy.nosana.com"
"""Where people make API keys and buy credits."""

_OPEN = frozenset({408, 425, 499})
"""Answers of the 400s after which something may have been done."""

_PASSING = frozenset({429, 502, 503, 504})
"""Answers that are another a moment later."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Balance:
    """What an account has."""

    assigned: MicroUsd
    reserved: MicroUsd
    """Set aside for jobs that are open."""

    settled: MicroUsd
    """Used by jobs that are over."""

    @property
    def available(self) -> MicroUsd:
        return MicroUsd(self.assigned - self.reserved - self.settled)


def _countable(*amounts: Decimal) -> None:
    """Raise ValueError, which is one of decoding here, where dollars are no number of them."""
    if not all(each.is_finite() and abs(each) < MOST for each in amounts):
        raise ValueError("no number of dollars")


class Reserved(msgspec.Struct, frozen=True, kw_only=True):
    """What the service set aside for a job."""

    cost: Decimal = msgspec.field(name="costUSD", default=Decimal(0))
    project: str = ""
    """Address of the service's key that posts for this account."""

    def __post_init__(self) -> None:
        _countable(self.cost)

    @property
    def amount(self) -> MicroUsd:
        return dollars(self.cost)


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """A job that the service posted."""

    tx: str
    job: str
    run: str = ""
    credits: Reserved = Reserved()


class Extended(msgspec.Struct, frozen=True, kw_only=True):
    """A job that has more time, or had ended: then there is no transaction."""

    tx: str | None
    job: str
    credits: Reserved | None = None


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """A job that was stopped."""

    job: str
    tx: str | None = None
    delisted: bool = False


class _Balance(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    assigned_credits: Decimal
    reserved_credits: Decimal = Decimal(0)
    settled_credits: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        _countable(self.assigned_credits, self.reserved_credits, self.settled_credits)


class _Signature(msgspec.Struct, frozen=True, kw_only=True):
    signature: str


class Account:
    """
    An account.

    Args:
        network: Where.
        key: The API key; it goes to the network's own services and nowhere else.
        pauses: Seconds before a request is sent again.
    """

    # Without a dictionary of attributes, which debuggers and `vars` would show.
    __slots__ = ("_http", "_key", "_manager", "_network", "_pauses", "_signed")

    def __init__(self, network: Network, key: str, *, pauses: Sequence[float] = RETRIES) -> None:
        self._network = network
        self._manager = network.manager or network.api
        self._key = key
        self._pauses = pauses
        self._signed: dict[str, str] = {}
        self._http: httpx.AsyncClient | None = None

    def __repr__(self) -> str:
        return f"Account(at {shown(self._network.api)})"

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    def secret_for(self, purpose: str) -> str:
        """Return what this account alone can say, and from which nobody finds its key."""
        return hmac.new(self._key.encode(), purpose.encode(), hashlib.sha256).hexdigest()[:32]

    async def balance(self) -> Balance:
        """Return what the account has."""
        found = await self._ask("GET", "/api/credits/balance", form=_Balance, again=True)
        return Balance(
            assigned=dollars(found.assigned_credits),
            reserved=dollars(found.reserved_credits),
            settled=dollars(found.settled_credits),
        )

    async def post(self, *, cid: str, market: str, timeout: int, once: str) -> Posted:
        """
        Reserve credits and post a job.

        Args:
            cid: Content id of its public definition.
            market: Address of the market.
            timeout: In seconds.
            once: Key of this request: a service that knows such keys does it once for all.

        Raises:
            FundsError: There is too little credit. Nothing was posted.
            CreditsError: It was refused, or nobody knows: see `refused`.
        """
        body = {"ipfsHash": cid, "market": market, "timeout": timeout}
        return await self._ask("POST", "/api/jobs/list", body, form=Posted, once=once)

    async def extend(self, job: str, seconds: int, *, once: str) -> Extended:
        """
        Add seconds to a job.

        Raises:
            FundsError: There is too little credit.
            CreditsError: It was refused, or nobody knows: see `refused`.
        """
        body = {"seconds": seconds}
        return await self._ask("POST", f"/api/jobs/{job}/extend", body, form=Extended, once=once)

    async def stop(self, job: str) -> Stopped:
        """
        Stop a job, whether it waits or runs. Twice is once.

        Raises:
            CreditsError: It was refused: it is over, or not the account's.
        """
        return await self._ask("POST", f"/api/jobs/{job}/stop", form=Stopped, again=True)

    async def sign(self, message: str) -> str:
        """
        Return a message with the signature of the account's project, and the time.

        Raises:
            CreditsError: The service does not sign.
        """
        if message not in self._signed:
            found = await self._ask(
                "POST", "/auth/sign-message/external", {"message": message, "includeTime": True},
                form=_Signature, again=True, base=self._manager,
            )  # fmt: skip
            # The time is not signed: one signature is enough for as long as we run.
            self._signed[message] = _signature(found.signature, message)
        return f"{message}:{self._signed[message]}:{int(time.time() * 1000)}"

    async def _ask(
        self, method: str, path: str, body: Any = None, *, form: type[T], once: str = "",
        again: bool = False, base: str = "",
    ) -> T:  # fmt: skip
        """
        Ask, and ask again where nothing was done, or where doing it twice is doing it once.

        Raises:
            CreditsError: The service does not do it, or does not say so.
        """
        base = base or self._network.api
        for pause in (*self._pauses, None):
            try:
                return self._read(form, await self._send(method, base, path, body, once))
            except CreditsError as error:
                passing = error.status in (0, *_PASSING)
                wait = max(error.pause, pause or 0)
                if pause is None or not passing or wait > PATIENCE:
                    raise
                if not error.refused and not again:
                    raise
                log.info("%s is asked again: %s", path, error)
                await asyncio.sleep(wait)
        raise AssertionError("the loop returns or raises")

    async def _send(self, method: str, base: str, path: str, body: Any, once: str) -> bytes:
        import httpx

        if self._http is None:
            self._http = httpx.AsyncClient(
                timeout=httpx.Timeout(TIMEOUT, connect=10), trust_env=proxied(base),
                verify=base.startswith("https:"),
            )  # fmt: skip
        headers = {"Authorization": f"Bearer {self._key}"}
        if once:
            headers["Idempotency-Key"] = once
        content = bytearray()
        try:
            async with self._http.stream(method, base + path, json=body, headers=headers) as answer:
                async for piece in answer.aiter_bytes():
                    content += piece
                    if len(content) > LARGEST:
                        raise CreditsError(f"the service at {shown(base)} says too much")
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise self._silent(base, error, refused=True) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._silent(base, error, refused=False) from None
        if not answer.is_success:
            raise self._no(base, answer, bytes(content))
        return bytes(content)

    def _read(self, form: type[T], content: bytes) -> T:
        try:
            return msgspec.json.decode(content, type=form)
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise CreditsError(
                f"the service at {shown(self._network.api)} answers what nobody can read",
                hint="Try again in a moment.",
            ) from None

    def _silent(self, base: str, error: Exception, *, refused: bool) -> CreditsError:
        return CreditsError(
            f"the service at {shown(base)} does not answer ({type(error).__name__})",
            hint="Try again in a moment.",
            refused=refused,
        )

    def _no(self, base: str, answer: httpx.Response, content: bytes) -> NosanaError:
        """Return the error that an answer stands for."""
        status = answer.status_code
        said, code = _sentence(content)
        said = hidden(said.replace(self._key, "…"), base)
        if status == 402:
            return FundsError(
                f"the account has too little credit: {said}. Nothing was spent",
                hint=f"Lower the timeout with `--timeout`, or add credits: {PLACE}",
            )
        text = f"the service at {shown(base)} answers {status}" + (f": {said}" if said else "")
        return CreditsError(
            text,
            status=status,
            code=code,
            hint=_hint(status, said),
            refused=400 <= status < 500 and status not in _OPEN and "IN_PROGRESS" not in code,
            pause=_pause(answer.headers.get("Retry-After", "")),
        )


def _hint(status: int, said: str) -> str:
    """Say what to do about a refusal."""
    if status == 401:
        return f"Make a key at {PLACE} and set it: NOSANA_API_KEY, or %nosana config api_key --ask"
    if status == 403:
        return (
            "The key lacks a right. A cell needs credits:read, jobs:read, jobs:write and "
            f"wallet:sign: make another at {PLACE}"
        )
    if "premium" in said.lower():
        return "Choose another market: see %nosana markets."
    return "Try again in a moment." if status in _PASSING or status >= 500 else ""


def _pause(text: str) -> float:
    return float(text) if re.fullmatch(r"\d{1,4}", text, re.ASCII) else 0.0


def _sentence(content: bytes) -> tuple[str, str]:
    """Return what an error says, whether as a sentence or as JSON, and its code."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = content.decode(errors="replace")
    code = ""
    if isinstance(found, dict):
        code = str(found.get("code") or "")[:100]
        found = found.get("message") or found.get("error") or ""
    text = found if isinstance(found, str) else json.dumps(found)
    if "<html" in text.lower():
        return "", code
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:300], code


def _signature(text: str, message: str) -> str:
    """
    Return the signature alone: services have answered it with the message, with the time, or bare.

    Raises:
        CreditsError: It is none.
    """
    signature = text.removeprefix(f"{message}:").partition(":")[0]
    if not re.fullmatch(r"[1-9A-HJ-NP-Za-km-z]{64,90}", signature):
        raise CreditsError("the service does not say the signature of a message")
    return signature
