"""A day of use on a real network; then all that it showed or wrote is searched for its secrets."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import nbformat
import pytest
from front_ends import Kernel, Shown, environment
from local_networks import LocalNetwork
from traces import files, found

VECTORS = Path(__file__).parents[1] / "vectors"
ALICE = json.loads((VECTORS / "keys.json").read_text())["keys"]["alice"]
TOKEN = 'hf_s3cr3t/"quo\'ted"\\& <tagged> é%+token'
"""What quotes, JSON, HTML, addresses and terminals each write in another way."""

SPLIT = """
import sys, time
for letter in os.environ["HF_TOKEN"]:
    sys.stdout.write(letter); sys.stdout.flush(); time.sleep(0.02)
print()
os.write(1, os.environ["HF_TOKEN"].encode() + b"\\n")
import subprocess; subprocess.run(["sh", "-c", 'echo "$HF_TOKEN"; echo "$HF_TOKEN" >&2'])
"""
SPELLED = """
import base64, json, urllib.parse, html, shlex
t = os.environ["HF_TOKEN"]
for each in (repr(t), json.dumps(t), json.dumps(t, ensure_ascii=False), json.dumps(json.dumps(t)),
             base64.b64encode(t.encode()).decode(), base64.urlsafe_b64encode(t.encode()).decode(),
             base64.b64encode(b"user:" + t.encode()).decode(), urllib.parse.quote(t),
             urllib.parse.quote(t, safe=""), urllib.parse.quote_plus(t), html.escape(t),
             shlex.quote(t), t.encode().hex(), ascii(t), repr(t.encode()), repr([t])):
    print(each)
"""
SHOWN = """
from IPython.display import HTML, JSON, Markdown, display, update_display
t = os.environ["HF_TOKEN"]
display(HTML(f"<b>{t}</b>"), metadata={"x": {"y": t}})
display(Markdown(t), display_id=t)
display(JSON({t: [t]}))
display({"text/plain": t, "application/x-own": {"a": [t, {"b": t}]}}, raw=True)
t
"""
RAISED = """
class Odd(Exception): pass
def inner(word):
    raise Odd(f"no {word}")
inner(os.environ["HF_TOKEN"])
"""
NAMED = """
import os.path
name = os.environ["HF_TOKEN"].replace("/", "_")
open("plain.txt", "w").write("x")
_ = input("for " + os.environ["HF_TOKEN"])
"""
EXITED = "raise SystemExit('bye ' + os.environ['HF_TOKEN'])"
WARNED = """
import warnings, logging
warnings.warn("beware of " + os.environ["HF_TOKEN"])
logging.error("oh %s", os.environ["HF_TOKEN"])
"""
WIDGET = """
import ipywidgets
from IPython.display import display
box = ipywidgets.Text(value=os.environ["HF_TOKEN"], description=os.environ["HF_TOKEN"])
out = ipywidgets.Output()
with out:
    print(os.environ["HF_TOKEN"])
display(ipywidgets.VBox([box, out]))
"""
CELLS = {
    "split": SPLIT, "spelled": SPELLED, "shown": SHOWN, "raised": RAISED, "exit": EXITED,
    "warned": WARNED, "widget": WIDGET,
}  # fmt: skip

pytestmark = [pytest.mark.network, pytest.mark.kernel]


class Day:
    """A kernel with everything logged, and a network of its own; what is shown is collected."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        for name in ("ipython", "tmp"):
            (folder / name).mkdir()
        self.network = LocalNetwork(self.home)
        env = {
            **environment(str(self.home), str(folder)), "HOME": str(folder / "user"),
            "TMPDIR": str(folder / "tmp"), "XDG_CACHE_HOME": str(folder / "user" / ".cache"),
            "NOSANA_PRIVATE_KEY": ALICE["secret_base58"], "HF_TOKEN": TOKEN,
        }  # fmt: skip
        self.network.environment |= {"TMPDIR": env["TMPDIR"], "HOME": env["HOME"]}
        self.kernel = Kernel(env)
        self.shown: list[Shown] = []
        self.sources: list[str] = []
        self.tokens: list[bytes] = []

    def run(self, source: str) -> Shown:
        self.sources.append(source)
        self.shown.append(self.kernel.run(source))
        return self.shown[-1]

    def save(self) -> None:
        """Write the notebook, as a front end does."""
        book = nbformat.v4.new_notebook()
        for source, shown in zip(self.sources, self.shown, strict=True):
            outputs = [
                nbformat.v4.output_from_msg({"header": {"msg_type": kind}, "content": content})
                for kind, content in shown.messages
                if kind in ("display_data", "stream", "error", "execute_result")
            ]
            book.cells.append(nbformat.v4.new_code_cell(source, outputs=outputs))
        nbformat.write(book, self.folder / "day.ipynb")

    @property
    def told(self) -> str:
        """All messages, also those that a later one has replaced."""
        return json.dumps([each.messages for each in self.shown], ensure_ascii=False)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """The day, at its end: nothing runs any more."""
    made = Day(tmp_path_factory.mktemp("day"))
    try:
        made.run(
            "import logging\nlogging.basicConfig(level=0, filename='debug.txt', force=True)\n"
            "%load_ext nosana_jupyter\n%xmode Verbose"
        )
        made.run("%nosana up")
        for source in CELLS.values():
            made.run(f"%%nosana --secret HF_TOKEN\nimport os\n{source}")
        made.run("%%nosana\nprint(os.environ.get('HF_TOKEN'))")
        made.tokens = job_tokens(made.home)
        made.run("%nosana down --all")
        made.run(f"%%nosana --secret HF_TOKEN --detach\nimport os\n{SPLIT}{RAISED}")
        made.run("%nosana attach")
        made.run("%%nosana --secret NO_SUCH\n1")
        made.run("%%nosana --secret NOSANA_PRIVATE_KEY\n1")
        for line in ("sweep", "receipts", "jobs", "wallet", "config", "hosts", ""):
            made.run(f"%nosana {line}")
        made.run(
            "import nosana_jupyter.portal as p, json\n"
            "open('receipts.txt', 'w').write(repr(p.shared().receipts(100)))\np.shared()"
        )
        made.run("raise KeyError('with all that is around')")
        made.save()
    finally:
        made.network.stop()
        made.kernel.close()
    return made


