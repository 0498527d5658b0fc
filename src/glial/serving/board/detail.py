"""One run, read whole: its plan, what the doctor found, its layers, samples, hardware and files."""

from __future__ import annotations

import io
import os
import re
import stat
from typing import Any

from glial.core.errors import InputError
from glial.serving.board.folders import (
    ENVIRONMENT,
    EVIDENCE,
    FINDINGS,
    LIVE,
    METRICS,
    PLAN,
    REPORT,
    read_file,
    read_object,
    read_plan,
)
from glial.serving.board.index import Index, Row
from glial.serving.board.texts import number, shown

MOST_LAYERS, MOST_STEPS, MOST_FINDINGS, MOST_SAMPLES, MOST_FILES = 200, 200, 200, 32, 100
LARGEST_PICTURE = 300_000
_PICTURE = re.compile(r"data:image/(?:png|jpeg|webp|gif);base64,[A-Za-z0-9+/]+=*")
# How evidence calls what a training run calls by these names.
QUANTITIES = {
    ("parameters", "gradient"): "gradient_norm",
    ("parameters", "weight"): "weight_norm",
    ("parameters", "update"): "update_norm",
    ("layers", "mean"): "activation_mean",
    ("layers", "std"): "activation_std",
    ("layers", "dead"): "dead_share",
    ("layers", "saturated"): "saturated_share",
}


def detail(index: Index, row: Row) -> dict[str, Any]:
    """Everything about a run; a file that cannot be read is named under ``damage``.

    Args:
        index: The runs.
        row: Which.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "plan.yaml").write_text("task: {name: regression}")
        >>> index = Index.of(folder)
        >>> index.refresh()
        True
        >>> (row,) = index.rows.values()
        >>> detail(index, row)["plan"]
        {'task.name': 'regression'}
    """
    damage = dict(row.parts.get("damage", {}))

    def read(name: str, reader: Any, default: Any) -> Any:
        if name not in row.found.stamps:
            return default
        try:
            return reader(read_file(index.root, row.found.path, name))
        except InputError as error:
            damage[name] = shown(f"{error.message}: {error.got}", 300)
            return default

    live = read(LIVE, lambda content: read_object(content, LIVE), {})
    metrics = read(METRICS, lambda content: read_object(content, METRICS), {})
    live_findings = live.get("findings") if isinstance(live.get("findings"), list) else []
    findings = read(FINDINGS, lambda content: read_object(content, FINDINGS, list), live_findings)
    environment = read(ENVIRONMENT, lambda content: read_object(content, ENVIRONMENT), {})
    environment.pop("started_in", None)  # where it lies on this machine is nobody's business
    layers = layers_of(live.get("layers"))
    if not layers:
        layers = read(EVIDENCE, _layers_of_evidence, [])
    return {
        "id": row.id,
        "name": row.name,
        "status": row.status,
        "version": row.version,
        "plan": read(PLAN, read_plan, {}),
        "metrics": metrics,
        "environment": environment,
        "findings": [one for one in findings[:MOST_FINDINGS] if isinstance(one, dict)],
        "live": {
            name: live.get(name)
            for name in ("epoch", "epochs", "step", "fraction", "seconds", "best_epoch", "updated")
        },
        "layers": layers,
        "samples": samples_of(live.get("samples")),
        "hardware": live.get("hardware") if isinstance(live.get("hardware"), dict) else {},
        "quantities": (row.parts.get("history.csv") or {}).get("quantities", []),
        "report": REPORT in row.found.stamps,
        "damage": damage,
        "files": _files_of(index, row),
    }


