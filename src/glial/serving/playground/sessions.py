"""The playgrounds that pages have open: few, each of its own, and gone when nobody looks."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from glial.core.errors import InputError
from glial.serving.playground.frames import frame_of, landscape_of
from glial.serving.playground.knobs import Knobs
from glial.serving.playground.session import Session

MOST, IDLE_SECONDS = 8, 600.0
FRAME_SECONDS = 0.1
BURST_SECONDS = 0.06
MOST_STEPS = 1000
MOST_WATCHERS = 4  # streams of one playground


@dataclass
class Opened:
    """A playground that a page has open.

    Attributes:
        session: The network and its training.
        playing: Whether it trains.
        steps: Steps between two pictures, at most.
        version: Grows whenever there is something new to draw.
        watchers: Streams that are open.
        used: When it was last asked for something.
        closed: Whether it was closed: streams of it end.
        lock: Held by whoever looks into the session or changes it.

    Example:
        >>> opened = Opened(Session(Knobs(points=20)))
        >>> opened.playing, opened.steps = True, 5
        >>> opened.tick()
        >>> 0 < opened.session.step <= 5, opened.version
        (True, 1)
    """

    session: Session
    playing: bool = False
    steps: int = 10
    version: int = 0
    watchers: int = 0
    used: float = field(default_factory=time.monotonic)
    closed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def tick(self) -> None:
        """Train a little, if it plays."""
        with self.lock:
            if self.playing and not self.session.finished:
                self.session.advance(self.steps, BURST_SECONDS)
                self.playing = not self.session.finished
                self.version += 1
                self.used = time.monotonic()

    def frame(self, known_data: int) -> dict[str, Any]:
        """What is to be drawn now.

        Args:
            known_data: Version of the points that the page has.
        """
        with self.lock:
            frame = frame_of(self.session, data=self.session.data_version != known_data)
            return {**frame, "playing": self.playing, "version": self.version}

    def do(self, change: Callable[[Session], Any]) -> Any:
        """Change something, or look into it, while nothing else happens."""
        with self.lock:
            self.used = time.monotonic()
            result = change(self.session)
            self.version += 1
            return result

    def landscape(self, kind: str, seed: int) -> dict[str, Any]:
        """The loss around the weights as they are."""
        with self.lock:
            self.used = time.monotonic()
            return landscape_of(self.session, kind, seed)


class Sessions:
    """Playgrounds by their names, which cannot be guessed.

    Args:
        most: How many may be open at once.
        idle_seconds: After which one that nobody watches is closed.

    Example:
        >>> sessions = Sessions(most=1)
        >>> name = sessions.open(Knobs(points=20))
        >>> sessions.get(name).session.step
        0
        >>> sessions.close(name), sessions.get(name) is None
        (True, True)
    """

    def __init__(self, most: int = MOST, idle_seconds: float = IDLE_SECONDS) -> None:
        self._most, self._idle_seconds = most, idle_seconds
        self._opened: dict[str, Opened] = {}
        self._lock = threading.Lock()

    def open(self, knobs: Knobs) -> str:
        """A new playground; where there are too many, the one unwatched for longest goes.

        Raises:
            InputError: If there are too many, and all are watched.
        """
        made = Opened(Session(knobs))
        with self._lock:
            self._sweep()
            if len(self._opened) >= self._most:
                unwatched = [name for name, one in self._opened.items() if not one.watchers]
                if not unwatched:
                    raise InputError(
                        "too many playgrounds are open",
                        expected=f"at most {self._most}",
                        do="close the page of another one",
                    )
                self._forget(min(unwatched, key=lambda name: self._opened[name].used))
            name = secrets.token_urlsafe(16)
            self._opened[name] = made
            return name

    def get(self, name: str) -> Opened | None:
        """The playground of a name; None where there is none, or no longer."""
        with self._lock:
            self._sweep()
            return self._opened.get(name)

    def close(self, name: str) -> bool:
        """Forget a playground; returns whether there was one."""
        with self._lock:
            return self._forget(name)

    def _forget(self, name: str) -> bool:
        opened = self._opened.pop(name, None)
        if opened is not None:
            opened.closed = True
        return opened is not None

    def _sweep(self) -> None:
        old = time.monotonic() - self._idle_seconds
        for name, opened in list(self._opened.items()):
            if not opened.watchers and opened.used < old:
                self._forget(name)
