"""What watches is timed, and its errors stay its own."""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from glial.doctor.evidence import Evidence, NotChecked

MOST_FAULTS = 20

F = TypeVar("F", bound=Callable[..., Any])


def guarded(method: F) -> F:
    """Time what a method of a watcher takes, and keep its errors from the script.

    Example:
        >>> class Idle:
        ...     def _mine(self):
        ...         return False
        ...
        ...     @guarded
        ...     def look(self):
        ...         return "seen"
        >>> Idle().look() is None
        True
    """

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


class Home:
    """The process that is watched, and its thread.

    Example:
        >>> home = Home()
        >>> home.is_process(), home.is_here()
        (True, True)
    """

    def __init__(self) -> None:
        self._process, self._thread = os.getpid(), threading.get_ident()

    def is_process(self) -> bool:
        """Whether this is the process, and none that it forked."""
        return os.getpid() == self._process

    def is_here(self) -> bool:
        """Whether this is the thread too, and torch neither traces nor compiles."""
        return (
            os.getpid() == self._process
            and threading.get_ident() == self._thread
            and torch._C._get_tracing_state() is None
            and not torch.compiler.is_compiling()
        )


class Faults:
    """What went wrong in watching.

    Example:
        >>> evidence = Evidence()
        >>> Faults().are_too_many("leave", KeyError("x"), evidence)
        False
        >>> evidence.not_checked[0].why
        "watching failed in leave: KeyError: 'x'"
    """

    def __init__(self) -> None:
        self._number = 0

    def are_too_many(self, where: str, error: Exception, evidence: Evidence) -> bool:
        """Take note of one more; whether the script is better left alone from now on.

        Args:
            where: What was being done.
            error: What went wrong.
            evidence: Where that is told.
        """
        self._number += 1
        note = NotChecked("*", f"watching failed in {where}: {type(error).__name__}: {error}"[:300])
        if note not in evidence.not_checked:
            evidence.not_checked.append(note)
        if os.environ.get("GLIAL_DOCTOR_DEBUG"):
            raise error
        return self._number >= MOST_FAULTS
