"""Which script is to be watched: a file, a module or a notebook, as Python is asked to run it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

from glial.core.errors import InputError, suggest
from glial.core.findings import Place
from glial.doctor.launching.notebook import Notebook

ENDINGS = ("", ".py", ".pyw")


@dataclass(frozen=True)
class Script:
    """Somebody's training.

    Attributes:
        name: The file, or the module.
        words: What Python is given after its own name.
        notebook: The notebook that the script was made from.

    Example:
        >>> Script("train.py", ("train.py", "--epochs", "3")).folder is None
        True
    """

    name: str
    words: tuple[str, ...]
    notebook: Notebook | None = None

    @property
    def folder(self) -> Path | None:
        """Where it is run; None for here."""
        return self.notebook.path.resolve().parent if self.notebook else None

    def written_to(self, folder: Path, patches: Mapping[str, str] | None = None) -> Script:
        """The same with a notebook's code, or its patch, written to a file in a folder."""
        if self.notebook is None:
            return self
        path = folder / f"{self.notebook.path.stem}.py"
        code = (patches or {}).get(str(self.notebook.path.resolve()), self.notebook.code)
        path.write_text(code, encoding="utf-8")
        return replace(self, words=(str(path), *self.words))

    def place(self, place: Place | None) -> Place | None:
        """A line as its reader knows it: of a cell, or of a file as seen from here."""
        if place is None:
            return None
        path = Path(place.file)
        if self.notebook and self.words and path == Path(self.words[0]):
            return self.notebook.place(place.line)
        if path.is_relative_to(Path.cwd()):
            return Place(path.relative_to(Path.cwd()).as_posix(), place.line)
        return place


def script_of(path: Path, arguments: Sequence[str] = ()) -> Script:
    """The script that is a file.

    Args:
        path: A Python file or a notebook.
        arguments: What it finds in ``sys.argv``.

    Returns:
        What to run.

    Raises:
        InputError: If there is no such file, or if it is not Python.

    Example:
        >>> script_of(Path(__file__), ["--epochs", "3"]).words[1:]
        ('--epochs', '3')
    """
    if path.is_dir():
        raise InputError(
            f"{path} is a folder, and not that of a run",
            expected="a Python script, a notebook, or the folder of a run",
            got="a folder without plan.yaml",
            do="name the script in it, or run a package with: glial doctor -m PACKAGE",
        )
    if not path.is_file():
        near = suggest(path.name, _names(path.parent))
        raise InputError(
            f"there is no file {path}",
            expected="a Python script, a notebook, or the folder of a run",
            got="no such file",
            do=f"did you mean {path.parent / near}?" if near else "check the name",
        )
    if path.suffix == ".ipynb":
        return Script(str(path), tuple(arguments), Notebook.read(path))
    got = _what_it_is_instead(path)
    if got is not None:
        raise InputError(
            f"{path} is not Python",
            expected="a script that Python can run, or a notebook",
            got=got,
            do="name the script that trains; glial inspect looks at data",
        )
    return Script(str(path), (str(path), *arguments))


def module_of(name: str, arguments: Sequence[str] = ()) -> Script:
    """The script that is a module, run as ``python -m`` runs it.

    Raises:
        InputError: If its package cannot be found from here.

    Example:
        >>> module_of("json.tool").words
        ('-m', 'json.tool')
    """
    package = name.partition(".")[0]
    here = PathFinder.find_spec(package, [str(Path.cwd())]) if package else None
    if not package.isidentifier() or (here is None and find_spec(package) is None):
        raise InputError(
            f"there is no module {name!r}",
            expected="a module that python -m would run from this folder",
            got=repr(name),
            do=f"check the name with: {Path(sys.executable).name} -m {name}",
        )
    return Script(name, ("-m", name, *arguments))


def _names(folder: Path) -> Iterable[str]:
    try:
        return [found.name for found in folder.iterdir()]
    except OSError:
        return []


def _what_it_is_instead(path: Path) -> str | None:
    """What a file is that is not Python; None where it may be."""
    if path.suffix not in ENDINGS:
        return f"a file that ends with {path.suffix}"
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read",
            expected="a file that you may read",
            got=error.strerror or str(error),
            do="check its permissions",
        ) from error
    if b"\0" in start:
        return "a binary file"
    first = start.partition(b"\n")[0]
    if first.startswith(b"#!") and b"python" not in first:
        return f"a script for {first[2:].decode(errors='replace').strip()}"
    return None
