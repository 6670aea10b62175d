"""
Sealed frames: X25519 keys made for one job, AES-256-GCM, a key for each direction.

A connection opens with two plain messages that carry nonces and the runner's public key. Keys are
derived from both X25519 keys and from a token that only the job's private definition holds, so that
a tunnel that swaps keys learns nothing. Each connection has keys of its own. Nonces are counters
that both sides keep and neither sends: a frame replayed, dropped or reordered does not open.

The host that runs the cell can read what it computes. Nothing here changes that.
"""

from __future__ import annotations

import os
from typing import Literal, Union

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..errors import RemoteProtocolError
from .messages import VERSION

OVERHEAD = 16
"""Bytes that sealing adds to a frame."""

Side = Literal["client", "runner"]


class Knock(msgspec.Struct, frozen=True, tag=True):
    """The client's opening, in plain."""

    version: int
    nonce: bytes
    session: bytes
    """Names the client's session, 16 bytes: who comes again under the same name goes on."""


class Answer(msgspec.Struct, frozen=True, tag=True):
    """The runner's opening, in plain."""

    version: int
    nonce: bytes
    public: bytes
    """The runner's X25519 public key."""


class Key:
    """An X25519 key pair. Its secret is never shown."""

    def __init__(self, secret: bytes | None = None) -> None:
        self._private = (
            X25519PrivateKey.from_private_bytes(secret) if secret else X25519PrivateKey.generate()
        )
        self.public = self._private.public_key().public_bytes_raw()

    def secret(self) -> bytes:
        """Return the secret, for the journal of the machine that made it and nothing else."""
        return self._private.private_bytes_raw()

    def derive(self, purpose: bytes) -> bytes:
        """Return a secret of 32 bytes that only the holder of this key knows."""
        secret = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"nosana-jupyter|" + purpose)
        return secret.derive(self.secret())

    def agree(self, public: bytes) -> bytes:
        """
        Return the secret shared with the holder of `public`.

        Raises:
            RemoteProtocolError: The key is not 32 bytes, or a point that gives no secret.
        """
        try:
            return self._private.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError as error:
            raise RemoteProtocolError("the other side's key is not usable") from error

    def __repr__(self) -> str:
        return f"Key(public={self.public.hex()[:8]}…)"

    def __reduce__(self) -> str:
        raise TypeError("keys are not pickled")


class Channel:
    """The two directions of one connection."""

    def __init__(self, sending: bytes, receiving: bytes, context: bytes) -> None:
        self._sending = AESGCM(sending)
        self._receiving = AESGCM(receiving)
        self._context = context
        self._sent = 0
        self._received = 0

    def seal(self, frame: bytes) -> bytes:
        """Seal the next frame."""
        nonce = self._sent.to_bytes(12, "little")
        self._sent += 1
        return self._sending.encrypt(nonce, frame, self._context)

    def open(self, sealed: bytes) -> bytes:
        """
        Open the next frame.

        Raises:
            RemoteProtocolError: It is not the next frame of this connection.
        """
        nonce = self._received.to_bytes(12, "little")
        try:
            frame = self._receiving.decrypt(nonce, sealed, self._context)
        except InvalidTag:
            raise RemoteProtocolError("a frame does not open: altered, replayed or lost") from None
        self._received += 1
        return frame


def knock(session: bytes | None = None) -> Knock:
    """Make the client's opening, of a session of its own if none is named."""
    return Knock(version=VERSION, nonce=os.urandom(32), session=session or os.urandom(16))


def answer(key: Key) -> Answer:
    """Make the runner's opening."""
    return Answer(version=VERSION, nonce=os.urandom(32), public=key.public)


def channel(
    side: Side, key: Key, peer: bytes, *, opening: Knock, reply: Answer, token: bytes, job: str
) -> Channel:
    """
    Derive the keys of a connection.

    Args:
        side: Who derives.
        key: This side's key pair.
        peer: The other side's public key.
        opening: What the client sent first.
        reply: What the runner answered.
        token: The secret that the job's private definition holds, 32 bytes.
        job: Address of the job; frames of another job do not open.
    """
    client = key.public if side == "client" else peer
    transcript = b"|".join([b"nosana-jupyter", bytes([VERSION]), job.encode()])
    transcript += client + reply.public + opening.nonce + reply.nonce + opening.session
    material = HKDF(algorithm=SHA256(), length=64, salt=token, info=transcript).derive(
        key.agree(peer)
    )
    ours, theirs = material[:32], material[32:]
    if side == "runner":
        ours, theirs = theirs, ours
    return Channel(ours, theirs, job.encode())


def enclose(data: bytes, client: bytes, *, token: bytes, job: str) -> bytes:
    """
    Seal what no line carries any more, for the holder of a job's key to find later.

    Args:
        data: In plain.
        client: The client's public key.
        token: The secret of the job's private definition.
        job: Address of the job.
    """
    key = Key()
    secret = _enclosing(key.agree(client), client, key.public, token, job)
    # The key is used once, and so needs no nonce.
    return key.public + AESGCM(secret).encrypt(bytes(12), data, job.encode())


def disclose(sealed: bytes, key: Key, *, token: bytes, job: str) -> bytes:
    """
    Open what `enclose` has sealed.

    Raises:
        RemoteProtocolError: It was not sealed for this key and job, or was altered.
    """
    public = sealed[:32]
    secret = _enclosing(key.agree(public), key.public, public, token, job)
    try:
        return AESGCM(secret).decrypt(bytes(12), sealed[32:], job.encode())
    except (InvalidTag, ValueError):
        raise RemoteProtocolError("what was stored does not open: altered, or another's") from None


def _enclosing(secret: bytes, client: bytes, public: bytes, token: bytes, job: str) -> bytes:
    info = b"|".join([b"nosana-jupyter stored", bytes([VERSION]), job.encode()]) + client + public
    return HKDF(algorithm=SHA256(), length=32, salt=token, info=info).derive(secret)


def encode_opening(opening: Knock | Answer) -> bytes:
    """Return the bytes of an opening."""
    return msgspec.msgpack.encode(opening)


def decode_opening(data: bytes) -> Knock | Answer:
    """
    Read an opening.

    Raises:
        RemoteProtocolError: It is not one, or it speaks another version.
    """
    try:
        opening: Knock | Answer = msgspec.msgpack.decode(data, type=Union[Knock, Answer])
    except (msgspec.DecodeError, ValueError) as error:
        raise RemoteProtocolError(f"unreadable opening: {error}") from error
    if opening.version != VERSION:
        raise RemoteProtocolError(f"the other side speaks version {opening.version}, not {VERSION}")
    if len(opening.nonce) != 32:
        raise RemoteProtocolError("an opening's nonce is 32 bytes")
    if isinstance(opening, Knock) and len(opening.session) != 16:
        raise RemoteProtocolError("the name of a session is 16 bytes")
    return opening
