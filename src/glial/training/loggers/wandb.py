"""Weights & Biases, on this machine alone unless asked otherwise."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glial.core.optional import require
from glial.training.loggers.metric_logger import Status, flat_params
from glial.training.loggers.wandb_files import last_steps, run_id

PROJECT = "glial"
_EXIT_CODES = {"finished": 0, "failed": 1, "interrupted": 130}


class WandbLogger:
    """Writes a run of Weights & Biases.

    Nothing leaves the machine and nothing is asked: the mode is ``offline`` unless the environment
    variable ``WANDB_MODE`` says otherwise. ``wandb sync`` uploads what was written. Other variables
    of theirs, such as ``WANDB_PROJECT`` and ``WANDB_ENTITY``, work as always.

    Args:
        folder: The run's folder; files go to its ``wandb``. What lies there is gone on with.
        name: What the run is called; by default as the folder.
        group: Runs that belong together.

    Raises:
        InputError: If the package is missing; the message names the extra.
    """

    def __init__(
        self, folder: str | Path, *, name: str | None = None, group: str | None = None
    ) -> None:
        self.check()
        import wandb

        place = Path(folder).resolve()
        place.mkdir(parents=True, exist_ok=True)
        before = run_id(place / "wandb")
        while any((place / "wandb").glob(time.strftime("*run-%Y%m%d_%H%M%S-*"))):
            time.sleep(0.05)  # their folders are named by the second, and one would be lost
        self._known = last_steps(place / "wandb") if before else {}
        mode = os.environ.get("WANDB_MODE", "offline")
        self._run: Any = wandb.init(
            dir=str(place),
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=name or place.name,
            group=group,
            id=before or secrets.token_hex(4),
            # Offline there is nobody to ask: the file goes on under the same identity.
            resume="allow" if before and mode == "online" else None,
            mode=mode,  # type: ignore[arg-type]
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off", disable_git=True, save_code=False),
        )
        self._run.define_metric("step", hidden=True)
        self._run.define_metric("*", step_metric="step", step_sync=True)
        self._rows = 1 + self._known.get("_step", -1)
        self._next_step = 1 + self._known.get("step", -1)

    @classmethod
    def check(cls) -> None:
        """Refuse to begin without the package.

        Raises:
            InputError: If it is not installed.
        """
        if os.environ.get("WANDB_MODE", "offline") != "online":
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read when it is imported
        require("wandb", extra="wandb", purpose="logging to Weights & Biases")

    def log(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Write numbers of a step; steps may come in any order."""
        step = self._next_step if step is None else step
        # Their own count of rows may only rise, also over several trainings.
        self._run.log({**values, "step": step}, step=self._rows)
        self._rows += 1
        self._next_step = max(self._next_step, step + 1)

    def log_params(self, params: Any) -> None:
        """Write what the training was set to, as their ``config``."""
        self._run.config.update(flat_params(params), allow_val_change=True)

    def log_text(self, name: str, text: str) -> None:
        """Write a text into the summary."""
        self._run.summary[name] = text

    def summarize(self, metrics: Mapping[str, float]) -> None:
        """Write the numbers that the training came to into the summary."""
        self._run.summary.update(dict(metrics))

    def last_step(self, name: str) -> int:
        """The last step of a number that was in the folder before; -1 of none."""
        return self._known.get(name, -1)

    def finish(self, status: Status = "finished") -> None:
        """Write what is still held back."""
        self._run.finish(exit_code=_EXIT_CODES[status])
