"""Another version than the one that is here, and that the cell really imports it."""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from wheels import wheel

from nosana_jupyter.errors import CellError
from nosana_jupyter.events import Event
from nosana_jupyter.line import conversation
from nosana_jupyter.line.installing import Environment
from nosana_jupyter.line.link import Link
from nosana_jupyter.runner import precedence
from nosana_jupyter.travel.load import Load
from nosana_jupyter.wire.messages import Check, Checked, Install, Installed

TOLD = "import nosana_test_inner\nv = nosana_test_inner.VERSION"
CHILD = (
    "import subprocess, sys\n"
    "v = subprocess.check_output([sys.executable, '-c', "
    "'import nosana_test_inner; print(nosana_test_inner.VERSION)'], text=True).strip()"
)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Where the machine has its packages: a folder with `nosana-test-inner` 2.0."""
    folder = tmp_path / "site"
    wheel(folder, "nosana_test_inner", "2.0")
    wheel(folder, "nosana_test_local", "1.0+cu124")
    for file in list(folder.glob("*.whl")):
        with zipfile.ZipFile(file) as archive:
            archive.extractall(folder)
        file.unlink()
    return folder


@pytest.fixture
def environment(tmp_path: Path, site: Path) -> dict[str, str]:
    """An index that is a folder, beside a machine that has packages already."""
    folder = tmp_path / "wheels"
    for version in ("1.0", "2.0", "3.0"):
        wheel(folder, "nosana_test_inner", version)
    wheel(folder, "nosana_test_outer", "1.0", "nosana-test-inner<3")
    wheel(folder, "nosana_test_local", "1.0")
    wheel(folder, "nosana_test_both", "1.0", "nosana-test-local")
    wheel(folder, "nosana_test_old", "1.0", "nosana-test-inner<2")
    wheel(folder, "nosana_test_old", "2.0")
    wheel(folder, "traitlets", "4.0")
    return {
        "UV_FIND_LINKS": str(folder), "UV_NO_INDEX": "1", "UV_OFFLINE": "1",
        "PIP_FIND_LINKS": str(folder), "PIP_NO_INDEX": "1", "PYTHONPATH": str(site),
    }  # fmt: skip


def install(client: Any, *requirements: str, instead: list[str]) -> Installed:
    client.say(Install(list(requirements), instead))
    while not isinstance(heard := client.hear(), Installed):
        continue
    return heard


@pytest.mark.parametrize("code", [TOLD, CHILD], ids=["cell", "child"])
def test_the_cell_imports_what_was_asked_for(
    environment: dict[str, str], site: Path, start: Callable[..., Any], code: str
) -> None:
    """The named version is imported by the cell and its children; the machine's own stays."""
    before = sorted(site.rglob("*"))
    client = start(**environment).connected()
    installed = install(client, "nosana-test-inner==1.0", instead=["nosana-test-inner"])

    assert installed.ok, installed.log
    assert client.run(code, returns=["v"]).values == {"v": "1.0"}
    client.say(Check(["nosana-test-inner"]))
    checked = client.hear()
    assert isinstance(checked, Checked)
    assert checked.versions == {"nosana-test-inner": "1.0"}
    assert [path for path in sorted(site.rglob("*")) if path.suffix != ".pyc"
            and path.name != "__pycache__"] == before  # fmt: skip


def test_what_is_in_use_cannot_be_replaced(
    environment: dict[str, str], start: Callable[..., Any]
) -> None:
    """What the runner or an earlier cell has imported is refused, and nothing is pretended."""
    client = start(**environment).connected()
    refused = install(client, "traitlets==4.0", instead=["traitlets"])
    assert (refused.ok, "traitlets" in refused.log, "in use" in refused.log) == (False, True, True)
    assert client.run(TOLD, returns=["v"]).values == {"v": "2.0"}
    refused = install(client, "nosana-test-inner==1.0", instead=["nosana-test-inner"])
    assert (refused.ok, "nosana_test_inner 2.0" in refused.log) == (False, True)
    assert client.run(TOLD, returns=["v"]).values == {"v": "2.0"}


