"""Puts the sidebar where JupyterLab looks for it, if it is built: a wheel needs no Node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PLACE = "share/jupyter/labextensions/nosana-jupyter"


class Sidebar(BuildHookInterface):
    """Shared data of the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        built = Path(self.root, "nosana_jupyter", "labextension")
        if not (built / "package.json").is_file():
            return
        build_data["shared_data"][str(built)] = PLACE
        source = Path(self.root, "labextension", "install.json")
        if source.is_file():
            build_data["shared_data"][str(source)] = f"{PLACE}/install.json"
