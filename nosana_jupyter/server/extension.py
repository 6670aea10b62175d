"""
What a Jupyter server loads of us. It imports little: what answers is imported when it is asked.
"""

from __future__ import annotations

from jupyter_server.extension.application import ExtensionApp

from ..settings import around
from .desk import Desk
from .routes import routes


class NosanaExtension(ExtensionApp):
    """The routes of the sidebar."""

    name = "nosana_jupyter"

    def initialize_settings(self) -> None:
        """Note where the server's notebooks and kernels are."""
        assert self.serverapp is not None
        around.promise_cards()
        self.desk = Desk(root=self.serverapp.root_dir, kernels=self.serverapp.kernel_manager)

    def initialize_handlers(self) -> None:
        """Name the routes."""
        self.handlers.extend(routes(self.desk))

    async def stop_extension(self) -> None:
        """Let go of what a request has opened."""
        await self.desk.close()
