"""The gate of a team's network: who is let in, as what, and until when."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from lab_world import Machine, ask, balance, call, login, until
from solders.pubkey import Pubkey

from nosana_jupyter.chain import authorization
from nosana_jupyter.chain.instructions import JOBS, build
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.errors import NetworkError, UsageError
from nosana_jupyter.lan import invite, pinned
from nosana_jupyter.lan.invite import HEADER
from nosana_jupyter.lan.seats import Seat
from nosana_jupyter.local import certificate
from nosana_jupyter.network import MAINNET

CID = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPBdG"

ROUTES = [
    ("POST", "/x/rpc"),
    ("GET", "/x/rpc"),
    ("POST", "/x/services/pinning/pinJSONToIPFS"),
    ("POST", "/x/services/pinning/pinFileToIPFS"),
    ("GET", f"/x/services/ipfs/{CID}"),
    ("GET", "/x/services/api/markets/"),
    ("GET", "/x/services/markets/price"),
    ("GET", "/x/services/reservations/gpus"),
    ("GET", "/x/services/health"),
    ("POST", "/x/tunnel/register"),
    ("POST", "/x/tunnel/unregister"),
    ("GET", "/x/tunnel/anybody/"),
    ("GET", "/-/hello"),
    ("GET", "/-/line"),
    ("GET", "/-/come/" + "0" * 32),
    ("POST", "/-/join"),
    # What the network serves its own machine.
    ("POST", "/"),
    ("POST", "/faucet"),
    ("POST", "/hosts"),
    ("GET", "/health"),
]
"""What there is, and what there may be thought to be."""

NOT_FOR_MEMBERS = [
    ("POST", "/x/services/faucet"),
    ("POST", "/x/services/hosts"),
    ("POST", "/x/services/authority/reports"),
    ("GET", "/x/services/health"),
    ("GET", "/x/services/api/credits/balance"),
    ("POST", "/x/services/api/jobs/create"),
    ("POST", "/faucet"),
]


@pytest.fixture
def client(founder: Machine, member: Machine) -> Seat:
    """The seat of a client."""
    return member.join(founder.invite("--for", "anna"))


def test_strangers_read_and_post_nothing(founder: Machine, client: Seat) -> None:
    """
    Each route answers 401 to whoever shows nothing, a guess, an invite in place of a seat, or the
    number of a seat alone.
    """
    open_invite = invite.parse(founder.invite())
    guesses = [
        "", "a.b", "." * 5, f"{client.number}.", f"{client.number}.{'A' * 43}",
        f"{open_invite.number}.{open_invite.secret}", f"{open_invite.number}.",
        f"{client.number}.{open_invite.secret}",
    ]  # fmt: skip
    join = f"{open_invite.number}.{open_invite.secret}"
    for method, path in ROUTES:
        for who in guesses:
            if path == "/-/join" and who == join:
                continue
            body = {"key": "k", "wallet": "w", "node": ""} if path == "/-/join" else {"id": "x"}
            status, answer = ask(client, who, method, path, body)
            assert (status, set(answer)) == (401, {"error"}), (method, path, who)


def test_without_tls_there_is_nothing(founder: Machine, client: Seat) -> None:
    """
    Who speaks plain HTTP to the gate, even with a good seat, is told nothing by it.
    """
    for method, path in ROUTES:
        heard = bytearray()
        with socket.create_connection((client.host, client.port), timeout=20) as line:
            line.sendall(
                f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{HEADER}: {login(client)}\r\n"
                "Content-Length: 0\r\n\r\n".encode()
            )
            with contextlib.suppress(ConnectionError):
                while piece := line.recv(4096):
                    heard += piece
        # An alert of TLS, at the most.
        assert len(heard) < 20
        assert b"HTTP" not in heard


def test_old_tls_is_refused(founder: Machine, client: Seat) -> None:
    """
    Nothing older than TLS 1.3 is spoken.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection((client.host, client.port), timeout=20) as line,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(line)


