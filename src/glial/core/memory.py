"""How much memory this process takes, and may still take."""

from __future__ import annotations

import os
from pathlib import Path


def available_memory() -> int:
    """Bytes that can be taken without swapping, within the limit of a container.

    Example:
        >>> available_memory() > 0
        True
    """
    free = [_of_system(), _of_container()]
    return max(0, min(amount for amount in free if amount is not None))


def used_memory() -> int:
    """Bytes of memory that this process takes now; 0 where the system does not tell.

    Example:
        >>> used_memory() >= 0
        True
    """
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _of_system() -> int:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        values = dict(line.split(":", 1) for line in lines)
        return int(values["MemAvailable"].split()[0]) << 10
    except (OSError, KeyError, ValueError):  # not Linux
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _of_container() -> int | None:
    """What is left of a control group's limit, if there is one."""
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        return limit - int((group / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
