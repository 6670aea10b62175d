"""Where all is kept: the data folder."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from ..errors import UsageError

HOME_VARIABLE = "NOSANA_JUPYTER_HOME"


def home() -> Path:
    """
    Return the folder that holds everything kept between sessions, and make it.

    Raises:
        UsageError: It cannot be made, or not be written to.
    """
    path = Path(os.environ.get(HOME_VARIABLE) or _usual())
    try:
        if not path.is_dir():
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written to ({error.strerror}): wallet and journal are kept there. "
            "Nothing was spent",
            hint=f"Name a folder of yours in the environment, as {HOME_VARIABLE}, and start again.",
        ) from None
    return path


def _usual() -> Path:
    import platformdirs

    return platformdirs.user_data_path("nosana-jupyter")
