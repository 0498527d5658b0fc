"""What the processes of a watched script leave for the doctor, and where."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

# The variables that tell a process that it is to be watched.
FOLDER, STEPS, PREFLIGHT = "GLIAL_DOCTOR_FOLDER", "GLIAL_DOCTOR_STEPS", "GLIAL_DOCTOR_PREFLIGHT"
# A file of texts that stand in for those of files, and by how much seeds are moved.
PATCHES, SHIFT = "GLIAL_DOCTOR_PATCHES", "GLIAL_DOCTOR_SHIFT"


@dataclass(frozen=True)
class Traces:
    """The folder of one process.

    Attributes:
        folder: It, made by the process itself.

    Example:
        >>> Traces.of(Path("doctor"), 42).evidence.as_posix()
        'doctor/process-42/evidence.json'
    """

    folder: Path

    @classmethod
    def of(cls, folder: Path, process: int | None = None) -> Traces:
        """Those of a process, by default of this one, in the doctor's folder."""
        return cls(folder / f"process-{os.getpid() if process is None else process}")

    @classmethod
    def all_of(cls, folder: Path) -> list[Traces]:
        """Those of all processes."""
        return [cls(found) for found in sorted(folder.glob("process-*"))]

    @property
    def process(self) -> int:
        """Its number."""
        return int(self.folder.name.rpartition("-")[2])

    @property
    def evidence(self) -> Path:
        """What was seen, as JSON in which numbers may be NaN."""
        return self.folder / "evidence.json"

    @property
    def rows(self) -> Path:
        """Rows that were seen, as arrays, for :func:`glial.doctor.reference.examine_file`."""
        return self.folder / "rows.npz"

    @property
    def error(self) -> Path:
        """The exception that nobody caught: ``ended``, ``error`` and ``error_at``."""
        return self.folder / "error.json"

    @property
    def failure(self) -> Path:
        """The traceback of an error of the doctor's own."""
        return self.folder / "failure.txt"

    @property
    def over(self) -> Path:
        """There once the script's main thread is done."""
        return self.folder / "over"

    @property
    def stopped(self) -> Path:
        """There once the script was told to stop."""
        return self.folder / "stopped"
