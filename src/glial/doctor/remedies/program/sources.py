"""The files of a program, read when they are asked for."""

from __future__ import annotations

import tokenize
from collections.abc import Mapping
from pathlib import Path

from glial.core.findings import Place
from glial.doctor.remedies.program.source import Source


class Sources:
    """The files of a program, read when they are asked for.

    Args:
        texts: What some of them are to be taken to hold, by path.

    Example:
        >>> Sources({"train.py": "x = 1"}).get("train.py").text, Sources().get("no-such.py")
        ('x = 1', None)
    """

    def __init__(self, texts: Mapping[str, str] | None = None) -> None:
        self._texts = {_key(path): text for path, text in (texts or {}).items()}
        self._read: dict[str, Source | None] = {}

    def get(self, path: str) -> Source | None:
        """A file; None where it cannot be read, or is not Python."""
        key = _key(path)
        if key not in self._read:
            try:
                text = self._texts[key] if key in self._texts else _text(key)
                self._read[key] = Source(key, text)
            except (OSError, SyntaxError, ValueError):
                self._read[key] = None
        return self._read[key]

    def of(self, place: Place | None) -> Source | None:
        """The file of a place."""
        return None if place is None else self.get(place.file)


def _key(path: str) -> str:
    return str(Path(path).absolute())


def _text(path: str) -> str:
    with Path(path).open("rb") as file:
        encoding, _ = tokenize.detect_encoding(file.readline)
    return Path(path).read_bytes().decode(encoding)
