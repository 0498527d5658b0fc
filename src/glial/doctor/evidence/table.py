"""Evidence as one compact table: what changed with the steps as rows, the rest beside them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import ValidationError

from glial.core.errors import InputError
from glial.core.files import write_atomic
from glial.doctor.evidence.training import Evidence

EVIDENCE = "evidence.parquet"
REST = "glial.evidence"
COLUMNS = {
    "part": pl.Categorical,
    "name": pl.Categorical,
    "quantity": pl.Categorical,
    "step": pl.Int64,
    "value": pl.Float64,
    "path": pl.Categorical,
}


def evidence_table(evidence: Evidence) -> pl.DataFrame:
    """Every number that was followed over steps.

    Args:
        evidence: What was seen.

    Returns:
        A row for each number: ``part`` (``models``, ``layers``, ``parameters``, ``losses``,
        ``optimizers``, or empty for the whole training), the ``name`` of that part, which
        ``quantity`` it is, the ``step``, from 1, the ``value``, and the ``path`` in the evidence.

    Example:
        >>> evidence = Evidence()
        >>> evidence.memory.add(1, 120.0)
        >>> evidence_table(evidence).row(0)
        ('', '', 'memory', 1, 120.0, 'memory')
    """
    rows: list[tuple[Any, ...]] = []
    _taken_out(evidence.to_dict(), rows)
    return pl.DataFrame(rows, schema=COLUMNS, orient="row")


def save_evidence(evidence: Evidence, path: Path) -> None:
    """Write evidence as a Parquet file; :func:`load_evidence` reads it back whole."""
    rows: list[tuple[Any, ...]] = []
    rest = _taken_out(evidence.to_dict(), rows)
    table = pl.DataFrame(rows, schema=COLUMNS, orient="row")
    file = io.BytesIO()
    table.write_parquet(file, compression="zstd", metadata={REST: json.dumps(rest)})
    write_atomic(path, file.getvalue())


def evidence_files(folder: Path) -> list[Path]:
    """Where a run's folder keeps evidence: its own, or that of each of its networks.

    Example:
        >>> evidence_files(Path("no such folder"))
        []
    """
    own = folder / EVIDENCE
    others = [path / EVIDENCE for path in (folder / "members").glob("*")]
    members = sorted(others, key=lambda path: (len(path.parent.name), path.parent.name))
    return [path for path in (own, *members) if path.exists()]


def load_evidence(path: Path) -> Evidence:
    """The evidence that :func:`save_evidence` wrote.

    Raises:
        InputError: If the file is damaged, or holds something else.
    """
    try:
        content = path.read_bytes()
        rest = json.loads(pl.read_parquet_metadata(io.BytesIO(content))[REST])
        table = pl.read_parquet(io.BytesIO(content))
        for (where,), rows in table.group_by("path", maintain_order=True):
            series = {"steps": rows["step"].to_list(), "values": rows["value"].to_list()}
            _put_in(rest, str(where).split("/"), series)
        return Evidence.from_dict(rest)
    except (
        *(pl.exceptions.PolarsError, OSError, ValueError, KeyError, TypeError, IndexError),
        ValidationError,
    ) as error:
        raise InputError(
            f"{path} cannot be read",
            expected="the evidence that Glial wrote there",
            got=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            do="the file was changed: restore it, or train again",
        ) from error


def _taken_out(
    value: Any, rows: list[tuple[Any, ...]], path: tuple[str, ...] = (), name: str = ""
) -> Any:
    """A copy of nested values without their series, which become rows."""
    if isinstance(value, dict):
        if value.keys() == {"steps", "values"}:
            parts = [part for part in path if not part.isdigit()]
            part, quantity = parts[-2] if len(parts) > 1 else "", parts[-1]
            where = "/".join(path)
            for step, number in zip(value["steps"], value["values"], strict=True):
                rows.append((part, name, quantity, step, float(number), where))
            return {"steps": [], "values": []}
        own = value.get("name")
        name = own if isinstance(own, str) else name
        return {k: _taken_out(v, rows, (*path, str(k)), name) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_taken_out(v, rows, (*path, str(n)), name) for n, v in enumerate(value)]
    return value


def _put_in(values: Any, path: list[str], series: dict[str, list[Any]]) -> None:
    *above, last = path
    for key in above:
        values = values[int(key) if isinstance(values, list) else key]
    values[last] = series
