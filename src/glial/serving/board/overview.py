"""The table of all runs as columns: what a page needs to sort, filter, draw and compare."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from glial.serving.board.folders import ENVIRONMENT, PLAN, REPORT
from glial.serving.board.index import Index, Row, run_id
from glial.serving.board.status import described
from glial.serving.board.texts import number

# Keys of the plan that are shown even where all runs have the same.
ALWAYS = ("train.lr", "train.batch_size", "train.optimizer", "train.seed")
# They say again what other columns say, or differ by chance of the machine.
NEVER = frozenset({"task.name", "model.name", "data.source", "train.threads", "train.device"})
MOST_VARIED = 80


def overview(index: Index, marks: dict[str, dict[str, Any]], since: int = 0) -> dict[str, Any]:
    """The rows that changed since a version, as columns.

    Args:
        index: The runs.
        marks: What the user wrote to runs, by path.
        since: The version; 0 for all runs.

    Returns:
        ``version``, ``total``, ``links``, ``reading``, ``removed`` ids, ``quantities`` (what can
        be drawn), ``plan_keys`` (in which the runs differ), ``metrics``, and ``columns``: name to
        one value a changed run; ``ids`` are these runs.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> overview(Index.of(Path(tempfile.mkdtemp())), {})["total"]
        0
    """
    version = index.version
    rows = list(index.rows.values())
    changed = [row for row in rows if row.version > since]
    told = [described(row.parts) for row in changed]
    keys = varied_keys([row.parts.get(PLAN) or {} for row in rows])
    names = list(dict.fromkeys(name for one in told for name in one["figures"]))
    columns: dict[str, list[Any]] = {
        "name": [row.name for row in changed],
        "parent": [None if one is None else run_id(one) for one in _parents(changed)],
        "status": [row.status for row in changed],
        "started": [_time(row, ENVIRONMENT) for row in changed],
        "updated": [_time(row) for row in changed],
        "report": [REPORT in row.found.stamps for row in changed],
        "damage": ["; ".join(row.parts.get("damage", {}).values()) for row in changed],
        **{
            name: [one[name] for one in told]
            for name in ("task", "model", "source", "epochs", "planned", "fraction", "step")
        },
        **{
            name: [one[name] for one in told]
            for name in ("seconds", "errors", "warnings", "notes", "problems")
        },
        **{
            name: [marks.get(row.found.path, {}).get(name) for row in changed]
            for name in ("label", "tags", "note", "star")
        },
    }
    columns |= {
        f"figure.{name}": [_rounded(one["figures"].get(name)) for one in told] for name in names
    }
    columns |= {
        f"plan.{key}": [(row.parts.get(PLAN) or {}).get(key) for row in changed] for key in keys
    }
    return {
        "version": version,
        "total": len(rows),
        "links": index.links,
        "reading": index.reading,
        "removed": [id for id, at in index.gone.items() if at > since and id not in index.rows],
        "quantities": _quantities(rows),
        "plan_keys": keys,
        "metrics": names,
        "ids": [row.id for row in changed],
        "columns": columns,
    }


def varied_keys(plans: Iterable[dict[str, Any]]) -> list[str]:
    """Keys of plans in which they differ, and a few that are always shown.

    Args:
        plans: Each with dotted keys.

    Example:
        >>> varied_keys([{"train.lr": 1, "a": 1}, {"train.lr": 1, "a": 2}])
        ['train.lr', 'a']
    """
    seen: dict[str, Any] = {}
    varied: dict[str, None] = {}
    plans = list(plans)
    for plan in plans:
        for key, value in plan.items():
            if key not in seen:
                seen[key] = value
            elif seen[key] != value:
                varied[key] = None
    always = [key for key in ALWAYS if key in seen]
    others = [key for key in varied if key not in NEVER and key not in always]
    return [*always, *others][:MOST_VARIED]


def _quantities(rows: Iterable[Row]) -> list[str]:
    counts: dict[str, int] = {}
    for row in rows:
        for name in (row.parts.get("history.csv") or {}).get("quantities", []):
            counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: -counts[name])[:200]


def _parents(rows: Iterable[Row]) -> list[str | None]:
    return [row.found.parent for row in rows]


def _time(row: Row, name: str | None = None) -> float | None:
    stamps = row.found.stamps
    times = [stamp[0] for one, stamp in stamps.items() if name in (None, one)]
    return round(max(times) / 1e9, 1) if times else None


def _rounded(value: Any) -> Any:
    """Six digits are more than is shown, and half the bytes."""
    known = number(value)
    return known if known is None or isinstance(known, int) else float(f"{known:.6g}")


def as_json(value: Any) -> bytes:
    """JSON without blanks.

    Args:
        value: Plain values, all numbers finite.

    Example:
        >>> as_json({"a": [1]})
        b'{"a":[1]}'
    """
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
