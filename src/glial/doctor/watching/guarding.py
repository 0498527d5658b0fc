"""What is called from a script's own calls may cost it time, and never an error."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, TypeVar

import torch

F = TypeVar("F", bound=Callable[..., Any])


def guarded(method: F) -> F:
    """Time what a method takes, and keep its errors from the script."""

    @functools.wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not self._mine():
            return None
        start, self._busy = time.perf_counter(), True
        try:
            with torch._C.DisableTorchFunction():
                return method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - nothing of ours may reach the script
            self._fault(method.__name__, error)
        finally:
            self._busy = False
            self._evidence.watching += time.perf_counter() - start

    return run  # type: ignore[return-value]
