"""What a host says, as messages of a front end."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from nosana_jupyter import sanitize
from nosana_jupyter.notebook import display, overflow
from nosana_jupyter.notebook.display import Screen, collapse
from nosana_jupyter.wire.messages import (
    ClearOutput,
    DisplayData,
    Error,
    ExecuteResult,
    Output,
    Stream,
    UpdateDisplayData,
)

Told = tuple[str, Any]


class Publisher(DisplayPublisher):
    """Keeps what a kernel would send, with the text of the streams in between."""

    def publish(
        self,
        data: Any,
        metadata: Any = None,
        *,
        transient: Any = None,
        update: bool = False,
        **_: Any,
    ) -> None:
        self.shell.told.append(("update" if update else "display", data, transient, metadata))

    def clear_output(self, wait: bool = False) -> None:
        self.shell.told.append(("clear", wait))


class Text:
    """A stream that keeps what is written, in order with the displays."""

    def __init__(self, shell: Any, name: str) -> None:
        self.shell, self.name = shell, name

    def write(self, text: str) -> int:
        told = self.shell.told
        if told and told[-1][0] == self.name:
            text = told.pop()[1] + text
        told.append((self.name, text))
        return len(text)

    def flush(self) -> None: ...


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[Any]:
    """A shell of a kernel that keeps what it is told to show."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    config = Config()
    config.HistoryManager.enabled = False
    made: Any = InteractiveShell(config=config)
    made.told = []
    made.kernel = object()
    made.display_pub = Publisher(shell=made)
    # The pace is kept by a bucket that all share: a full one for each test.
    monkeypatch.setattr(display, "_pace", display.Pace())
    yield made
    made.history_manager.end_session()


def told(shell: Any, *messages: Output) -> list[Any]:
    """Show messages as those of one cell; return what the front end is told."""
    screen = Screen(shell, "job")
    with streams(shell):
        for message in messages:
            screen.show(message)
        screen.close()
    return list(shell.told)


@contextlib.contextmanager
def streams(shell: Any) -> Iterator[None]:
    """Catch what is written, in order with what is displayed."""
    out: Any = Text(shell, "stdout")
    err: Any = Text(shell, "stderr")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield


def test_streams_keep_their_order(shell: Any) -> None:
    """
    Text of both streams, and displays between, come in the order they were said.
    """
    found = told(
        shell,
        Stream("stdout", "a"),
        Stream("stdout", "b\n"),
        Stream("stderr", "c\n"),
        DisplayData({"text/plain": "d"}),
        Stream("stdout", "e\n"),
        ClearOutput(True),
        ClearOutput(False),
        Stream("stderr", "f\n"),
    )

    assert found == [
        ("stdout", "ab\n"),
        ("stderr", "c\n"),
        ("display", {"text/plain": "d"}, {}, {}),
        ("stdout", "e\n"),
        ("clear", True),
        ("clear", False),
        ("stderr", "f\n"),
    ]


