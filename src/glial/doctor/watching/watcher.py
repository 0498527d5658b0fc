"""Counts steps and losses: the least that can be launched."""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook

from glial.core.files import write_atomic
from glial.doctor.evidence import Evidence, LossSeen, ModelSeen, OptimizerSeen
from glial.doctor.watching.places import user_place
from glial.doctor.watching.stopping import stop_training

WRITE_SECONDS = 1.0


class Watcher:
    """Watches every training of this process.

    Args:
        folder: Where evidence is written; None for nowhere.
        most_steps: Steps after which the training is stopped.
        preflight: Whether only the first step is looked at.
        budget: Share of the time that probes may take.

    Example:
        >>> watcher = Watcher()
        >>> watcher.begin()
        >>> watcher.end().steps
        0
    """

    def __init__(
        self,
        folder: Path | None = None,
        most_steps: int | None = None,
        preflight: bool = False,
        budget: float = 0.1,
    ) -> None:
        self.folder = folder
        self._most_steps = 1 if preflight else most_steps
        self._process = os.getpid()
        self._seen = Evidence()
        self._handles: list[Any] = []
        self._known: set[int] = set()
        self._began = self._written = time.monotonic()

    def begin(self) -> None:
        """Install the hooks."""
        self._handles = [
            register_module_forward_hook(self._on_forward),
            register_optimizer_step_post_hook(self._on_step),
        ]

    def end(self) -> Evidence:
        """Remove the hooks and write."""
        for handle in self._handles:
            handle.remove()
        self._write()
        return self._seen

    def evidence(self) -> Evidence:
        """What was seen so far."""
        self._seen.seconds = time.monotonic() - self._began
        return self._seen

    def _write(self) -> None:
        self._written = time.monotonic()
        if self.folder is not None and os.getpid() == self._process:
            text = json.dumps(self.evidence().to_dict())
            write_atomic(self.folder / "evidence.json", text)

    def _on_forward(self, module: nn.Module, inputs: Any, output: Any) -> None:
        is_loss = isinstance(output, Tensor) and output.ndim == 0
        if is_loss and type(module).__module__ == "torch.nn.modules.loss":
            value = float(output.detach())
            if not self._seen.losses:
                self._seen.losses.append(LossSeen(type(module).__name__, user_place()))
            self._seen.losses[0].value.add(self._seen.steps + 1, value)
            if not math.isfinite(value) and self._seen.loss_not_finite is None:
                self._seen.loss_not_finite = self._seen.steps + 1
        elif not self._seen.models and any(True for _ in module.parameters()):
            self._seen.models.append(ModelSeen("model", type(module).__name__, user_place()))

    def _on_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if os.getpid() != self._process:
            return
        if self._seen.stopped:
            stop_training(self.folder)
        self._seen.steps += 1
        if id(optimizer) not in self._known:
            self._known.add(id(optimizer))
            kind = type(optimizer).__name__
            self._seen.optimizers.append(OptimizerSeen("optimizer", kind, at=user_place()))
        if self._most_steps and self._seen.steps >= self._most_steps:
            self._seen.stopped = True
            self._write()
            stop_training(self.folder)
        if self._seen.steps < 8 or time.monotonic() - self._written > WRITE_SECONDS:
            self._write()
