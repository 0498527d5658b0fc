"""A notebook as a script: its code cells in their order, without what only a notebook can run."""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glial.core.errors import InputError
from glial.core.files import read_json
from glial.core.findings import Place

# Cell magics whose cell is Python all the same; what the others hold is something else.
_PYTHON_CELLS = {"%%time", "%%timeit", "%%capture", "%%prun", "%%python", "%%python3"}
_PRELUDE = "from builtins import print as display"  # which a notebook has without importing it
_MAGIC = re.compile(r"^\s*(?:[%!?]|[\w.,\s]+=\s*[%!])|\?\s*$")


@dataclass(frozen=True)
class Notebook:
    r"""The code of a notebook.

    Attributes:
        path: Its file.
        code: Its Python code as one script.
        origins: For each line of the code the number of its cell, all cells counted from 1, and
            of the line in that cell; None for lines that stand between cells.
        taken_out: The lines that are no Python, each with its place.

    Example:
        >>> notebook = Notebook.of(Path("a.ipynb"), [(2, "%time\nx = 1")])
        >>> str(notebook.place(4)), [str(place) for place, _ in notebook.taken_out]
        ('a.ipynb:cell 2:2', ['a.ipynb:cell 2:1'])
    """

    path: Path
    code: str
    origins: tuple[tuple[int, int] | None, ...]
    taken_out: tuple[tuple[Place, str], ...]

    @classmethod
    def read(cls, path: Path) -> Notebook:
        """The notebook of a file.

        Raises:
            InputError: If it is no notebook, or its language is not Python.
        """
        try:
            content: Any = read_json(path)
            language = content.get("metadata", {}).get("kernelspec", {}).get("language", "python")
            cells = [
                (number, "".join(cell["source"]))
                for number, cell in enumerate(content["cells"], 1)
                if cell["cell_type"] == "code"
            ]
        except (InputError, AttributeError, KeyError, TypeError) as error:
            raise InputError(
                f"{path} is not a notebook",
                expected="a notebook as Jupyter saves it (format 4)",
                got=getattr(error, "got", None) or "JSON of another kind",
                do="save it again in Jupyter",
            ) from error
        if language != "python":
            raise InputError(
                f"{path} is not in Python",
                expected="a notebook with a Python kernel",
                got=f"the language {language}",
                do="name a notebook that trains with PyTorch",
            )
        return cls.of(path, cells)

    @classmethod
    def of(cls, path: Path, cells: list[tuple[int, str]]) -> Notebook:
        """The notebook of code cells: the number of each, and its text."""
        lines = [_PRELUDE]
        origins: list[tuple[int, int] | None] = [None]
        taken_out: list[tuple[Place, str]] = []
        for number, text in cells:
            kept, out = _as_python(text)
            lines += [f"# cell {number}", *kept]
            origins += [None, *((number, line) for line in range(1, len(kept) + 1))]
            taken_out += [(_cell_place(path, number, line), told) for line, told in out]
        return cls(path, "\n".join([*lines, ""]), tuple(origins), tuple(taken_out))

    def place(self, line: int) -> Place:
        """A line of the script as a line of a cell; of the notebook where it is in none."""
        origin = self.origins[line - 1] if 0 < line <= len(self.origins) else None
        return _cell_place(self.path, *origin) if origin else Place(str(self.path), line)


def _cell_place(path: Path, cell: int, line: int) -> Place:
    return Place(f"{path}:cell {cell}", line)


def _as_python(text: str) -> tuple[list[str], list[tuple[int, str]]]:
    """The lines of a cell, and those that were taken out, each with its number."""
    lines = text.splitlines()
    first = next((index for index, line in enumerate(lines) if line.strip()), 0)
    out: list[tuple[int, str]] = []
    if lines and lines[first].startswith("%%"):
        if lines[first].split()[0] not in _PYTHON_CELLS:
            return ["pass"] + [""] * (len(lines) - 1), [(first + 1, lines[first])]
        out += _take_out(lines, first)
    # A line is only taken out where it keeps the cell from being Python: one that starts with a
    # percent sign may as well go on with a line before it.
    while (fault := _fault(lines)) is not None and _MAGIC.search(lines[fault]):
        out += _take_out(lines, fault)
    return lines, sorted(out)


def _take_out(lines: list[str], index: int) -> list[tuple[int, str]]:
    """Replace a line by one that does nothing, with those that a backslash joins to it."""
    told: list[tuple[int, str]] = []
    while True:
        line = lines[index]
        indent = line[: len(line) - len(line.lstrip())]
        lines[index] = f"{indent}pass" if not told else ""
        told.append((index + 1, line.strip()))
        index += 1
        if not line.rstrip().endswith("\\") or index == len(lines):
            return told


def _fault(lines: list[str]) -> int | None:
    """The line at which a cell stops being Python; None where it is Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse("\n".join(lines))
    except SyntaxError as error:
        return min(max((error.lineno or 1) - 1, 0), len(lines) - 1)
    except ValueError:
        return None
    return None
