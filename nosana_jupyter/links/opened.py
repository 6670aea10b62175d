"""
What was sealed and put on IPFS, brought here and opened: no gateway is believed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import network, settings
from ..errors import NetworkError, UsageError
from ..wire.values import unpacked
from . import blocks, contents, gateways, sealing, unsealing, vault
from .contents import About
from .download import CannotFetch, Meter, room
from .keep import SEALED

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORTEST = 46
"""Characters of a content id."""

HINT = "Write %nosana open ipfs://CID, as its cell and its receipt have it."


class Opened:
    """
    An object that was opened. Its content lies in a file that goes with it.

    Args:
        about: What it is.
        path: The file.
    """

    def __init__(self, about: About, path: Path) -> None:
        self.about, self._path = about, path

    @property
    def is_value(self) -> bool:
        return self.about.kind == "value"

    @property
    def size(self) -> int:
        """Bytes of it."""
        return sum(self.about.sizes)

    def value(self) -> Any:
        """
        Return the value, made of plain data; its large parts are read as they are used.

        Raises:
            NosanaError: It is none, or takes a package that is not here.
        """
        return contents.value(self.about, self._path, unpacked)

    def write(self, to: str = "") -> Path:
        """
        Write the file, never over another; return where it is.

        Args:
            to: Its name, or a folder; by default that of the host, here.

        Raises:
            UsageError: There is something already, or it cannot be written.
        """
        path = Path(to or ".").expanduser()
        if path.is_dir():
            path /= self.about.name
        try:
            room(path.parent, self.size, path.name)
            # Under another name first: what is there under its own is whole.
            handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".nosana-")
            os.close(handle)
            try:
                shutil.copyfile(self._path, draft)
                os.link(draft, path)
            finally:
                Path(draft).unlink()
        except FileExistsError:
            raise UsageError(
                f"there is a {path} already", hint="Say where else: --to PATH"
            ) from None
        except CannotFetch as error:
            raise UsageError(_here(error), hint="Say where else: --to PATH") from None
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}") from None
        return path


@contextmanager
def opened(text: str, tell: Callable[[str], None]) -> Iterator[Opened]:
    """
    Bring a sealed object here and open it.

    Args:
        text: Its link, or its content id alone.
        tell: Takes how far it is.

    Raises:
        UsageError: It is no such link, or none of the wallets here opens it.
        NetworkError: No gateway gives it, or not whole.
    """
    cid = _cid(text)
    chosen = settings.load()
    place = network.load(chosen.network, chosen)
    near = [place.gateway, *place.mirrors, *chosen.ipfs_gateways.split()]
    asked = list(dict.fromkeys(each.rstrip("/") + "/" for each in near if "{cid}" not in each))
    with tempfile.TemporaryDirectory(prefix="nosana-open-", ignore_cleanup_errors=True) as folder:
        part, meter = Path(folder), Meter(f"{cid[:12]}…", tell)
        (part / "data").mkdir()
        try:
            blocks.bring({"cid": cid, "path": "", "gateways": asked}, part, meter)
        except CannotFetch as error:
            raise NetworkError(
                _here(error), hint="Try again in a moment: new content takes a while to be found."
            ) from None
        finally:
            meter.close()
        sealed = part / "data" / cid
        if not sealed.is_file() or not unsealing.is_sealed(sealed):
            raise UsageError(
                f"ipfs://{cid} is not sealed", hint=f"Read it in a cell: --data x=ipfs://{cid}"
            )
        with sealed.open("rb") as file:
            ident = sealing.named(file.read(sealing.HEAD))
        if (mark := SEALED.fullmatch(text.strip())) and mark[2] != ident.hex():
            raise UsageError(
                f"ipfs://{cid} is another object than the one that was saved under this link",
                hint="Its pin service has said a wrong id, or the link was put together by hand.",
            )
        try:
            about = unsealing.unseal(
                sealed, vault.candidates(place, ident), part / "content", f"ipfs://{cid}"
            )
        except CannotFetch as error:
            raise UsageError(_here(error)) from None
        sealed.unlink()
        yield Opened(about, part / "content")


def open_saved(link: str, *, to: str = "") -> Any:
    """
    Bring here what a cell has saved with `save={"name": "ipfs://"}`, and open it.

    Args:
        link: What stands for it, as in `ipfs://CID#sealed=…`, or its content id.
        to: Where a file goes: its path, or a folder. By default it is written here.

    Returns:
        The value, or the `Path` of the file; of a folder, that of a tar.

    Raises:
        UsageError: It is no such link, none of the wallets here opens it, or there is such a file.
        NetworkError: No gateway gives it.
    """
    with opened(link, lambda _: None) as found:
        if not found.is_value:
            return found.write(to)
        if to:
            raise UsageError("it is a value, and no file", hint="Leave `to` out.")
        return found.value()


def _here(error: CannotFetch) -> str:
    """Return what a host would say, as it is on this machine."""
    return str(error).partition("; choose another market")[0].replace("this host", "this machine")


def _cid(text: str) -> str:
    """Return the content id of a link."""
    name = text.strip().removeprefix("ipfs://").partition("#")[0]
    if not SEALED.fullmatch(text.strip()) and "#" in text:
        raise UsageError(f"{text[:120]!r} is no link to a sealed object", hint=HINT)
    try:
        return gateways.parse(name).text
    except ValueError as error:
        if len(name) < SHORTEST:
            raise UsageError(
                f"{name[:120]!r} is no content id, and no name of a link here", hint=HINT
            ) from None
        raise UsageError(str(error), hint=HINT) from None
