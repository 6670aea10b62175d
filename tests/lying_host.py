"""
A host whose Python draws other numbers than it should: started as a real one is, with a folder
that holds its `sitecustomize` as the first argument.
"""

from __future__ import annotations

import sys
from typing import Any

from nosana_jupyter.host import process
from nosana_jupyter.host.__main__ import main

LIE = """
import random

_honest = random.Random.random
random.Random.random = lambda self: 1 - _honest(self)
"""

if __name__ == "__main__":
    folder, *arguments = sys.argv[1:]
    honest = process._environment

    def altered(*given: Any, **named: Any) -> dict[str, str]:
        return {**honest(*given, **named), "PYTHONPATH": folder}

    process._environment = altered
    sys.exit(main(arguments))
