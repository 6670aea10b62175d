"""
Who may ask about a job: what an authorization has to say besides its signature.

A real node looks at the signature alone. The time is not signed, so whoever has seen an
authorization can renew it; what it is for is: the message. So one that names anything but this job
is refused, and what the host of another job has heard opens nothing here. Words that name nothing
pass, as some clients sign no others.
"""

from __future__ import annotations

import re
import time

from ..chain import authorization
from ..errors import RemoteProtocolError

AHEAD = 300.0
"""Most seconds that the clock of a poster may be ahead of ours."""

# An address, a content id, the name of a service.
_NAME = re.compile(r"[1-9A-HJ-NP-Za-km-z]{32,}")
_MOMENT = re.compile(r"\s*[0-9]+")


def check(header: str, signer: str, *, job: str, public: str, expiry: float) -> None:
    """
    See that an authorization is for this job, and of its signer.

    Args:
        header: What was sent.
        signer: Whose it has to be.
        job: Address of the job.
        public: Content id of its public definition; older clients sign that.
        expiry: Seconds that it holds.

    Raises:
        RemoteProtocolError: It is not; says why, without repeating it.
    """
    message, _, rest = header.partition(":")
    if _NAME.fullmatch(message) and message not in (job, public):
        raise RemoteProtocolError("Made for something else.")
    moment = _MOMENT.match(rest.partition(":")[2])
    if moment and float(moment[0]) / 1000 > time.time() + AHEAD:
        raise RemoteProtocolError("Authorization is from the future.")
    if not authorization.check(header, signer, expiry=expiry):
        raise RemoteProtocolError("Invalid signature.")
