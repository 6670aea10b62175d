"""`%nosana template` in a real kernel: from a cell that ran to another's notebook."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from front_ends import Kernel

pytestmark = [pytest.mark.network, pytest.mark.kernel]


def test_from_a_cell_to_a_cell(kernel: Kernel, tmp_path: Path) -> None:
    """
    A cell that ran is saved, shared, taken under another name, and put below with other values.

    A change after the signature is told, and then it is not used.
    """
    ran = kernel.run(
        "%%nosana --vram 4 --timeout 5m --yes\nrate = 0.5  # how fast\nprint(rate * 4)"
    )
    assert not ran.error, ran.text
    saved = kernel.run('%nosana template save mine --parameters rate --title "My work"')
    assert "for you to change" in saved.text, saved.text
    assert "--yes" not in saved.text
    shared = kernel.run("%nosana template share mine")
    [cid] = set(re.findall(r"ipfs://\w+", shared.text))
    taken = kernel.run(f"%nosana template import {cid} --as theirs")
    assert f"{cid}, signed by" in taken.text, taken.text

    message = kernel.client.execute("%nosana template use theirs rate=0.25", allow_stdin=False)
    used = kernel.follow(message)
    reply = kernel.client.get_shell_msg(timeout=20)
    while reply["parent_header"].get("msg_id") != message:
        reply = kernel.client.get_shell_msg(timeout=20)
    [put] = reply["content"]["payload"]
    assert put["source"] == "set_next_input"
    assert put["text"] == (
        "%%nosana --vram 4 --timeout 5m\nrate = 0.25  # how fast\n\nprint(rate * 4)\n"
    )
    assert "Nothing runs until you run it" in used.text
    assert re.search(r"rate = 0.25 +how fast; by default 0.5", used.text)
    assert "%nosana template use theirs rate=VALUE" in used.text
    assert "%nosana template use theirs --form" in used.text
    again = kernel.run(put["text"])
    assert "1.0" in again.text

    [place] = re.findall(r"stands in (\S+mine),", saved.text)
    code = Path(place).with_name("theirs") / "cell.py"
    code.write_text(code.read_text() + "import os\n")
    assert "NOT as" in kernel.run("%nosana template list theirs").text
    refused = kernel.run("%nosana template use theirs")
    assert refused.error
    assert "was changed since" in refused.text
    for name in ("mine", "theirs"):
        assert "Removed" in kernel.run(f"%nosana template remove {name}").text


def test_a_form_is_text_where_no_widget_is(kernel: Kernel) -> None:
    """Whoever draws no widgets is told the parameters, and the line that has them."""
    asked = kernel.run("%nosana template use hello-gpu size=32 --form").displays[-1]
    picked = kernel.run("%nosana quote --pick").displays[-1]

    assert "size = 32  rows of the matrices" in asked["text/plain"]
    assert "%nosana template use hello-gpu size=32" in asked["text/plain"]
    assert "To run a cell there: %%nosana" in picked["text/plain"]
    assert all(any("widget-view" in mime for mime in each) for each in (asked, picked))


def test_nothing_of_a_strangers_runs_or_asks_for_itself(kernel: Kernel, tmp_path: Path) -> None:
    """Scripts in its texts are text; options that are the user's to give are refused."""
    place = tmp_path / "evil"
    place.mkdir()
    (place / "cell.py").write_text("print(1)")
    info = {"title": "<script>alert(1)</script>\x1b[2J", "options": "--trust --yes"}
    (place / "info.json").write_text(json.dumps(info))

    taken = kernel.run(f"%nosana template import {place}")
    assert not taken.error, taken.text
    shown = kernel.run("%nosana template show evil")
    html = [content["data"].get("text/html", "") for kind, content in shown.messages
            if kind == "execute_result"]  # fmt: skip
    assert html
    assert "<script" not in html[0]
    assert "\x1b[2J" not in shown.text
    used = kernel.run("%nosana template use evil")
    assert used.error
    assert "yours alone to say" in used.text
    kernel.run("%nosana template remove evil")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("shwo x", "Did you mean show"),
        ("use", "takes one name"),
        ("use hello-gpu size=0", "size cannot be 0"),
        ("use hello-gpu depth=1", "no parameter 'depth'"),
        ("show hello-cpu", "Did you mean hello-gpu"),
        ("save Bad!Name", "cannot be the name"),
        ("show hello-gpu --to x", "has no --to"),
        ("remove hello-gpu", "of yours; it is built in"),
        ("import http://example.com/x.py", "https"),
    ],
)
def test_what_is_wrong_is_said(kernel: Kernel, line: str, why: str) -> None:
    """Each error names the thing and the next step."""
    kernel.run("%%nosana --dry-run\n1")
    shown = kernel.run(f"%nosana template {line}")

    assert shown.error
    assert why in shown.text
