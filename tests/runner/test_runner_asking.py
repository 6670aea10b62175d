"""Questions of a cell: asked one at a time, answered from afar, and given up with the cell."""

from __future__ import annotations

from typing import Any

import pytest

from nosana_jupyter.wire.messages import Attach, InputReply, InputRequest, Interrupt

Client = Any
Ran = Any


def asked(client: Client) -> InputRequest:
    """Hear up to the next question."""
    ran = client.hear_until(lambda ran: bool(ran.of(InputRequest)))
    found: InputRequest = ran.of(InputRequest)[0]
    return found


def finish(client: Client) -> Ran:
    return client.finish()


def test_questions_are_answered(client: Client) -> None:
    """
    `input` and `getpass` return what was typed; what was said before comes before the question.
    """
    client.start(
        "import getpass\nprint('hello')\na = input('Name: ')\nb = getpass.getpass('Key: ')",
        returns=["a", "b"],
    )
    before = client.hear_until(lambda ran: bool(ran.of(InputRequest)))
    first = before.of(InputRequest)[0]
    client.say(InputReply(first.number, "Ada"))
    second = asked(client)
    client.say(InputReply(second.number, "x"))

    assert before.text() == "hello\n"
    assert (first.prompt, first.password) == ("Name: ", False)
    assert (second.prompt, second.password) == ("Key: ", True)
    assert finish(client).values == {"a": "Ada", "b": "x"}


@pytest.mark.parametrize(
    ("ended", "error"), [(True, "EOFError"), (False, "StdinNotImplementedError")]
)
def test_no_answer_is_an_error(client: Client, ended: bool, error: str) -> None:
    """
    A cell knows the end of the input from having nobody to ask, as it does in a notebook.
    """
    client.start("input()")
    client.say(InputReply(asked(client).number, None, ended=ended))

    ran = finish(client)
    assert ran.status == "error"
    assert f"{error}: " in ran.traceback
    assert "asking.py" not in ran.traceback


def test_a_question_can_be_interrupted(client: Client) -> None:
    """
    An interrupt ends the wait; an answer that comes after it is nobody's, the next cell's neither.
    """
    client.start("input()")
    late = asked(client).number
    client.say(Interrupt())
    assert finish(client).status == "interrupted"
    client.say(InputReply(late, "late"))
    client.start("a = input()", returns=["a"])
    now = asked(client).number
    client.say(InputReply(late, "late"))
    client.say(InputReply(now, "now"))

    assert finish(client).values == {"a": "now"}


def test_threads_ask_in_turn(client: Client) -> None:
    """
    Two threads ask one after the other, and each gets its own answer.
    """
    client.start(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(2) as pool:\n"
        "    got = sorted(pool.map(lambda p: p + input(p), ['a', 'b']))",
        returns=["got"],
    )
    for _ in range(2):
        question = asked(client)
        client.say(InputReply(question.number, question.prompt.upper()))

    assert finish(client).values == {"got": ["aA", "bB"]}


def test_a_thread_that_is_left_behind_asks_nobody(client: Client) -> None:
    """
    A question that outlives its cell is given up with it.
    """
    client.start(
        "import threading\nfound = []\n"
        "def work():\n"
        "    try: input()\n"
        "    except NotImplementedError as error: found.append(type(error).__name__)\n"
        "thread = threading.Thread(target=work)\nthread.start()\n"
        "import time; time.sleep(0.2)"
    )
    asked(client)
    finish(client)
    client.start("thread.join(5)", returns=["found"])

    assert finish(client).values == {"found": ["StdinNotImplementedError"]}


def test_an_open_question_is_asked_again(process: Any) -> None:
    """
    Who attaches while a question is open is asked it; once it is answered nobody is.
    """
    first = process.connected()
    first.start(
        "a = input('? ')\nprint('got')\nimport time; time.sleep(0.5)", cell="a", returns=["a"]
    )
    asked(first)
    first.cut()
    second = process.connected()
    second.say(Attach("a"))
    question = asked(second)
    second.say(InputReply(question.number, "x"))
    second.hear_until(lambda ran: "got" in ran.text())
    second.cut()
    third = process.connected()
    third.say(Attach("a"))

    ran = finish(third)
    assert ran.of(InputRequest) == []
    assert ran.values == {"a": "x"}
