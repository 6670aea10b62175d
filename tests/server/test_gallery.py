"""Wallet, markets and templates, as the sidebar asks for them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import front_ends
import httpx
import pytest
from lab_server import LabServer, environment_of_server
from local_networks import LocalNetwork

from nosana_jupyter.settings.scoped import notebook_file

pytestmark = pytest.mark.network

Ask = Callable[..., httpx.Response]


def test_play_money_comes_for_the_asking(ask: Ask) -> None:
    """The wallet is told with what it holds and where that is sent to; the faucet fills it."""
    before = ask("GET", "wallet").json()
    after = ask("POST", "wallet/fund", {"nos": 3_000_000}).json()

    assert (before["network"], before["local"], before["up"]) == ("local", True, True)
    assert after["nos"] - before["nos"] == 3_000_000
    assert after["nos_usd"] == int(after["nos"] * after["rate"])
    assert after["sol_usd"] == int(after["sol"] * 147.48 / 1000)
    rows = after["qr"].split("\n")
    assert len(rows) == len(rows[0]) >= 25
    assert {*after["qr"]} == {"0", "1", "\n"}
    assert not after["problem"]


def test_a_folder_has_its_own_budget(ask: Ask, lab: LabServer) -> None:
    """What a project's file says holds in its folder, and nowhere else."""
    folder = lab.root / "thrifty"
    folder.mkdir()
    (folder / "nosana.toml").write_text('budget_day = "2 NOS"\n')

    there = ask("GET", "wallet?folder=thrifty").json()["budgets"]
    assert [(each["name"], each["limit"]) for each in there] == [("day", "2 NOS")]
    assert there[0]["used"].endswith(" NOS")
    assert 0 <= there[0]["share"] <= 1
    assert ask("GET", "wallet").json()["budgets"] == []


def test_a_notebook_has_its_own_budget(
    ask: Ask, lab: LabServer, session_network: LocalNetwork
) -> None:
    """What is set for a notebook holds for it alone; what a cell may cost is told of any."""
    path = notebook_file(session_network.home, str(lab.root / "own.ipynb"))
    path.parent.mkdir(exist_ok=True)
    path.write_text('budget_notebook = "3 NOS"\nmax_cost = "2 NOS"\n')
    try:
        own = ask("GET", "wallet?notebook=own.ipynb").json()
        other = ask("GET", "wallet?notebook=other.ipynb").json()
    finally:
        path.unlink()

    assert [(each["name"], each["limit"], each["used"]) for each in own["budgets"]] == [
        ("notebook", "3 NOS", "0.000000 NOS")
    ]
    assert own["each_cell"] == "2 NOS"
    assert (other["budgets"], other["each_cell"]) == ([], "$5")


def test_several_templates_are_taken_as_far_as_they_can_be(
    ask: Ask, lab: LabServer, session_network: LocalNetwork
) -> None:
    """
    Of a folder of templates, one that is there already is left as it is and one that cannot be
    read is said; the others are taken.
    """
    for name in ("one-of-them", "other-of-them"):
        folder = lab.root / "some" / name
        folder.mkdir(parents=True)
        (folder / "info.json").write_text(json.dumps({"title": name}))
        (folder / "cell.py").write_text("print(1)\n")
    broken = lab.root / "some" / "broken"
    broken.mkdir()
    (broken / "info.json").write_text("{")
    (broken / "cell.py").write_text("print(1)\n")
    try:
        first = ask("POST", "templates/import", {"source": "some/one-of-them"}).json()
        both = ask("POST", "templates/import", {"source": "some"}).json()
    finally:
        for name in ("one-of-them", "other-of-them"):
            ask("DELETE", f"templates/{name}")

    assert [each["name"] for each in first["templates"]] == ["one-of-them"]
    assert [each["name"] for each in both["templates"]] == ["other-of-them"]
    said = " ".join(both["problems"])
    assert "broken" in said
    assert "one-of-them" in said


def test_a_network_that_is_down_is_said_to_be(tmp_path: Path) -> None:
    """A look at the wallet starts no network; what was asked tells how to start it."""
    root = tmp_path / "root"
    root.mkdir()
    home = tmp_path / "home"
    server = LabServer(
        environment_of_server(front_ends.environment(str(home), str(tmp_path))), root
    )
    try:
        found = server.api.get("/nosana-jupyter/wallet").json()
        gpus = server.api.get("/nosana-jupyter/gpus").json()
        assert (found["up"], found["address"], found["local"]) == (False, "", True)
        assert "does not run" in found["problem"]["message"]
        assert "Start it" in found["problem"]["hint"]
        assert (gpus["markets"], gpus["problem"]) == ([], found["problem"])
        assert server.api.get("/nosana-jupyter/jobs").json()["total"] == 0
        refused = server.api.post("/nosana-jupyter/sweep", json={})
        assert (refused.status_code, refused.json()["kind"]) == (503, "NetworkError")
        assert not (home / "local").exists()
    finally:
        server.close()


