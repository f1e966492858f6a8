"""How old something is, although clocks are set, and differ between machines."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ClockReading", "file_system_now", "moved_ns", "read_clock"]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReading:
    """The clocks of a machine at one moment.

    Parameters
    ----------
    wall_ns : int
        Nanoseconds since 1970; anybody may set this clock.
    boot_ns : int
        Nanoseconds since the machine was started; nobody can set this one.
    boot_id : str
        Tells one start of the machine from another; empty where the system has none.
    host : str
        Name of the machine.
    """

    wall_ns: int
    boot_ns: int
    boot_id: str = ""
    host: str = ""


def read_clock() -> ClockReading:
    """Return what the clocks say now."""
    boot_id = ""
    with contextlib.suppress(OSError):
        boot_id = _BOOT_ID.read_text().strip()
    # the monotonic clock stands still while a laptop sleeps, the other one does not
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return ClockReading(
        wall_ns=time.time_ns(),
        boot_ns=time.clock_gettime_ns(clock),
        boot_id=boot_id,
        host=socket.gethostname(),
    )


def moved_ns(earlier: ClockReading, now: ClockReading) -> int | None:
    """Return by how much the wall clock was set in between; None where nobody can tell."""
    if not now.boot_id or earlier.boot_id != now.boot_id:
        return None
    return (now.wall_ns - earlier.wall_ns) - (now.boot_ns - earlier.boot_ns)


def file_system_now(folder: Path) -> int:
    """Return the time by which the file system of a folder stamps files, in nanoseconds.

    It may be another machine's. Where nothing can be written it is this machine's time.
    """
    probe = folder / f"clock-{secrets.token_hex(6)}"
    try:
        handle = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            return os.fstat(handle).st_mtime_ns
        finally:
            os.close(handle)
            probe.unlink(missing_ok=True)
    except OSError:
        return time.time_ns()
