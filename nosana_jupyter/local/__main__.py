"""
A Nosana network on this machine, one per user: on loopback, and with `--listen` for a team.

    python -m nosana_jupyter.local start|stop|status|reset
    python -m nosana_jupyter.local invite|invites|revoke
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import psutil

from .. import engines, settings
from ..chain.wallet import Wallet
from ..errors import NosanaError
from ..lan.invite import place
from ..locks import Held, holder, lock
from ..network import MAINNET, Network, local_folder
from . import hosts, inviting, listening
from .catalogue import CATALOGUE
from .deployed import describe_programs, name_programs
from .serve import STAND_INS, State, dump, last_state, read_network, read_state, serve

PATIENCE = 30.0
"""Seconds that a start may take."""

FAREWELL = 2.0
"""Seconds that a process takes to be gone once it has let go of its lock."""

MOST_HOSTS = 64
"""Hosts that one machine may have."""

GRACE = 10.0
"""Seconds that a stop may take before it is a kill."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] and words[0] in inviting.COMMANDS:
        return inviting.main(words, local_folder())
    options = _parser().parse_args(words)
    if options.home:
        os.environ[settings.HOME_VARIABLE] = str(options.home.absolute())
    folder = local_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    match options.command:
        case "start":
            return _start(folder, options)
        case "serve":
            return _serve(folder, options)
        case "stop":
            with _alone(folder):
                stopped = _stop(folder)
            print(f"the local network {'is stopped' if stopped else 'does not run'}")
        case "reset":
            return _reset(folder, sure=options.yes)
        case "status":
            return _status(folder, as_json=options.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nosana-jupyter local",
        description="A Nosana network on this machine: ledger, services, tunnel and a host.",
    )
    parser.add_argument(
        "command", choices=["start", "stop", "status", "reset", "serve"],
        help="serve stays in the foreground; reset forgets all accounts and jobs. "
        "Who may come from elsewhere: invite, invites, revoke; see invite --help",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--fee", type=int, choices=[0, 10], help="network fee in percent; by default as it was"
    )
    parser.add_argument("--home", type=Path, help="data folder in place of the user's own")
    parser.add_argument(
        "--hosts", type=_count, metavar="N",
        help="run so many hosts beside the network; by default one, which takes several jobs, and "
        "none where others may join",
    )  # fmt: skip
    parser.add_argument(
        "--no-host", action="store_const", const=0, dest="hosts",
        help="run no host beside the network",
    )  # fmt: skip
    parser.add_argument(
        "--executor", choices=engines.EXECUTORS,
        help="what its host runs jobs with; by default containers where an engine answers",
    )  # fmt: skip
    parser.add_argument(
        "--program", action="append", default=[], metavar="ADDRESS=FILE",
        help="run the ELF of a deployed program in place of our rules, from this start on; "
        "ADDRESS= for our rules again",
    )  # fmt: skip
    parser.add_argument(
        "--listen", nargs="?", const=listening.ANYWHERE[0], default="", metavar="ADDRESS[:PORT]",
        help="let machines around join with an invite, through TLS, at an address of this machine; "
        "by default all of them. It stays so until: --listen off",
    )  # fmt: skip
    parser.add_argument(
        "--stand-in", action="store_true",
        help="with --listen: hosts that join only stand in for cards, as those of this machine do",
    )  # fmt: skip
    parser.add_argument("--yes", action="store_true", help="reset without asking")
    return parser


def _count(text: str) -> int:
    count = int(text)
    if not 0 <= count <= MOST_HOSTS:
        raise argparse.ArgumentTypeError(f"{count} is not between 0 and {MOST_HOSTS}")
    return count


