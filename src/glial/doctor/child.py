"""The watched process: watches from the import of torch until it ends, however it ends."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from glial.core.files import write_atomic
from glial.doctor.traces import FOLDER, PREFLIGHT, STEPS, Traces
from glial.doctor.watcher import Watcher
from glial.doctor.watching.places import is_users

LONGEST_MESSAGE = 2000


def begin_child(variables: Mapping[str, str]) -> None:
    """Watch this process until it ends.

    Args:
        variables: Those of its environment that say where to write and when to stop.

    Example:
        >>> begin_child({})  # not a process that the doctor started
        Traceback (most recent call last):
        KeyError: 'GLIAL_DOCTOR_FOLDER'
    """
    traces = Traces.of(Path(variables[FOLDER]))
    traces.folder.mkdir(exist_ok=True)
    steps = variables.get(STEPS)
    watcher = Watcher(
        traces.folder,
        most_steps=int(steps) if steps else None,
        preflight=PREFLIGHT in variables,
    )
    watcher.begin()
    _Ending(watcher, traces).arrange()


class _Ending:
    """Ends the watching once, in the process that began it and in no fork of it."""

    def __init__(self, watcher: Watcher, traces: Traces) -> None:
        self._watcher = watcher
        self._traces = traces
        self._process = os.getpid()
        self._is_over = False

    def arrange(self) -> None:
        """Be called when the script is over, and before its process ends."""
        leave = os._exit

        @functools.wraps(leave)
        def leave_watched(status: int) -> NoReturn:
            self._end()
            leave(status)

        os._exit = leave_watched
        atexit.register(self._end)
        # What is registered there is called when the main thread is done, before others are
        # waited for.
        register = getattr(threading, "_register_atexit", None)
        if register is not None:
            register(self._mark)

    def _mark(self) -> None:
        """Leave what is known now: threads that never end may keep the process from ending."""
        if os.getpid() == self._process:
            self._attempt(self._note_error)
            self._attempt(self._leave_evidence)
            self._attempt(self._traces.over.touch)

    def _end(self) -> None:
        if not self._is_over and os.getpid() == self._process:
            self._is_over = True
            self._attempt(self._note_error)
            self._attempt(self._watcher.end)

    def _leave_evidence(self) -> None:
        write_atomic(self._traces.evidence, json.dumps(self._watcher.evidence().to_dict()))

    def _note_error(self) -> None:
        """Keep the exception that nobody caught: Python has it, whichever hook printed it."""
        error = getattr(sys, "last_value", None)
        if not isinstance(error, BaseException):
            return
        frames = [
            frame for frame in traceback.extract_tb(error.__traceback__) if is_users(frame.filename)
        ]
        place = {"file": frames[-1].filename, "line": frames[-1].lineno or 1} if frames else None
        told = {
            "ended": type(error).__name__,
            "error": str(error)[:LONGEST_MESSAGE],
            "error_at": place,
        }
        write_atomic(self._traces.error, json.dumps(told))

    def _attempt(self, act: Callable[[], Any]) -> None:
        """Do something that must not change how the script ends."""
        try:
            act()
        except Exception:  # noqa: BLE001 - the parent reads of it
            with contextlib.suppress(OSError):
                self._traces.failure.write_text(traceback.format_exc(), encoding="utf-8")
