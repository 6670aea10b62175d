# ruff: noqa: PTH101, PTH102, PTH108, PTH110, PTH116, PTH123, PTH208
"""What a job tries that wants out of its container. Runs in there; prints what it could do."""

import ctypes
import os
import platform
import resource
import socket
import stat
import subprocess
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == "x86_64"
NEW_NS, NEW_USER, NEW_NET, NEW_PID = 0x20000, 0x10000000, 0x40000000, 0x20000000
CALLS = {
    "pivot_root": (155, 41), "chroot": (161, 51), "init_module": (175, 105), "reboot": (169, 142),
    "swapon": (167, 224), "settimeofday": (164, 170), "bpf": (321, 280), "keyctl": (250, 219),
    "add_key": (248, 217), "perf_event_open": (298, 241), "open_by_handle_at": (304, 265),
    "kexec_load": (246, 104), "userfaultfd": (323, 282), "mount_setattr": (442, 442),
    "fsopen": (430, 430), "move_mount": (429, 429), "sethostname": (170, 161), "acct": (163, 89),
    "quotactl": (179, 60), "lookup_dcookie": (212, 18), "process_vm_readv": (310, 270),
}  # fmt: skip
"""Numbers on x86-64 and on arm64."""

REFUSED = (1, 13, 38)
"""Not permitted, no right to, no such call: what a filter and missing capabilities answer."""


def call(name):
    """Make a system call with nonsense: whoever is let in gets another answer than a refusal."""
    number = CALLS[name][0 if X86 else 1]
    if LIBC.syscall(number, 0, 0, 0, 0, 0) == -1:
        code = ctypes.get_errno()
        if code in REFUSED:
            raise PermissionError(code, name)


def mount(source, target, kind, flags=0):
    if LIBC.mount(source.encode(), target.encode(), kind.encode(), flags, None):
        raise OSError(ctypes.get_errno(), target)


def unshare(flag):
    if LIBC.unshare(flag):
        raise OSError(ctypes.get_errno(), "unshare")


def write(path):
    with open(path, "r+") as file:
        file.write("1")


def device(kind, major, minor):
    os.mknod("/tmp/device", kind | 0o666, os.makedev(major, minor))
    try:
        with open("/tmp/device", "rb") as file:
            file.read(1)
    finally:
        os.unlink("/tmp/device")


def own_root():
    """A program that runs as its owner gains nothing by it."""
    Path("/tmp/busybox").write_bytes(Path("/bin/busybox").read_bytes())
    os.chmod("/tmp/busybox", 0o6755)
    found = subprocess.run(
        ["/tmp/busybox", "grep", "Cap[EP]", "/proc/self/status"], capture_output=True, text=True
    )
    if found.stdout.count("0" * 16) == 2:
        raise PermissionError("nothing gained")


def read(path):
    """What is masked is empty."""
    with open(path, "rb") as file:
        if not file.read(1):
            raise PermissionError(path)


def outer_processes():
    """Processes of the machine, seen or stopped."""
    if all(int(pid) < 100 for pid in os.listdir("/proc") if pid.isdigit()):
        raise PermissionError("only its own")


def root_of_init():
    """The root of the first process is its own."""
    if os.stat("/proc/1/root").st_ino == os.stat("/").st_ino:
        raise PermissionError("its own")


def join(name):
    LIBC.setns.restype = ctypes.c_int
    handle = os.open(f"/proc/1/ns/{name}", os.O_RDONLY)
    if LIBC.setns(handle, 0):
        raise OSError(ctypes.get_errno(), name)


def raw(family, kind, protocol=0):
    socket.socket(family, kind, protocol).close()


def engine_socket():
    for path in (
        "/var/run/docker.sock",
        "/run/docker.sock",
        "/run/podman/podman.sock",
        "/run/containerd/containerd.sock",
        "/docker.sock",
    ):
        if os.path.exists(path):
            return
    raise FileNotFoundError("no socket")


def real_disks():
    """Files of the machine: what is mounted is of the container."""
    here = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    odd = [each for each in here if not each.startswith(("/proc", "/sys", "/dev", "/etc/"))]
    if odd == ["/"] or set(odd) <= {"/", "/sbin/docker-init", "/v"}:
        raise PermissionError(odd)
    print("mounted", odd)


TRIES = {
    **{name: lambda name=name: call(name) for name in CALLS},
    "mount a disk": lambda: mount("/dev/sda", "/tmp", "ext4"),
    "mount tmpfs": lambda: mount("none", "/tmp", "tmpfs"),
    "bind": lambda: mount("/", "/tmp", "", 4096),
    "remount proc": lambda: mount("none", "/proc/sys", "", 32 | 4096),
    "user namespace": lambda: unshare(NEW_USER),
    "mount namespace": lambda: unshare(NEW_NS),
    "network namespace": lambda: unshare(NEW_NET),
    "process namespace": lambda: unshare(NEW_PID),
    **{f"write {path}": lambda path=path: write(path) for path in (
        "/proc/sys/kernel/core_pattern", "/proc/sys/vm/overcommit_memory", "/proc/sysrq-trigger",
        "/proc/sys/net/ipv4/ip_forward", "/sys/kernel/uevent_helper", "/sys/power/state",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/release_agent", "/sys/fs/cgroup/pids/pids.max", "/proc/kcore",
    )},
    "cgroup folder": lambda: os.mkdir("/sys/fs/cgroup/memory/x"),
    "disk device": lambda: device(stat.S_IFBLK, 8, 0),
    "virtual disk device": lambda: device(stat.S_IFBLK, 254, 0),
    "memory device": lambda: device(stat.S_IFCHR, 1, 1),
    "kmsg device": lambda: device(stat.S_IFCHR, 1, 11),
    "kvm device": lambda: device(stat.S_IFCHR, 10, 232),
    **{f"open {path}": lambda path=path: read(path) for path in (
        "/dev/mem", "/dev/kmsg", "/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/sda", "/dev/vda",
        "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware/dmi/tables/DMI",
    )},
    "setuid program": own_root,
    "other user": lambda: os.setuid(1000),
    "other group": lambda: os.setgroups([0, 1]),
    "chown": lambda: os.chown("/etc/passwd", 1000, 1000),
    "outer processes": outer_processes,
    "root of the first": root_of_init,
    "higher priority": lambda: os.nice(-5),
    "realtime": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    "last to be killed": lambda: Path("/proc/self/oom_score_adj").write_text("-1000"),
    "more files": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 22, 1 << 22)),
    "core dumps": lambda: resource.setrlimit(resource.RLIMIT_CORE, (1, 1)),
    **{f"join {name}": lambda name=name: join(name) for name in ("mnt", "net", "user")},
    "raw packets": lambda: raw(socket.AF_PACKET, socket.SOCK_RAW),
    "raw IP": lambda: raw(socket.AF_INET, socket.SOCK_RAW, 1),
    "engine's socket": engine_socket,
    "files of the machine": real_disks,
}  # fmt: skip

for name, attempt in TRIES.items():
    try:
        attempt()
    except (OSError, ValueError):
        continue
    print("COULD", name, flush=True)
print("tried", len(TRIES))