def layers_of(told: Any) -> list[dict[str, Any]]:
    """Layers as a run tells them, with only what can be drawn.

    Args:
        told: What ``live.json`` holds.

    Example:
        >>> series = {"steps": [1, 2], "values": [0.5, None]}
        >>> layers_of([{"name": "a", "quantities": {"gradient_rms": series}}])[0]["name"]
        'a'
    """
    found = []
    for one in told[:MOST_LAYERS] if isinstance(told, list) else []:
        quantities = one.get("quantities") if isinstance(one, dict) else None
        if not isinstance(quantities, dict):
            continue
        drawn = {name: _series(series) for name, series in list(quantities.items())[:20]}
        kept = {name: series for name, series in drawn.items() if series is not None}
        if kept:
            name, kind = shown(one.get("name", "")), shown(one.get("kind") or "", 60)
            found.append({"name": name, "kind": kind, "quantities": kept})
    return found


def _series(told: Any) -> dict[str, list[Any]] | None:
    if not isinstance(told, dict):
        return None
    steps, values = told.get("steps"), told.get("values")
    if not isinstance(steps, list) or not isinstance(values, list) or not steps:
        return None
    if len(steps) != len(values):
        return None
    stride = -(-len(steps) // MOST_STEPS)
    return {
        "steps": [number(step) or 0 for step in steps[::stride]],
        "values": [number(value) for value in values[::stride]],
    }


def _layers_of_evidence(content: bytes) -> list[dict[str, Any]]:
    """Layers by what the doctor followed, of runs that say nothing of them themselves.

    Args:
        content: ``evidence.parquet``.

    Raises:
        InputError: If it is no table of evidence.
    """
    import polars as pl

    try:
        table = pl.read_parquet(io.BytesIO(content)).with_columns(
            pl.col("part", "name", "quantity").cast(pl.String)
        )
        parts = table.partition_by("part", "name", "quantity", as_dict=True, maintain_order=True)
        found: dict[str, dict[str, Any]] = {}
        for (part, name, quantity), rows in parts.items():
            told = QUANTITIES.get((str(part), str(quantity)))
            if told:
                series = {"steps": rows["step"].to_list(), "values": rows["value"].to_list()}
                layer = found.setdefault(
                    str(name), {"name": str(name), "kind": "", "quantities": {}}
                )
                layer["quantities"][told] = series
    except (pl.exceptions.PolarsError, KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"{EVIDENCE} cannot be read", expected="a table of evidence", got=shown(error)
        ) from error
    return layers_of(list(found.values()))


def samples_of(told: Any) -> list[dict[str, Any]]:
    """Samples and what the network says of them; pictures only of plain kinds and small.

    Args:
        told: What ``live.json`` holds.

    Example:
        >>> samples_of([{"image": "javascript:alert(1)", "prediction": "cat"}])[0]["image"] is None
        True
    """
    found = []
    for one in told[:MOST_SAMPLES] if isinstance(told, list) else []:
        if not isinstance(one, dict):
            continue
        image = one.get("image")
        fits = isinstance(image, str) and len(image) < LARGEST_PICTURE
        found.append(
            {
                **{
                    name: None if one.get(name) is None else shown(one[name], 600)
                    for name in ("input", "truth", "prediction")
                },
                "image": image if fits and _PICTURE.fullmatch(str(image)) else None,
                "right": one.get("right") if isinstance(one.get("right"), bool) else None,
            }
        )
    return found


def _files_of(index: Index, row: Row) -> list[dict[str, Any]]:
    """Names and sizes of the files of a run's folder.

    Args:
        index: The runs.
        row: Which.
    """
    folder = f"{index.root}/{row.found.path}"
    found = []
    try:
        with os.scandir(folder) as listed:
            for entry in list(listed)[:MOST_FILES]:
                about = entry.stat(follow_symlinks=False)
                kind = (
                    "link"
                    if entry.is_symlink()
                    else "folder"
                    if stat.S_ISDIR(about.st_mode)
                    else "file"
                )
                size = about.st_size if kind == "file" else None
                found.append({"name": shown(entry.name), "kind": kind, "bytes": size})
    except OSError:
        return []
    return sorted(found, key=lambda one: (one["kind"] == "folder", one["name"]))
