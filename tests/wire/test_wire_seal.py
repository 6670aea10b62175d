"""Frames that open for whom they are meant, once and in order."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.errors import RemoteProtocolError
from nosana_jupyter.wire import seal

TOKEN = b"t" * 32
JOB = "job"


class Ends:
    """The two ends of a connection; each argument may be wrong on the runner's side."""

    def __init__(
        self,
        *,
        token: bytes = TOKEN,
        job: str = JOB,
        client_public: bytes | None = None,
        runner_public: bytes | None = None,
    ) -> None:
        self.client_key, self.runner_key = seal.Key(), seal.Key()
        opening, reply = seal.knock(), seal.answer(self.runner_key)
        self.client = seal.channel(
            "client", self.client_key, runner_public or reply.public,
            opening=opening, reply=reply, token=TOKEN, job=JOB,
        )  # fmt: skip
        self.runner = seal.channel(
            "runner", self.runner_key, client_public or self.client_key.public,
            opening=opening, reply=reply, token=token, job=job,
        )  # fmt: skip


@pytest.fixture
def ends() -> Ends:
    return Ends()


def test_both_directions_open(ends: Ends) -> None:
    """What one side seals the other opens, in order, and the overhead is what it says."""
    for number in range(5):
        frame = bytes([number]) * number
        sealed = ends.client.seal(frame)
        assert len(sealed) == len(frame) + seal.OVERHEAD
        assert ends.runner.open(sealed) == frame
        assert ends.client.open(ends.runner.seal(frame)) == frame


def test_a_replayed_frame_does_not_open(ends: Ends) -> None:
    """A frame opens once."""
    sealed = ends.client.seal(b"x")
    ends.runner.open(sealed)

    with pytest.raises(RemoteProtocolError):
        ends.runner.open(sealed)


def test_reordered_and_dropped_frames_do_not_open(ends: Ends) -> None:
    """A frame opens only in its turn; a refused one does not spoil the next right one."""
    first, second = ends.client.seal(b"1"), ends.client.seal(b"2")

    with pytest.raises(RemoteProtocolError):
        ends.runner.open(second)
    assert ends.runner.open(first) == b"1"
    assert ends.runner.open(second) == b"2"


def test_a_frame_does_not_open_for_its_own_sender(ends: Ends) -> None:
    """Directions have keys of their own: a frame thrown back does not open."""
    with pytest.raises(RemoteProtocolError):
        ends.client.open(ends.client.seal(b"x"))


@given(st.integers(0, 200), st.integers(1, 255))
def test_an_altered_frame_does_not_open(position: int, change: int) -> None:
    """Any changed byte is noticed."""
    ends = Ends()
    sealed = bytearray(ends.client.seal(b"some frame"))
    sealed[position % len(sealed)] ^= change

    with pytest.raises(RemoteProtocolError):
        ends.runner.open(bytes(sealed))


@given(st.integers(0, 25))
def test_a_truncated_frame_does_not_open(length: int) -> None:
    """A cut frame is noticed, down to the empty one."""
    ends = Ends()

    with pytest.raises(RemoteProtocolError):
        ends.runner.open(ends.client.seal(b"some frame")[:length])


@pytest.mark.parametrize(
    "wrong",
    [
        {"token": b"x" * 32},
        {"job": "another"},
        {"client_public": seal.Key().public},
        {"runner_public": seal.Key().public},
    ],
    ids=["token", "job", "client's key", "runner's key"],
)
def test_wrong_secrets_do_not_open(wrong: dict[str, object]) -> None:
    """Without the same token, job and keys nothing opens, in either direction."""
    ends = Ends(**wrong)  # type: ignore[arg-type] # one of them, by name

    with pytest.raises(RemoteProtocolError):
        ends.runner.open(ends.client.seal(b"x"))
    with pytest.raises(RemoteProtocolError):
        ends.client.open(ends.runner.seal(b"x"))


def test_each_connection_has_keys_of_its_own() -> None:
    """A recorded conversation does not open on the next connection with the same keys."""
    client, runner = seal.Key(), seal.Key()
    sealed = []
    for _ in range(2):
        opening, reply = seal.knock(), seal.answer(runner)
        channel = seal.channel(
            "client", client, runner.public, opening=opening, reply=reply, token=TOKEN, job=JOB
        )
        sealed.append(channel.seal(b"the same"))

    assert sealed[0] != sealed[1]


def test_the_session_is_part_of_the_keys() -> None:
    """Who changes the name of the session on the way gets keys that open nothing."""
    client, runner = seal.Key(), seal.Key()
    opening, reply = seal.knock(b"a" * 16), seal.answer(runner)
    changed = seal.Knock(opening.version, opening.nonce, b"b" * 16)
    ours = seal.channel(
        "client", client, runner.public, opening=opening, reply=reply, token=TOKEN, job=JOB
    )
    theirs = seal.channel(
        "runner", runner, client.public, opening=changed, reply=reply, token=TOKEN, job=JOB
    )

    with pytest.raises(RemoteProtocolError, match="does not open"):
        theirs.open(ours.seal(b"words"))


@pytest.mark.parametrize("public", [b"", b"x" * 31, bytes(32)], ids=["none", "short", "zero"])
def test_keys_that_give_no_secret(public: bytes) -> None:
    """A key that is short, or a point of small order, is refused."""
    with pytest.raises(RemoteProtocolError):
        seal.Key().agree(public)


def test_nothing_shows_a_secret() -> None:
    """A key's repr tells its public half only, and keys are not pickled."""
    key = seal.Key()

    assert key.secret().hex()[:8] not in repr(key)
    assert key.public.hex()[:8] in repr(key)
    assert not hasattr(key, "__dict__") or key.secret() not in repr(vars(key)).encode()
    with pytest.raises(TypeError):
        pickle.dumps(key)


@given(st.binary(max_size=200))
def test_openings_of_noise(data: bytes) -> None:
    """Bytes that are no opening are a protocol error and nothing else."""
    try:
        seal.decode_opening(data)
    except RemoteProtocolError:
        return


@pytest.mark.parametrize(
    "opening",
    [
        seal.Knock(version=99, nonce=b"n" * 32, session=b"s" * 16),
        seal.Knock(version=1, nonce=b"short", session=b"s" * 16),
        seal.Knock(version=1, nonce=b"n" * 32, session=b"short"),
    ],
    ids=["another version", "a short nonce", "a short session"],
)
def test_openings_that_do_not_fit(opening: seal.Knock) -> None:
    """Another version, a short nonce and a short name are said by name."""
    with pytest.raises(RemoteProtocolError, match=r"version|nonce|session"):
        seal.decode_opening(seal.encode_opening(opening))


def test_openings_survive_the_line() -> None:
    """Both openings read back as written."""
    for opening in (seal.knock(), seal.answer(seal.Key())):
        assert seal.decode_opening(seal.encode_opening(opening)) == opening
