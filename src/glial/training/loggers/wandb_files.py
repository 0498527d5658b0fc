"""What Weights & Biases has written into a folder: read back, to go on from it."""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK, HEADER, START = 32_768, 7, 7
_FOLDER = re.compile(r"(?:offline-)?run-\d{8}_\d{6}-(.+)")
_FULL, _FIRST, _LAST = 1, 2, 4


def run_id(folder: Path) -> str | None:
    """The identity of the last run in a folder ``wandb``; None where there is none.

    Args:
        folder: The folder.

    Example:
        >>> run_id(Path("no-such-folder")) is None
        True
    """
    found = [_FOLDER.fullmatch(path.name) for path in _runs(folder)]
    names = [match.group(1) for match in found if match]
    return names[-1] if names else None


def last_steps(folder: Path) -> dict[str, int]:
    """The last step of each number that the runs in a folder hold; ``_step`` counts the rows.

    Args:
        folder: The folder ``wandb`` of a run.

    Example:
        >>> last_steps(Path("no-such-folder"))
        {}
    """
    last: dict[str, int] = {}
    for row in read_history(folder):
        for name in row:
            step = row["_step"] if name == "_step" else row.get("step", -1)
            last[name] = max(int(step), last.get(name, -1))
    return last


def read_history(folder: Path) -> Iterator[dict[str, Any]]:
    """The rows of every run in a folder, in the order of writing.

    Args:
        folder: The folder ``wandb`` of a run.

    Example:
        >>> list(read_history(Path("no-such-folder")))
        []
    """
    for record in read_records(folder):
        if record.WhichOneof("record_type") == "history":
            items = record.history.item
            row = {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in items}
            yield {"_step": record.history.step.num, **row}


def read_records(folder: Path) -> Iterator[Any]:
    """What the files of a folder hold, as their messages; a file that is cut short ends early.

    Args:
        folder: The folder ``wandb`` of a run.

    Example:
        >>> list(read_records(Path("no-such-folder")))
        []
    """
    for run in _runs(folder):
        for path in sorted(run.glob("*.wandb")):
            from wandb.proto import wandb_internal_pb2

            messages: Any = wandb_internal_pb2  # their types depend on the version of protobuf
            for content in _contents(path.read_bytes()):
                record = messages.Record()
                record.ParseFromString(content)
                yield record


def _runs(folder: Path) -> list[Path]:
    names = [path for path in folder.glob("*run-*") if path.is_dir() and not path.is_symlink()]
    return sorted(names, key=lambda path: path.name.removeprefix("offline-"))


def _contents(data: bytes) -> Iterator[bytes]:
    """Records of LevelDB's log format, behind a head of seven bytes.

    Source:
        LevelDB, doc/log_format.md: blocks of 32 KiB; each piece has a checksum, a length and a
        kind (whole, first, middle or last).
    """
    place, parts = START, b""
    while place + HEADER <= len(data):
        left = BLOCK - place % BLOCK
        if left < HEADER:
            place += left
            continue
        checksum, length, kind = struct.unpack_from("<IHB", data, place)
        content = data[place + HEADER : place + HEADER + length]
        if len(content) < length or zlib.crc32(bytes([kind]) + content) != checksum:
            return
        place += HEADER + length
        parts = content if kind in (_FULL, _FIRST) else parts + content
        if kind in (_FULL, _LAST):
            yield parts
