"""
Compare our rules with deployed programs: each transaction that the tests of our rules make runs on
both sides.

    make conformance-mainnet JOBS=jobs.so STAKE=stake.so REWARDS=rewards.so
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from solders.pubkey import Pubkey

HERE = Path(__file__).parent
LOCAL = HERE.parent / "local"
sys.path[:0] = [str(HERE), str(LOCAL)]

from differences import TABLES, Row  # noqa: E402 - found by the path above
from hypothesis import HealthCheck, settings  # noqa: E402
from ledger_world import World  # noqa: E402
from twin import Build, Programs, Report, Twin  # noqa: E402

from nosana_jupyter.errors import UsageError  # noqa: E402
from nosana_jupyter.local.deployed import check_elf  # noqa: E402
from nosana_jupyter.network import MAINNET  # noqa: E402

SCENARIOS = ("test_local_program.py", "test_local_staking.py", "test_local_stateful.py")
BUILDS = (
    Build(fee_divisor=0, duplicate_rule=True),
    Build(fee_divisor=0, duplicate_rule=False),
    Build(fee_divisor=10, duplicate_rule=False),
)
NAMES = {"jobs": MAINNET.programs.jobs, "stake": MAINNET.programs.stake,
         "rewards": MAINNET.programs.rewards}  # fmt: skip

WIDTH = 60
LEAD = 20
"""Most characters of a value in the table, and of them those before the first that differs."""

HOW = """\
Nothing to compare with: name the programs of mainnet. Anybody can read them from the chain, with
the tools of Solana (https://docs.anza.xyz/cli/install):

{lines}

Then: make conformance-mainnet JOBS=jobs.so STAKE=stake.so REWARDS=rewards.so
or, with all files in one folder: make conformance-mainnet PROGRAMS=folder
"""


def _unaltered(programs: Programs) -> None:
    """Leave the rules as they are."""


class Scenarios:
    """A plugin of pytest that says which test runs."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.early: list[str] = []
        """Scenarios that ended before their end: they expect what another build does."""

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Remember its name."""
        # A state machine of hypothesis has no better name.
        random = item.name == "runTest"
        self.report.scenario = "at random" if random else item.name.removeprefix("test_")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember a failure."""
        if report.failed:
            self.early.append(report.nodeid)


def run(
    build: Build,
    *,
    watched: frozenset[Pubkey],
    deployed: dict[Pubkey, bytes] | None = None,
    alter: Callable[[Programs], None] = _unaltered,
    only: str = "",
) -> tuple[Report, Scenarios]:
    """
    Run the scenarios on both sides.

    Args:
        build: What our rules are to be like.
        watched: Programs to compare.
        deployed: Programs in ELF of the other side, by address.
        alter: Changes rules of the other side.
        only: Which scenarios, in pytest's words.
    """
    report = Report(watched=watched)
    scenarios = Scenarios(report)
    settings.register_profile(
        "conformance",
        max_examples=15,
        stateful_step_count=60,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    World.kind = functools.partial(Twin, report=report, others=deployed or {}, alter=alter)
    World.build = {"fee_divisor": build.fee_divisor, "duplicate_rule": build.duplicate_rule}
    words = ["-q", "-p", "no:cacheprovider", "-o", "addopts=", "--rootdir", str(LOCAL.parents[1])]
    # Who registers a profile has imported hypothesis before pytest does.
    words += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    words += ["--hypothesis-profile", "conformance", *(["-k", only] if only else [])]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = pytest.main([*words, *(str(LOCAL / name) for name in SCENARIOS)], [scenarios])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise SystemExit(said.getvalue())
    return report, scenarios


def read(options: argparse.Namespace) -> dict[Pubkey, bytes]:
    """
    Return the programs that were named.

    Raises:
        UsageError: One is no program.
    """
    found = {}
    for name, address in NAMES.items():
        path = getattr(options, name)
        if path is None and options.programs:
            names = (f"{name}.so", f"{address}.so")
            path = next((p for p in map(options.programs.joinpath, names) if p.exists()), None)
        if path is not None:
            try:
                elf = path.read_bytes()
            except OSError as error:
                raise UsageError(f"{path} cannot be read: {error.strerror}") from None
            check_elf(elf, name=str(path), key=Pubkey.from_string(address))
            found[Pubkey.from_string(address)] = elf
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare; return 1 if there are differences."""
    parser = argparse.ArgumentParser(description="Compare our rules with deployed programs.")
    parser.add_argument("--programs", type=Path, help="a folder with jobs.so, stake.so, rewards.so")
    for name, address in NAMES.items():
        parser.add_argument(f"--{name}", type=Path, help=f"the ELF of {address}")
    parser.add_argument("--only", default="", help="scenarios by name, in the words of pytest -k")
    options = parser.parse_args(arguments)
    try:
        deployed = read(options)
    except UsageError as error:
        print("\n".join(filter(None, [str(error), error.hint])), file=sys.stderr)
        return 2
    if not deployed:
        lines = "\n".join(
            f"    solana program dump -u mainnet-beta {address} {name}.so"
            for name, address in NAMES.items()
        )
        print(HOW.format(lines=lines), file=sys.stderr)
        return 2
    best: tuple[Build, Report, Scenarios] | None = None
    jobs = Pubkey.from_string(NAMES["jobs"])
    # Only the jobs program takes the fee.
    for build in BUILDS if jobs in deployed else BUILDS[:2]:
        report, scenarios = run(
            build, watched=frozenset(deployed), deployed=deployed, only=options.only
        )
        print(f"{build}: {len(report.rows)} differences in {report.transactions} transactions")
        if best is None or report.share < best[1].share:
            best = build, report, scenarios
        if not report.rows:
            break
    assert best is not None
    show(*best, deployed=deployed)
    return 1 if best[1].rows else 0


def show(
    build: Build, report: Report, scenarios: Scenarios, *, deployed: dict[Pubkey, bytes]
) -> None:
    """Print what was found."""
    print(f"\nClosest are our rules with {build}:")
    for key, (name, table) in TABLES.items():
        if key not in deployed:
            print(f"{name}: not compared, it was not given")
            continue
        kinds = {item for item in table if f"{name}.{item}" in report.seen}
        print(f"{name}: {len(kinds)} of {len(table)} instructions compared")
    jobs, rewards = (Pubkey.from_string(NAMES[name]) for name in ("jobs", "rewards"))
    if jobs in deployed and rewards not in deployed:
        print("a jobs program that takes a network fee needs the rewards program as well")
    if scenarios.early:
        print(f"{len(scenarios.early)} scenarios ended early: they expect another build")
    if report.rows:
        print(f"\n{table_of(report.rows)}")
    print(f"\nmost compute units, ours and theirs\n{units_of(report)}")


def table_of(rows: Sequence[Row]) -> str:
    """
    Return the differences as a table.

    Outcomes that are alike share a line, and so do differences of one field: the first is shown.
    """
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        values = (row.ours, row.theirs) if row.field == "outcome" else ()
        groups.setdefault((row.instruction, row.field, *values), []).append(row)
    lines = [("instruction", "field", "ours", "theirs", "times", "first scenario")]
    for _, alike in sorted(groups.items()):
        first = alike[0]
        shown = short(first.ours, first.theirs)
        lines.append((first.instruction, first.field, *shown, str(len(alike)), first.scenario))
    return _columns(lines)


def short(ours: str, theirs: str) -> tuple[str, str]:
    """Shorten two texts to where they begin to differ."""
    pairs = enumerate(zip(ours, theirs, strict=False))
    same = next((index for index, (one, other) in pairs if one != other), 0)
    start = max(same - LEAD, 0) if max(len(ours), len(theirs)) > WIDTH else 0
    left, right = ("…" * bool(start) + text[start:] for text in (ours, theirs))
    return _cut(left), _cut(right)


def _cut(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def units_of(report: Report) -> str:
    """Return the compute units by instruction as a table."""
    return _columns(
        [(name, str(ours), str(theirs)) for name, (ours, theirs) in sorted(report.units.items())]
    )


def _columns(lines: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


if __name__ == "__main__":
    sys.exit(main())
