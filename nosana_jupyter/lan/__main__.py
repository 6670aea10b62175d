"""
The door to a team's network that was joined.

    python -m nosana_jupyter.lan open|door|close NAME
"""

from __future__ import annotations

import argparse
import json
import logging
import sys

import msgspec

from ..errors import NosanaError
from . import joining


def main() -> int:
    """Run a command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m nosana_jupyter.lan", description="The door to a team's network."
    )
    parser.add_argument("command", choices=["open", "door", "close"],
                        help="door stays in the foreground")  # fmt: skip
    parser.add_argument("name")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    try:
        match options.command:
            case "open":
                network = joining.open_door(options.name)
                shown = json.dumps(msgspec.to_builtins(network), indent=2)
                print(shown if options.json else f"the door to {network.name} is open")
            case "door":
                logging.basicConfig(
                    level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s"
                )
                return joining.hold_door(options.name)
            case "close":
                joining.close(options.name)
    except NosanaError as error:
        print(f"{error}\n{error.hint}".strip(), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