def test_a_client_is_no_host_and_no_administrator(
    founder: Machine, member: Machine, client: Seat
) -> None:
    """
    With the seat of a client no name is led anywhere, no queue entered and no job claimed, no money
    made, and nothing is there that steers the network; what a client needs is.
    """
    who, wallet = login(client), Wallet.load(member.home / "wallets" / "lab.json")
    header = authorization.authorize(wallet, wallet.address)
    named = {"id": wallet.address, "node": wallet.address, "header": header, "port": 80}
    for path in ("/x/tunnel/register", "/x/tunnel/unregister"):
        assert ask(client, who, "POST", path, named)[0] == 403
    for path in ("/-/line", "/-/come/" + "0" * 32, "/-/decline/" + "0" * 32):
        assert ask(client, who, "GET", path)[0] == 403
    for method, path in NOT_FOR_MEMBERS:
        assert ask(client, who, method, path, {})[0] == 404, path
    money = call(client, who, "requestAirdrop", wallet.address, 10**9)
    assert "only so" in money["error"]["message"]
    for name in ("work", "claim"):
        said = call(client, who, "sendTransaction", *_sent(client, who, wallet, name))
        assert "needs an invite of a host" in said["error"]["message"], name

    assert call(client, who, "getHealth")["result"] == "ok"
    assert ask(client, who, "POST", "/x/services/pinning/pinJSONToIPFS", {"a": 1})[0] == 200
    assert ask(client, who, "GET", "/x/services/markets/price")[0] == 200


def _sent(seat: Seat, who: str, wallet: Wallet, name: str) -> tuple[str, dict[str, str]]:
    """Return a transaction with an instruction that only hosts have a use for."""
    import base64

    from solders.hash import Hash
    from solders.message import Message
    from solders.transaction import Transaction

    spec = JOBS[name]
    accounts = {
        each.name: str(wallet.pubkey if each.signer else Pubkey.new_unique())
        for each in spec.accounts
    }
    made = build(spec, MAINNET.programs.jobs, {}, accounts)
    found = call(seat, who, "getLatestBlockhash")["result"]["value"]["blockhash"]
    message = Message.new_with_blockhash([made], wallet.pubkey, Hash.from_string(found))
    signed = Transaction([wallet.keypair], message, Hash.from_string(found))
    return base64.b64encode(bytes(signed)).decode(), {"encoding": "base64"}


def test_a_host_leads_its_own_name_alone(founder: Machine, member: Machine) -> None:
    """
    The seat of a host registers what its own node has signed, and only while it holds a line.
    """
    seat = member.join(founder.invite("--host"))
    node, other = Wallet.load(Path(seat.host_key)), Wallet.new()

    def register(wallet: Wallet, signer: Wallet) -> int:
        header = authorization.authorize(signer, wallet.address)
        body = {"id": wallet.address, "node": wallet.address, "header": header, "port": 80}
        return ask(seat, login(seat), "POST", "/x/tunnel/register", body)[0]

    assert register(other, other) == 401
    assert register(node, other) == 401
    assert register(node, node) == 409


@pytest.mark.parametrize("kind", ["--client", "--host"])
def test_an_invite_is_for_one(founder: Machine, member: Machine, tmp_path: Path, kind: str) -> None:
    """
    Who has seen an invite that was used has nothing: a second machine is refused, and so is the
    secret of the invite in place of the seat's key.
    """
    text = founder.invite(kind)
    seat = member.join(text)
    second = Machine(tmp_path / "second")

    assert "was used already" in second.refused(text)
    assert ask(seat, f"{seat.number}.{invite.parse(text).secret}", "GET", "/-/hello")[0] == 401
    # The same machine may ask again: an answer may have been lost.
    assert ask(seat, login(seat), "GET", "/-/hello")[0] == 200


def test_an_invite_of_another_kind_is_not_made_of_this_one(
    founder: Machine, member: Machine
) -> None:
    """
    What an invite says of itself is not believed: `client` written over with `host` joins nothing.
    """
    text = founder.invite().replace("/client#", "/host#")

    assert "knows it as another" in member.refused(text)


def test_expired_and_revoked_invites_are_refused(founder: Machine, member: Machine) -> None:
    """
    Each is refused with the reason, and nothing is left of the attempt.
    """
    expired = founder.invite("--days", "0.0000001")
    revoked = founder.invite("--for", "eve")
    founder.run("local", "revoke", "eve")

    assert "has expired" in member.refused(expired)
    assert "was revoked" in member.refused(revoked)
    listed = founder.run("local", "invites").stdout
    assert re.search(r"eve\s+100\.000000 NOS\s+revoked", listed)


