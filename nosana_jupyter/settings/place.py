"""Where all is kept: the data folder."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import UsageError

HOME_VARIABLE = "NOSANA_JUPYTER_HOME"


def home() -> Path:
    """
    Return the folder that holds everything kept between sessions, and make it.

    Raises:
        UsageError: It cannot be made. Where it may only be read, each file says so itself: what was
            paid for goes on without what cannot be noted.
    """
    path = Path(os.environ.get(HOME_VARIABLE) or _usual())
    try:
        if not path.is_dir():
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be made ({error.strerror}): wallet and journal are kept there",
            hint=f"Name a folder of yours in the environment, as {HOME_VARIABLE}, and start again.",
        ) from None
    return path


def _usual() -> Path:
    import platformdirs

    return platformdirs.user_data_path("nosana-jupyter")
