"""A change of a program's source: edits, what they do, and the diff that shows them."""

from __future__ import annotations

import builtins
import difflib
import re
import symtable
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from glial.doctor.remedies.program.source import Edit, Source, edited
from glial.doctor.remedies.program.sources import Sources


@dataclass(frozen=True)
class Change:
    """What is to be changed, and why.

    Attributes:
        name: The remedy's: ``lower-rate``.
        does: What it does, in one sentence that begins with a verb: "divides the rate by ten".
        edits: By file.
        alters_loss: Whether losses before and after it cannot be compared.
        longer: How many times as long the training becomes.

    Example:
        >>> Change("lower-rate", "Divides the rate.", {"train.py": (Edit(5, 6, "0.1"),)}).name
        'lower-rate'
    """

    name: str
    does: str
    edits: Mapping[str, tuple[Edit, ...]]
    alters_loss: bool = False
    longer: float = 1.0

    @classmethod
    def of(
        cls,
        name: str,
        does: str,
        source: Source,
        edits: Sequence[Edit],
        *,
        alters_loss: bool = False,
        longer: float = 1.0,
    ) -> Change:
        """A change of one file."""
        return cls(name, does, {source.path: tuple(edits)}, alters_loss, longer)


def texts_after(changes: Sequence[Change], sources: Sources) -> dict[str, str]:
    """The files that changes touch, as they are after all of them.

    Args:
        changes: Made for the same texts.
        sources: These texts.

    Returns:
        Whole new texts by absolute path; files that end as they were are left out.

    Raises:
        ValueError: If two changes touch the same characters, if what comes out is not Python, or
            if it uses a name that the changes left without a meaning.

    Example:
        >>> sources = Sources({"/a.py": "lr = 1"})
        >>> texts_after([Change("n", "Does.", {"/a.py": (Edit(5, 6, "0.1"),)})], sources)
        {'/a.py': 'lr = 0.1'}
    """
    together: dict[str, list[Edit]] = {}
    for change in changes:
        for path, edits in change.edits.items():
            together.setdefault(path, []).extend(edits)
    texts: dict[str, str] = {}
    for path, wanted in together.items():
        source = sources.get(path)
        if source is None:
            raise ValueError(f"{path} cannot be read")
        text = edited(source.text, wanted)
        if text == source.text:
            continue
        try:
            Source(path, text)
        except SyntaxError as error:
            raise ValueError(f"the change of {path} is not Python: {error}") from error
        lost = unknown_names(text) - unknown_names(source.text)
        if lost:
            raise ValueError(f"the change of {path} leaves names without a meaning: {sorted(lost)}")
        texts[source.path] = text
    return texts


def unknown_names(text: str) -> set[str]:
    r"""Names that a program reads and that nothing in it sets.

    Example:
        >>> sorted(unknown_names("import math\ndef f(x): return len(x) + y + math.pi"))
        ['y']
    """
    top = symtable.symtable(text, "text", "exec")
    tables, read, known = [top], set[str](), {s.get_name() for s in top.get_symbols() if _is_set(s)}
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            outside = symbol.is_global() or table is top
            if symbol.is_declared_global() and symbol.is_assigned():
                known.add(symbol.get_name())
            if outside and symbol.is_referenced():
                read.add(symbol.get_name())
    return read - known - set(dir(builtins)) - {"__file__", "__name__", "__doc__", "__spec__"}


def _is_set(symbol: symtable.Symbol) -> bool:
    return symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()


def diff_of(texts: Mapping[str, str], before: Sources, root: Path | None = None) -> str:
    r"""A unified diff that ``git apply`` and ``patch -p1`` take.

    Args:
        texts: Whole new texts by path.
        before: What the files hold.
        root: Where paths are told from; the current folder if None.

    Example:
        >>> print(diff_of({"/r/a.py": "b\n"}, Sources({"/r/a.py": "a\n"}), Path("/r")), end="")
        --- a/a.py
        +++ b/a.py
        @@ -1 +1 @@
        -a
        +b
    """
    root = (root or Path.cwd()).absolute()
    parts: list[str] = []
    for path, text in sorted(texts.items()):
        source = before.get(path)
        place = Path(path)
        name = (
            place.relative_to(root).as_posix() if place.is_relative_to(root) else place.as_posix()
        )
        old = source.text if source is not None else ""
        for line in difflib.unified_diff(
            _lines(old),
            _lines(text),
            f"a/{name.lstrip('/')}",
            f"b/{name.lstrip('/')}",
        ):
            missing = "" if line.endswith("\n") else "\n\\ No newline at end of file\n"
            parts.append(line + missing)
    return "".join(parts)


def _lines(text: str) -> list[str]:
    """Lines as diffs know them: only line feeds end one."""
    return [line for line in re.split(r"(?<=\n)", text) if line]
