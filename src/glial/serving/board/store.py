"""What is kept beside the runs, so that the next start reads only what has changed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from glial.core.files import cache_folder, is_private

NAME, FORMAT = ".glial-board.sqlite", 1
TABLES = {
    "runs": "CREATE TABLE runs (path TEXT PRIMARY KEY, stamps TEXT, parts TEXT)",
    "curves": (
        "CREATE TABLE curves (quantity TEXT, path TEXT, points BLOB, "
        "PRIMARY KEY (quantity, path)) WITHOUT ROWID"
    ),
}


class Store:
    """A small database of what was read of runs; losing it costs time and nothing else.

    It lies in the folder of the runs, or where that cannot be written, or where the file there is
    not the user's own, in the user's cache. A file that is damaged, of another version or not made
    by a board is made anew.

    Args:
        root: The folder of the runs.

    Example:
        >>> import tempfile
        >>> store = Store(Path(tempfile.mkdtemp()))
        >>> store.write([("a", {}, {"plan.yaml": {}}, {"val_loss": b""})])
        >>> [path for path, _, _ in store.runs()]
        ['a']
    """

    def __init__(self, root: Path) -> None:
        self._lock = threading.Lock()
        cached = hashlib.sha256(os.fsencode(root)).hexdigest()[:24]
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        self.path: Path | None = None
        for path in (root / NAME, cache_folder() / "boards" / f"{cached}.sqlite"):
            opened = _open(path)
            if opened is not None:
                self._database, self.path = opened, path
                return
        _make(self._database)

    def runs(self) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
        """Each run's path, the stamps of its files, and what was read of them."""
        with self._lock:
            try:
                rows = self._database.execute("SELECT path, stamps, parts FROM runs").fetchall()
            except sqlite3.Error:
                rows = []
        for path, stamps, parts in rows:
            with contextlib.suppress(ValueError, TypeError, AttributeError):
                kept = {name: tuple(stamp) for name, stamp in json.loads(stamps).items()}
                yield _path(path), kept, json.loads(parts)

    def write(
        self,
        runs: Iterable[tuple[str, dict[str, Any], dict[str, Any], dict[str, bytes] | None]],
        gone: Iterable[str] = (),
    ) -> None:
        """Keep what was read; that it cannot be kept is no fault.

        Args:
            runs: Path, stamps, parts, and curves by quantity, None where these stay.
            gone: Paths of runs that are there no more.
        """
        with self._lock, contextlib.suppress(sqlite3.Error), self._database:
            run = self._database.execute
            for path, stamps, parts, curves in runs:
                key = _key(path)
                told = (key, json.dumps(stamps), json.dumps(parts))
                run("INSERT OR REPLACE INTO runs VALUES (?, ?, ?)", told)
                if curves is None:
                    continue
                run("DELETE FROM curves WHERE path = ?", (key,)) if not curves else None
                for quantity, points in curves.items():
                    row = (quantity, key, points)
                    run("INSERT OR REPLACE INTO curves VALUES (?, ?, ?)", row)
            for path in gone:
                run("DELETE FROM runs WHERE path = ?", (_key(path),))
                run("DELETE FROM curves WHERE path = ?", (_key(path),))

    def curves(self, quantity: str, paths: Iterable[str] | None = None) -> dict[str, bytes]:
        """Thinned curves of a quantity, by path.

        Args:
            quantity: Which.
            paths: Of these runs alone; by default of all.
        """
        ask = "SELECT path, points FROM curves WHERE quantity = ?"
        with self._lock:
            try:
                if paths is None:
                    found = self._database.execute(ask, (quantity,)).fetchall()
                else:
                    found = [
                        row
                        for path in paths
                        for row in self._database.execute(
                            f"{ask} AND path = ?", (quantity, _key(path))
                        )
                    ]
            except sqlite3.Error:
                return {}
        return {
            bytes.fromhex(key).decode(errors="surrogateescape"): points for key, points in found
        }


def _key(path: str) -> str:
    """Names of files are bytes, and need not be text."""
    return os.fsencode(path).hex()


def _path(key: str) -> str:
    return os.fsdecode(bytes.fromhex(key))


def _make(database: sqlite3.Connection) -> None:
    for statement in TABLES.values():
        database.execute(statement)
    database.execute(f"PRAGMA user_version = {FORMAT}")
    database.commit()


def _open(path: Path) -> sqlite3.Connection | None:
    """The database of a path, made anew where it is not a board's own; None where it cannot be."""
    try:
        if path.name != NAME:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.is_symlink() or (path.exists() and not is_private(path)):
            return None
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, 0o600))
        try:
            return _connected(path)
        except sqlite3.DatabaseError:
            path.unlink()
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, 0o600))
            return _connected(path)
    except (OSError, sqlite3.Error):
        return None


def _connected(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=2, check_same_thread=False)
    try:
        for pragma in ("trusted_schema = OFF", "synchronous = OFF", "journal_mode = TRUNCATE"):
            database.execute(f"PRAGMA {pragma}")
        version = database.execute("PRAGMA user_version").fetchone()[0]
        found = dict(database.execute("SELECT name, sql FROM sqlite_master WHERE sql NOT NULL"))
        if version == 0 and not found:
            _make(database)
        elif version != FORMAT or found != TABLES:
            raise sqlite3.DatabaseError("not a board's index of this version")
    except sqlite3.Error:
        database.close()
        raise
    return database
