"""What is hashed beside the line."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from hashlib import sha256

import pytest

from nosana_jupyter.wire import attest
from nosana_jupyter.wire.beside import WAITING, Beside
from nosana_jupyter.wire.chunks import split
from nosana_jupyter.wire.pieces import ID, PIECE, Names

FORKED = """
import os
from nosana_jupyter.wire.beside import begin
begin(int).result()
child = os.fork()
if not child:
    begin(int).result()
    os._exit(7)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_work_is_done_in_order() -> None:
    """
    What is given first is done first, however long it takes, and all is done after the wait.
    """
    gate, done = threading.Event(), list[int]()
    beside = Beside()
    beside.do(gate.wait)
    for number in range(10):
        beside.do(done.append, number)

    assert not done
    gate.set()
    beside.wait()

    assert done == list(range(10))
    assert not beside


def test_only_so_much_waits() -> None:
    """
    Who gives more than may wait waits: data is not held without a bound.
    """
    gate, given = threading.Event(), list[int]()

    def give() -> None:
        beside = Beside()
        beside.do(gate.wait)
        for number in range(2 * WAITING):
            beside.do(int)
            given.append(number)
        beside.wait()

    giver = threading.Thread(target=give)
    giver.start()
    giver.join(0.5)
    held = len(given)
    gate.set()
    giver.join(45)

    assert held <= WAITING
    assert len(given) == 2 * WAITING


def test_what_fails_is_raised_where_it_is_waited_for() -> None:
    """
    An error of the work is not lost with its thread.
    """
    beside = Beside()
    beside.do(lambda: 1 // 0)

    with pytest.raises(ZeroDivisionError):
        beside.wait()


def test_a_forked_child_has_a_thread_of_its_own() -> None:
    """
    A child that is forked hashes too, though the thread stayed with its parent.
    """
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED], check=False, timeout=45)

    assert done.returncode == 7


@pytest.mark.parametrize("size", [10, attest.LONG - 1, attest.LONG, 3 * attest.LONG + 5])
def test_a_transcript_is_the_same_however_it_is_hashed(size: int) -> None:
    """
    Values have the same digest whether they are short and hashed at once, or long and hashed
    beside; a short one after a long one waits for its turn.
    """
    buffers = [os.urandom(size), b"after", b""]
    transcript = attest.Transcript(b"secret")
    for chunk in split(buffers):
        transcript.add(chunk)

    values = sha256(b"".join(len(each).to_bytes(8, "big") + each for each in buffers))
    said = sha256(attest.salt_of(b"secret", "outputs"))
    assert transcript.digest() == sha256(said.digest() + values.digest()).hexdigest()


@pytest.mark.parametrize("size", [0, 5, 15 << 20, (16 << 20) - 1, (17 << 20) + 3])
def test_a_print_is_the_same_in_halves(size: int) -> None:
    """
    What is long is printed in two halves at once, and its print is that of its strides in order.
    """
    data, names = memoryview(os.urandom(size)), Names(bytes(32))

    strides = [data[at : at + (1 << 20)] for at in range(0, size, 1 << 20)]
    assert names.print(data) == b"".join(names.print(each) for each in strides)


def test_pieces_are_learnt_by_their_names() -> None:
    """
    Each piece of a row has its own digest under its own name, the short last one as well.
    """
    data = os.urandom(2 * PIECE + 7)
    names = Names(bytes(32)).ids(memoryview(data))
    known: dict[bytes, bytes] = {}
    attest.learn(known, names, data)

    assert [known[names[i * ID : (i + 1) * ID]] for i in range(3)] == list(
        attest.digests(memoryview(data))
    )
