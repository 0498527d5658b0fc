"""From a plan to tensors: the model chosen, the encoding and the task fitted."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from glial.core.errors import InputError, unknown_name
from glial.data import (
    Encoding,
    Inputs,
    notice_leaks,
)
from glial.data.batches import Batch
from glial.data.cells import numbers
from glial.data.columns import USED
from glial.data.encoders import NumberEncoder, SoundEncoder
from glial.data.settings import DataSettings, Kind
from glial.models import MODELS, ModelSettings
from glial.runs.decoded import find_paths, read_decoded
from glial.runs.plan import DEFAULT_MODEL, Plan
from glial.runs.rows import Tables, read_tables, targets_of
from glial.runs.streams import is_streamed, read_streamed
from glial.runs.texts import check_texts
from glial.runs.transfer import encoded_rows, with_model_data, with_model_of_weights
from glial.runs.varied import with_varied
from glial.tasks import Task, check_validated, fit_task
from glial.tasks.task import Loss
from glial.training.settings import TrainSettings

logger = logging.getLogger(__name__)

# Below this share of missing cells in every column, or with more columns with gaps times columns
# than this, numbers are filled by medians unless one asks.
MANY_GAPS = 0.05
MAX_REGRESSIONS = 400


@dataclass
class Prepared:
    """Everything training needs.

    Attributes:
        plan: The plan with every choice made that does not need the network.
        settings: The model's settings, capacity chosen.
        encoding: How a table becomes tensors, fitted on the training rows.
        task: What is learnt, fitted on the training rows.
        tables: The rows of each split.
        inputs: The training rows encoded.
    """

    plan: Plan
    settings: Any
    encoding: Encoding
    task: Task
    tables: Tables
    inputs: Inputs

    def training_batch(self) -> Batch:
        """The training rows as one batch of tensors."""
        return self._batch(self.tables.train, self.inputs)

    def batch(self, frame: pl.DataFrame) -> Batch:
        """A table as one batch of tensors: inputs, target and weights."""
        return self._batch(frame, self.encoding.transform(frame))

    def stretch(self, frame: pl.DataFrame) -> Batch:
        """Some rows of a table as :meth:`batch`, with no word of what is odd in each."""
        return self._batch(frame, self.encoding.transform(frame, notice=False))

    def _batch(self, frame: pl.DataFrame, inputs: Inputs) -> Batch:
        weight = weights_of(frame, self.plan.data.weight, some=False)
        return Batch(
            self.encoding.arguments(inputs),
            self.task.encode(frame),
            None if weight is None else torch.from_numpy(weight).float(),
        )


def weights_of(
    frame: pl.DataFrame, column: str | None, *, some: bool = True
) -> NDArray[Any] | None:
    """The weights of rows, where the plan names a column of them.

    Args:
        frame: The rows.
        column: The column.
        some: Whether all weights may not be 0.

    Raises:
        InputError: If the column is missing or holds anything but numbers of at least 0.
    """
    if column is None:
        return None
    if column not in frame.columns:
        raise InputError(f"the weight column {column!r} is not in the data", got=repr(column))
    values = frame[column].cast(pl.Float64, strict=False).to_numpy()
    unusable = not np.isfinite(values).all() or (values < 0).any()
    if unusable or (some and len(values) > 0 and values.sum() == 0):
        raise InputError(
            f"the weight column {column!r} cannot be used",
            expected="a number of at least 0 in every row, not all 0",
            got="a missing, negative or infinite weight",
            do="mend the column",
        )
    return np.array(values)


def choose_model(plan: Plan, num_rows: int, kinds: dict[str, Kind]) -> tuple[Plan, Any]:
    """The plan with the model named, and the settings that the model's own recipe adds.

    Args:
        plan: What was asked for, the task decided.
        num_rows: Number of training rows.
        kinds: Kind of each input column.

    Returns:
        The plan with the model's recipe where the user said nothing, and the model's settings;
        None for the user's own module.
    """
    name = plan.model["name"]
    if name == "custom":
        data = _filled_data(plan, "standard", takes_categories=False, takes_texts=False)
        data = with_varied(data, None, name, kinds)
        return plan.model_copy(update={"data": data}), None
    name = suited_model(plan, kinds) if name == "auto" else name
    cls = MODELS.resolve(name)
    settings = cls.read({**plan.model, "name": name}, where="model")
    if plan.task.name not in cls.tasks:
        raise InputError(
            f"the model {name!r} does not learn the task {plan.task.name!r}",
            expected=f"one of {', '.join(cls.tasks)}",
            got=plan.task.name,
            do="choose another model: glial models lists them",
        )
    _check_kinds(cls, name, kinds, plan.data.text)
    transfers = settings.weights is not None
    recipe = settings.transfer_defaults if transfers else cls.train_defaults
    defaults = dict(recipe(plan.task.name, num_rows))
    smoothing = defaults.pop("task.label_smoothing", None)
    given = plan.train.model_dump(exclude_unset=True)
    train = TrainSettings.read({**defaults, **given}, where="train")
    task = plan.task.model_copy()
    smooths = plan.task.loss in ("auto", "cross_entropy") and plan.task.name != "embedding"
    if task.label_smoothing is None and smooths:
        task.label_smoothing = smoothing or 0.0
    if task.loss == "auto":
        task.loss = getattr(cls, "loss", "auto")
    data = _filled_data(
        plan, cls.scaling, takes_categories=cls.takes_categories, takes_texts=cls.takes_texts
    )
    data = with_varied(data, cls, name, kinds)
    if cls.max_one_hot is not None and "max_one_hot" not in plan.data.model_fields_set:
        data = data.model_copy(update={"max_one_hot": cls.max_one_hot})
    return plan.model_copy(update={"data": data, "task": task, "train": train}), settings


def suited_model(plan: Plan, kinds: dict[str, Kind]) -> str:
    """The model that suits columns of these kinds.

    Example:
        >>> suited_model(Plan(), {"photo": "image", "name": "identifier"})
        'residual_cnn'
        >>> suited_model(Plan(), {"review": "text", "row": "identifier"})
        'bag_of_words'
        >>> suited_model(Plan(), {"heart": "sequence", "breath": "sequence"})
        'sequence_rnn'
        >>> suited_model(Plan(), {"review": "text", "price": "number"})
        'mixed'
        >>> suited_model(Plan(), {"tokens": "words"})
        'tagger'
    """
    used = [kind for kind in kinds.values() if kind in USED]
    if plan.data.text not in ("auto", "tokens"):
        used = ["number" if kind == "text" else kind for kind in used]
    if used in (["image"], ["sound"]):
        return "residual_cnn"
    if set(used) == {"sequence"}:
        return "sequence_rnn"
    if used == ["text"]:
        return "bag_of_words"
    if used == ["words"]:
        return "tagger"
    own = {"image", "sequence", "sound", "text"}
    return "mixed" if own & set(used) else DEFAULT_MODEL


def _check_kinds(cls: type[ModelSettings], name: str, kinds: dict[str, Kind], text: str) -> None:
    """Refuse columns that a model cannot take.

    Args:
        cls: The model's settings.
        name: The model.
        kinds: Kind of each input column.
        text: What becomes of texts: the plan's ``data.text``.
    """
    named = sum(kind == "category" for kind in kinds.values())
    if named < cls.min_categories:
        raise InputError(
            f"the model {name!r} needs columns of categories",
            expected=f"at least {cls.min_categories}",
            got=f"{named} of {len(kinds)} columns",
            do="if numbers are names, say so: --set data.types.COLUMN=category",
        )
    as_tokens = text == "tokens" or (text == "auto" and cls.takes_texts)
    takes = {
        **dict.fromkeys(("number", "category", "boolean", "datetime"), cls.takes_numbers),
        "image": cls.takes_images,
        "sound": cls.takes_images,
        "sequence": cls.takes_sequences,
        "words": cls.takes_words,
        "text": text == "ignore" or (cls.takes_texts if as_tokens else cls.takes_numbers),
    }
    for column, kind in kinds.items():
        if not takes.get(kind, True):
            raise InputError(
                f"the model {name!r} does not take the column {column!r}",
                expected=f"columns of {', '.join(kind for kind, taken in takes.items() if taken)}",
                got=f"a column of {kind}{' as tokens' if kind == 'text' and as_tokens else ''}",
                do="choose the model mixed, or leave the column out with "
                f"--set data.types.{column}=identifier",
            )


def _filled_data(
    plan: Plan, scaling: str, *, takes_categories: bool, takes_texts: bool
) -> DataSettings:
    """The plan's ``data`` part with what suits the model where it was left open."""
    data = plan.data
    changes: dict[str, Any] = {}
    if data.scaling == "auto":
        changes["scaling"] = scaling
    if data.text == "auto":
        changes["text"] = "tokens" if takes_texts else "counts"
    if not takes_categories:
        if data.categories in ("auto", "embedding"):
            changes["categories"] = "one-hot"
        changes["columns"] = {
            name: column.model_copy(update={"categories": "one-hot"})
            if column.categories == "embedding"
            else column
            for name, column in data.columns.items()
        }
    return data.model_copy(update=changes)


