"""A disk that is slow for one server: each of its fsyncs ends later. Real, at the system call, by strace.

All other system calls run at their own speed: with seccomp the kernel stops only at those that are named. The tracer
is nobody's parent (`-D`), so the server has the process id, the signals and the end that it always has.
"""

import re
from pathlib import Path


def slow_disk(milliseconds: int) -> tuple[str, ...]:
    """What goes before a command; nothing for a disk as it is."""
    if not milliseconds:
        return ()
    calls = "fsync,fdatasync"
    delay = f"inject={calls}:delay_exit={1000 * milliseconds}"
    return ("strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", delay)


def most_resident_bytes(pid: int) -> int:
    """The most memory a process has held at once (VmHWM)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024
