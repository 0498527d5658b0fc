"""Checkpoints: one file of tensors with its numbers in the header, whole or not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from glial.core.errors import InputError
from glial.core.files import make_folder, write_atomic


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
    make_folder(path.parent)
    held = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    content = safetensors.torch.save(held, metadata={"state": json.dumps(numbers)})
    write_atomic(path, content)


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
