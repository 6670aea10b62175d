"""Every route that a host or a local network serves, and who may ask there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tornado.web
from solders.keypair import Keypair
from test_host_api import ROUTES
from tornado.routing import PathMatches
from tornado.websocket import WebSocketHandler

from nosana_jupyter.host import api as host_api
from nosana_jupyter.local import credits as accounts
from nosana_jupyter.local import deployment_requests, endpoint, services

PROJECT = "the wallet that posted the job, by signature"
KEY = "an account of the credits service, by its API key"
OWNER = "a wallet by signature, or an account by its API key, of what is its own"
SIGNED = "who has an address that the pin store has signed, for one object"
LOOPBACK = "programs of this machine: play money and public data of the local chain"

JOB = r"/job/(\w{32,44})"
NAME = r"([^/ ]+)"
HOST = {
    ("GET", r"/node/info"): "anybody: what the machine is, as a poster has to know before he pays",
    ("GET", rf"{JOB}/info"): PROJECT,
    ("GET", rf"{JOB}/job-definition"): PROJECT,
    ("POST", rf"{JOB}/job-definition"): PROJECT,
    ("GET", rf"{JOB}/results"): PROJECT,
    ("GET", rf"{JOB}/ops"): PROJECT,
    ("GET", rf"{JOB}/ops/{NAME}"): PROJECT,
    ("GET", rf"{JOB}/group/{NAME}"): PROJECT,
    ("POST", rf"{JOB}/group/{NAME}/(?:operation/{NAME}/)?(stop|restart)"): PROJECT,
    ("GET", rf"{JOB}/endpoints"): PROJECT,
    ("GET", rf"{JOB}/stats"): PROJECT,
    ("POST", rf"{JOB}/stop"): PROJECT,
    ("GET", r"/.*"): "anybody: the node's address; to follow a job its project signs a first frame",
}
LOCAL = {
    ("POST", r"/pinning/pinJSONToIPFS"): LOOPBACK,
    ("POST", r"/pinning/pinFileToIPFS"): LOOPBACK,
    ("GET", r"/ipfs/(\w+)"): LOOPBACK,
    ("POST", r"/v3/files/sign"): LOOPBACK,
    **{(verb, r"/v3/files/([\w-]{36})"): SIGNED for verb in ("POST", "HEAD", "PATCH")},
    ("GET", r"/api/markets/price/?|/markets/price/?"): LOOPBACK,
    ("GET", r"/api/v3/simple/price"): LOOPBACK,
    ("GET", r"/api/v2/simple/networks/solana/token_price/(\w+)"): LOOPBACK,
    ("GET", r"/(?:api/)?markets/?"): LOOPBACK,
    ("GET", r"/(?:api/)?markets/([\w-]+)/?"): LOOPBACK,
    ("GET", r"/(?:api/)?markets/([\w-]+)/(required-resources)/?"): LOOPBACK,
    ("GET", r"(?:/api)?/credits/balance/?"): KEY,
    ("POST", r"(?:/api)?/jobs/list/?"): KEY,
    ("POST", r"(?:/api)?/jobs/(\w+)/extend/?"): KEY,
    ("POST", r"(?:/api)?/jobs/(\w+)/stop/?"): KEY,
    ("GET", r"(?:/api)?/jobs/(\w+)/?"): LOOPBACK,
    ("POST", r"(?:/api)?/auth/sign-message/external/?"): KEY,
    **{
        (verb, rf"(?:/api)?/deployments/{path}?"): OWNER
        for verb, path in [
            ("GET", ""),
            ("POST", "create/"),
            *(
                (verb, f"vaults/{path}")
                for verb in ("GET", "POST")
                for path in ("", "create/", r"(\w+)/withdraw/")
            ),
            ("GET", r"(\w+)/"),
            ("DELETE", r"(\w+)/"),
            ("POST", r"(\w+)/(start|stop|archive)/"),
            ("POST", r"(\w+)/create-revision/"),
            ("PATCH", r"(\w+)/update-(replica-count|timeout|schedule|name|active-revision)/"),
            ("GET", r"(\w+)/(jobs|revisions|events|tasks)/"),
            ("GET", r"(\w+)/jobs/(\w+)/"),
            ("GET", r"(\w+)/header/"),
        ]
    },
    ("GET", r"/price/v3"): LOOPBACK,
    ("GET", r"/swap/v2/build"): LOOPBACK,
    ("GET", r"/reservations/gpus"): LOOPBACK,
    ("POST", r"/faucet"): LOOPBACK,
    ("POST", r"/hosts"): LOOPBACK,
    ("POST", r"/authority/reports"): "who posted the job that is reported, by signature",
    ("GET", r"/health"): LOOPBACK,
}
RPC = {("GET", r"/.*"): LOOPBACK, ("POST", r"/.*"): LOOPBACK}

VERBS = ("get", "post", "put", "patch", "delete", "head", "options")
REFUSED = tornado.web.RequestHandler._unimplemented_method


class _Stand:
    """What an application is made of, as far as its routes want it."""

    def __getattr__(self, name: str) -> Any:
        return _Stand()


def routes(
    application: tornado.web.Application,
) -> Iterator[tuple[tuple[str, str], type[tornado.web.RequestHandler]]]:
    """Yield what an application answers: the verb, the pattern, and who does."""
    for rule in application.wildcard_router.rules:
        assert isinstance(rule.matcher, PathMatches)
        for verb in VERBS:
            if getattr(rule.target, verb) is not REFUSED:
                pattern = rule.matcher.regex.pattern.removesuffix("$")
                yield (verb.upper(), pattern), rule.target


def stand(what: str, folder: Path) -> tornado.web.Application:
    """Return one of the applications."""
    anything: Any = _Stand()
    if what == "host":
        return host_api.application(anything, anything)
    if what == "rpc":
        return endpoint.rpc_application(anything)
    pins = folder / "local" / "pins"
    return services.application(*[anything] * 5, folder=pins, fee=0, base="", tunnel="")


@pytest.mark.parametrize(("what", "table"), [("host", HOST), ("local", LOCAL), ("rpc", RPC)])
def test_each_route_is_in_the_table(
    what: str, table: dict[tuple[str, str], str], tmp_path: Path
) -> None:
    """
    A route that nobody has written down here, with who may ask, is none that we serve.
    """
    assert dict(routes(stand(what, tmp_path))).keys() == table.keys()


def test_what_asks_for_a_key_asks_for_it(tmp_path: Path) -> None:
    """
    The routes of accounts are those whose handler looks at the key before anything else.
    """
    asking = {
        route
        for route, handler in routes(stand("local", tmp_path))
        if issubclass(handler, accounts.Account)
    }

    assert asking == {route for route, who in LOCAL.items() if who == KEY}


def test_what_asks_for_an_owner_asks_for_one(tmp_path: Path) -> None:
    """
    The routes of deployments are those whose handler finds out who asks.
    """
    asking = {
        route
        for route, handler in routes(stand("local", tmp_path))
        if issubclass(handler, deployment_requests.Asked)
    }

    assert asking == {route for route, who in LOCAL.items() if who == OWNER}


@pytest.mark.parametrize("what", ["host", "local", "rpc"])
def test_no_handler_lets_pages_in(what: str, tmp_path: Path) -> None:
    """
    Whoever answers looks at the name and the origin of a request first.
    """
    for _, handler in routes(stand(what, tmp_path)):
        first = handler.prepare
        while first.__qualname__.split(".")[0] in (
            "JobDefinition",
            "Account",
            "Asked",
            "Upload",
            "Vaults",
        ):
            assert "super" in first.__code__.co_names, handler
            (handler,) = handler.__bases__
            first = handler.prepare
        assert "allowed" in first.__code__.co_names, handler


def test_each_route_of_a_job_is_tried_by_strangers() -> None:
    """
    What only a project may ask is in the list that the tests of the host try all bad
    authorizations on.
    """
    job = str(Keypair().pubkey())
    tried = {(verb, f"/job/{job}/{path}") for verb, path in ROUTES}
    for (verb, pattern), who in HOST.items():
        if who == PROJECT:
            found = [path for each, path in tried if each == verb and re.fullmatch(pattern, path)]
            assert found, (verb, pattern)


def test_sockets_are_those_that_are_known(tmp_path: Path) -> None:
    """
    WebSockets are the host's, whose first frame is signed, and the chain's.
    """
    found = {
        (what, pattern)
        for what in ("host", "local", "rpc")
        for (_, pattern), handler in routes(stand(what, tmp_path))
        if issubclass(handler, WebSocketHandler)
    }

    assert found == {("host", r"/.*"), ("rpc", r"/.*")}
