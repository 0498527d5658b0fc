"""Progress of training on standard error: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glial.training import TrainingView

LINE_SECONDS = 10.0


class ProgressBar:
    """Watches training and shows how far it is."""

    def __init__(self) -> None:
        self._stream = sys.stderr
        self._bar: Any = None
        self._task: Any = None
        self._last_line = time.monotonic()

    def on_fit_start(self, view: TrainingView) -> None:
        """Draw the bar."""
        if not self._stream.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn(f"training{_which(view)}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=Console(file=self._stream),
            transient=True,
        )
        self._task = self._bar.add_task("", total=1.0)
        self._bar.start()

    def on_tick(self, view: TrainingView) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(self._task, completed=view.fraction, description=_words(view))
        elif time.monotonic() - self._last_line > LINE_SECONDS:
            self._last_line = time.monotonic()
            line = f"{view.fraction:4.0%}{_which(view)} {_words(view)}"
            print(line, file=self._stream, flush=True)

    def on_epoch_end(self, view: TrainingView) -> None:
        """Nothing: the next tick shows the epoch's figures."""

    def on_fit_end(self, view: TrainingView) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()


def _which(view: TrainingView) -> str:
    return f" network {view.member}/{view.members}" if view.members > 1 else ""


def _words(view: TrainingView) -> str:
    figures = [
        f"{name} {value:.4g}"
        for name, value in view.metrics.items()
        if name.startswith(("train_", "val_"))
    ]
    return f"epoch {view.epoch}/{view.epochs} " + ", ".join(figures)
