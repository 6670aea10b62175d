"""What a user asks for with --pip, held against what a runner says it has."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from nosana_jupyter.travel.requirements import Found, Unmet, unmet
from nosana_jupyter.wire.messages import Checked

VERSIONS = {"numpy": "2.5.5", "pandas": "3.1.1", "torch": "2.4.0+cu124", "odd": "not a version"}
REQUIRES = {
    "pandas": ["numpy>=1.26", "openpyxl>=3; extra == 'excel'", "xlrd>=2; extra == 'excel'"],
    "loop": ["loop[all]; extra == 'all'", "deep; extra == 'all'", "(("],
}
MARKERS = {"python_version": "3.12", "sys_platform": "linux"}


def found(*wanted: str, markers: dict[str, str] = MARKERS, **more: str) -> list[Unmet]:
    """Return what a runner does not meet."""
    versions = VERSIONS | more

    async def ask(names: Sequence[str]) -> Checked:
        return Checked({name: versions.get(name.lower()) for name in names}, REQUIRES, markers)

    return asyncio.run(unmet(wanted, Found(), ask))


@pytest.mark.parametrize(
    "text",
    [
        "numpy", "numpy>=2", "NumPy==2.5.*", "pandas<4,>=3", "torch==2.4.0", "torch==2.4.0+cu124",
        "odd", "numpy==1.26.4; python_version < '3.8'", "colorama; sys_platform == 'win32'",
    ],
)  # fmt: skip
def test_what_is_met(text: str) -> None:
    """A version that fits is left alone, and so is what does not concern this machine."""
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("numpy==1.26.4", "2.5.5"), ("pandas<3", "3.1.1"), ("torch==2.4.0+cpu", "2.4.0+cu124"),
        ("odd==1", "not a version"), ("absent", None), ("absent>=2", None),
        ("numpy==1.26.4; python_version >= '3.12'", "2.5.5"),
    ],
)  # fmt: skip
def test_what_is_not_met(text: str, there: str | None) -> None:
    """A version that does not fit is not taken for one that does."""
    (lacking,) = found(text)

    assert lacking.there == there
    assert text.startswith(lacking.name)


def test_what_lies_at_an_address() -> None:
    """What a version cannot tell is installed as it was asked for."""
    (lacking,) = found("numpy @ https://example.com/numpy-1.0-py3-none-any.whl")

    assert (lacking.url, lacking.there) == (True, "2.5.5")


def test_extras_are_looked_at_one_by_one() -> None:
    """Of an extra only what is missing is asked for; what it has no part in is not."""
    assert [each.text for each in found("pandas[excel]", openpyxl="3.1")] == ["xlrd>=2"]
    assert found("pandas[excel]", openpyxl="3.1", xlrd="2.0.1") == []
    assert found("pandas[feather]") == []


def test_extras_that_lead_to_themselves_end() -> None:
    """What a host says that its distributions require cannot keep us busy."""
    assert [each.text for each in found("loop[all]", loop="1")] == ["deep"]


@pytest.mark.parametrize("said", ["three", "", "3.12.x"])
def test_a_host_that_talks_nonsense_of_itself(said: str) -> None:
    """Markers that cannot be compared are no error of ours."""
    text = "absent; python_version >= '3.12' and platform_version >= '1'"

    assert len(found(text, markers={"python_version": said, "platform_version": said})) <= 1
