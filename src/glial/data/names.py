"""Columns out of the names of files, such as ``{digit}_{speaker}_{index}``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import polars as pl

from glial.core.errors import InputError

NUM_NAMED = 3


@dataclass(frozen=True)
class NamePattern:
    """What the parts of a file's name are called.

    A field ends where the text behind it first stands; the last field of a folder's or the file's
    name takes the rest. The ending of the file is no part of it.

    Attributes:
        fields: Names of the columns, in their order.
        parts: For each folder, and last for the file, pairs of a field and the text behind it;
            the first pair's field is empty, its text stands before all.

    Example:
        >>> NamePattern.read("{speaker}/{digit}_{take}").values("all/theo/7_theo_3.wav")
        ['theo', '7', 'theo_3']
    """

    fields: list[str]
    parts: list[list[tuple[str, str]]]

    @classmethod
    def read(cls, pattern: str) -> NamePattern:
        """A pattern from its text.

        Raises:
            ValueError: If it names no field, one twice, or two without text between them.
        """
        parts = [_fields_of(part) for part in pattern.split("/")]
        fields = [field for part in parts for field, _ in part[1:]]
        if not fields or len(set(fields)) < len(fields):
            raise ValueError(f"names in braces, each once, such as {{label}}_{{index}}: {pattern}")
        return cls(fields, parts)

    def values(self, path: str) -> list[str] | None:
        """What a path says for each field; None where it does not fit."""
        *folders, name = path.replace("\\", "/").split("/")
        names = [*folders, PurePosixPath(name).stem][-len(self.parts) :]
        if len(names) < len(self.parts):
            return None
        found: list[str] = []
        for text, ((_, before), *pairs) in zip(names, self.parts, strict=True):
            if not text.startswith(before):
                return None
            rest = text[len(before) :]
            for number, (_, behind) in enumerate(pairs):
                if number < len(pairs) - 1:
                    value, mark, rest = rest.partition(behind)
                    fits = bool(mark)
                else:
                    value, fits = rest.removesuffix(behind), rest.endswith(behind)
                    rest = ""
                if not value or not fits:
                    return None
                found.append(value)
            if rest:
                return None
        return found


def _fields_of(part: str) -> list[tuple[str, str]]:
    """Pairs of a field and the text behind it, from the text before all on."""
    before, *rest = part.split("{")
    pairs = [("", before)]
    for number, piece in enumerate(rest):
        field, brace, behind = piece.partition("}")
        is_last = number == len(rest) - 1
        if not brace or not field.strip() or (not behind and not is_last) or "}" in behind:
            raise ValueError(f"names in braces with text between them, not {part}")
        pairs.append((field, behind))
    if "}" in before:
        raise ValueError(f"a brace opened before it is closed, not {part}")
    return pairs


def name_columns(paths: Sequence[str], pattern: str) -> pl.DataFrame:
    """What the names of files say, a column for each field of a pattern.

    Args:
        paths: The files.
        pattern: Plain text with fields in braces; with ``/`` between folders.

    Raises:
        InputError: If a name does not fit.

    Example:
        >>> name_columns(["d/7_theo_3.wav", "d/0_ann_1.wav"], "{digit}_{speaker}_{take}").rows()
        [('7', 'theo', '3'), ('0', 'ann', '1')]
    """
    known = NamePattern.read(pattern)
    rows = [known.values(path) for path in paths]
    odd = [path for path, row in zip(paths, rows, strict=True) if row is None]
    if odd:
        more = f" and {len(odd) - NUM_NAMED:,} more" if len(odd) > NUM_NAMED else ""
        raise InputError(
            f"{len(odd):,} of {len(rows):,} file names do not fit data.names",
            expected=f"names like {pattern}",
            got=", ".join(odd[:NUM_NAMED]) + more,
            do="rename these files, or mend data.names",
        )
    schema = dict.fromkeys(known.fields, pl.String)
    return pl.DataFrame([row for row in rows if row], schema=schema, orient="row")