def test_what_it_brings_along_hides_nothing_of_the_same_version(
    environment: dict[str, str], start: Callable[..., Any]
) -> None:
    """Builds of this machine stay what is imported, though an installer brings others along."""
    client = start(**environment).connected()
    installed = install(
        client, "nosana-test-inner==1.0", "nosana-test-both", instead=["nosana-test-inner"]
    )
    assert installed.ok, installed.log
    code = "import nosana_test_both, nosana_test_local as m\nv, f = m.VERSION, m.__file__"
    came = client.run(code, returns=["v", "f"]).values

    assert came["v"] == "1.0+cu124"
    assert came["f"].startswith(environment["PYTHONPATH"])


def test_what_it_replaces_besides_is_told(
    environment: dict[str, str], site: Path, start: Callable[..., Any]
) -> None:
    """Where the named version needs another of something else, both come, with a word."""
    folder = site / "nosana_test_old-2.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: nosana-test-old\nVersion: 2.0\n")
    client = start(**environment).connected()
    client.say(Install(["nosana-test-old==1.0"], ["nosana-test-old"]))
    while not isinstance(heard := client.hear(), Installed):
        continue
    assert heard.ok, heard.log

    assert "nosana-test-inner 1.0 takes the place of 2.0" in heard.notes
    assert client.run(TOLD, returns=["v"]).values == {"v": "1.0"}


def test_the_runner_imports_no_data_library_by_itself(
    environment: dict[str, str], start: Callable[..., Any]
) -> None:
    """What users pin most is not in use before their own cell runs."""
    client = start(**environment).connected()
    code = "import sys\nv = sorted({'numpy', 'pandas', 'matplotlib', 'torch'} & set(sys.modules))"

    assert client.run(code, returns=["v"]).values == {"v": []}


def load(*, extras: Sequence[str] = (), packages: Sequence[tuple[str, str]] = ()) -> Load:
    return Load(
        code="", count=1, header=b"", buffers=[], has_code=(), packages=packages, extras=extras,
        modules=(), sources=(), returns=(), explicit=False, environment={},
    )  # fmt: skip


def prepared(process: Any, **options: Any) -> list[Event]:
    """Let the client compare and install, as for a cell."""
    said: list[Event] = []

    async def story() -> None:
        url = f"ws://127.0.0.1:{process.port}/"
        async with Link(url, process.key, process.token, process.job) as link:
            await conversation.greet(link)
            await Environment(link).prepare(load(**options), said.append)
            await link.goodbye()

    process.wait_listening()
    asyncio.run(story())
    return said


@pytest.mark.parametrize("wanted", ["nosana_test_inner==9.9", "nosana-test-inner<1"])
def test_what_cannot_be_had_is_an_error_before_the_cell(
    environment: dict[str, str], start: Callable[..., Any], wanted: str
) -> None:
    """No cell runs with another version than the one that was asked for."""
    with pytest.raises(CellError) as caught:
        prepared(start(**environment), extras=(wanted,))

    assert wanted in str(caught.value)


@pytest.mark.parametrize(
    ("options", "installs"),
    [
        ({"extras": ("nosana-test-inner<2",)}, True),
        ({"extras": ("nosana-test-inner>=2",)}, False),
        # What is merely used here, in another version, is told and left alone.
        ({"packages": (("nosana-test-inner", "1.0"),)}, False),
        (
            {"extras": ("nosana_test_inner==1.0",), "packages": (("nosana-test-inner", "3.0"),)},
            True,
        ),
    ],
)
def test_only_what_is_named_is_replaced(
    environment: dict[str, str], start: Callable[..., Any], options: Any, installs: bool
) -> None:
    """A requirement of the user's replaces what is there; a difference alone does not."""
    said = prepared(start(**environment), **options)

    assert any("installing" in str(event) for event in said) == installs


def test_names_have_one_spelling() -> None:
    """A requirement is recognised however it spells its name."""
    texts = ["Ruamel.Yaml>=1", "ruamel_yaml [x]", "ruamel--yaml==2", "ruamel-yaml@https://x"]

    assert {precedence.name_of(text) for text in texts} == {"ruamel-yaml"}
    assert precedence.name_of("") == ""
