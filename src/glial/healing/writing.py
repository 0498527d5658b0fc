"""Writing what was kept into somebody's files, with what they held kept beside them."""

from __future__ import annotations

import codecs
import itertools
import shutil
from collections.abc import Mapping
from pathlib import Path

from glial.core.errors import InputError
from glial.core.files import write_atomic
from glial.doctor.patches import encoded

BACKUP = ".orig"
BOM = codecs.BOM_UTF8  # at the start of a file it is no part of its text


def write_texts(texts: Mapping[str, str], before: Mapping[str, str]) -> dict[Path, Path]:
    """Give files new texts; what each held is kept under its name and ``.orig``.

    Args:
        texts: The whole new text of each file, by its path.
        before: The text that each is thought to hold.

    Returns:
        The backup of each file.

    Raises:
        InputError: If a file holds another text by now, or cannot be written. Files before it
            have been written then; all are looked at before the first is.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "train.py"
        >>> _ = path.write_text("lr = 1")
        >>> backups = write_texts({str(path): "lr = 0.1"}, {str(path): "lr = 1"})
        >>> path.read_text(), backups[path].name, backups[path].read_text()
        ('lr = 0.1', 'train.py.orig', 'lr = 1')
    """
    files = {Path(path): text for path, text in texts.items()}
    for path in files:
        _check(path, before.get(str(path)))
    return {path: _write(path.resolve(), text) for path, text in files.items()}


def _check(path: Path, text: str | None) -> None:
    """Refuse a file that was changed in the meantime."""
    content = path.read_bytes() if path.is_file() else None
    if text is None or content is None or content.removeprefix(BOM) != encoded(text):
        raise InputError(
            f"{path} was changed while its training was healed",
            expected="the text that was tried",
            got="no file" if content is None else "another text",
            do="nothing was written: apply the diff by hand, or call again",
        )


def _write(path: Path, text: str) -> Path:
    backup = next(one for one in _names(path) if not one.exists())
    content = path.read_bytes()
    write_atomic(backup, content)
    shutil.copymode(path, backup)
    write_atomic(path, (BOM if content.startswith(BOM) else b"") + encoded(text))
    shutil.copymode(backup, path)
    return backup


def _names(path: Path) -> itertools.chain[Path]:
    """Names for a backup, so that none of an earlier one is lost."""
    more = (path.with_name(f"{path.name}{BACKUP}.{n}") for n in itertools.count(1))
    return itertools.chain([path.with_name(f"{path.name}{BACKUP}")], more)