def _with_missing(plan: Plan, frame: pl.DataFrame, kinds: dict[str, Kind]) -> tuple[Plan, str]:
    """The plan with what fills missing numbers, and why."""
    data = plan.data
    if data.imputations > 1 and data.missing not in ("auto", "iterative", "vae", "gan"):
        raise InputError(
            f"data.imputations {data.imputations} needs something to draw",
            expected="data.missing: iterative, vae or gan, which draw around their predictions",
            got=f"data.missing: {data.missing}",
            do="set data.missing to iterative, or data.imputations to 1",
        )
    if data.missing != "auto":
        return plan, "as asked"
    names = [name for name, kind in kinds.items() if kind == "number"]
    gaps = [numbers(frame[name]).null_count() / frame.height for name in names]
    chosen, why = "iterative", "each regressed on the others"
    if data.imputations > 1:
        why = "drawn for each network"
    elif max(gaps, default=0) < MANY_GAPS:
        chosen, why = "median", f"less than {MANY_GAPS:.0%} of each column"
    elif sum(gap > 0 for gap in gaps) * len(kinds) > MAX_REGRESSIONS:
        chosen, why = "median", "too many columns to regress each on the others"
    return plan.model_copy(update={"data": data.model_copy(update={"missing": chosen})}), why


def chosen_batch_size(train: TrainSettings, num_rows: int) -> int:
    """Rows of a batch: about fifty batches an epoch, between 16 and 256 rows each.

    Example:
        >>> chosen_batch_size(TrainSettings(), 105), chosen_batch_size(TrainSettings(), 10_000)
        (16, 256)
    """
    if train.batch_size == "full":
        return num_rows
    if train.batch_size != "auto":
        return min(int(train.batch_size), num_rows)
    wanted = max(1.0, num_rows / 50)
    return min(num_rows, 256, max(16, int(2 ** round(float(np.log2(wanted))))))


