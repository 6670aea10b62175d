"""
`%%ask`: a question to a service, and its answer as it comes, in the conversation of this notebook.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from .. import sanitize
from ..errors import NosanaError, UsageError
from . import grammar as lines
from .grammar import Grammar
from .interrupts import Interrupted

if TYPE_CHECKING:
    from argparse import Namespace

    from IPython.core.interactiveshell import InteractiveShell

EVERY = 0.15
"""Seconds between two drawings of an answer that grows."""

_talks: dict[str, list[dict[str, str]]] = {}
"""What was said so far, by service."""

_models: dict[str, str] = {}
"""What services call their models, by address."""


def grammar() -> Grammar:
    """Return the grammar of `%%ask`, of what stands behind the service."""
    made = Grammar(prog="%%ask [SERVICE]", add_help=False, allow_abbrev=False)
    made.add_argument("--new", action="store_true", help="begin a new conversation")
    made.add_argument("--system", default="", metavar="TEXT", help="what the model is told first")
    made.add_argument("--model", default="", metavar="NAME", help="model, of a service with many")
    made.add_argument("--max-tokens", type=int, metavar="NUMBER", help="longest answer")
    made.add_argument("--temperature", type=float, metavar="NUMBER", help="0: always the same")
    return made


def cell(shell: InteractiveShell, line: str, source: str) -> None:
    """
    Ask what a cell says, and show the answer; as a cell's value would be, it is `_` then.

    Raises:
        UsageError: There is no such service, or the cell is empty.
        JobError: It refuses, or the answer broke off.
        Interrupted: Ctrl-C. `_` is what there is of the answer.
    """
    try:
        _ask(shell, line, source)
    except Interrupted:
        raise
    except KeyboardInterrupt:
        raise Interrupted(None, "nosana: interrupted before anything was asked") from None
    except NosanaError as error:
        from ..api import harmless

        harmless(error)
        raise


def _ask(shell: InteractiveShell, line: str, source: str) -> None:
    from ..portal import shared
    from ..serving import asking

    words = line.split(maxsplit=1)
    named = bool(words) and not words[0].startswith(("-", "#"))
    rest = (words[1] if len(words) > 1 else "") if named else line
    options = grammar().read(rest)
    if not source.strip():
        raise UsageError("the cell is empty", hint="Write your question below %%ask.")
    name = lines.split(words[0])[0] if named else ""
    url, key, model = shared().service(name)
    model = options.model or model or _models.get(url) or asking.the_model(url, key)
    _models[url] = model
    talk = [] if options.new else list(_talks.get(url, ()))
    if options.system:
        talk = [{"role": "system", "content": options.system}] + [
            each for each in talk if each["role"] != "system"
        ]
    talk.append({"role": "user", "content": source.strip()})
    answer = Answer(shell)
    try:
        for piece in asking.answer(url, key, _body(model, talk, options)):
            answer.add(piece)
    except KeyboardInterrupt:
        # The connection is closed by now, and with it the server's work at the answer.
        text = "so far it is in _" if answer.text else "it had not begun"
        raise Interrupted(None, f"nosana: the answer was interrupted; {text}") from None
    finally:
        answer.close()
        if answer.text:
            _talks[url] = [*talk, {"role": "assistant", "content": answer.text}]
            # Returned, it would be shown once more.
            shell.displayhook.update_user_ns(answer.text)


def _body(model: str, talk: list[dict[str, str]], options: Namespace) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model, "messages": talk}
    for name in ("max_tokens", "temperature"):
        if (value := getattr(options, name)) is not None:
            body[name] = value
    return body


class Answer:
    """
    An answer that grows: Markdown in a page, text in a terminal.

    Args:
        shell: The notebook's.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._rich = getattr(shell, "kernel", None) is not None
        self._ident = f"nosana-answer-{time.monotonic_ns()}"
        self._drawn = 0.0
        self._shown = False
        self.text = ""

    def add(self, piece: str) -> None:
        """Show more of it."""
        self.text += piece
        if not self._rich:
            sys.stdout.write(sanitize.terminal(piece))
            sys.stdout.flush()
        elif time.monotonic() - self._drawn >= EVERY:
            self._draw()

    def close(self) -> None:
        """Show all of it."""
        if self._rich and self.text:
            self._draw()
        elif self.text:
            sys.stdout.write("\n")

    def _draw(self) -> None:
        # A model says what it has read: nothing of it may run in the page, or call home.
        data, _ = sanitize.bundle({"text/plain": self.text, "text/markdown": self.text})
        self._shell.display_pub.publish(
            data=data, metadata={}, transient={"display_id": self._ident}, update=self._shown
        )
        self._shown, self._drawn = True, time.monotonic()
