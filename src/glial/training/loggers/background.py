"""A logger that works beside the training: it can neither slow it down nor stop it."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any

from glial.training.loggers.metric_logger import MetricLogger, Status

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 10.0


class Background:
    """Hands what is logged to another thread, where a logger is opened and writes it.

    What goes wrong there is told once, and nothing more is written. Numbers that the logger has
    already, from a training that is gone on with, are not written again.

    Args:
        name: What the logger is called in messages.
        make: Opens the logger.
        patience: Most seconds that :meth:`finish` waits while nothing moves.

    Example:
        >>> import tempfile
        >>> from glial.training.loggers import TensorBoardLogger
        >>> folder = tempfile.mkdtemp()
        >>> beside = Background("tensorboard", lambda: TensorBoardLogger(folder))
        >>> beside.log({"train/loss": 0.5}, step=3)
        >>> beside.finish()
        >>> TensorBoardLogger(folder).last_step("train/loss")
        3
    """

    def __init__(
        self, name: str, make: Callable[[], MetricLogger], *, patience: float = PATIENCE_SECONDS
    ) -> None:
        self._name, self._make, self._patience = name, make, patience
        self._tasks: queue.SimpleQueue[Callable[[MetricLogger], None] | None] = queue.SimpleQueue()
        self._moved = threading.Event()
        self._last: dict[str, int] = {}
        self._is_told = False
        self._thread = threading.Thread(target=self._work, name=f"glial-{name}", daemon=True)
        self._thread.start()

    def log(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Write numbers of a step, but for those that are there already."""
        held = dict(values)
        self._tasks.put(lambda opened: self._log_new(opened, held, step))

    def log_params(self, params: Any) -> None:
        """Write what the training was set to."""
        self._tasks.put(lambda opened: opened.log_params(params))

    def log_text(self, name: str, text: str) -> None:
        """Write a text in Markdown."""
        self._tasks.put(lambda opened: opened.log_text(name, text))

    def summarize(self, metrics: Mapping[str, float]) -> None:
        """Write the numbers that the training came to."""
        held = dict(metrics)
        self._tasks.put(lambda opened: opened.summarize(held))

    def last_step(self, name: str) -> int:
        """Always -1: what was there before is left out where it is written."""
        return -1

    def finish(self, status: Status = "finished") -> None:
        """Wait until all is written, as long as there is headway."""
        self._tasks.put(lambda opened: opened.finish(status))
        self._tasks.put(None)
        while self._thread.is_alive():
            self._moved.clear()
            self._thread.join(0.05)
            if self._thread.is_alive() and not self._moved.wait(self._patience):
                self._tell(f"nothing was written for {self._patience:g} seconds")
                return

    def _work(self) -> None:
        try:
            opened = self._make()
            self._moved.set()
            while (task := self._tasks.get()) is not None:
                task(opened)
                self._moved.set()
        except Exception as error:  # noqa: BLE001 - whatever it is must not stop a training
            first = str(error).strip().splitlines()
            self._tell(f"{type(error).__name__}: {first[0] if first else 'no reason given'}")
        finally:
            self._moved.set()

    def _tell(self, why: str) -> None:
        if not self._is_told:
            self._is_told = True
            logger.warning("%s is told no more of this training: %s", self._name, why)

    def _log_new(self, opened: MetricLogger, values: dict[str, float], step: int | None) -> None:
        if step is not None:
            for name in values.keys() - self._last.keys():
                self._last[name] = opened.last_step(name)
            values = {name: value for name, value in values.items() if step > self._last[name]}
        if values:
            opened.log(values, step)