def prepare(plan: Plan, source: Any = None, *, loss: Loss | None = None) -> Prepared:
    """Everything up to the network itself, fitted on the training rows alone.

    Args:
        plan: What was asked for.
        source: A source in memory, where the plan names none.
        loss: The user's own loss.

    Raises:
        InputError: If the data or the plan cannot be used.
    """
    plan, tables, aside = _read(plan, source)
    check_validated(plan.task, tables.num_rows("val"))
    asked, num_rows = plan.data, tables.num_rows("train")
    kinds = {name: kind for name, kind in plan.data.types.items() if name not in aside}
    plan, settings = choose_model(plan, num_rows, kinds)
    plan, reason = _with_missing(plan, tables.train, kinds)
    _check_columns(plan.data, tables.train)
    targets = targets_of(plan)
    notice_leaks(tables.train, tables.val, tables.test, targets, kinds, plan.task.name)
    data, rows = plan.data, tables.targets
    scale = data.scale_target
    task = fit_task(rows, targets, plan.task, scale_target=scale, loss=loss, data=data)
    encoding, inputs = encoded_rows(plan, tables.train, kinds, task)
    model = "a network of your own" if settings is None else settings.name
    _say_how(asked, plan.data, encoding, model, reason)
    if settings is not None:
        settings = settings.for_data(
            num_rows,
            encoding.num_numbers + len(encoding.cardinalities),
            task.num_outputs,
            plan.task.name,
            **({"images": images} if (images := encoding.sizes("image")) else {}),
        )
        check_texts(settings, encoding)
        values = settings.model_dump(mode="json")
        plan = plan.model_copy(update={"model": values})
    train = plan.train.model_copy(update={"batch_size": chosen_batch_size(plan.train, num_rows)})
    plan = plan.model_copy(update={"train": train})
    return Prepared(plan, settings, encoding, task, tables, inputs)


