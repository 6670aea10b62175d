"""Who may ask what of the server, how it is read, and what no answer ever says."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import base58
import httpx
import pytest
from lab_server import LabServer
from local_networks import LocalNetwork
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

Ask = Callable[..., httpx.Response]

RULES = """
import asyncio, json
from jupyter_server.serverapp import ServerApp

def rules(router):
    for rule in getattr(router, "rules", []):
        yield from rules(rule.target)
        if isinstance(rule.target, type) and rule.target.__module__.startswith("nosana_jupyter"):
            deeds = (rule.target_kwargs or {}).get("deeds") or {"GET": None}
            yield rule.matcher.regex.pattern, sorted(deeds)

async def main():
    app = ServerApp()
    app.jpserver_extensions = {"nosana_jupyter": True}
    app.initialize(argv=["--allow-root", "--ServerApp.port=0"], new_httpserver=False)
    print(json.dumps(list(rules(app.web_app.default_router))))
    await app.cleanup_extensions()

asyncio.run(main())
"""

LIGHT = """
import sys, jupyter_server.serverapp, jupyter_server.extension.application
before = set(sys.modules)
import nosana_jupyter
nosana_jupyter._jupyter_server_extension_points()
print(*sorted(set(sys.modules) - before))
"""


@pytest.fixture(scope="module")
def routes() -> list[tuple[str, str]]:
    """Method and path of all routes that a Jupyter server has of us, as it holds them."""
    done = subprocess.run(
        [sys.executable, "-c", RULES], capture_output=True, text=True, timeout=60, check=True
    )
    found = []
    for pattern, methods in json.loads(done.stdout.splitlines()[-1]):
        path = re.sub(r"\(.*?\)(?=/|$)", "hello-gpu", pattern.rstrip("$")).replace("\\", "")
        found += [(method, path) for method in methods]
    return found


@pytest.mark.network
def test_no_route_answers_a_stranger(lab: LabServer, routes: list[tuple[str, str]]) -> None:
    """
    Each route that the server has of us, found in the server itself, turns a stranger away; so does
    the event stream.
    """
    assert len(routes) == 20
    assert ("GET", "/nosana-jupyter/events") in routes

    # A stranger who brings a sign and its cookie is no page of another's: only we are in the way.
    signed = {"Cookie": "_xsrf=mine", "X-XSRFToken": "mine"}
    for method, path in routes:
        for headers in (signed, {**signed, "Authorization": "token guessed"}):
            answer = httpx.request(method, lab.url.rstrip("/") + path, headers=headers)
            assert answer.status_code in (401, 403), (method, path)

    with pytest.raises(InvalidStatus) as refused:
        connect(lab.url.replace("http", "ws", 1) + "nosana-jupyter/events").close()
    assert refused.value.response.status_code in (401, 403)


@pytest.mark.network
def test_another_page_moves_nothing(lab: LabServer, routes: list[tuple[str, str]]) -> None:
    """
    A page that a known user looks at elsewhere has their cookie, and cannot make their browser do
    anything: that takes the server's own sign, which Lab sends.
    """
    deeds = [each for each in routes if each[0] != "GET"]
    assert len(deeds) == 11
    with httpx.Client(base_url=lab.url) as browser:
        browser.get("tree", params={"token": lab.token})
        sign = browser.cookies["_xsrf"]
        assert browser.get("nosana-jupyter/jobs").status_code == 200
        for method, path in deeds:
            answer = browser.request(method, path.lstrip("/"), content=b"{}")
            assert answer.status_code == 403, (method, path)
        known = browser.post(
            "nosana-jupyter/needs", json={"code": ""}, headers={"X-XSRFToken": sign}
        )
        assert known.status_code == 200


@pytest.mark.network
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("needs", {"cod": "x"}),
        ("needs", {"code": 7}),
        ("needs", []),
        ("wallet/fund", {"nos": -1}),
        ("wallet/fund", {"nos": 10**30}),
        ("wallet/fund", {"nos": "all"}),
        ("jobs/abc/extend", {"seconds": 0}),
        ("jobs/abc/extend", {"seconds": 10**9}),
        ("jobs/abc/extend", {"seconds": 60, "agreed": "yes"}),
        ("jobs/abc/stop", {"end": 1}),
        ("templates/hello-gpu/fill", {"values": {"size": [1]}}),
        ("templates", {"name": "x" * 100, "title": "", "code": ""}),
        ("templates/import", {"source": "x" * 10_000}),
    ],
)
def test_what_cannot_be_meant_is_refused(ask: Ask, path: str, body: object) -> None:
    """Requests are read strictly: unknown fields, other types, absurd amounts are refused."""
    answer = ask("POST", path, body)

    assert answer.status_code == 400
    assert answer.json()["kind"] == "UsageError"
    assert len(answer.content) < 1000


@pytest.mark.network
def test_a_large_request_is_refused(ask: Ask) -> None:
    """Nobody makes the server read what is larger than any cell."""
    assert ask("POST", "needs", {"code": "#" * (3 << 20)}).status_code == 413
    assert ask("GET", "jobs?limit=100000").status_code == 400
    assert ask("GET", "jobs?offset=-1").status_code == 400


@pytest.mark.network
def test_nothing_leads_out_of_the_root(ask: Ask, lab: LabServer, tmp_path: Path) -> None:
    """
    Folders, templates and files to import are those below the server's root, by whatever spelling
    or link they are asked for.
    """
    (lab.root / "out").symlink_to(tmp_path)
    (tmp_path / "info.json").write_text('{"title": "Secret"}')
    (tmp_path / "cell.py").write_text("print(1)\n")
    up = "/".join([".."] * 20)
    folders = ["..", up, f"{up}/etc", "out", "%2e%2e/%2e%2e", "..%5c..", "a%00b", "nowhere"]

    for folder in folders:
        for path in ("wallet", "templates", "templates/hello-gpu"):
            assert ask("GET", f"{path}?folder={folder}").status_code == 400, (path, folder)
    for name in ("..%2f..%2fsecret", "%2e%2e", "..", "hello-gpu%2f..%2fsweep", "a%00"):
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/fill"), ("POST", "/share")):
            assert ask(method, f"templates/{name}{path}", {}).status_code in (400, 404, 405), name
    for source in (str(tmp_path), "out", "../" * 20 + str(tmp_path), "file:///etc/passwd",
                   "git+file:///etc", "git@host:x.git", f"{tmp_path}/x.git"):  # fmt: skip
        answer = ask("POST", "templates/import", {"source": source})
        assert answer.status_code == 400, source
        assert "Secret" not in answer.text
    (lab.root / "out").unlink()
    for folder in ("..", up):
        body = {"name": "mine", "title": "", "code": "x", "project": True, "folder": folder}
        assert ask("POST", "templates", body).status_code == 400
        body = {"open": True, "folder": folder}
        assert ask("POST", "templates/hello-gpu/fill", body).status_code == 400


@pytest.mark.network
def test_no_answer_tells_a_secret(
    ask: Ask, routes: list[tuple[str, str]], session_network: LocalNetwork, lab: LabServer
) -> None:
    """
    Keys of the wallet and of jobs, and what signs for them, are in no answer, and neither is the
    server's own token.
    """
    described = json.loads((session_network.home / "local" / "network.json").read_text())
    key = bytes(json.loads(Path(described["wallet"]).read_text()))
    secrets = [base58.b58encode(key).decode(), base58.b58encode(key[:32]).decode(), key.hex()]
    secrets += [key[:32].hex(), str([*key])[1:60], lab.token]
    if described.get("api_key"):
        secrets.append(Path(described["api_key"]).read_text().strip())
    with closing(sqlite3.connect(session_network.home / "journal.sqlite")) as db:
        for row in db.execute("select secret, token from sessions where secret != x''"):
            secrets += [each.hex() for each in row]

    for method, path in routes:
        if not path.endswith("/events"):
            answer = ask(method, path.removeprefix("/nosana-jupyter/"), {})
            found = [each[:6] for each in secrets if each in answer.text]
            assert not found, (method, path)


def test_a_server_starts_as_fast_with_us() -> None:
    """What a Jupyter server imports at its start is a few small modules of ours, and no other."""
    done = subprocess.run(
        [sys.executable, "-c", LIGHT], capture_output=True, text=True, timeout=60, check=True
    )
    imported = done.stdout.split()

    assert "nosana_jupyter.server.extension" in imported
    assert [each for each in imported if not each.startswith("nosana_jupyter")] == []
    assert len(imported) <= 15
