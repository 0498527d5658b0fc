"""Files of a folder, and of a zip archive as though it were one: named, found and read in place."""

from __future__ import annotations

import os
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path, PurePosixPath

from glial.core.errors import InputError

# A file inside a folder or an archive is one row of a table: none is this large.
MAX_FILE_BYTES = 256 << 20
MAX_FILES = 5_000_000
# How sources name the splits that they bring.
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_CLUTTER = {"__macosx", "thumbs.db", "desktop.ini"}


def is_zip(path: Path) -> bool:
    """Whether a path is a file that ends like a zip archive.

    Example:
        >>> is_zip(Path("no-such-file.zip"))
        False
    """
    return path.suffix.lower() == ".zip" and path.is_file()


def list_files(root: Path) -> list[str]:
    """The files under a folder, or in a zip archive, by their paths from there.

    Hidden files and folders are left out, and what systems leave beside the user's files
    (``__MACOSX``, ``Thumbs.db``, ``desktop.ini``).

    Args:
        root: The folder or archive.

    Returns:
        Paths with ``/`` between their parts, sorted.

    Raises:
        InputError: If a folder may not be read or links lead back into it, or the archive is
            damaged.

    Example:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> (root / "b.txt").touch(), (root / ".hidden").touch()
        (None, None)
        >>> list_files(root)
        ['b.txt']
    """
    if root.is_dir():
        found = _walked(root)
    else:
        try:
            members = _archive(root).infolist()
        except (OSError, zipfile.BadZipFile) as error:
            raise _damaged(root, error) from error
        found = [member.filename for member in members if not member.is_dir()]
    if len(found) > MAX_FILES:
        raise InputError(
            f"{root} holds too many files", expected=f"at most {MAX_FILES:,}", got=f"{len(found):,}"
        )
    return sorted(name for name in found if not _is_clutter(name))


def _walked(root: Path) -> list[str]:
    """Every file under a folder; links to folders are followed, but never in a circle."""
    found: list[str] = []

    def refuse(error: OSError) -> None:
        raise InputError(
            f"the folder {error.filename} cannot be read",
            expected="a folder that may be read",
            got=error.strerror or str(error),
            do="check its permissions, or leave it out",
        ) from error

    for folder, inner, files in os.walk(root, onerror=refuse, followlinks=True):
        inside = Path(folder)
        found += [(inside / name).relative_to(root).as_posix() for name in files]
        above = {inside.resolve(), *inside.resolve().parents}
        for name in inner:
            link = inside / name
            if link.is_symlink() and link.resolve() in above:
                raise InputError(
                    f"the link {link} leads back to a folder that holds it",
                    expected="folders without circles",
                    got=f"a link to {link.resolve()}",
                    do="remove the link",
                )
    return found


def _is_clutter(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") or part.lower() in _CLUTTER for part in parts)


def is_file(path: str) -> bool:
    """Whether there is such a file, in a folder or in an archive that the path leads through.

    Example:
        >>> is_file("no-such-folder/a.png")
        False
    """
    try:
        if Path(path).is_file():
            return True
        archive, member = _parts(path)
        return archive is not None and member in _archive(archive).NameToInfo
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def read_bytes(path: str) -> bytes:
    """The content of a file, in a folder or in an archive that the path leads through.

    Args:
        path: Such as ``pets/cat/1.jpg`` or ``pets.zip/cat/1.jpg``.

    Raises:
        OSError: If it is missing, damaged, larger than 256 MiB or may not be read.

    Example:
        >>> read_bytes("no-such-folder/a.png")
        Traceback (most recent call last):
        ...
        FileNotFoundError: no such file
    """
    archive, member = _parts(path)
    if archive is None:
        place = Path(path)
        if not place.is_file():
            raise FileNotFoundError("no such file")
        _check_size(place.stat().st_size)
        return place.read_bytes()
    try:
        opened = _archive(archive)
        info = opened.NameToInfo.get(member)
        if info is None:
            raise FileNotFoundError("no such file in the archive")
        _check_size(info.file_size)
        return opened.read(info)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, ValueError) as error:
        raise OSError(f"damaged, locked or packed in an unknown way: {error}") from error


def _check_size(size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise OSError(f"{size:,} bytes, where at most {MAX_FILE_BYTES:,} are read")


def _parts(path: str) -> tuple[Path | None, str]:
    """The archive that a path leads through, if it does, and the path from there."""
    lowered, start = path.lower(), 0
    while (end := lowered.find(".zip/", start)) >= 0:
        archive = Path(path[: end + 4])
        if archive.is_file():
            return archive, path[end + 5 :]
        start = end + 1
    return None, path


def _archive(path: Path) -> zipfile.ZipFile:
    """The archive, held open; it is opened anew when the file has changed."""
    state = path.stat()
    return _opened(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)
def _opened(path: Path, changed: int, size: int) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path} cannot be read as a zip archive",
        expected="a whole zip archive",
        got=str(error),
        do="fetch or pack it again",
    )
