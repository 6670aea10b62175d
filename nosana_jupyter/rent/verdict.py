"""
A host's own account of a job, in words: whether its runner has ended, and how.

A host is a stranger: any JSON is an account, if only one that says nothing. It is read for a few
known words; its own sentences are cut, cleaned, and quoted behind ours.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..sanitize import line
from ..wire import launch, parcel

ENDED = ("success", "finished", "failed", "stopped")
"""States of an operation that runs no more."""

OVER = (
    *ENDED, "waiting-for-result", "validation-error", "logistics-error", "init error", "init-error",
)  # fmt: skip
"""States of a flow in which nothing runs any more."""

EVENTS = {
    "image-pull-error": "the image could not be pulled",
    "resource-error": "a resource could not be fetched",
    "container-runtime-error": "the container could not run",
    "operation-error": "the operation could not run",
}
"""What errors of an operation mean, by the word that a node has for their kind."""

STATES = {
    "validation-error": "the host does not take the definition",
    "logistics-error": "the host did not get the definition",
    "init error": "the host could not prepare the job",
    "init-error": "the host could not prepare the job",
}
"""The same of a flow."""

NOWHERE = (
    "manifest unknown", "not found", "does not exist", "access denied", "no basic auth",
    "unauthorized", "invalid reference", "no matching manifest", "no such image", "is private",
)  # fmt: skip
"""What is said of an image that no host can pull."""

REFUSED = (401, 403, 404)
"""What a registry answers in that case."""

PROGRAMLESS = ("has no program 'python3'", '"python3": executable file not found')
"""What engines say of an image without a Python."""

UNFIT_HINT = "Choose an image with Python 3.9 or newer, as with --image python:3.12-slim."

_LAPSED = re.compile(r"the runner ends: no client for (\d{1,9}(?:\.\d)? s): the lease has lapsed$")

_TERMINATED = "the runner ends: SIGTERM"

LINES = 20
"""Lines of a runner's log that are shown when it fails."""

LINE = 500
"""Characters of one of them, or of an error, that are shown."""

ERRORS = 5
"""Errors of a runner that are shown."""

NOISE = (
    "nosana_jupyter/", "/IPython/core/", "/asyncio/", "/threading.py", "<frozen runpy>",
    "Extension modules:",
)  # fmt: skip
"""What marks a line of such a log as being about the runner itself."""


_OF_SHELL = re.compile(
    r"(?:\S+: (?:line \d+: +)?\d+ )?(?:Killed|Terminated|Aborted|Segmentation fault|Bus error|"
    r"Illegal instruction|Floating point exception)(?: \(core dumped\))?(?: +python3? .*)?"
)
"""What a shell says of a program that a signal ended."""

_AS_SAID = re.compile(r"^its? (process )?was killed( \(signal 9\))?")
"""What our own host says of a process that was killed, before it says more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """How a runner ended, as its host has it."""

    text: str
    """As the end of a sentence on the runner, or a whole one on something else."""

    hint: str = ""
    expired: bool = False
    """Whether its time was over."""

    stopped: bool = False
    """Whether somebody stopped the job."""

    hopeless: bool = False
    """Whether it would end in the same way on any other host."""

    imageless: bool = False
    """Whether it never began, for want of its image."""


def ended(told: dict[str, Any], *, began: bool) -> End | None:
    """
    Return how the runner has ended, if it has.

    Args:
        told: What the host says: of the job as it is, or as its result.
        began: Whether the cell had begun by then.
    """
    state = _operation(told)
    if state is None:
        flow = told.get("status")
        if not isinstance(flow, str) or flow not in OVER:
            return None
        reasons = _sentences(told.get("errors"))
        text = STATES.get(flow, "the host ended the job before its runner began")
        return End(text=": ".join([text, *reasons]), stopped=flow == "stopped")
    if state.get("status") not in ENDED:
        return None
    text, hint, hopeless = _cause(state, began=began)
    return End(
        text=text,
        hint=hint,
        expired=_was(state, "jobExpired"),
        stopped=_was(state, "jobStopped"),
        hopeless=hopeless,
        imageless=_kind(state)[0] == "image-pull-error",
    )


def log(result: dict[str, Any]) -> list[str]:
    """Return the last lines that the runner's operation said, whatever their stream."""
    state = _operation(result)
    said = "".join(_said(state or {}))
    # Frames of the runner and of IPython are below every cell, and say nothing about it.
    lines = [each for each in said.splitlines() if not any(word in each for word in NOISE)]
    lines = _of_current(lines)
    # Nor does what it left behind, sealed.
    lines = [each for each in lines if not each.startswith(parcel.MARK)]
    if state is not None and _signal(_code(state)):
        # What a shell and the host say of that is said in our words.
        lines = [e for e in lines if not (_OF_SHELL.fullmatch(e) or _AS_SAID.match(e))]
    return [each[:LINE] for each in lines[-LINES:]]


def _said(state: dict[str, Any]) -> list[str]:
    """Return what the runner's operation said."""
    entries = state.get("logs")
    told = entries if isinstance(entries, list) else []
    return [str(each.get("log", "")) for each in told if isinstance(each, dict)]


