"""Run folders: where they lie, and what their files say; nothing in them is trusted."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from glial.core.errors import InputError
from glial.core.settings import flat, parse_yaml
from glial.serving.board.texts import harmless, number, shown

PLAN, HISTORY, METRICS, FINDINGS = "plan.yaml", "history.csv", "metrics.json", "findings.json"
LIVE, ENVIRONMENT, REPORT, EVIDENCE = (
    "live.json",
    "environment.json",
    "report.html",
    "evidence.parquet",
)
MEMBERS = "members"
FILES = (PLAN, HISTORY, METRICS, FINDINGS, LIVE, ENVIRONMENT, REPORT, EVIDENCE)
MARKS = {PLAN, HISTORY, METRICS, LIVE, ENVIRONMENT}  # a folder with one of these is a run
LARGEST = {HISTORY: 1 << 28, REPORT: 1 << 24, LIVE: 1 << 24, EVIDENCE: 1 << 26}
LARGEST_OTHER = 1 << 22
DEEPEST, MOST_RUNS, MOST_ENTRIES = 4, 20_000, 200_000
LEFT_OUT = {"checkpoints", "tensorboard", "wandb", "mlruns", "control", "__pycache__"}
MOST_KEYS = 400
# Keys of a plan with an entry for every column of the data.
WIDE = ("data.types.", "data.columns.")

Stamp = tuple[int, int]


@dataclass(frozen=True)
class Found:
    """A run's folder, and the state of its files.

    Attributes:
        path: Relative to the board's folder.
        parent: The run that this is a network of, such as a fold; None for a run of its own.
        inode: The folder's number, by which locks are known.
        stamps: Time in nanoseconds and size of each known file that is there.

    Example:
        >>> Found("wine-1", None, 7, {}).path
        'wine-1'
    """

    path: str
    parent: str | None
    inode: int
    stamps: dict[str, Stamp]


def find_runs(root: str) -> tuple[list[Found], int]:
    """All runs below a folder; links are not followed.

    Args:
        root: The folder, without links on the way to it.

    Returns:
        The runs, sorted by path, and how many links to folders were left alone.

    Example:
        >>> find_runs("no-such-folder")
        ([], 0)
    """
    found: list[Found] = []
    links = entries = 0
    waiting: list[tuple[str, int, str | None]] = [("", 0, None)]
    while waiting and len(found) < MOST_RUNS and entries < MOST_ENTRIES:
        relative, depth, parent = waiting.pop()
        folder = os.path.join(root, relative) if relative else root  # noqa: PTH118 in the scan
        stamps = _stamps(folder)
        if not MARKS.isdisjoint(stamps):
            found.append(Found(relative or ".", parent, _inode(folder), stamps))
            if parent is None:
                waiting += _members(folder, relative)
            continue
        if depth >= DEEPEST:
            continue
        try:
            with os.scandir(folder) as listed:
                for entry in listed:
                    entries += 1
                    if entry.is_symlink():
                        links += entry.is_dir()
                    elif entry.is_dir() and entry.name not in LEFT_OUT and entry.name[0] != ".":
                        below = f"{relative}/{entry.name}" if relative else entry.name
                        waiting.append((below, depth + 1, parent))
        except OSError:
            continue
    return sorted(found, key=lambda one: one.path), links


def _members(folder: str, relative: str) -> list[tuple[str, int, str | None]]:
    inner = f"{folder}/{MEMBERS}"
    try:
        if not stat.S_ISDIR(os.lstat(inner).st_mode):
            return []
        with os.scandir(inner) as listed:
            names = [one.name for one in listed if one.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    start = f"{relative}/{MEMBERS}" if relative else MEMBERS
    return [(f"{start}/{name}", DEEPEST, relative or ".") for name in names]


def _stamps(folder: str) -> dict[str, Stamp]:
    stamps = {}
    for name in FILES:
        try:
            about = os.lstat(f"{folder}/{name}")
        except OSError:
            continue
        stamps[name] = (about.st_mtime_ns, about.st_size)
    return stamps


def _inode(folder: str) -> int:
    try:
        return os.lstat(folder).st_ino
    except OSError:
        return -1


def read_file(root: str, run: str, name: str) -> bytes:
    """A file of a run: a plain one below the root, no link, no pipe, not too large.

    Args:
        root: The board's folder, without links on the way to it.
        run: The run's path in it, as :func:`find_runs` gave it.
        name: One of :data:`FILES`.

    Raises:
        InputError: If it is none of these, or cannot be read.

    Example:
        >>> read_file("/no-such-folder", "a", "plan.yaml")
        Traceback (most recent call last):
        ...
        glial.core.errors.InputError: plan.yaml cannot be read...
    """
    try:
        if name not in FILES:
            raise OSError(errno.EPERM, "not one of a run's files")  # noqa: TRY301 one way out
        folder = os.path.realpath(f"{root}/{run}")
        if folder != root and not folder.startswith(root.rstrip("/") + "/"):
            raise OSError(errno.EPERM, "it lies elsewhere, behind a link")  # noqa: TRY301
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with open(os.open(f"{folder}/{name}", flags), "rb") as file:  # noqa: PTH123 by descriptor
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise OSError(errno.EPERM, "it is no plain file")  # noqa: TRY301
            most = LARGEST.get(name, LARGEST_OTHER)
            content = file.read(most + 1)
            if len(content) > most:
                raise OSError(errno.EFBIG, f"it is larger than {most >> 20} MiB")  # noqa: TRY301
            return content
    except (OSError, ValueError) as error:
        link = getattr(error, "errno", None) == errno.ELOOP
        reason = "it is a link" if link else getattr(error, "strerror", None) or str(error)
        raise InputError(f"{name} cannot be read", expected="a plain file", got=reason) from error


def read_plan(content: bytes) -> dict[str, Any]:
    """A plan, with dotted keys.

    Args:
        content: The file.

    Raises:
        InputError: If it is no plan.

    Example:
        >>> read_plan(b"train: {lr: 0.1}")
        {'train.lr': 0.1}
    """
    try:
        text = content.decode()
        values = _parsed(text)
        if not isinstance(values, dict):
            raise TypeError("there are no keys")  # noqa: TRY301 one way out
        return {
            shown(key): harmless(value, 500)
            for key, value in list(flat({str(key): one for key, one in values.items()}).items())
        }
    except (ValueError, TypeError, RecursionError, yaml.YAMLError, InputError) as error:
        raise InputError(f"{PLAN} cannot be read", expected="a plan", got=_said(error)) from error


def _parsed(text: str) -> Any:
    """YAML; by the fast reader only where nothing is nested deep or stands for something else."""
    quick = getattr(yaml, "CSafeLoader", None)
    if quick is not None and _is_plain(text):
        return yaml.load(text, Loader=quick)  # noqa: S506 - it is a safe loader
    return parse_yaml(text, name=PLAN)


def _is_plain(text: str) -> bool:
    if re.search(r"(?:^|[\s\[{,:-])[&*!]", text) or text.count("[") + text.count("{") > 64:
        return False
    return "- - " not in text and "? " not in text and len(text) < 1 << 18


def read_object(content: bytes, name: str, kind: type = dict) -> Any:
    """JSON of a run, harmless.

    Args:
        content: The file.
        name: Its name, for the message.
        kind: ``dict`` or ``list``.

    Raises:
        InputError: If it is not JSON, or of another kind.

    Example:
        >>> read_object(b"[]", "findings.json", list)
        []
    """
    try:
        value = json.loads(content)
        if not isinstance(value, kind):
            raise TypeError(f"it holds a {type(value).__name__}")  # noqa: TRY301 one way out
        return harmless(value, 1 << 20 if name == LIVE else 2000)
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{name} cannot be read", expected="JSON", got=_said(error)) from error


def _said(error: Exception) -> str:
    return shown(getattr(error, "got", None) or error, 200)


def _plan_part(content: bytes) -> dict[str, Any]:
    """What is kept of a plan: its keys, but for those that list the columns of the data."""
    plan = read_plan(content)
    kept = [(key, value) for key, value in plan.items() if not key.startswith(WIDE)]
    return {key: _short(value) for key, value in kept[:MOST_KEYS]}


def _short(value: Any) -> Any:
    simple = value is None or isinstance(value, (bool, int, float))
    return value if simple else shown(value if isinstance(value, str) else json.dumps(value), 120)


def _metrics_part(content: bytes) -> dict[str, Any]:
    """What is kept of metrics: figures by split and name, epochs, seconds, status."""
    told = read_object(content, METRICS)
    metrics = told.get("metrics")
    parts = metrics if isinstance(metrics, dict) else {}
    figures = {
        f"{split}.{name}": number(value)
        for split, values in list(parts.items())[:8]
        if isinstance(values, dict)
        for name, value in list(values.items())[:100]
    }
    return {"figures": figures, **_pick(told, "epochs", "seconds", "samples_per_second", "status")}


def _findings_part(content: bytes) -> list[list[str]]:
    """What is kept of findings: severity and problem of each."""
    return _brief(read_object(content, FINDINGS, list))


def _brief(findings: Any) -> list[list[str]]:
    listed = findings if isinstance(findings, list) else []
    return [
        [shown(one.get("severity"), 10), shown(one.get("problem"), 60)]
        for one in listed[:100]
        if isinstance(one, dict)
    ]


def _live_part(content: bytes) -> dict[str, Any]:
    """What is kept of what a run says while it trains."""
    told = read_object(content, LIVE)
    kept = _pick(told, "status", "pid", "epoch", "epochs", "step", "fraction", "seconds", "updated")
    return {**kept, "findings": _brief(told.get("findings"))}


def _pick(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {
        name: shown(value, 30) if isinstance(value, str) else number(value)
        for name in names
        if (value := values.get(name)) is not None
    }


PARTS: dict[str, Callable[[bytes], Any]] = {
    PLAN: _plan_part,
    METRICS: _metrics_part,
    FINDINGS: _findings_part,
    LIVE: _live_part,
}
