"""
Whether a machine can be a host: each thing that was looked at, judged, with what to do about it.

What Nosana asks of its hosts counts on networks with real money. On others what is missing warns,
and only what stops the host fails: a machine without a card can still serve a network of one's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..host.driver import Gpu, remedy
from ..units import nos, sol, xnos
from .looking import Seen

OK, WARN, FAIL = "ok", "warn", "fail"

MEMORY, DISK, FREE = 12, 256, 25
"""GiB that Nosana's hosts have at least: memory, disk, and free of it when a job comes."""

DOWN, UP = 100, 50
"""Megabits a second, likewise."""

DRIVER, CUDA = 525, 12.0
"""The oldest driver that runs what images are built with today, and the CUDA that it knows."""

SOL = 5_000_000
"""Lamports below which a host takes no jobs."""

CLOCK = 20.0
"""Seconds of difference that nobody minds: signatures hold for minutes."""

HOT = 85.0
"""Degrees at which a card that does nothing is too hot."""

TOOLKIT = (
    "sudo apt-get install -y nvidia-container-toolkit && "
    "sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One thing, judged."""

    name: str
    state: str
    """`ok`, `warn` or `fail`."""

    text: str
    fix: str = ""
    """What to do, in words. Empty: nothing."""

    command: str = ""
    """What to type for it. Empty: it is nothing to type."""


def judge(seen: Seen) -> list[Check]:
    """Judge what was seen, the machine first."""
    return [
        _system(seen), *_cards(seen), *_engine(seen), _memory(seen), _disk(seen),
        *_services(seen), _line(seen), _clock(seen), *_wallet(seen),
    ]  # fmt: skip


def _grave(seen: Seen) -> str:
    """Return how grave it is to be less than Nosana asks for."""
    return FAIL if seen.real_money else WARN


def _system(seen: Seen) -> Check:
    if seen.wsl:
        return Check(
            name="system", state=_grave(seen), text=f"{seen.system}, in Windows' subsystem",
            fix="Nosana takes no hosts in WSL since December 2025: install Ubuntu beside Windows.",
        )  # fmt: skip
    if not seen.linux:
        return Check(
            name="system", state=FAIL, text=f"{seen.system} is no Linux",
            fix="Hosts run on Linux: Ubuntu 20.04 or newer is what Nosana supports.",
        )  # fmt: skip
    if seen.real_money and "ubuntu" not in seen.system.lower():
        return Check(
            name="system", state=WARN, text=f"{seen.system}; Nosana supports Ubuntu alone",
            fix="It may work; if it does not, nobody helps. Ubuntu 20.04 or newer is safe.",
        )  # fmt: skip
    return Check(name="system", state=OK, text=seen.system)


def _cards(seen: Seen) -> Iterator[Check]:
    found = seen.driver
    if not found.found:
        yield Check(
            name="GPU", state=_grave(seen), text="no NVIDIA driver: there is no nvidia-smi",
            fix=(
                "If there is a card, install its driver and restart."
                if seen.real_money
                else "If there is a card, install its driver and restart. Without one this host "
                "serves all the same: jobs run on its processor, and find no card."
            ),
            command="sudo ubuntu-drivers install && sudo reboot",
        )  # fmt: skip
        return
    if found.failure:
        words, command = remedy(found.failure)
        yield Check(name="GPU", state=FAIL, text=f"nvidia-smi fails: {found.failure}", fix=words,
                    command=command)  # fmt: skip
        return
    for card in found.cards:
        yield _card(card)
    yield _driver(seen)
    if any(each.persistent is False for each in found.cards):
        yield Check(
            name="persistence", state=WARN,
            text="the driver unloads while nothing uses the card, and each job waits for it",
            fix="Let it stay loaded.", command="sudo nvidia-smi -pm 1",
        )  # fmt: skip


def _card(card: Gpu) -> Check:
    size = f"{round(card.memory, 1):g} GiB" if card.memory else "memory unknown"
    arch = f", compute capability {card.capability}" if card.capability else ""
    text = f"{card.name}, {size}{arch}"
    if card.celsius is not None and card.celsius >= HOT:
        return Check(name=f"GPU {card.index}", state=WARN, text=f"{text}, at {card.celsius:g} °C",
                     fix="It is hot before it works: clean its fans, and look at the airflow.",
                     command="nvidia-smi -q -d TEMPERATURE,PERFORMANCE")  # fmt: skip
    return Check(name=f"GPU {card.index}", state=OK, text=text)


def _driver(seen: Seen) -> Check:
    number, cuda = seen.driver.cards[0].driver, seen.driver.cuda
    text = f"{number}, CUDA {cuda or 'unknown'}"
    major = number.partition(".")[0]
    old = major.isdecimal() and int(major) < DRIVER
    if old or (cuda and float(cuda) < CUDA):
        return Check(
            name="driver", state=_grave(seen), text=f"{text}: too old for most images",
            fix=f"Images of today are built for CUDA 12, which takes driver {DRIVER} or newer.",
            command="sudo ubuntu-drivers install && sudo reboot",
        )  # fmt: skip
    return Check(name="driver", state=OK, text=text)


def _engine(seen: Seen) -> Iterator[Check]:
    engine = seen.engine
    if not engine.name:
        grave = WARN if seen.own else FAIL
        why = (
            "Without containers this host serves its own machine's network alone, and jobs of its "
            "own user. " if seen.own else "Jobs of others run in containers alone, or as host run "
            "--trust ADDRESS allows. "
        )  # fmt: skip
        yield Check(
            name="containers", state=grave, text=engine.failure,
            fix=f"{why}Install Docker, and let this user use it.",
            command="curl -fsSL https://get.docker.com | sh && sudo usermod -aG docker $USER",
        )  # fmt: skip
        return
    yield Check(name="containers", state=OK, text=engine.name)
    if not seen.driver.cards:
        return
    if engine.nvidia:
        yield Check(name="toolkit", state=OK, text="containers are given cards")
    elif seen.toolkit:
        yield Check(
            name="toolkit", state=FAIL,
            text="NVIDIA's container toolkit is installed, and the engine does not use it",
            fix="Tell the engine of it.",
            command="sudo nvidia-ctk runtime configure --runtime=docker && "
            "sudo systemctl restart docker",
        )  # fmt: skip
    else:
        yield Check(
            name="toolkit", state=FAIL,
            text="without NVIDIA's container toolkit no job gets the card",
            fix="Install it: its repository is at https://nvidia.github.io/libnvidia-container.",
            command=TOOLKIT,
        )  # fmt: skip


def _memory(seen: Seen) -> Check:
    text = f"{seen.memory:g} GiB"
    # What is sold as 12 has a little less.
    if seen.memory < MEMORY * 0.95:
        return Check(name="memory", state=_grave(seen), text=f"{text}; Nosana asks for {MEMORY}",
                     fix="Add memory: jobs and their images share it.")  # fmt: skip
    return Check(name="memory", state=OK, text=text)


def _disk(seen: Seen) -> Check:
    text = f"{seen.free:g} GiB free of {seen.disk:g}, at {seen.folder}"
    if seen.free < FREE:
        return Check(
            name="disk", state=_grave(seen), text=f"{text}; {FREE} GiB are to be free",
            fix="Make room: old images are most of it, as a rule.",
            command="docker system df && docker image prune",
        )  # fmt: skip
    if seen.disk < DISK * 0.9:
        return Check(name="disk", state=WARN, text=f"{text}; Nosana asks for {DISK} GiB of NVMe",
                     fix="Large models do not fit, and their jobs fail here.")  # fmt: skip
    return Check(name="disk", state=OK, text=text)


def _services(seen: Seen) -> Iterator[Check]:
    for each in seen.services:
        if each.failure:
            yield Check(
                name=each.name, state=FAIL, text=f"{each.address} does not answer: {each.failure}",
                fix="See that this machine is online, and that no firewall keeps it from leaving.",
                command=f"curl -sS -o /dev/null -w '%{{http_code}}\\n' {each.address}",
            )  # fmt: skip
        else:
            text = f"{each.address} answers in {each.milliseconds:g} ms"
            yield Check(name=each.name, state=OK, text=text)


def _line(seen: Seen) -> Check:
    line, asks = seen.line, f"Nosana asks for {DOWN} Mbit/s down and {UP} up"
    if line.failure:
        return Check(name="line", state=WARN, text=line.text, fix=f"{asks}.")
    if (line.down or 0) < DOWN or (line.up or 0) < UP:
        more = ": a cable in place of Wi-Fi helps."
        return Check(name="line", state=WARN, text=line.text, fix=f"{asks}{more}")
    return Check(name="line", state=OK, text=line.text)


def _clock(seen: Seen) -> Check:
    if seen.skew is None:
        return Check(name="clock", state=WARN, text="not compared: nobody told the time")
    if abs(seen.skew) > CLOCK:
        side = "ahead of" if seen.skew > 0 else "behind"
        return Check(
            name="clock", state=FAIL, text=f"{abs(seen.skew):g} s {side} the network's",
            fix="What this host signs would be refused: let the clock be set.",
            command="sudo timedatectl set-ntp true",
        )  # fmt: skip
    return Check(name="clock", state=OK, text="right")


def _wallet(seen: Seen) -> Iterator[Check]:
    wallet = seen.wallet
    if wallet.failure:
        yield Check(
            name="wallet", state=FAIL, text=wallet.failure,
            fix="Each host has a key of its own, that its user alone can read.",
        )  # fmt: skip
        return
    if not wallet.address:
        yield Check(
            name="wallet", state=WARN, text=f"no key yet at {wallet.file}",
            fix="It is made when you join a market. If this machine has one: host check --key FILE",
            command="nosana-jupyter host join MARKET",
        )  # fmt: skip
        return
    has = f"{wallet.address}: {sol(wallet.sol or 0)}, {nos(wallet.nos or 0)}"
    if (wallet.sol or 0) < SOL:
        yield Check(
            name="wallet", state=FAIL, text=f"{has}; transactions take SOL",
            fix="Play money comes with joining." if seen.faucet
            else f"Send it {sol(SOL * 4)} or more, for the fees.",
            command="nosana-jupyter host join MARKET" if seen.faucet else "",
        )  # fmt: skip
    else:
        yield Check(name="wallet", state=OK, text=has)
    if not wallet.staked:
        yield Check(
            name="stake", state=WARN, text="none, and a host needs one, even where it may be 0",
            fix="It is locked for 14 days at least; how much depends on the market.",
            command="nosana-jupyter host stake MARKET",
        )  # fmt: skip
    elif wallet.xnos < seen.stake_needed:
        yield Check(
            name="stake", state=FAIL,
            text=f"{xnos(wallet.xnos)}; the joined market asks for {xnos(seen.stake_needed)}",
            fix="Stake what is missing.", command="nosana-jupyter host stake",
        )  # fmt: skip
    else:
        yield Check(name="stake", state=OK, text=xnos(wallet.xnos))
