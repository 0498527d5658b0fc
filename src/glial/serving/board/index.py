"""All runs of a folder as rows: read once, then only where a file has changed."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from glial.core.errors import InputError
from glial.serving.board.curves import AXES, packed, quantities, read_history, thinned, unpacked
from glial.serving.board.folders import (
    HISTORY,
    PARTS,
    Found,
    find_runs,
    read_file,
)
from glial.serving.board.status import locked_inodes, status_of
from glial.serving.board.store import Store
from glial.serving.board.texts import shown

AT_ONCE = 50  # so many runs are read before they are shown


@dataclass
class Row:
    """A run in the board.

    Attributes:
        id: What it is asked for by: drawn from its path, and holds none of it.
        found: Its folder.
        parts: What was read of its files.
        status: See :func:`glial.serving.board.status.status_of`.
        version: The board's version when it last changed.

    Example:
        >>> Row("1", Found("wine-1", None, 7, {}), {}).name
        'wine-1'
    """

    id: str
    found: Found
    parts: dict[str, Any]
    status: str = "unfinished"
    version: int = 0

    @property
    def name(self) -> str:
        """Its path as it can be shown."""
        return shown(self.found.path, 160)


@dataclass
class Index:
    """The rows of a folder, and its version, which grows with every change.

    Attributes:
        root: The folder, without links on the way to it.
        rows: By id.
        version: Grows whenever a row changes, comes or goes.
        links: How many links to folders were left alone.
        reading: How many runs are read so far, and how many are to be; None when all are.

    Example:
        >>> import tempfile
        >>> Index.of(Path(tempfile.mkdtemp())).rows
        {}
    """

    root: str
    store: Store
    rows: dict[str, Row] = field(default_factory=dict)
    gone: dict[str, int] = field(default_factory=dict)
    version: int = 0
    links: int = 0
    reading: tuple[int, int] | None = None
    scan_seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _kept: dict[str, tuple[dict[str, Any], dict[str, Any]]] | None = None

    @classmethod
    def of(cls, folder: Path) -> Index:
        """The index of a folder; nothing is read yet.

        Args:
            folder: Where runs lie.

        Raises:
            InputError: If there is no such folder.
        """
        if not folder.is_dir():
            raise InputError(
                f"there is no folder {folder}",
                expected="a folder that holds runs",
                got="a file" if folder.exists() else "nothing",
                do="train first (glial train wine), or name the folder: glial board DIR",
            )
        root = folder.resolve()
        return cls(str(root), Store(root))

    def refresh(self) -> bool:
        """Read what has changed since the last time.

        Returns:
            Whether anything had.
        """
        with self._lock:
            before = self.version
            begin = time.perf_counter()
            found, self.links = find_runs(self.root)
            self.scan_seconds = time.perf_counter() - begin
            if self._kept is None:
                self._kept = {path: (stamps, parts) for path, stamps, parts in self.store.runs()}
            self._drop({run_id(one.path) for one in found})
            waiting = [one for one in found if not self._is_known(one)]
            for start in range(0, len(waiting), AT_ONCE):
                self.reading = (start, len(waiting))
                self._read(waiting[start : start + AT_ONCE])
            self.reading = None
            self._update_status(found)
            if self._kept:
                gone = self._kept.keys() - {one.path for one in found}
                self.store.write([], gone)
                self._kept = {}
            return self.version != before

    def _is_known(self, found: Found) -> bool:
        row = self.rows.get(run_id(found.path))
        if row is not None:
            return row.found.stamps == found.stamps
        kept = (self._kept or {}).get(found.path)
        if kept is None or kept[0] != found.stamps:
            return False
        self._put(Row(run_id(found.path), found, kept[1]))
        return True

    def _read(self, some: list[Found]) -> None:
        written = []
        for found in some:
            row = self.rows.get(run_id(found.path))
            stamps, parts = (row.found.stamps, row.parts) if row else ({}, {})
            if row is None and self._kept:
                stamps, parts = self._kept.get(found.path, ({}, {}))
            parts, curves = _read_again(self.root, found, stamps, parts)
            written.append((found.path, found.stamps, parts, curves))
        self.store.write(written)  # first: who hears of a row asks for its curves
        for found, (_, _, parts, _) in zip(some, written, strict=True):
            self._put(Row(run_id(found.path), found, parts))

    def _put(self, row: Row) -> None:
        old = self.rows.get(row.id)
        row.status = old.status if old else status_of(row.parts, row.found.inode, None)
        self.version += 1
        row.version = self.version
        self.rows[row.id] = row

    def _drop(self, ids: set[str]) -> None:
        lost = [id for id in self.rows if id not in ids]
        self.store.write([], [self.rows[id].found.path for id in lost])
        for id in lost:
            self.version += 1
            self.gone[id] = self.version
            del self.rows[id]

    def _update_status(self, found: list[Found]) -> None:
        locked = locked_inodes()
        for one in found:
            row = self.rows[run_id(one.path)]
            status = status_of(row.parts, one.inode, locked)
            if status != row.status:
                self.version += 1
                row.status, row.version = status, self.version

    def row(self, id: str) -> Row:
        """The run of an id.

        Args:
            id: The id.

        Raises:
            InputError: If there is none.
        """
        row = self.rows.get(id)
        if row is None:
            raise InputError("there is no such run", expected="a run of the list", got=shown(id))
        return row

    def curve(
        self, id: str, quantity: str, axis: str, low: float, high: float, points: int
    ) -> tuple[list[float], list[float | None]]:
        """A curve between two places, read anew from the run and so as fine as is asked for.

        Args:
            id: The run.
            quantity: Which curve.
            axis: ``epoch``, ``step`` or ``seconds``.
            low: From here.
            high: Up to here.
            points: About how many points.

        Returns:
            Places and values; None is a gap.

        Raises:
            InputError: If there is no such run, curve or axis.
        """
        history = read_history(read_file(self.root, self.row(id).found.path, HISTORY))
        if axis not in AXES or quantity not in quantities(history):
            raise InputError("there is no such curve", got=shown(f"{quantity} by {axis}"))
        places, values = history[axis], history[quantity]
        inside = np.flatnonzero((places >= low) & (places <= high))
        if len(inside):  # one more on each side, so that lines go to the edges
            first, last = max(0, inside[0] - 1), min(len(places), inside[-1] + 2)
            places, values = places[first:last], values[first:last]
        kept = thinned(values, max(16, min(points, 4000)))
        told = [None if np.isnan(value) else float(value) for value in values[kept]]
        return [float(place) for place in np.nan_to_num(places[kept])], told

    def curves(self, quantity: str, axis: str, since: int) -> tuple[list[tuple[str, int]], bytes]:
        """Thinned curves of all runs that changed since a version.

        Args:
            quantity: Which.
            axis: ``epoch``, ``step`` or ``seconds``.
            since: The version; 0 for all runs.

        Returns:
            Id and number of points of each, and the points: single-precision numbers, of each run
            first all places and then all values.
        """
        changed = [row for row in list(self.rows.values()) if row.version > since]
        held = self.store.curves(quantity, [one.found.path for one in changed] if since else None)
        column = AXES.index(axis)
        heads, bodies = [], []
        for row in changed:
            points = held.get(row.found.path)
            if points:
                rows = unpacked(points)
                heads.append((row.id, rows.shape[1]))
                bodies.append(rows[[column, 3]].tobytes())
        return heads, b"".join(bodies)


def run_id(path: str) -> str:
    """What a run is asked for by.

    Args:
        path: Its path in the folder.

    Example:
        >>> run_id("wine-1")
        '4cfa506daaef69ea'
    """
    return hashlib.blake2b(os.fsencode(path), digest_size=8).hexdigest()


def _read_again(
    root: str, found: Found, stamps: dict[str, Any], parts: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, bytes] | None]:
    """What a run's files say, reading those that changed; and its curves, if these did."""
    damage = dict(parts.get("damage", {}))
    fresh: dict[str, Any] = {"damage": damage}
    curves: dict[str, bytes] | None = None
    for name in (*PARTS, HISTORY):
        stamp = found.stamps.get(name)
        if stamp is not None and stamp == stamps.get(name):
            if name in parts:
                fresh[name] = parts[name]
            continue
        damage.pop(name, None)
        if stamp is None:
            curves = {} if name == HISTORY and name in parts else curves
            continue
        try:
            content = read_file(root, found.path, name)
            if name == HISTORY:
                fresh[name], curves = _history_part(content)
            else:
                reader: Callable[[bytes], Any] = PARTS[name]
                fresh[name] = reader(content)
        except InputError as error:
            damage[name] = shown(f"{error.message}: {error.got}", 300)
    return fresh, curves


def _history_part(content: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    history = read_history(content)
    names = quantities(history)
    known = {name: values[~np.isnan(values)] for name, values in history.items()}
    last = {name: float(known[name][-1]) for name in names if len(known[name])}
    best = {name: float(known[name].min()) for name in names if len(known[name]) and "loss" in name}
    ends = {axis: float(known[axis][-1]) for axis in AXES if len(known[axis])}
    part = {
        "quantities": names,
        "last": last,
        "best": best,
        "epochs": ends.get("epoch"),
        "step": ends.get("step"),
    }
    return part, {name: packed(history, name) for name in names}
