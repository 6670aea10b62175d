"""
The certificate of a network that others may join: made here, signed by itself, known by its digest.
"""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path

from ..lan.pinned import fingerprint_of
from ..lan.seats import keep

FILE = "certificate.pem"
"""Certificate and key, for this user alone."""

YEARS = 10


def of(folder: Path) -> str:
    """Return the fingerprint of the network's certificate, made on the first day it is open."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    path = folder / FILE
    if not path.exists():
        keep(path, _made())
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return fingerprint_of(certificate.public_bytes(Encoding.DER))


def context(folder: Path) -> ssl.SSLContext:
    """Return what the network serves with."""
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.minimum_version = ssl.TLSVersion.TLSv1_3
    found.load_cert_chain(folder / FILE)
    return found


def _made() -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    key = ec.generate_private_key(ec.SECP256R1())
    # It says nothing of the machine: whoever connects may read it.
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a team's network")])
    today = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clocks of members may be behind.
        .not_valid_before(today - dt.timedelta(days=2))
        .not_valid_after(today + dt.timedelta(days=365 * YEARS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + certificate.public_bytes(Encoding.PEM)
