"""
Execute a notebook in a real kernel and print what it printed.

    python notebooks/demo.py notebooks/first_cell.ipynb
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import nbclient
import nbformat


CARD = "application/vnd.nosana.job+json"


class Telling(nbclient.NotebookClient):
    """Runs a notebook and prints outputs as they come."""

    def process_message(self, msg, cell, cell_index):  # type: ignore[no-untyped-def]
        """Print text outputs; name the others."""
        content = msg["content"]
        match msg["msg_type"]:
            case "stream":
                stream = sys.stdout if content["name"] == "stdout" else sys.stderr
                stream.write(content["text"])
                stream.flush()
            case "execute_result" | "display_data":
                data = content["data"]
                if CARD in data:
                    pass  # It is redrawn as the job goes on: its last state is printed below.
                elif "image/png" in data:
                    print(f"[figure: {len(data['image/png']) * 3 // 4:,} bytes of PNG]")
                elif "text/plain" in data:
                    print(data["text/plain"])
        return super().process_message(msg, cell, cell_index)

    async def async_execute_cell(self, cell, cell_index, **kwargs):  # type: ignore[no-untyped-def]
        """Print the source of a cell before it runs."""
        if cell.cell_type == "code":
            first, *rest = cell.source.splitlines()
            print(f"\n>>> {first}" + (f"  (+{len(rest)} lines)" if rest else ""), flush=True)
        done = await super().async_execute_cell(cell, cell_index, **kwargs)
        for output in cell.get("outputs", []):
            if CARD in output.get("data", {}):
                print(output["data"]["text/plain"])
        return done


def main() -> int:
    """Run, print, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--out", type=Path, help="where to write the executed notebook")
    options = parser.parse_args()

    out = options.out or Path("build") / options.notebook.name
    out.parent.mkdir(parents=True, exist_ok=True)
    notebook = nbformat.read(options.notebook, as_version=4)
    folder = {"metadata": {"path": str(options.notebook.parent)}}
    try:
        Telling(
            notebook, timeout=600, kernel_name="python3", resources=folder,
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
        ).execute()  # fmt: skip
    except nbclient.exceptions.CellExecutionError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    finally:
        nbformat.write(notebook, out)
    print(f"\nThe executed notebook: {out.resolve()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
