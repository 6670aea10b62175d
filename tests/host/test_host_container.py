"""What the end of a container means, and what it may have, as far as no engine is needed for it."""

from __future__ import annotations

from typing import Any

import pytest

from nosana_jupyter.host import confinement, disk
from nosana_jupyter.host.container import explain
from nosana_jupyter.host.usage import of_container

GIB = 1 << 30
STARVED = "it needed more memory than the 8 GiB it may have, and was killed (out of memory)"
MAYBE = "it was killed (signal 9), maybe for want of memory: it may have 8 GiB"


@pytest.mark.parametrize(
    ("code", "more", "text"),
    [
        (0, {}, ""),
        (1, {}, ""),
        (0, {"starved": True}, ""),
        (137, {"starved": True}, STARVED),
        (1, {"starved": True}, STARVED),
        (137, {}, "it was killed (signal 9), not for memory"),
        (137, {"blind": True}, MAYBE),
        (127, {"program": "/usr/bin/x"}, "the image has no program '/usr/bin/x'"),
        (127, {"program": "/bin/bash"}, "a command was not found"),
        (126, {"program": "x.py"}, "'x.py' cannot be executed"),
        (139, {}, "it crashed (signal 11, segmentation fault)"),
        (143, {}, ""),
    ],
)  # fmt: skip
def test_exit_codes_in_words(code: int, more: dict[str, Any], text: str) -> None:
    """
    A code that no program gives itself is said in words, and want of memory is no other kill.
    """
    asked = {"program": "x", "starved": False, "blind": False, **more}

    assert explain(code, limit=8 * GIB, **asked) == text


def test_limits_leave_something_for_the_machine() -> None:
    """
    An operation may have most of the machine that the engine runs on.
    """
    found = confinement.limits({"MemTotal": 10 * GIB, "NCPU": 4})

    assert found.memory == 9 * GIB
    assert found.processors == 3.6


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"Driver": "overlay2", "DriverStatus": [["Backing Filesystem", "xfs"]]}, True),
        ({"Driver": "overlay2", "DriverStatus": [["Backing Filesystem", "extfs"]]}, False),
        ({"Driver": "btrfs"}, True),
        ({"Driver": "vfs", "DriverStatus": None}, False),
        ({}, False),
    ],
)
def test_drivers_that_may_limit_the_disk(info: dict[str, Any], expected: bool) -> None:
    """
    Where the driver may be able to, it is asked to; the others are watched.
    """
    assert disk.has_quota(info) is expected


def test_a_full_disk_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Little room on the engine's disk counts; a disk that cannot be seen does not.
    """
    monkeypatch.setattr(disk, "RESERVE", 1 << 60)
    assert disk.is_full({"DockerRootDir": "/"})
    assert not disk.is_full({"DockerRootDir": "/nowhere/at/all"})
    assert not disk.is_full({})
    monkeypatch.setattr(disk, "RESERVE", 0)
    assert not disk.is_full({"DockerRootDir": "/"})


@pytest.mark.parametrize("group", ["total_inactive_file", "inactive_file"])
def test_a_measurement_is_read(group: str) -> None:
    """
    Memory is what is not only cached, whichever way the kernel counts; cores are in percent of one.
    """
    found = of_container(
        {
            "memory_stats": {"usage": 100, "limit": 400, "stats": {group: 30}},
            "cpu_stats": {
                "cpu_usage": {"total_usage": 30}, "system_cpu_usage": 140, "online_cpus": 4,
            },
            "precpu_stats": {"cpu_usage": {"total_usage": 10}, "system_cpu_usage": 100},
            "blkio_stats": {
                "io_service_bytes_recursive": [
                    {"op": "Read", "value": 5}, {"op": "write", "value": 7},
                    {"op": "Read", "value": 1},
                ]
            },
            "networks": {"eth0": {"rx_bytes": 3, "tx_bytes": 4}},
        }
    )  # fmt: skip

    assert found is not None
    assert (found.processor, found.memory, found.most) == (200.0, 70, 400)
    assert (found.read, found.written, found.received, found.sent) == (6, 7, 3, 4)


def test_what_does_not_run_is_not_measured() -> None:
    """
    An engine answers for an ended container too, with nothing in it.
    """
    assert of_container({"memory_stats": {}, "cpu_stats": {}, "precpu_stats": {}}) is None
