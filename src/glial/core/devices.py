"""Which device computes: chosen with a reason, and never silently another than was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from glial.core.errors import InputError

if TYPE_CHECKING:
    import torch

NAMES = ("cuda", "xpu", "mps", "cpu")


def available_devices() -> list[str]:
    """The kinds of device this machine has, the fastest first; ``cpu`` is always there.

    Example:
        >>> "cpu" in available_devices()
        True
    """
    import torch

    has: dict[str, Callable[[], bool]] = {
        "cuda": torch.cuda.is_available,
        "xpu": torch.xpu.is_available,
        "mps": torch.backends.mps.is_available,
        "cpu": lambda: True,
    }
    return [name for name in NAMES if has[name]()]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device, or the machine, has no memory left.

    Example:
        >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("no such thing"))
        (True, False)
    """
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "can't allocate memory" in words or "out of memory" in words
    )


def choose_device(asked: str = "auto") -> tuple[torch.device, str]:
    """The device to compute on, and the reason in words.

    Args:
        asked: ``auto``, or one of ``cpu``, ``cuda``, ``cuda:1``, ``mps``, ``xpu``.

    Raises:
        InputError: If the device asked for is not a device, or is not there.

    Example:
        >>> device, reason = choose_device("cpu")
        >>> device.type, reason
        ('cpu', 'asked for')
    """
    import torch

    available = available_devices()
    if asked == "auto":
        best = available[0]
        reason = (
            "no accelerator was found" if best == "cpu" else "the fastest device of this machine"
        )
        return torch.device(best), reason
    try:
        device = torch.device(asked)
    except RuntimeError as error:
        device = None
        cause: Exception | None = error
    else:
        cause = None
    if device is None or device.type not in NAMES:
        raise InputError(
            f"unknown device {asked!r}",
            expected=f"auto, or one of {', '.join(NAMES)}",
            got=repr(asked),
            do="set train.device to one of them",
        ) from cause
    count = torch.accelerator.device_count() if device.type != "cpu" else 1
    if device.type not in available or (device.index or 0) >= count:
        raise InputError(
            f"the device {asked!r} is not there",
            expected=f"one of {', '.join(available)}",
            got=repr(asked),
            do="set train.device to a device this machine has, or to auto",
        )
    return device, "asked for"
