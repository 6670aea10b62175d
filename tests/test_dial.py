"""How WebSockets are opened: proxies and certificates of the environment, on real sockets."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import WebSocketException

from nosana_jupyter import dial


@pytest.fixture(autouse=True)
def _afresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No proxy or certificate of this machine, and none that an earlier test has read."""
    for name in ("http", "https", "all", "ws", "wss", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)
    for name in ("SSL_CERT_DIR", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    dial.certificates.cache_clear()
    yield
    dial.certificates.cache_clear()


async def head_at_proxy(monkeypatch: pytest.MonkeyPatch, address: str) -> bytes:
    """Open an address where a proxy is set; return what the proxy was asked."""
    heads: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        with pytest.raises((OSError, WebSocketException)):
            async with connect(address, open_timeout=5, **await dial.options(address)):
                pass
    return b"".join(heads)


def test_a_proxy_is_asked_for_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host is reached through the proxy of the environment."""
    head = asyncio.run(head_at_proxy(monkeypatch, "wss://node.example/flog"))
    assert head.startswith(b"CONNECT node.example:443 ")


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_no_proxy_is_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """What would listen here is asked directly: no proxy leads to loopback."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"{scheme}://127.0.0.1:{held.getsockname()[1]}/"
        assert asyncio.run(head_at_proxy(monkeypatch, address)) == b""


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for this machine that nobody knows; return its file and its key's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.mark.parametrize("known", [True, False])
def test_certificates_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """Whom the environment trusts is trusted, as for HTTP; nobody else is."""
    cert, key = certificate(tmp_path)
    if known:
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))

    async def greet(line: ServerConnection) -> None:
        await line.send("hello")

    async def story() -> str | bytes:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        async with serve(greet, "localhost", 0, ssl=context, close_timeout=0.2) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            address = f"wss://localhost:{port}/"
            async with connect(address, **await dial.options(address)) as line:
                return await line.recv()

    if known:
        assert asyncio.run(story()) == "hello"
    else:
        with pytest.raises(ssl.SSLCertVerificationError):
            asyncio.run(story())