def _read(plan: Plan, source: Any) -> tuple[Plan, Tables, list[str]]:
    """The rows of a plan: in memory, as paths that are decoded when they are used, or in chunks."""
    plan = with_model_of_weights(plan)
    if plan.model["name"] not in ("auto", "custom"):
        settings = MODELS.resolve(plan.model["name"]).read(plan.model, where="model")
        plan = plan.model_copy(update={"data": with_model_data(plan.data, settings)})
    if not is_streamed(plan, source):
        return read_tables(plan, source)
    paths = find_paths(plan, source)
    return read_streamed(plan, source) if paths is None else read_decoded(plan, paths)


def _check_columns(data: DataSettings, frame: pl.DataFrame) -> None:
    for name in data.columns:
        if name not in frame.columns:
            raise unknown_name("column in data.columns", name, frame.columns)


def _say_how(
    asked: DataSettings, data: DataSettings, encoding: Encoding, model: str, missing: str
) -> None:
    """Print what was chosen for the data, and why."""
    encoders = [e for e in encoding.encoders.values() if isinstance(e, NumberEncoder)]
    flags = sum(encoder.flags for encoder in encoders)

    def why(key: str, reason: str) -> str:
        return reason if getattr(asked, key) == "auto" else "as asked"

    if encoders:
        reason = why("scaling", f"which suits {model}")
        logger.info("numbers: scaled by %s, %s", data.scaling, reason)
    if flags:
        logger.info("missing numbers: %s, %s; flags in %d columns", data.missing, missing, flags)
    if encoding.cardinalities:
        many = f"with more than {data.max_one_hot} values"
        reason = why("categories", many if data.max_one_hot else f"which suits {model}")
        logger.info("categories: %d columns embedded, %s", len(encoding.cardinalities), reason)
    for held in encoding.held:
        if isinstance(held, SoundEncoder):
            logger.info("sounds: %s", held.told())
        elif held.modality == "image":
            _say_image(held.size, encoding.image_sizes, data.images.scaling)
    for (count,) in encoding.sizes("sequence"):
        logger.info("sequences: %d numbers at each step, scaled by %s", count, data.scaling)


def _say_image(size: list[int], sizes: list[str], scaling: str) -> None:
    channels, height, width = size
    colours = "grey" if channels == 1 else "red, green, blue"
    told = " or ".join(sizes) or f"{height} x {width}"
    logger.info("images: %s, %s, scaling %s", told, colours, scaling)


def source_name(source: Any) -> str:
    """A short name for a source, for the run's folder.

    Example:
        >>> source_name("data/titanic.csv.gz"), source_name([1, 2])
        ('titanic', 'table')
    """
    first = source[0] if isinstance(source, list) and source else source
    if not isinstance(first, (str, Path)):
        return "table"
    name = Path(first).name.split(".")[0].strip("*?[]") or "table"
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name)
