"""What tests of runs share: Ctrl-C at a step of training."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest


class StopAt:
    """Asks this process to stop at a step, as Ctrl-C does; once."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.done = False

    def on_tick(self, view: Any) -> None:
        if view.step >= self.step and not self.done:
            self.done = True
            os.kill(os.getpid(), signal.SIGINT)

    def on_epoch_end(self, view: Any) -> None:
        self.on_tick(view)


@pytest.fixture
def stop_at() -> type[StopAt]:
    """The callback that interrupts a training at a step."""
    return StopAt