def _start(folder: Path, options: argparse.Namespace) -> int:
    try:
        with _alone(folder):
            network = _bring_up(folder, options)
    except NosanaError as error:
        print(f"{error}\n{error.hint}".strip(), file=sys.stderr)
        return 1
    if network is None:
        print(f"it did not start within {PATIENCE:g} s; see {folder / 'log.txt'}", file=sys.stderr)
        return 1
    if options.json:
        print(dump(network))
    else:
        print(f"the local network runs: {network.rpc}")
        open_at = last_state(folder).listening
        if open_at.address:
            print(
                f"machines around reach it at {place(open_at.reached(), open_at.port)}, with an "
                "invite: nosana-jupyter local invite"
            )
        if not network.stand_in and not network.hosts:
            print("its hosts are those that join: nosana-jupyter local invite --host")
    return 0


def _alone(folder: Path) -> AbstractContextManager[None]:
    """Start, stop and reset one at a time."""
    return lock(folder / "start.lock", wait=True)


def _bring_up(folder: Path, options: argparse.Namespace) -> Network | None:
    """Return the network once it answers: the one that runs, or one that is started."""
    process = None
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        network = _alive(folder)
        if network is not None:
            if process is None:
                _warn_of_terms(folder, options)
            else:
                # It goes on without us; nobody will ask for its exit code.
                process.returncode = 0
            return network
        if process is None and holder(folder / "lock") is None:
            process = _spawn(folder, options)
        elif process is not None and process.poll() is not None:
            return None
        time.sleep(0.03)
    return None


