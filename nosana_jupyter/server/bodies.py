"""
What the sidebar sends: the body of each of its requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from .views import Value

Name = Annotated[str, Meta(max_length=48)]
Line = Annotated[str, Meta(max_length=1000)]
Code = Annotated[str, Meta(max_length=1 << 20)]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a request."""


class Ask(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of `POST needs`."""

    code: Code


class Fund(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of `POST wallet/fund`: play money, in micro-NOS."""

    nos: Annotated[int, Meta(ge=1, le=1_000_000_000_000)] = 10_000_000


class Stop(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of `POST jobs/JOB/stop`."""

    end: bool = False
    """End its job on chain, in place of interrupting the cell."""


class More(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of `POST jobs/JOB/extend`."""

    seconds: Annotated[int, Meta(ge=1, le=31 * 86_400)]
    agreed: bool = False
    """The user was asked, as a `Problem` of kind `NotAgreed` says."""


class Fill(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of `POST templates/NAME/fill`."""

    values: Mapping[str, Value] = msgspec.field(default_factory=dict)
    open: bool = False
    """Write it as a notebook in `folder`, in place of returning its cells."""

    folder: Line = ""
    """Folder below the server's root."""


class Save(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of `POST templates`: the selected cell becomes a template."""

    name: Name
    title: Line
    code: Code
    description: Annotated[str, Meta(max_length=10_000)] = ""
    project: bool = False
    """Into the project's folder, in place of the user's."""

    folder: Line = ""


class Import(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of `POST templates/import`: an address, a content id or a path."""

    source: Line
    name: Name = ""