def test_markets_that_fit(ask: Ask) -> None:
    """Markets come cheapest first, with what an hour costs, and which have the memory."""
    found = ask("GET", "gpus?vram=20").json()

    prices = [each["price"] for each in found["markets"]]
    assert prices == sorted(prices)
    assert {each["fits"] for each in found["markets"]} == {True, False}
    for each in found["markets"]:
        assert each["fits"] == (each["vram"] >= 20)
        assert each["hour"] >= each["price"] * 3600
        assert each["hour_usd"] > 0
    assert {"RunPod", "Vast"} <= {each["provider"] for each in found["elsewhere"]}


def test_what_a_cell_needs(ask: Ask) -> None:
    """A cell is read as text: nothing of it runs, and what its line says is told."""
    code = "%%nosana --vram 8 --timeout 5m\nimport torch\nx = torch.zeros(10).cuda()"
    found = ask("POST", "needs", {"code": code}).json()

    assert found["line"] == "%%nosana --vram 8 --timeout 5m"
    assert found["options"] == "--vram 8"
    assert ask("POST", "needs", {"code": "1 +"}).json()["certain"] is False


@pytest.mark.parametrize("option", ["--yes", '"--yes"', r"--tr\ust", "--yes '"])
def test_what_is_the_users_to_say(ask: Ask, session_network: LocalNetwork, option: str) -> None:
    """A template agrees to nothing for its user, however it spells that."""
    code = "%%nosana --timeout 5m\nprint(1)\n"
    assert ask("POST", "templates", {"name": "sly", "title": "", "code": code}).status_code == 200
    try:
        info = session_network.home / "templates" / "sly" / "info.json"
        told = json.loads(info.read_text())
        info.write_text(json.dumps({**told, "options": f"--timeout 5m {option}"}))
        refused = ask("POST", "templates/sly/fill", {})
        assert refused.status_code == 400
        assert re.search("yours alone to say|cannot be read", refused.json()["message"])
    finally:
        ask("DELETE", "templates/sly")


def test_a_template_from_a_cell_to_another_user(
    ask: Ask, session_network: LocalNetwork, lab: LabServer
) -> None:
    """
    A cell becomes a template without the yes of its writer, is filled, opened as a notebook, shared
    and brought back as a stranger's; one that was changed since it was signed is not filled.
    """
    code = "%%nosana --vram 12 --yes --timeout 5m\nprint('made here')\n"
    made = ask("POST", "templates", {"name": "made-here", "title": "Made here", "code": code})
    assert made.status_code == 200
    assert made.json()["code"].startswith("%%nosana --vram 12 --timeout 5m\n")
    assert (made.json()["shelf"], made.json()["foreign"]) == ("user", False)
    try:
        cells = ask("POST", "templates/made-here/fill", {}).json()["cells"]
        assert cells == [made.json()["code"]]
        opened = ask("POST", "templates/made-here/fill", {"open": True}).json()["path"]
        notebook = json.loads((lab.root / opened).read_text())
        assert [each["cell_type"] for each in notebook["cells"]] == ["code", "code"]
        shared = ask("POST", "templates/made-here/share", {}).json()
        assert shared["address"] == f"ipfs://{shared['cid']}"

        body = {"source": shared["address"], "name": "brought"}
        (brought,) = ask("POST", "templates/import", body).json()["templates"]
        assert brought["foreign"]
        assert brought["signed"] == ask("GET", "wallet").json()["address"]
        assert ask("POST", "templates/import", body).status_code == 400
        cell = session_network.home / "templates" / "brought" / "cell.py"
        cell.write_text("print('another')\n")
        assert ask("GET", "templates/brought").json()["signed"] == "broken"
        refused = ask("POST", "templates/brought/fill", {})
        assert refused.status_code == 400
        assert "was changed since" in refused.json()["message"]
        names = {each["name"] for each in ask("GET", "templates").json()["templates"]}
        assert {"brought", "made-here", "hello-gpu"} <= names
    finally:
        for name in ("made-here", "brought"):
            ask("DELETE", f"templates/{name}")
    assert ask("DELETE", "templates/hello-gpu").status_code == 400
