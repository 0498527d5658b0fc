"""Results as JSON lines: appended one by one, so that work that was stopped goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Record = dict[str, Any]


def read(path: Path) -> list[Record]:
    """All records; the last line may have been cut short, and is left out then."""
    found = []
    if path.exists():
        for line in path.read_text().splitlines():
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                continue
    return found


def append(path: Path, record: Record) -> None:
    """One more record."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")


def key(record: Record) -> tuple[str, str, int]:
    """What was run: the case's name, its text's version and the seed."""
    return record["name"], record["version"], record["seed"]
