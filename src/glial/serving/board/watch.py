"""Keeps an index fresh while somebody looks, and so seldom that no training is slowed."""

from __future__ import annotations

import threading
import time

from glial.serving.board.index import Index

EVERY_SECONDS = 1.0
SHARE = 0.004  # of one core's time, at most, for looking whether something changed
UNSEEN_SECONDS = 10.0


class Watch:
    """Refreshes an index in a thread while pages ask for it; the thread ends when none does.

    Args:
        index: The runs.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> Watch(Index.of(Path(tempfile.mkdtemp()))).seen()
    """

    def __init__(self, index: Index) -> None:
        self._index, self._lock = index, threading.Lock()
        self._seen = 0.0
        self._thread: threading.Thread | None = None

    def seen(self) -> None:
        """Somebody looks: refresh now, and go on for a while."""
        with self._lock:
            self._seen = time.monotonic()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True, name="board-watch")
                self._thread.start()

    def _run(self) -> None:
        while self._is_looked_at():
            begin = time.thread_time()
            self._index.refresh()
            spent = time.thread_time() - begin
            time.sleep(max(EVERY_SECONDS, spent / SHARE if spent < 1 else EVERY_SECONDS))

    def _is_looked_at(self) -> bool:
        with self._lock:
            if time.monotonic() - self._seen <= UNSEEN_SECONDS:
                return True
            self._thread = None
            return False
