"""Whether a run trains now, by what it says and by the lock it holds; and its row in the table."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

from glial.serving.board.folders import FINDINGS, LIVE, METRICS, PLAN

LOCKS = Path("/proc/locks")
FRESH_SECONDS = 120.0
_LOCK = re.compile(r"FLOCK\s+ADVISORY\s+WRITE\s+\d+\s+[0-9a-f]+:[0-9a-f]+:(\d+)\s")
STATUSES = ("training", "finished", "interrupted", "killed", "unfinished", "damaged")


def locked_inodes(path: Path = LOCKS) -> set[int] | None:
    """Numbers of the files and folders that processes of this machine hold; None if unknown.

    They are read, not tried: whoever tries a lock may hold it when a training asks for it.

    Args:
        path: Linux's list of locks.

    Example:
        >>> locked_inodes(Path("no-such-file")) is None
        True
    """
    try:
        return {int(inode) for inode in _LOCK.findall(path.read_text(encoding="ascii"))}
    except (OSError, ValueError):
        return None


def status_of(parts: dict[str, Any], inode: int, locked: set[int] | None) -> str:
    """One of ``training``, ``finished``, ``interrupted``, ``killed``, ``unfinished``, ``damaged``.

    Args:
        parts: What was read of a run's files.
        inode: The folder's number.
        locked: Numbers that are locked; None if unknown.

    Example:
        >>> status_of({"metrics.json": {"status": "finished"}}, 1, set())
        'finished'
    """
    live = parts.get(LIVE) or {}
    held = locked is not None and inode in locked
    if live.get("status") == "training":
        alive = _lives(live.get("pid")) and time.time() - live.get("updated", 0) < FRESH_SECONDS
        return "training" if held or alive else "killed"
    if held:
        return "training"
    if parts.get("damage"):
        return "damaged"
    told = (parts.get(METRICS) or {}).get("status") or live.get("status")
    return told if told in ("finished", "interrupted") else "unfinished"


def _lives(pid: Any) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _severities(parts: dict[str, Any]) -> list[list[str]]:
    """Severity and problem of each finding, of the result or of the training so far."""
    told = parts.get(FINDINGS)
    found: list[list[str]] = (parts.get(LIVE) or {}).get("findings", []) if told is None else told
    return found


def described(parts: dict[str, Any]) -> dict[str, Any]:
    """The columns of a run in the table, by name.

    Args:
        parts: What was read of its files.

    Example:
        >>> described({"plan.yaml": {"model.name": "mlp"}})["model"]
        'mlp'
    """
    plan, live = parts.get(PLAN) or {}, parts.get(LIVE) or {}
    metrics, history = parts.get(METRICS) or {}, parts.get("history.csv") or {}
    found = _severities(parts)
    counts = {kind: sum(one[0] == kind for one in found) for kind in ("error", "warning", "note")}
    figures = dict(metrics.get("figures", {}))
    for name, value in history.get("last", {}).items():
        figures.setdefault(f"last.{name}", value)
    for name, value in history.get("best", {}).items():
        figures.setdefault(f"lowest.{name}", value)
    return {
        "task": plan.get("task.name"),
        "model": plan.get("model.name"),
        "source": plan.get("data.source"),
        "epochs": metrics.get("epochs", live.get("epoch", history.get("epochs"))),
        "planned": live.get("epochs", plan.get("train.epochs")),
        "fraction": live.get("fraction"),
        "step": history.get("step", live.get("step")),
        "seconds": metrics.get("seconds", live.get("seconds")),
        "errors": counts["error"],
        "warnings": counts["warning"],
        "notes": counts["note"],
        "problems": ", ".join(dict.fromkeys(one[1] for one in found))[:200],
        "figures": figures,
        "quantities": history.get("quantities", []),
    }
