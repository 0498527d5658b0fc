"""Files that are whole or not there, and folders for one process at a time, or one user alone."""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glial.core.errors import InputError


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a file so that a reader, or a killed writer, sees the old or the new one whole.

    Args:
        path: The file; its folder must exist.
        content: Bytes, or text to be encoded as UTF-8.

    Raises:
        InputError: If there is no space or no permission to write there.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.txt"
        >>> write_atomic(path, "whole")
        >>> path.read_text()
        'whole'
    """
    temporary: str | None = None
    try:
        data = content.encode() if isinstance(content, str) else content
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
        temporary = None
    except (OSError, ValueError) as error:
        raise cannot_write(path, error) from error
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def cannot_write(path: Path, error: OSError | ValueError) -> InputError:
    """The error for a place that cannot be written.

    Example:
        >>> cannot_write(Path("a"), OSError(28, "No space left on device")).got
        'No space left on device'
    """
    return InputError(
        f"cannot write {path}",
        expected="a folder with space and permission to write",
        got=getattr(error, "strerror", None) or str(error),
        do="free some space, or choose another folder with --out",
    )


def make_folder(path: Path) -> None:
    """Make a folder and its parents, with a clear error where that is not allowed.

    Raises:
        InputError: If the folder cannot be made.

    Example:
        >>> import tempfile
        >>> make_folder(Path(tempfile.mkdtemp()) / "a" / "b")
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise cannot_write(path, error) from error


def cache_folder() -> Path:
    """Where fetched and built files are kept: ``GLIAL_CACHE``, or ``glial`` in the user's cache.

    Example:
        >>> cache_folder().name != ""
        True
    """
    if os.environ.get("GLIAL_CACHE"):
        return Path(os.environ["GLIAL_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "glial"


def private_folder(folder: Path) -> Path:
    """A folder that nobody else can write to, made if need be: for files that are run.

    Args:
        folder: Where it should be.

    Returns:
        The folder, without links on the way to it.

    Raises:
        PermissionError: If others may write to it, or replace it.
        OSError: If it cannot be made.

    Example:
        >>> import tempfile
        >>> private_folder(Path(tempfile.mkdtemp()) / "built").name
        'built'
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    folder = folder.parent.resolve() / folder.name
    reachable = all(map(_is_guarded, folder.parents))
    if not reachable or not stat.S_ISDIR(folder.lstat().st_mode) or not is_private(folder):
        raise PermissionError(f"others may write to {folder}, or replace it")
    return folder


def is_private(path: Path) -> bool:
    """Whether a file or folder is no link, belongs to this user, and is written by no other.

    Example:
        >>> import tempfile
        >>> is_private(Path(tempfile.mkdtemp()))
        True
    """
    about = path.lstat()
    closed = not about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return about.st_uid == os.getuid() and closed and not stat.S_ISLNK(about.st_mode)


def _is_guarded(folder: Path) -> bool:
    """Whether only this user and the system can replace what lies in a folder."""
    about = folder.stat()
    closed = not about.st_mode & stat.S_IWOTH or bool(about.st_mode & stat.S_ISVTX)
    return closed and about.st_uid in (0, os.getuid())


def finite_or_none(value: Any) -> Any:
    """The value with every number that is not finite replaced by None, at any depth.

    Example:
        >>> finite_or_none({"a": [1.0, float("nan")]})
        {'a': [1.0, None]}
    """
    if isinstance(value, dict):
        return {key: finite_or_none(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite_or_none(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def to_json(value: Any, *, indent: int | None = 2) -> str:
    """JSON text that every parser reads: numbers that are not finite become null.

    Example:
        >>> to_json({"loss": float("inf")}, indent=None)
        '{"loss": null}'
    """
    return json.dumps(finite_or_none(value), indent=indent, allow_nan=False, ensure_ascii=False)


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        InputError: If the file is missing or is not JSON.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.json"
        >>> write_atomic(path, to_json([1, 2]))
        >>> read_json(path)
        [1, 2]
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(
            f"{path.name} is missing from {path.parent}",
            expected="a whole run folder",
            got="no such file",
            do="give the folder of a finished run, or train again",
        ) from error
    except (ValueError, RecursionError, OSError) as error:
        raise InputError(
            f"{path} cannot be read",
            expected="JSON as Glial wrote it",
            got=str(error),
            do="the file was changed or cut short: restore it, or train again",
        ) from error


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; the lock goes when the process does, however it ends.

    The folder itself is locked, so nothing is left in it.

    Raises:
        InputError: If another process holds the folder.

    Example:
        >>> import tempfile
        >>> with folder_lock(Path(tempfile.mkdtemp())):
        ...     pass
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                f"{folder} is in use",
                expected="a folder that no other process is writing",
                got="another training run holds it",
                do="wait until that run ends, or choose another folder with --out",
            ) from error
        yield
    finally:
        os.close(descriptor)
