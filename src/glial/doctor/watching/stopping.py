"""How a training that was watched long enough is ended, whatever its script catches."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

from glial.doctor.traces import Traces


class TrainingStopped(SystemExit):
    """As many steps were made as were to be watched; ends a script quietly, with status 0.

    Example:
        >>> TrainingStopped(0).code
        0
    """


def stop_training(folder: Path | None) -> NoReturn:
    """End the script: by an exception at first, by leaving the process where that was swallowed.

    The evidence must be written before.

    Args:
        folder: Where this process keeps its evidence; a file there says that it was stopped.

    Raises:
        TrainingStopped: At the first call.

    Example:
        >>> try:
        ...     stop_training(None)
        ... except SystemExit as error:
        ...     error.code
        0
    """
    if folder is not None:
        stopped = Traces(folder).stopped
        if stopped.exists():
            os._exit(0)
        stopped.touch()
    raise TrainingStopped(0)
