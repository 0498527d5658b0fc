"""What the user writes to runs: name, tags, note and star, kept in the board's own file."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from pydantic import Field

from glial.core.errors import InputError
from glial.core.files import read_json, to_json, write_atomic
from glial.core.settings import Settings
from glial.serving.board.texts import shown

NAME, FORMAT = ".glial-board.json", 1
LARGEST = 1 << 24


class Mark(Settings):
    """What the user wrote to one run.

    Attributes:
        label: Another name for it.
        tags: Words to find it by.
        note: A remark.
        star: Whether it is one to come back to.

    Example:
        >>> Mark(tags=["best"]).star
        False
    """

    label: str = Field("", max_length=120)
    tags: list[str] = Field(default_factory=list, max_length=20)
    note: str = Field("", max_length=2000)
    star: bool = False


class Marks:
    """The marks of all runs of a folder, in its file ``.glial-board.json``; runs are not touched.

    Args:
        root: The folder of the runs.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> Marks(folder).write("wine-1", {"star": True})["star"]
        True
        >>> Marks(folder).by_path["wine-1"]["star"]
        True
    """

    def __init__(self, root: Path) -> None:
        self._path, self._lock = root / NAME, threading.Lock()
        self.by_path: dict[str, dict[str, Any]] = {}
        for path, told in self._read().items():
            try:
                self.by_path[str(path)] = _cleaned(Mark.read(told))
            except (InputError, TypeError, ValueError):
                continue

    def _read(self) -> dict[str, Any]:
        try:
            if self._path.is_symlink() or self._path.stat().st_size > LARGEST:
                return {}
            told = read_json(self._path)
        except (InputError, OSError):
            return {}
        runs = told.get("runs") if isinstance(told, dict) else None
        return runs if isinstance(runs, dict) else {}

    def write(self, path: str, told: Any) -> dict[str, Any]:
        """Change the marks of a run.

        Args:
            path: The run's path in the folder.
            told: Those marks that are to be changed.

        Returns:
            All its marks now.

        Raises:
            InputError: If these are no marks, or the file cannot be written.
        """
        if not isinstance(told, dict):
            raise InputError(
                "these are no marks", expected="an object", got=shown(json.dumps(told))
            )
        with self._lock:
            mark = _cleaned(Mark.read({**self.by_path.get(path, {}), **told}))
            kept = {**self.by_path, path: mark}
            write_atomic(self._path, to_json({"format": FORMAT, "runs": kept}))
            self.by_path = kept
        return mark


def _cleaned(mark: Mark) -> dict[str, Any]:
    tags = list(dict.fromkeys(shown(tag.strip(), 40) for tag in mark.tags if tag.strip()))
    label, note = shown(mark.label.strip(), 120), shown(mark.note.strip(), 2000)
    return {"label": label, "tags": tags, "note": note, "star": mark.star}
