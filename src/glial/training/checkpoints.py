"""Checkpoints: one file of tensors with its numbers in the header, whole or not there."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from glial.core.errors import InputError
from glial.core.files import make_folder, write_atomic


@dataclass
class Progress:
    """Where training stands: the plain values of a checkpoint.

    Example:
        >>> Progress().epoch
        0
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    seconds: float = 0.0
    best_epoch: int = 0
    best: list[float] | None = None
    waited: int = 0
    reference: float | None = None
    history: list[dict[str, float | int]] = field(default_factory=list)


def save_checkpoint(path: Path, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
    """Write tensors and plain values as one safetensors file.

    Args:
        path: The file; its folder is made.
        tensors: Name to tensor.
        numbers: Values that JSON can hold.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "last" / "checkpoint.safetensors"
        >>> save_checkpoint(path, {"w": torch.ones(1)}, {"step": 3})
        >>> load_checkpoint(path)[1]
        {'step': 3}
    """
    _save(path, _held(tensors), json.dumps(numbers))


def _held(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies in plain memory, which nothing else changes."""
    return {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}


def _save(path: Path, tensors: dict[str, Tensor], numbers: str) -> None:
    make_folder(path.parent)
    write_atomic(path, safetensors.torch.save(tensors, metadata={"state": numbers}))


class CheckpointWriter:
    """Writes checkpoints behind training's back, one at a time and in the order given.

    The tensors are copied at once, so training may go on changing them; an error of a write is
    raised by the next call.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "checkpoint.safetensors"
        >>> weights, writer = torch.ones(2), CheckpointWriter()
        >>> writer.write([(path, {"w": weights}, {})])
        >>> _ = weights.zero_()
        >>> _ = writer.wait()
        >>> load_checkpoint(path)[0]["w"].tolist()
        [1.0, 1.0]
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._seconds = 0.0

    def write(self, files: Sequence[tuple[Path, dict[str, Tensor], dict[str, Any]]]) -> None:
        """Write files, each of tensors and plain values, after those that were given before.

        Args:
            files: Path, tensors and values of each, as :func:`save_checkpoint` takes them.
        """
        self.wait()
        held = [(path, _held(tensors), json.dumps(numbers)) for path, tensors, numbers in files]
        self._thread = threading.Thread(target=self._write, args=(held,), name="checkpoints")
        self._thread.start()

    def _write(self, files: list[tuple[Path, dict[str, Tensor], str]]) -> None:
        begin = time.monotonic()
        try:
            for path, tensors, numbers in files:
                _save(path, tensors, numbers)
        except BaseException as error:  # noqa: BLE001 - raised where it can be met
            self._error = error
        self._seconds = time.monotonic() - begin

    @property
    def busy(self) -> bool:
        """Whether a write is still going on."""
        return self._thread is not None and self._thread.is_alive()

    def wait(self) -> float:
        """Wait until all is written; returns the seconds that the last write took.

        Raises:
            OSError: If a file could not be written.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error
        return self._seconds


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and values of a checkpoint.

    Raises:
        InputError: If the file is missing, cut short or changed.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "checkpoint.safetensors"
        >>> save_checkpoint(path, {"w": torch.ones(2)}, {})
        >>> load_checkpoint(path)[0]["w"].tolist()
        [1.0, 1.0]
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            numbers = json.loads((file.metadata() or {}).get("state", "{}"))
        if not isinstance(numbers, dict):
            raise ValueError("its numbers are not a table")  # noqa: TRY004, TRY301 - a damaged file
    except (OSError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
        raise InputError(
            f"{path} cannot be read",
            expected="a safetensors file as Glial wrote it",
            got=str(error),
            do="the file was changed or cut short: restore it, or train again",
        ) from error
    return tensors, numbers


def random_state() -> dict[str, Tensor]:
    """The states of torch's global generators, one a device.

    Example:
        >>> "cpu" in random_state()
        True
    """
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"cuda:{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    return states


def restore_random_state(states: dict[str, Tensor]) -> None:
    """Set torch's global generators to the states of :func:`random_state`.

    Example:
        >>> restore_random_state(random_state())
    """
    torch.set_rng_state(states["cpu"])
    for name, state in states.items():
        if name.startswith("cuda"):
            torch.cuda.set_rng_state(state, name)


def prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors whose names begin with a prefix and a dot, so that several parts share a file.

    Example:
        >>> list(prefixed("model", {"weight": torch.zeros(1)}))
        ['model.weight']
    """
    return {f"{prefix}.{name}": value for name, value in tensors.items()}


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that :func:`prefixed` put under a prefix, by their own names.

    Example:
        >>> list(under("model", {"model.weight": torch.zeros(1), "loop.sum": torch.zeros(1)}))
        ['weight']
    """
    start = f"{prefix}."
    return {n.removeprefix(start): v for n, v in tensors.items() if n.startswith(start)}