def job_tokens(home: Path) -> list[bytes]:
    """Return the tokens of the jobs that run, as their host has them."""
    text = b"".join(path.read_bytes() for path in home.glob("host*/flows/*/record.json"))
    return list(re.findall(rb'"NOSANA_TOKEN":"([^"]+)"', text))


def spellings(value: str) -> dict[str, str]:
    """Return a secret as programs write it."""
    raw = value.encode()
    return {
        "plain": value,
        "repr": repr(value)[1:-1],
        "ascii": ascii(value)[1:-1],
        "JSON": json.dumps(value)[1:-1],
        "JSON, as it is": json.dumps(value, ensure_ascii=False)[1:-1],
        "JSON in JSON": json.dumps(json.dumps(value))[3:-3],
        "base64": base64.b64encode(raw).decode().rstrip("=")[:-1],
        "base64 of an address": base64.urlsafe_b64encode(raw).decode().rstrip("=")[:-1],
        "percent": quote(value, safe=""),
        "percent, as paths": quote(value),
        "percent, as forms": quote_plus(value),
        "HTML": value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
        "hexadecimal": raw.hex(),
        "bytes": repr(raw)[2:-1],
    }


def test_the_day_was_one(day: Day) -> None:
    """The cells ran, and what they said is there but for the secret."""
    text = day.told
    assert text.count("•••") > 30
    assert "Odd" in text
    assert "bye •••" in text
    assert "--secret NO_SUCH has no value" in text
    assert "which goes to no host" in text
    assert len((day.folder / "debug.txt").read_text()) > 1000
    assert day.tokens


@pytest.mark.parametrize("how", spellings(TOKEN))
def test_a_secret_is_neither_shown_nor_written(day: Day, how: str) -> None:
    """
    Not in the notebook, the logs at their most talkative, the journal, the pins, the host's files,
    a cache or a temporary folder; in no spelling.
    """
    spelled = spellings(TOKEN)[how]
    told = [json.loads(json.dumps(each.messages)) for each in day.shown]

    assert spelled not in "\n".join(_texts(told))
    assert spelled.encode() not in files(day.folder)
    assert json.dumps(spelled)[1:-1].encode() not in files(day.folder)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield str(key)
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def test_keys_stand_in_their_files_alone(day: Day) -> None:
    """
    The user's key nowhere; the keys that the network has made, each in its own file, of mode 0600.
    """
    assert found(bytes(ALICE["secret_json_array"]), day.told, files(day.folder)) == []
    key_files = [
        path
        for path in day.home.rglob("*.json")
        if path.stat().st_size < 400 and path.read_text().startswith("[")
    ]
    assert len(key_files) >= 3
    for path in key_files:
        secret = bytes(json.loads(path.read_text()))
        assert path.stat().st_mode & 0o077 == 0
        rest = files(day.folder, without=frozenset({path}))
        assert found(secret, day.told, rest) == [], path


def test_tokens_of_jobs_stay_in_the_journal(day: Day) -> None:
    """What opens the line to a job is in no log, pin or output; the journal is its owner's."""
    journal = frozenset(day.home.glob("journal.sqlite*"))
    rest = files(day.folder, without=journal)

    for token in day.tokens:
        assert token.decode() not in day.told
        assert token not in rest
    assert all(path.stat().st_mode & 0o077 == 0 for path in journal)


def test_folders_are_of_their_owner_alone(day: Day) -> None:
    """Whatever is in them: nobody else comes in."""
    for path in (day.home, day.home / "host", day.home / "local", day.home / "wallets"):
        assert path.stat().st_mode & 0o077 == 0, path