def test_a_revoked_seat_ends_at_once(founder: Machine, member: Machine) -> None:
    """
    A connection that stands is cut, a new one refused, and the user told why.
    """
    seat = member.join(founder.invite("--for", "mallory"))
    member.load()

    async def stand() -> bytes:
        line = await pinned.connect(seat)
        line.writer.write(
            f"GET /x/services/markets/price HTTP/1.1\r\nHost: 127.0.0.1\r\n{HEADER}: {login(seat)}"
            "\r\n\r\n".encode()
        )
        first = await asyncio.wait_for(line.reader.read(1 << 16), 20)
        await asyncio.to_thread(founder.run, "local", "revoke", "mallory")
        try:
            rest = await asyncio.wait_for(line.reader.read(), 20)
        except ConnectionError:
            rest = b""
        line.writer.transport.abort()
        return first if not rest else b"it went on"

    assert asyncio.run(stand()).startswith(b"HTTP/1.1 200")
    assert ask(seat, login(seat), "GET", "/-/hello")[0] == 401
    assert "membership was revoked" in member.unloaded()


def test_an_allowance_comes_once(founder: Machine, member: Machine) -> None:
    """
    The founder's NOS come with the invite; asking again with it brings none, and another does.
    """
    text = founder.invite("--nos", "7.5")
    seat = member.join(text)
    assert balance(member) == 7_500_000
    secret = f"{seat.number}.{invite.parse(text).secret}"
    from nosana_jupyter.local.roster import digest

    body = {"key": digest(seat.key), "wallet": str(Pubkey.new_unique()), "node": ""}
    assert ask(seat, secret, "POST", "/-/join", body)[0] == 200
    assert balance(member) == 7_500_000
    member.join(founder.invite("--nos", "2"))
    assert balance(member) == 9_500_000


@pytest.fixture
def impostor(tmp_path: Path) -> Iterator[tuple[int, bytearray]]:
    """A TLS server with a certificate of its own, and all that anybody has told it."""
    certificate.of(tmp_path)
    heard, context = bytearray(), certificate.context(tmp_path)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = listener.accept()
                with (
                    contextlib.suppress(OSError),
                    context.wrap_socket(line, server_side=True) as up,
                ):
                    up.settimeout(20)
                    while piece := up.recv(4096):
                        heard.extend(piece)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1], heard
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(20)


def test_a_man_in_the_middle_hears_nothing(
    founder: Machine, member: Machine, impostor: tuple[int, bytearray]
) -> None:
    """
    Whoever stands where the network should be, with another certificate, is told neither the invite
    nor the key of a seat, and the user is told that somebody is there.
    """
    port, heard = impostor
    text = founder.invite()
    wrong = re.sub(r":\d+/", f":{port}/", text)
    assert "its certificate is another" in member.refused(wrong)

    seat = member.join(text)
    path = member.home / "networks" / "lab" / "seat.json"
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(seat, port=port)))
    assert "Nothing was sent" in member.unloaded()
    assert bytes(heard) == b""

    # It would have heard: who does not look at the certificate tells it all.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port))) as line:
        line.sendall(b"secret")
    until(lambda: bytes(heard) == b"secret")


def test_what_is_said_and_kept_shows_no_secret(founder: Machine, member: Machine) -> None:
    """
    Neither invite nor key stand in what a notebook shows, in logs, in `repr`, or in files that
    others can open; the founder's own list holds only digests.
    """
    text = founder.invite("--for", "bob")
    asked = invite.parse(text)
    shown = member.run("network", "join", text)
    shown_later = member.run("status", NOSANA_NETWORK="lab")
    seat = member.seat()
    secrets = [asked.secret, seat.key]
    open_to_others = [
        each for each in [*member.home.rglob("*"), *founder.home.rglob("*")]
        if each.is_file() and each.stat().st_mode & 0o077
    ]  # fmt: skip
    kept = [each for each in founder.home.rglob("*") if each.is_file()]

    said = shown.stdout + shown.stderr + shown_later.stdout + shown_later.stderr
    assert not any(secret in said + repr(asked) + repr(seat) for secret in secrets)
    assert not [
        each for each in [*open_to_others, *kept] for secret in secrets
        if secret.encode() in each.read_bytes()
    ]  # fmt: skip
    assert {each.name for each in member.home.rglob("seat.json")} == {"seat.json"}
    assert (member.home / "networks" / "lab" / "seat.json").stat().st_mode & 0o777 == 0o600
    assert (member.home / "networks" / "lab").stat().st_mode & 0o777 == 0o700
    assert (founder.home / "local" / certificate.FILE).stat().st_mode & 0o777 == 0o600