def _spawn(folder: Path, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    """Start the process of the network."""
    _name_programs(folder, options)
    state = _state(folder, options)
    # What a killed network has left. Only its holder of the lock writes it.
    (folder / "network.json").unlink(missing_ok=True)
    command = [sys.executable, "-m", "nosana_jupyter.local", "serve"]
    command += ["--hosts", str(_beside(state, options))]
    command += ["--executor", engines.chosen(options.executor)]
    with (folder / "log.txt").open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _state(folder: Path, options: argparse.Namespace) -> State:
    """Keep what was asked for, and return it with all that was before."""
    return read_state(folder, fee=options.fee, listen=options.listen, stand_in=options.stand_in)


def _beside(state: State, options: argparse.Namespace) -> int:
    """Return how many hosts run on this machine: none where other machines may bring theirs."""
    if options.hosts is not None:
        return int(options.hosts)
    return 0 if state.listening.address else 1


def _warn_of_terms(folder: Path, options: argparse.Namespace) -> None:
    state = last_state(folder)
    running = state.fee
    if options.fee not in (None, running):
        _warn(f"with a fee of {running} %")
    network = read_network(folder)
    if options.listen and not state.listening.is_at(options.listen):
        _warn("open to others" if state.listening.address else "closed to others")
    if options.executor and network and network.stand_in not in ("", STAND_INS[options.executor]):
        _warn(f"and a job {network.stand_in}")
    running_hosts = sum(holder(each / "lock") is not None for each in hosts.known())
    wanted = _beside(state, options)
    if running_hosts < wanted <= hosts.MORE and network and network.hosts:
        _ask(network.hosts, json.dumps({"hosts": wanted}).encode()).close()
    elif wanted > max(running_hosts, 1):
        told = "1 host" if running_hosts == 1 else f"{running_hosts} hosts"
        _warn(f"with {told}")
    if options.program:
        _warn("with the programs it has")


def _warn(how: str) -> None:
    stop = "python -m nosana_jupyter.local stop"
    print(f"it runs already, {how}, and goes on so; stop it first: {stop}", file=sys.stderr)


def _name_programs(folder: Path, options: argparse.Namespace) -> None:
    name_programs(
        folder / "programs",
        options.program,
        programs=MAINNET.programs,
        fee=last_state(folder).fee if options.fee is None else options.fee,
    )


def _serve(folder: Path, options: argparse.Namespace) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        with lock(folder / "lock"):
            _name_programs(folder, options)
            state = _state(folder, options)
            executor = engines.chosen(options.executor)
            asyncio.run(serve(folder, state, count=_beside(state, options), executor=executor))
    except Held:
        print("the local network runs already", file=sys.stderr)
        return 1
    except NosanaError as error:
        print(f"{error}\n{error.hint}".strip(), file=sys.stderr)
        return 1
    return 0


def _stop(folder: Path) -> bool:
    """Stop the network, and hosts that outlived it; say whether there was anything to stop."""
    paths = [folder / "lock", *(each / "lock" for each in hosts.known())]
    stopped = False
    for path in paths:
        pid = holder(path)
        if pid is not None:
            _end(pid, path)
            stopped = True
    (folder / "network.json").unlink(missing_ok=True)
    return stopped


def _end(pid: int, path: Path) -> None:
    """End a process that holds a lock, and wait until it is gone."""
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return
    deadline = time.monotonic() + GRACE
    number = signal.SIGTERM
    while holder(path) == pid:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        if time.monotonic() > deadline:
            number = signal.SIGKILL
        time.sleep(0.1)
    with contextlib.suppress(psutil.Error):
        process.wait(FAREWELL)


def _reset(folder: Path, *, sure: bool) -> int:
    question = f"Forget all accounts and jobs of the local network in {folder}? [y/N] "
    if not sure and not _agreed(question):
        print("nothing was forgotten", file=sys.stderr)
        return 1
    with _alone(folder):
        _stop(folder)
        _forget_containers()
        # All but the lock that is held: who waits for it waits for this file.
        for path in [*folder.iterdir(), *hosts.known()]:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != "start.lock":
                path.unlink()
        (settings.home() / "wallets" / "local.json").unlink(missing_ok=True)
    print("the local network is stopped and reset")
    return 0


def _forget_containers() -> None:
    """Remove what hosts keep in an engine: nobody else will, once their keys are gone."""
    addresses = [address for each in hosts.known() if (address := _address(each))]
    engine = engines.find("") if addresses else None
    if engine is not None:
        with contextlib.closing(engine.client):
            for address in addresses:
                engines.sweep(engine, address, lambda _: True)


def _agreed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        print("nobody is there to ask: say --yes", file=sys.stderr)
        return False


def _status(folder: Path, *, as_json: bool) -> int:
    network = _alive(folder)
    if network is None:
        print('{"running": false}' if as_json else "the local network does not run")
        return 3
    found = [{"address": _address(each), "pid": holder(each / "lock")} for each in hosts.known()]
    details = {
        "running": True,
        "pid": holder(folder / "lock"),
        "host": found[0],
        "hosts": found,
        "folder": str(folder),
        "deployed": describe_programs(folder / "programs"),
        "markets": [
            {"address": each.address, "slug": each.slug, "price": each.price} for each in CATALOGUE
        ],
    }
    if as_json:
        print(json.dumps({**json.loads(dump(network)), **details}, indent=2))
        return 0
    for name, value in json.loads(dump(network)).items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        for key, part in parts:
            if part not in ("", []):  # What this network does not have.
                print(f"{name:12} {f'{key}: ' if key else ''}{part}")
    for address, digest in describe_programs(folder / "programs").items():
        print(f"{'deployed':12} {address}, SHA-256 {digest}")
    open_at = last_state(folder).listening
    if open_at.address:
        print(f"{'open at':12} {place(open_at.address, open_at.port)}, with an invite")
    running = ", ".join(str(each["pid"]) for each in found if each["pid"]) or "none"
    print(f"{'process':12} {details['pid']}, hosts: {running}")
    return 0


def _alive(folder: Path) -> Network | None:
    """Return the network if it answers, and not another in its place: ports change hands."""
    network, pid = read_network(folder), holder(folder / "lock")
    if network is None or pid is None:
        return None
    try:
        with _ask(f"{network.api}/health") as answer:
            return network if json.load(answer).get("pid") == pid else None
    except (OSError, ValueError, AttributeError, http.client.HTTPException):
        return None


def _ask(address: str, body: bytes | None = None) -> http.client.HTTPResponse:
    """Ask the network, and not through the proxy that the environment may name."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    answer: http.client.HTTPResponse = direct.open(address, body, timeout=5)
    return answer


def _address(place: Path) -> str | None:
    """Return the address of the host in a folder, if it has a key."""
    key = place / "key.json"
    return Wallet.load(key).address if key.exists() else None


if __name__ == "__main__":
    sys.exit(main())