def lapsed(said: Sequence[str]) -> str:
    """Return for how long a runner has heard of nobody, if it says that it ended for that."""
    found = [match[1] for each in said if (match := _LAPSED.search(each))]
    return found[-1] if found else ""


def _of_current(lines: Sequence[str]) -> list[str]:
    """Leave out, where Python tells of a crash, the threads that have not crashed."""
    kept, aside = [], False
    for each in lines:
        aside = each.startswith("Thread 0x") or (aside and each.startswith("  File "))
        if not aside:
            kept.append(each)
    return kept


def _operation(told: dict[str, Any]) -> dict[str, Any] | None:
    """Return the state of the runner's operation."""
    states = told.get("opStates")
    if not isinstance(states, list) or not states or not isinstance(states[0], dict):
        return None
    return states[0]


def _cause(state: dict[str, Any], *, began: bool) -> tuple[str, str, bool]:
    """Return what ended the runner, what to do about it, and whether that is the same elsewhere."""
    if _was(state, "hostShutDown"):
        return "the host shut down", "", False
    errors = _sentences(state.get("errors")) or _sentences(state.get("error"))
    code = _code(state)
    if _out_of_memory(state):
        text = f"the {'cell' if began else 'runner'} ran out of memory, and the host killed it"
        hint = "Send less, or work in pieces."
        text += f" with exit code {code}" if code else ""
        return ": ".join([text, *errors]), hint, False
    if died := _signal(code):
        who = "the cell" if began else "the runner"
        if died == signal.SIGKILL:
            return _killed(who, errors), _hint(died, errors), False
        text = f"{who} brought its Python down ({died.name}) with exit code {code}"
        return ": ".join([text, *errors]), _hint(died, errors), False
    if code == launch.UNFIT and not began:
        return "the image cannot be a runner", UNFIT_HINT, True
    kind, number = _kind(state)
    if kind:
        # The host may say the same first.
        said = bool(errors) and "be pulled" in errors[0]
        text = ": ".join(errors if said else [EVENTS[kind], *errors])
        if any(word in text.lower() for word in PROGRAMLESS):
            return text, UNFIT_HINT, True
        nowhere = number in REFUSED or any(word in text.lower() for word in NOWHERE)
        hopeless = kind == "image-pull-error" and nowhere
        hint = "Check the name of the image, and that anybody may pull it." if hopeless else ""
        return text, hint, hopeless
    text = "the process of the cell ended" if began else "the runner ended"
    if code == 0 and began and _TERMINATED in "".join(_said(state)):
        # The host would have said that it ends the job.
        return ": ".join(["the process of the cell was told to end (SIGTERM)", *errors]), "", False
    text += f" with exit code {code}" if code is not None else ""
    return ": ".join([text, *errors]), "", False


def _was(state: dict[str, Any], why: str) -> bool:
    """Say whether the host gives a certain reason for ending the runner."""
    diagnostics = state.get("diagnostics")
    reason = diagnostics.get("reason") if isinstance(diagnostics, dict) else None
    return isinstance(reason, dict) and reason.get(why) is True


def _out_of_memory(state: dict[str, Any]) -> bool:
    diagnostics = state.get("diagnostics")
    inner = diagnostics.get("state") if isinstance(diagnostics, dict) else None
    return isinstance(inner, dict) and inner.get("OOMKilled") is True


def _kind(state: dict[str, Any]) -> tuple[str, object]:
    """Return the kind of the first error whose kind is known, and its number."""
    errors = state.get("errors") or state.get("error")
    for each in errors if isinstance(errors, list) else [errors]:
        told = each if isinstance(each, dict) else {}
        event = told.get("event")
        if isinstance(event, str) and event in EVENTS:
            return event, told.get("code")
    return "", None


def _sentences(errors: object) -> list[str]:
    """Return what errors say: a host has them as sentences, or as objects with one."""
    found = []
    for each in (errors if isinstance(errors, list) else [errors])[:ERRORS]:
        said = each.get("message") if isinstance(each, dict) else each
        if isinstance(said, str) and (text := line(said[:LINE])):
            found.append(text)
    return found


def _code(state: dict[str, Any]) -> int | None:
    code = state.get("exitCode")
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def _signal(code: int | None) -> signal.Signals | None:
    """Return the signal that ended the runner, if one did."""
    try:
        # A shell, and an engine for containers, say 128 and the number.
        return signal.Signals(code - 128) if code is not None and code > 128 else None
    except ValueError:
        return None


def _killed(who: str, errors: Sequence[str]) -> str:
    """Say of a process that it was killed, with what the host says beyond that."""
    more = [text for each in errors if (text := _AS_SAID.sub("", each))]
    text = f"the process of {who} was killed (SIGKILL, exit code 137)"
    if more and more[0].startswith(","):  # As in ", not for memory".
        text += more.pop(0)
    return ": ".join([text, *more])


def _hint(number: signal.Signals, errors: Sequence[str]) -> str:
    if number == signal.SIGKILL:
        if any("not for memory" in each for each in errors):
            return "Something that ran there killed it."  # The host knows better.
        return "Its memory may have run out: send less, or work in pieces."
    return "Native code crashed, not Python: look at the last frames, and at what they call."