def test_the_door_is_for_its_user(founder: Machine, member: Machine) -> None:
    """
    At the door of a member, other users of his machine and web pages are refused; it opens with the
    key that is in his own file.
    """
    member.join(founder.invite())
    member.load()
    seat = member.seat()

    def get(path: str, **headers: str) -> int:
        import httpx

        address = f"http://127.0.0.1:{seat.door_port}{path}"
        return httpx.get(address, headers=headers, trust_env=False, timeout=20).status_code

    good = f"/{seat.door_key}/services/markets/price"
    assert get(good) == 200
    assert get("/services/markets/price") == 403
    assert get("/x/services/markets/price") == 403
    assert get("//services/markets/price") == 403
    assert get(good, Origin="https://evil.example") == 403
    assert get(good, Host="evil.example") == 403
    # Who forges a seat at the door is served with that of the door's owner, or not at all.
    assert get(good, **{HEADER: "a.b"}) == 200


def test_joining_in_a_notebook(founder: Machine, member: Machine) -> None:
    """
    Where a loop runs already, as in the thread of a notebook's cells, joining goes all the same.
    """

    async def cell() -> str:
        return member.join(founder.invite()).name

    assert asyncio.run(cell()) == "lab"


def test_leaving(founder: Machine, member: Machine) -> None:
    """
    Who leaves has no key any more, keeps the wallet, and is back on the network of this machine.
    """
    member.join(founder.invite())
    assert "lab (play money)" in member.run("network", "lab").stdout
    said = member.run("network", "leave", "lab").stdout

    assert "The network is local again" in said
    assert not (member.home / "networks" / "lab").exists()
    assert (member.home / "wallets" / "lab.json").exists()
    assert "there is no network 'lab'" in member.unloaded()


def test_an_api_key_stays_here(founder: Machine, member: Machine) -> None:
    """
    A key of a Nosana account is not sent to a team's network, though credits are to pay.
    """
    member.join(founder.invite())
    done = member.run(
        "status", NOSANA_NETWORK="lab", NOSANA_PAY="credits", NOSANA_API_KEY="nos_0123456789abcdef"
    )

    assert "is not to see your API key" in done.stdout + done.stderr


def test_what_is_no_invite(member: Machine) -> None:
    """
    A part of an invite, or an invite that names a public network, is refused without being
    repeated.
    """
    good = f"nosana://10.0.0.1:18000/lab/client#{'A' * 43}.01234567.{'B' * 43}"
    assert repr(invite.parse(good)) == "Invite(lab, client, 10.0.0.1:18000)"
    assert invite.parse(good).line() == good
    for bad in (
        good[:-1], good + "x", good.replace("lab", "mainnet"), good.replace("lab", "../x"),
        good.replace("client", "admin"), good.replace(":18000", ":99999"), "", "nosana://",
        good.replace("10.0.0.1", "[::1"), good.replace("10.0.0.1", "a b"),
    ):  # fmt: skip
        with pytest.raises(UsageError) as caught:
            invite.parse(bad)
        assert "B" * 20 not in str(caught.value) + caught.value.hint


def test_nobody_there(founder: Machine, member: Machine) -> None:
    """
    A network that does not answer is named, with where it was looked for and what to do.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    asked: Any = invite.parse(re.sub(r":\d+/", f":{port}/", founder.invite()))
    with pytest.raises(NetworkError, match=rf"lab does not answer at 127.0.0.1:{port}: .*refused"):
        asyncio.run(pinned.connect(asked))