def test_text_waits_for_a_moment_only(shell: Any) -> None:
    """
    Where much was shown of late, the first text is shown at once; what follows is gathered, and
    shown by the clock.
    """
    display._pace.take(display.RATE // 2)
    screen = Screen(shell, "job")

    with streams(shell):
        screen.show(Stream("stdout", "a"))
        assert shell.told == [("stdout", "a")]
        assert screen.pause is None
        screen.show(Stream("stdout", "b"))
        assert shell.told == [("stdout", "a")]
        assert screen.pause is not None
        deadline = time.monotonic() + 5
        while shell.told == [("stdout", "a")] and time.monotonic() < deadline:
            screen.tick()

    assert shell.told == [("stdout", "ab")]


def test_few_lines_never_wait(shell: Any) -> None:
    """
    Lines that come one by one are each shown at once, and a burst of them is not.
    """
    screen = Screen(shell, "job")

    with streams(shell):
        for number in range(100):
            screen.show(Stream("stdout", "line\n"))
            assert shell.told == [("stdout", "line\n" * (number + 1))]
        for _ in range(1_000):
            screen.show(Stream("stdout", "line\n"))
        assert screen.pause is not None
        screen.close()

    assert shell.told == [("stdout", "line\n" * 1_100)]


def test_display_ids_are_the_job_s(shell: Any) -> None:
    """
    Ids of a host get the job's name before them: no host redraws what is not its own.
    """
    found = told(
        shell,
        DisplayData({"text/plain": "a"}, {}, {"display_id": "nosana-card-1"}),
        UpdateDisplayData({"text/plain": "b"}, {}, {"display_id": "nosana-card-1"}),
        UpdateDisplayData({"text/plain": "c"}, {}, {}),
        UpdateDisplayData({"text/plain": "d"}, {}, {"display_id": 3}),
        DisplayData({"text/plain": "e"}, {"x": 1, "image/png": {"width": 3}}, {"display_id": []}),
    )

    assert found == [
        ("display", {"text/plain": "a"}, {"display_id": "job:nosana-card-1"}, {}),
        ("update", {"text/plain": "b"}, {"display_id": "job:nosana-card-1"}, {}),
        ("display", {"text/plain": "e"}, {}, {"image/png": {"width": 3}}),
    ]


def test_drops_are_told_once(shell: Any) -> None:
    """
    What is dropped is counted and told at the end, unless something richer than text says the same.
    """
    script = {"application/javascript": "x"}
    found = told(
        shell,
        DisplayData(script),
        DisplayData({**script, "text/plain": "<Javascript>"}),
        DisplayData({**script, "text/html": "<b>x</b>"}),
        DisplayData({"x\x1b[2J": ""}),
    )

    assert [each[0] for each in found] == ["display", "display", "stderr"]
    assert found[-1][1] == (
        "[Not shown, as a host may run nothing here: 2 of application/javascript, 1 of x]\n"
    )


def test_a_figure_comes_after_the_result(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is shown behind the last expression stands below it, as in a kernel."""
    show = lambda value: shell.told.append(("result", repr(value)))  # noqa: E731
    monkeypatch.setattr(shell, "displayhook", show)

    found = told(
        shell,
        DisplayData({"text/plain": "before"}),
        ExecuteResult({"text/plain": "[<Line2D>]"}),
        DisplayData({"text/plain": "figure"}),
    )

    assert [each[:2] for each in found] == [
        ("display", {"text/plain": "before"}),
        ("result", "[<Line2D>]"),
        ("display", {"text/plain": "figure"}),
    ]


def test_the_result_is_the_cell_s_own(shell: Any) -> None:
    """
    The last expression becomes the cell's result; an error is kept for the magic to raise.
    """
    screen = Screen(shell, "job")

    screen.show(
        ExecuteResult({"text/plain": "\x1b[2J<x>", "text/html": "<i>x</i><script>1</script>"})
    )
    screen.show(Error("ValueError", "no", ["a", "b"]))

    assert screen.result is not None
    assert repr(screen.result) == "<x>"
    bundle = {"text/plain": "<x>", "text/html": "<i>x</i>"}
    assert screen.result._repr_mimebundle_() == (bundle, {})
    assert shell.display_formatter.format(screen.result)[0]["text/html"] == "<i>x</i>"
    assert screen.error is not None
    assert screen.error.ename == "ValueError"
    assert shell.told == []


def test_much_text_goes_to_a_file(
    shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Beyond the bound the beginning and the end are shown, and all of it lies in a private file
    beside the notebook, with a link to it.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(display, "INLINE", 10_000)
    monkeypatch.setattr(display, "TAIL", 1_000)
    lines = [f"line {number}\n" for number in range(5_000)]

    found = told(shell, *(Stream("stdout", line) for line in lines))

    (_, text), (_, data, _, _) = found
    whole = "".join(lines)
    head, _, rest = text.partition("\n[…]\n")
    tail = rest.removesuffix("\n")
    assert whole.startswith(head)
    assert len(head) == 10_000
    assert whole.endswith(tail)
    assert len(tail) == 1_000
    path = tmp_path / "nosana-output" / "job.txt"
    name = "nosana-output/job.txt"
    assert data == {
        "text/plain": f"[All of the output is in {path}]",
        "text/html": f'[All of the output is in <a href="{name}">{name}</a>]',
    }
    assert (path.parent / ".gitignore").read_text() == "*\n"
    assert path.read_text() == whole
    assert path.stat().st_mode & 0o77 == 0


def test_a_host_does_not_fill_the_disk(
    shell: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The file has a bound too, and the note says so. Without a page it lies with the logs, and a
    second cell has one of its own.
    """
    del shell.kernel
    monkeypatch.setattr(display, "INLINE", 100)
    monkeypatch.setattr(overflow, "KEPT", 1_000)

    for name in ("job.txt", "job-2.txt"):
        shell.told.clear()
        found = told(shell, *(Stream("stderr", "x" * 99 + "\n") for _ in range(50)))

        path = home / "logs" / name
        assert path.stat().st_size == 1_000
        assert found[-1][1] == {"text/plain": f"[The first 1.0 kB of the output is in {path}]"}


def test_output_is_paced(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A server drops output above a megabyte or a thousand messages a second: neither is passed.
    """
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    clock = iter(range(10**9))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock) * 1e-6)
    monkeypatch.setattr(display, "_pace", display.Pace(rate=800_000))

    told(shell, *(DisplayData({"text/plain": "x" * 100}) for _ in range(2_000)))

    # 2,000 displays are 2.2 MB as they count: the first second is free, the rest is waited for.
    assert max(waits) == pytest.approx(2_000 * 1_100 / 800_000 - 1, rel=0.05)


def test_colours_do_not_outlive_the_cell(shell: Any) -> None:
    """
    In a terminal a colour left on, or hidden text, would reach the receipt: it is ended.
    """
    del shell.kernel

    assert told(shell, Stream("stdout", "\x1b[8mhidden")) == [("stdout", "\x1b[8mhidden\x1b[0m")]
    shell.told.clear()
    assert told(shell, Stream("stderr", "\x1b[31mred\x1b[0m\n")) == [
        ("stderr", "\x1b[31mred\x1b[0m\n")
    ]


def test_escapes_in_pieces_are_escapes(shell: Any) -> None:
    """
    An escape cut in two by the host does not come together here.
    """
    found = told(
        shell,
        Stream("stdout", "a\x1b"),
        Stream("stdout", "]52;c;x\x07b"),
        Stream("stdout", "\x9b2J"),
    )

    assert not re.search(r"[\x1b\x07\x9b]", found[0][1])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\n", "plain\n"),
        ("a\rb", "a\rb"),
        ("a\rb\rc", "a\rc"),
        ("a\rb\rc\r", "a\rc\r"),
        ("\r 10%\r 20%\r 30%\n", "\r 30%\n"),
        ("a\rlonger\rb", "a\rbonger"),
        ("x\n\r1\r2\n\r3\r4", "x\n\r2\n\r4"),
        ("\r\x1b[31m1\r\x1b[32m2", "\r\x1b[32m2"),
        ("a\r\b\r\bc", "a\r\b\r\bc"),
        ("a\r\n", "a\r\n"),
        ("", ""),
    ],
)
def test_bars_are_collapsed(text: str, shown: str) -> None:
    """
    Of a bar that was drawn often in a moment only what is seen at last is sent.
    """
    assert collapse(text) == shown


@given(st.text(st.sampled_from("ab \r\n"), max_size=30))
def test_collapsing_changes_nothing_seen(text: str) -> None:
    """
    A terminal shows the same line after the collapsed text as after the whole.
    """
    assert screen_of(collapse(text)) == screen_of(text)


def screen_of(text: str) -> list[str]:
    """Return what a terminal shows."""
    shown = []
    for line in text.split("\n"):
        seen = ""
        for part in line.split("\r"):
            seen = part + seen[len(part) :]
        shown.append(seen)
    return shown


@pytest.mark.parametrize(
    "html",
    [
        "<b>shown</b><script>alert(1)</script>",
        "<p>shown</p><IFRAME src='https://x.example'></IFRAME>",
        "<div onclick='play()'>shown</div>",
        "shown<video src='https://example.org/x.mp4'></video>",
    ],
)
def test_what_was_cut_from_html_is_told_once(shell: Any, html: str) -> None:
    """
    Controls that do nothing and players that are missing are explained, once in a cell.
    """
    found = told(shell, DisplayData({"text/html": html}), DisplayData({"text/html": html}))
    assert [each for each in found if each[1] == display.CUT] == [("stderr", display.CUT)]

    shell.told.clear()
    assert told(shell, ExecuteResult({"text/html": html}))[-1] == ("stderr", display.CUT)
    shell.told.clear()
    plain = "<style>#a {color: red}</style><p>once = 1 &lt;script&gt; based on a = 2</p>"
    assert ("stderr", display.CUT) not in told(shell, DisplayData({"text/html": plain}))


def test_html_of_which_nothing_is_left_gives_way_to_text(shell: Any) -> None:
    """
    A frame, or a chart that is nothing but a script, is named and not shown as an empty place.
    """
    found = told(
        shell,
        DisplayData(
            {
                "text/html": "<style>a {}</style><div id='vis'></div><script>draw()</script>",
                "text/plain": "alt.Chart(...)",
            }
        ),
    )

    assert "text/html" not in str(found[0])
    assert "alt.Chart(...)" in str(found[0])
    assert found[-1][1] == "[Not shown, as a host may run nothing here: 1 of text/html]\n"


def test_what_is_merely_too_large_is_told_as_that(shell: Any) -> None:
    """
    It is not called a script; what is one is told beside it.
    """
    much = "x" * (sanitize.LARGEST + 1)
    found = told(
        shell,
        DisplayData({"text/html": f"<b>{much}</b>", "text/plain": "a table"}),
        ExecuteResult({"text/plain": much}),
        DisplayData({"text/markdown": "x" * (sanitize.LARGEST_MARKDOWN + 1)}),
        DisplayData({"application/javascript": "alert(1)"}),
    )

    assert found[-1][1].splitlines() == [
        "[Not shown, as a host may run nothing here: 1 of application/javascript]",
        "[Not shown, being too large: 1 of text/html, 1 of text/markdown, 1 of text/plain]",
    ]
