"""The rows of a plan: read, their columns and task understood, and split."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.data import (
    Kind,
    Source,
    Splits,
    check_target,
    fingerprint,
    infer_columns,
    infer_task,
    known_dataset,
    open_files,
    read,
    read_source,
    split_rows,
)
from glial.data.columns import USED
from glial.data.images import ImageForm
from glial.data.lists import check_same_lengths, find_labelled
from glial.data.media import MEDIA
from glial.data.names import NamePattern
from glial.data.opening import Form
from glial.data.sounds import SoundForm
from glial.data.sources import is_of_files
from glial.runs.plan import Plan
from glial.tasks import JUDGED_BY_TARGET, WITHOUT_TARGET
from glial.tasks.labels import Labels

logger = logging.getLogger(__name__)


@dataclass
class Tables:
    """The rows of an experiment, before any fitting; ``splits`` numbers those of the source."""

    train: pl.DataFrame
    val: pl.DataFrame
    test: pl.DataFrame
    fingerprint: str
    splits: Splits

    @property
    def targets(self) -> pl.DataFrame:
        """What the task is fitted on: the training rows, or their targets alone."""
        return self.train

    def num_rows(self, split: str) -> int:
        """Rows of ``train``, ``val`` or ``test``."""
        return len(getattr(self, split))

    def stretches(self, split: str) -> Iterator[pl.DataFrame]:
        """The rows by which a split is judged, in stretches that follow each other."""
        yield getattr(self, split)


@dataclass
class Rows:
    """A source that was read and understood, before it is split.

    Attributes:
        frame: The rows whose targets are known.
        val: Rows of a validation file.
        test: Rows of a test file.
        task: Name of the task.
        kinds: Kind of each input column.
        aside: Columns that are not inputs.
        fingerprint: What tells these rows from others.
        target: The target column, or several.
        kept: Which rows of ``frame``, ``val`` and ``test`` with known targets had usable files.
        image_size: Height and width of the images, where one column has any; where they keep
            their own sizes, the least that none exceeds.
        forms: What the images or sounds of each column are brought to.
        needed: Whether a row is nothing without its file.
    """

    frame: pl.DataFrame
    val: pl.DataFrame | None
    test: pl.DataFrame | None
    task: str
    kinds: dict[str, Kind]
    aside: list[str]
    fingerprint: str
    target: str | list[str] | None
    kept: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    image_size: list[int] | None = None
    forms: dict[str, Form] = field(default_factory=dict)
    needed: bool = False

    def decided(self, plan: Plan) -> Plan:
        """The plan with its task and kinds of columns decided."""
        task = plan.task.model_copy(update={"name": self.task})
        changes: dict[str, Any] = {"types": self.kinds, "target": self.target, "stream": "never"}
        if self.image_size is not None:
            varied = plan.data.images.size == "varied"
            longest = {"max_side": max(self.image_size)}
            size: dict[str, Any] = longest if varied else {"size": self.image_size}
            changes["images"] = plan.data.images.model_copy(update=size)
        if sound := self._sound():
            changes["sounds"] = plan.data.sounds.model_copy(update=sound)
        data = plan.data.model_copy(update=changes)
        return plan.model_copy(update={"task": task, "data": data})

    def _sound(self) -> dict[str, Any]:
        """The rate and length of the sounds, where one column has any."""
        sounds = [form for form in self.forms.values() if isinstance(form, SoundForm)]
        if len(sounds) != 1:
            return {}
        return {"rate": sounds[0].rate, "seconds": sounds[0].seconds}


def _unused_names(plan: Plan, aside: Sequence[str]) -> dict[str, Kind]:
    """The parts of file names that nothing was said about: no inputs, since one asked for none."""
    fields = [] if plan.data.names is None else NamePattern.read(plan.data.names).fields
    return {name: "identifier" for name in fields if name not in aside}


def targets_of(plan: Plan) -> list[str]:
    """The names of a plan's target columns.

    Raises:
        InputError: If the plan names none.
    """
    target = plan.data.target
    names = [target] if isinstance(target, str) else list(target or [])
    if not names:
        raise InputError(
            "no target column was named",
            expected="the column to be predicted",
            got="none",
            do="name it with --target COLUMN, or put images into a folder per class",
        )
    return names


def read_rows(plan: Plan, source: Any, *, decode: bool = True) -> Rows:
    """The rows of a plan, its task and kinds of columns.

    Args:
        plan: What was asked for.
        source: A source in memory, or what was read of one; None reads the one that the plan names.
        decode: Whether images and sounds are decoded; else their paths stay.
    """
    if plan.data.split.folds is not None and plan.data.val is not None:
        raise InputError(
            "folds and a file of validation rows exclude each other",
            expected="data.split.folds, or data.val (--val)",
            got=f"{plan.data.split.folds} folds, and {plan.data.val}",
            do="leave one of them out",
        )
    found = source
    if not isinstance(source, Source):
        found = read_source(plan.data.source if source is None else source, plan.data.names)
    known = None if plan.task.name == "auto" else plan.task.name
    free = known in WITHOUT_TARGET
    unused = free and known not in JUDGED_BY_TARGET
    target = plan.data.target or (None if unused else found.target)
    plan = plan.model_copy(update={"data": plan.data.model_copy(update={"target": target})})
    targets = [] if free and not target else targets_of(plan)
    varied = known != "anomaly"  # rows may all be normal
    frame = check_target(found.frame, targets, known, varied=varied)
    if plan.data.duplicates == "drop":
        frame = _without_copies(frame)
    task = known or infer_task(frame, targets)
    check_target(frame, targets, task, varied=varied)
    aside = [*targets, *columns_aside(plan, frame.columns)]
    types = {**_unused_names(plan, aside), **plan.data.types}
    if free:
        own = _known_targets(plan, found)
        aside += [name for name in own if name not in aside]
        types = {name: kind for name, kind in types.items() if name not in own}  # a resumed plan's
    labelled: dict[str, Kind] = {}
    if task == "tagging":
        labelled = find_labelled(frame.drop(aside[1:]), targets[0], types)
        aside += _beside(labelled, [name for name in frame.columns if name not in aside])
        types = labelled
    kinds = infer_columns(frame.drop(aside), types)
    tables = {
        "train": frame,
        "val": _own_split(plan, plan.data.val, found.val, task),
        "test": _own_split(plan, plan.data.test, found.test, task),
    }
    there = {name: table for name, table in tables.items() if table is not None}
    for name, kind in labelled.items():
        for table in there.values():
            if name in table.columns:
                check_same_lengths(table[name], table[targets[0]], steps=kind == "sequence")
    used = [kind for kind in kinds.values() if kind in USED]
    needed = len(used) == 1 and used[0] in {medium.kind for medium in MEDIA}
    opened = open_files(list(there.values()), kinds, plan.data, needed=needed, decode=decode)
    there = dict(zip(there, opened.tables, strict=True))
    marks = [fingerprint(table) for table in there.values()]
    images = [form for form in opened.forms.values() if isinstance(form, ImageForm)]
    return Rows(
        there["train"],
        there.get("val"),
        there.get("test"),
        task,
        kinds,
        aside,
        "-".join(marks),
        target,
        dict(zip(there, opened.kept, strict=True)),
        [images[0].height, images[0].width] if len(images) == 1 else None,
        opened.forms,
        needed,
    )


def _known_targets(plan: Plan, found: Source) -> list[str]:
    """The column that a source says is to be predicted: no input of what learns without one."""
    entry = known_dataset(plan.data.source)
    told = [found.target, None if entry is None else entry.target]
    names = [name for name in told if name is not None and name in found.frame.columns]
    if names and names[0] != plan.data.target:
        logger.info("the column %r, the source's own target, is left aside", names[0])
    return names[:1]


def read_tables(plan: Plan, source: Any) -> tuple[Plan, Tables, list[str]]:
    """The rows of each split and the plan with task and column kinds decided.

    Args:
        plan: What was asked for.
        source: A source in memory, or its :class:`Rows`; None reads the one that the plan names.

    Returns:
        The plan, the tables, and the names of the columns that are not inputs.
    """
    rows = source if isinstance(source, Rows) else read_rows(plan, source)
    plan, frame = rows.decided(plan), rows.frame
    given = [rows.val is not None, rows.test is not None]
    splits = _split(plan, frame, given)
    tables = Tables(
        frame[splits.train],
        frame[splits.val] if rows.val is None else rows.val,
        frame[splits.test] if rows.test is None else rows.test,
        rows.fingerprint,
        splits,
    )
    return plan, tables, rows.aside


def _without_copies(frame: pl.DataFrame) -> pl.DataFrame:
    """The first of all rows that are equal in every column."""
    kept = frame.unique(keep="first", maintain_order=True)
    if kept.height < frame.height:
        logger.info("%d copies of other rows are dropped", frame.height - kept.height)
    return kept


def columns_aside(plan: Plan, columns: Sequence[str]) -> list[str]:
    """The columns of weights, groups and sensitive ones, which are not inputs.

    Raises:
        InputError: If the plan names a column that is not there.
    """
    aside = []
    fairness = plan.data.fairness
    for key, name in (
        ("data.weight", plan.data.weight),
        ("data.split.group", plan.data.split.group),
        ("data.split.time", plan.data.split.time),
        *(("data.fairness.group", name) for name in fairness.columns),
    ):
        if name is None:
            continue
        if name not in columns:
            raise InputError(
                f"{key} names the column {name!r}, which is not in the data",
                expected=f"one of {', '.join(columns)}",
                got=repr(name),
                do=f"correct {key}",
            )
        is_input = key == "data.split.time" or (key == "data.fairness.group" and fairness.as_input)
        if not is_input and name not in aside:
            aside.append(name)
    return aside


def _beside(labelled: dict[str, Kind], columns: list[str]) -> list[str]:
    """The columns beside those whose words or steps are labelled, which are left aside."""
    others = [name for name in columns if name not in labelled]
    if others:
        what = "words" if "words" in labelled.values() else "sequences"
        logger.warning("columns beside the %s are left aside: %s", what, ", ".join(others[:10]))
    return others


def _own_split(
    plan: Plan, path: str | None, own: pl.DataFrame | None, task: str
) -> pl.DataFrame | None:
    """The rows of a split that is given by a file, or by the source itself."""
    names = plan.data.names if is_of_files(path) else None
    rows = own if path is None else read(path, names)
    targets = [] if task in WITHOUT_TARGET and not plan.data.target else targets_of(plan)
    varied = task != "anomaly"
    return None if rows is None else check_target(rows, targets, task, varied=varied)


def _split(plan: Plan, frame: pl.DataFrame, given: list[bool]) -> Splits:
    """Split the rows; a split that has its own file takes none of them."""
    settings = plan.data.split
    shares = [
        settings.train,
        0.0 if given[0] else settings.val,
        0.0 if given[1] else settings.test,
    ]
    total = sum(shares)
    settings = settings.model_copy(
        update={
            name: share / total
            for name, share in zip(("train", "val", "test"), shares, strict=True)
        }
    )
    labels = None
    blind = plan.task.name in JUDGED_BY_TARGET
    told = plan.task.name in WITHOUT_TARGET and plan.data.target is not None and not blind
    if told or plan.task.name in ("classification", "embedding"):
        target = frame[targets_of(plan)[0]]
        labels = Labels.of(target).codes(target)
    return split_rows(frame, settings, labels=labels, seed=plan.split_seed)
