"""Ctrl-C and SIGTERM as a wish to stop at the next step, so that nothing is half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Whether and by which signal training was asked to stop.

    Example:
        >>> StopRequest().signal is None
        True
    """

    signal: int | None = None


@contextmanager
def graceful_signals() -> Iterator[StopRequest]:
    """Turn the first SIGINT or SIGTERM into a request; a second one interrupts at once.

    Outside the main thread signals are left alone. Within another such block this is the other's
    request: one wish to stop ends all that is going on.

    Example:
        >>> with graceful_signals() as request, graceful_signals() as inner:
        ...     request.signal is None, inner is request
        (True, True)
    """
    outer = getattr(signal.getsignal(signal.SIGINT), "request", None)
    in_main = threading.current_thread() is threading.main_thread()
    request = outer if outer is not None and in_main else StopRequest()
    if outer is not None or not in_main:
        yield request
        return

    def note(number: int, frame: FrameType | None) -> None:
        if request.signal is not None:
            raise KeyboardInterrupt
        request.signal = number

    note.request = request  # type: ignore[attr-defined]
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
