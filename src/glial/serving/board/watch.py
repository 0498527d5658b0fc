"""Keeps an index fresh while somebody looks, and so seldom that no training is slowed."""

from __future__ import annotations

import threading
import time

from glial.serving.board.index import Index

EVERY_SECONDS = 1.0
SHARE = 0.004  # of one core's time, at most, for looking whether something changed
UNSEEN_SECONDS = 10.0


class Watch:
    """A thread that refreshes an index while pages ask for it, and sleeps otherwise.

    Args:
        index: The runs.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> watch = Watch(Index.of(Path(tempfile.mkdtemp())))
        >>> watch.seen()
        >>> watch.stop()
    """

    def __init__(self, index: Index) -> None:
        self._index, self._wanted, self._stopped = index, threading.Event(), threading.Event()
        self._seen = time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def seen(self) -> None:
        """Somebody looks: go on."""
        self._seen = time.monotonic()
        self._wanted.set()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._wanted.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            begin = time.thread_time()
            self._index.refresh()
            spent = time.thread_time() - begin
            self._stopped.wait(max(EVERY_SECONDS, spent / SHARE if spent < 1 else EVERY_SECONDS))
            if time.monotonic() - self._seen > UNSEEN_SECONDS:
                self._wanted.clear()
                self._wanted.wait()
