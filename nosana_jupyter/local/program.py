"""
The Nosana jobs program: 19 instructions, in Python.

A re-implementation from what is publicly known of the deployed program, with its checks, their
order, its errors and its arithmetic, and also with the checks it lacks: two nodes may claim one
stopped job, `recover` refunds to any account, `clean` takes any market, and so on. That a
transaction passes here does not prove that it passes on mainnet.

The rules stand in three modules: `program_market.py` (opening and administration),
`program_project.py` (who posts jobs) and `program_node.py` (who runs them).
"""

from __future__ import annotations

from ..chain.instructions import JOBS
from . import program_market, program_node, program_project
from .anchor import AnchorProgram
from .program_accounts import Jobs, JobsConfig

ENTRIES = program_market.BOOK.entries | program_project.BOOK.entries | program_node.BOOK.entries


def jobs_program(config: JobsConfig, *, duplicate_rule: bool) -> AnchorProgram:
    """Return the jobs program of a network."""
    return AnchorProgram(
        table=JOBS,
        kinds=config.kinds(),
        context=Jobs,
        config=config,
        duplicate_rule=duplicate_rule,
        entries=ENTRIES,
    )
