"""A server that talks by WebSocket; what it is asked for in the path or a message, it does."""

from __future__ import annotations

import asyncio
import http
import os
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

BIG = 5 << 20


def refuse(line: ServerConnection, request: Any) -> Any:
    """Answer what wants no WebSocket, or not rightly."""
    if request.path == "/health":
        return line.respond(http.HTTPStatus.OK, "up\n")
    if request.headers.get("Authorization") != f"Bearer {os.environ['TALK_KEY']}":
        return line.respond(http.HTTPStatus.UNAUTHORIZED, "who are you?\n")
    if request.path == "/elsewhere":
        answer = line.respond(http.HTTPStatus.FOUND, "")
        answer.headers["Location"] = f"ws://127.0.0.1:{os.environ['NOSANA_PORT_8000']}/talk"
        return answer
    return None if request.path.startswith("/talk") else line.respond(http.HTTPStatus.GONE, "gone")


async def talk(line: ServerConnection) -> None:
    """Say who talks, and echo."""
    assert line.request is not None
    await line.send(f"{os.getpid()} {line.request.path} {line.request.headers.get('X-Own', '')}")
    try:
        async for message in line:
            match message:
                case "bye":
                    await line.close(4321, "as you say")
                case "big":
                    await line.send(bytes(BIG))
                case "die":
                    os._exit(3)
                case "ended?":
                    await line.send("|".join(ends))
                case _:
                    await line.send(message)
    finally:
        ends.append(f"{line.close_code}:{line.close_reason}")


ends: list[str] = []


async def main() -> None:
    """Serve."""
    port = int(os.environ.get("NOSANA_PORT_8000", "8000"))
    async with serve(
        talk, "127.0.0.1", port, process_request=refuse, max_size=64 << 20, compression=None,
        select_subprotocol=lambda _, asked: "chat" if "chat" in asked else None,  # type: ignore[arg-type, return-value]
    ) as server:  # fmt: skip
        await server.serve_forever()


asyncio.run(main())
