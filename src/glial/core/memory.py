"""How much memory this process takes, may still take, and keeps."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 1 << 30


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


def keep_freed_memory() -> bool:
    """Have the C library keep large blocks that are freed, to be taken again.

    glibc asks the system for every block above 32 MiB and gives it back when it is freed, and the
    system zeroes each page anew. A training step takes and frees the same large maps again and
    again, and may spend half of its time so.

    Returns:
        Whether the C library can be told; only glibc can.

    Source:
        mallopt(3), ``M_MMAP_THRESHOLD`` and ``M_TRIM_THRESHOLD``.

    Example:
        >>> keep_freed_memory() in (True, False)
        True
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    taken = mallopt(_MMAP_THRESHOLD, KEPT_BYTES), mallopt(_TRIM_THRESHOLD, 2 * KEPT_BYTES - 1)
    return taken == (1, 1)


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
