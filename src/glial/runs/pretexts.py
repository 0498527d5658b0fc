"""Pretraining on images and tables: an encoder answers what rows ask about themselves."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl
import torch
from torch import Tensor, nn

from glial.core.devices import choose_device
from glial.core.errors import InputError
from glial.core.progress import share_logger
from glial.core.seeds import seeded, torch_generator
from glial.data import DataSettings, Encoding, Kind, infer_kind, read_source
from glial.data.archives import is_zip, list_files
from glial.data.batches import Batch, take
from glial.data.columns import USED
from glial.data.corpora import is_text_file
from glial.data.sources import files_of
from glial.functional import nearest
from glial.models import MODELS
from glial.models.pretexts import Pretext, RowForm, pretext_around, suited_pretext
from glial.nn.summary import evaluating
from glial.runs.network import built_network
from glial.runs.plan import Plan
from glial.runs.preparation import choose_model, chosen_batch_size, suited_model
from glial.runs.request import Request
from glial.runs.rows import Tables, read_tables, targets_of
from glial.runs.run import Run
from glial.runs.transfer import with_model_data, with_model_of_weights
from glial.runs.unlabelled.preparation import (
    STARTING_ROWS,
    Rows,
    batch_of,
    check_plan,
    rows_of,
)
from glial.runs.unlabelled.ready import UnlabelledReady, moved
from glial.runs.ways import Judged, Way
from glial.tasks.labels import Labels
from glial.tasks.pretexts import KEY, PretextAnswering
from glial.training.settings import TrainSettings

logger = logging.getLogger(__name__)

JUDGED_AT_ONCE = 256  # rows that views find their partners among
MONITORED_ROWS = 4096
COMPARING = ("simclr", "vicreg")
NEIGHBOURS = 10
SEARCHED_ROWS = 20_000
LOOKED_AT = 1000  # rows by which a table's columns are told
# Rows that are learnt from in all, where the plan does not say for how many epochs.
ROWS_IN_ALL = 500_000
FEWEST_EPOCHS, MOST_EPOCHS = 5, 200
RECIPE = {
    "optimizer": "adamw",
    "lr": 0.003,
    "weight_decay": 0.05,
    "schedule": "one_cycle",
    "batch_size": 256,
}


@dataclass
class PretextReady(UnlabelledReady):
    """Everything before the first step of an encoder that answers a pretext.

    Example:
        >>> issubclass(PretextReady, UnlabelledReady)
        True
    """

    @property
    def pretext(self) -> Pretext:
        """The network, as what it is."""
        assert isinstance(self.network, Pretext)  # noqa: S101 - narrows the type
        return self.network

    def sampled(self, split: str) -> Batch | None:
        """None: what is drawn is no label, which other learners could be asked for."""
        return None

    def validator(self, run: Run) -> Callable[[], dict[str, float]] | None:
        """The figures of validation rows, of which the same is asked each time."""
        val = self.rows.val
        if len(val.target) < 2:
            return None
        kept = torch.arange(min(MONITORED_ROWS, len(val.target)), device=val.target.device)
        held = take(val, kept)

        def validate() -> dict[str, float]:
            figures = self._figures(held)
            return {"loss": figures.pop("pretext_loss"), **figures}

        return validate

    def judged(self, run: Run, split: str) -> Judged | None:
        """What the answers are worth, and how well neighbours tell a target that is named."""
        frame = getattr(self.rows.tables, split)
        if frame.height < 2:
            return None
        self.network.cpu()
        batch = batch_of(self.plan, self.encoding, self.task, frame)
        found = Judged(self._figures(batch), self._figures(batch, trivial=True))
        if self.plan.data.target is not None:
            right, common = self._neighbours(frame, batch)
            found = Judged(
                {**found.metrics, "knn_accuracy": right},
                {**found.baseline, "knn_accuracy": common},
            )
        return found

    def _figures(self, rows: Batch, *, trivial: bool = False) -> dict[str, float]:
        """Means over rows, of the network or of who does not look."""
        count = len(rows.target)
        parts = torch.arange(count, device=rows.target.device).tensor_split(
            -(-count // JUDGED_AT_ONCE)
        )
        tell = share_logger(logger, "judging rows")
        ask = self.pretext.trivial if trivial else self.pretext.measure
        sums: dict[str, float] = {}
        with evaluating(self.network), torch.no_grad():
            for number, part in enumerate(parts):
                generator = torch_generator(0, "judged", number)
                told = rows_of(self.encoding, self.task, take(rows, part))
                for name, value in ask(*told, generator=generator).items():
                    sums[name] = sums.get(name, 0.0) + float(value.double().sum())
                tell((number + 1) / len(parts))
        return {name: value / count for name, value in sums.items()}

    def _neighbours(self, frame: pl.DataFrame, batch: Batch) -> tuple[float, float]:
        """How often the commonest class of the nearest training rows is right; and of all."""
        (target,) = targets_of(self.plan)
        some = self.rows.tables.train.head(SEARCHED_ROWS)
        labels = Labels.of(pl.concat([some[target], frame[target]]).drop_nulls())
        known = torch.from_numpy(labels.codes(some[target]))
        true = torch.from_numpy(labels.codes(frame[target]))
        held = moved(self.rows.train, torch.device("cpu"))
        searched = self._vectors(take(held, torch.arange(some.height)))
        count = min(NEIGHBOURS, some.height)
        _, near = nearest(self._vectors(batch), count, searched)
        told = known[near].mode(dim=1).values
        common = known.mode().values
        return float((told == true).double().mean()), float((true == common).double().mean())

    def _vectors(self, rows: Batch) -> Tensor:
        with evaluating(self.network), torch.inference_mode():
            found = [
                self.pretext.embed(*rows_of(self.encoding, self.task, take(rows, part)))
                for part in torch.split(torch.arange(len(rows.target)), JUDGED_AT_ONCE)
            ]
        return torch.cat(found).float()


def make_ready(request: Request, plan: Plan) -> PretextReady:
    """Rows, encoder and pretext of a plan, before any of it is trained.

    Args:
        request: What was asked for.
        plan: The plan, or the one of an unfinished run.

    Raises:
        InputError: If the source or the plan cannot be used.
    """
    if request.model is not None or request.loss is not None:
        raise InputError(
            "pretraining has encoders and losses of its own",
            expected="a model of the table: glial models",
            got="a network or a loss in Python",
            do="put glial.models.pretexts.pretext_around about your network, in your own loop",
        )
    rows = _read(plan, request.source)
    plan = rows.plan
    device, reason = choose_device(plan.train.device)
    logger.info("device: %s (%s)", device, reason)
    first = take(rows.train, torch.arange(min(STARTING_ROWS, len(rows.train.target))))
    first = first._replace(inputs=rows_of(rows.encoding, rows.task, first))
    sizes: dict[str, Any] = {
        "num_inputs": rows.encoding.num_numbers,
        "num_outputs": 1,
        "cardinalities": rows.encoding.cardinalities,
    }
    if images := rows.encoding.sizes("image"):
        sizes["images"] = images
    encoder, held = built_network(rows.settings, sizes, plan, first)
    network = _around(encoder, rows.encoding, plan)
    few = tuple(part[:2].cpu() for part in first.inputs)
    with evaluating(network), torch.no_grad():
        told = network.measure(*few, generator=torch.Generator().manual_seed(0))
    rows.task.figures = list(told)
    rows.train, rows.val = moved(rows.train, device), moved(rows.val, device)
    logger.info(
        "task pretrain by %s, model %s with %s parameters, of which %s stay; %d rows to train on, "
        "%d to validate, %d to test",
        plan.task.pretext,
        plan.model["name"],
        f"{sum(p.numel() for p in network.parameters()):,}",
        f"{sum(p.numel() for p in encoder.parameters()):,}",
        *(part.height for part in (rows.tables.train, rows.tables.val, rows.tables.test)),
    )
    return PretextReady(request, rows, network.to(device), {**held, "source": KEY})


def _around(encoder: nn.Module, encoding: Encoding, plan: Plan) -> Pretext:
    """The pretext's network around an encoder, with first weights by the plan's seed."""
    task = plan.task
    with seeded(plan.train.seed, "pretext"):
        return pretext_around(task.pretext, encoder, form_of(encoding), **task.pretext_options)


def form_of(encoding: Encoding) -> RowForm:
    """What a row holds, as a pretext asks about it.

    Example:
        >>> frame = pl.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
        >>> from glial.data import DataSettings
        >>> form_of(Encoding.fit(frame, {"a": "number", "b": "category"}, DataSettings()))
        RowForm(image=None, owners=(0, 1), cardinalities=())
    """
    if images := encoding.sizes("image"):
        channels, height, width = images[0]
        return RowForm((channels, height, width))
    columns = encoding.origins[0]
    places = {name: place for place, name in enumerate(dict.fromkeys(columns))}
    return RowForm(None, tuple(places[name] for name in columns), tuple(encoding.cardinalities))


def _read(plan: Plan, source: Any) -> Rows:
    """Everything up to the network itself, fitted on the training rows alone."""
    check_plan(plan)
    plan = with_model_of_weights(plan)
    plan = _with_data_of_model(plan)
    plan, tables, aside = read_tables(plan, source)
    kinds = {name: kind for name, kind in plan.data.types.items() if name not in aside}
    form = _form_of_kinds(kinds)
    if plan.model["name"] == "auto":
        name = suited_model(plan, kinds)
        plan = _with_data_of_model(plan.model_copy(update={"model": {**plan.model, "name": name}}))
    plan, settings = _with_recipe(plan, tables, kinds, is_table=form == "table")
    if plan.data.missing == "auto":
        plan = plan.model_copy(update={"data": plan.data.model_copy(update={"missing": "median"})})
    encoding, inputs = Encoding.fit_transform(tables.train, kinds, plan.data, seed=plan.train.seed)
    if encoding.image_sizes:
        raise InputError(
            "pretexts ask about images of one size",
            expected="data.images.size: [height, width], or auto",
            got="varied",
            do="leave data.images.size out",
        )
    task = plan.task
    if task.pretext == "auto":
        task = task.model_copy(update={"pretext": suited_pretext(form_of(encoding))})
    images = {"images": found} if (found := encoding.sizes("image")) else {}
    numbers = encoding.num_numbers + len(encoding.cardinalities)
    settings = settings.for_data(tables.train.height, numbers, 1, "classification", **images)
    changes = {"model": settings.model_dump(mode="json"), "task": task}
    plan = plan.model_copy(update=changes)
    if task.pretext in COMPARING and int(plan.train.batch_size) < 2:
        raise InputError(
            f"the pretext {task.pretext!r} compares rows of a batch",
            expected="train.batch_size of at least 2, and as many training rows",
            got=str(plan.train.batch_size),
            do="raise train.batch_size, or set task.pretext=masked",
        )
    learnt = PretextAnswering(task)
    train = batch_of(plan, encoding, learnt, tables.train, encoding.arguments(inputs))
    val = batch_of(plan, encoding, learnt, tables.val)
    return Rows(plan, settings, encoding, learnt, tables, train, val)


def _with_data_of_model(plan: Plan) -> Plan:
    if plan.model["name"] == "auto":
        return plan
    settings = MODELS.resolve(plan.model["name"]).read(plan.model, where="model")
    return plan.model_copy(update={"data": with_model_data(plan.data, settings)})


def _form_of_kinds(kinds: dict[str, Kind]) -> str:
    """Whether rows are images or cells of a table.

    Raises:
        InputError: If they are neither.
    """
    used = [kind for kind in kinds.values() if kind in USED]
    if used in (["image"], ["sound"]):
        return "image"
    if used and not {"image", "sound", "sequence", "words", "text"} & set(used):
        return "table"
    raise InputError(
        "there is no pretext for such rows",
        expected="one column of images or sounds, columns of numbers and categories, or texts",
        got=", ".join(f"{name} ({kind})" for name, kind in kinds.items()) or "no column",
        do="leave columns out with --set data.types.COLUMN=identifier",
    )


def _with_recipe(
    plan: Plan, tables: Tables, kinds: dict[str, Kind], *, is_table: bool
) -> tuple[Plan, Any]:
    """The plan with how it is trained where it does not say, and the model's settings.

    Networks of tables keep what suits them of their own; those of images have one recipe.
    """
    num_rows = tables.train.height
    cls = MODELS.resolve(plan.model["name"])
    epochs = min(MOST_EPOCHS, max(FEWEST_EPOCHS, round(ROWS_IN_ALL / max(1, num_rows))))
    recipe: dict[str, Any] = {**RECIPE, "epochs": epochs}
    if is_table:
        own = cls.train_defaults("classification", num_rows)
        recipe |= {key: value for key, value in own.items() if "." not in key}
    recipe["monitor"] = "loss"
    given = plan.train.model_dump(exclude_unset=True)
    train = TrainSettings.read({**recipe, **given}, where="train")
    asked = plan.task
    # The encoder is chosen as for the task that it will be used for.
    later = asked.model_copy(update={"name": "classification"})
    plan, settings = choose_model(
        plan.model_copy(update={"train": train, "task": later}), num_rows, kinds
    )
    size = chosen_batch_size(plan.train, num_rows)
    train = plan.train.model_copy(update={"batch_size": size})
    return plan.model_copy(update={"task": asked, "train": train}), settings


def is_of_texts(plan: Plan, source: Any) -> bool:
    """Whether a plan of the task ``pretrain`` learns from texts: by its model, else by its source.

    Args:
        plan: What was asked for.
        source: A source in memory; None is the plan's.

    Raises:
        InputError: If the source cannot be read.

    Example:
        >>> is_of_texts(Plan(), {"a": [1.0, 2.0]}), is_of_texts(Plan(), {"a": ["So it is."] * 9})
        (False, True)
    """
    if plan.task.pretext != "auto":
        return False
    name = with_model_of_weights(plan).model["name"]
    if name in MODELS:
        return "pretrain" in MODELS.resolve(name).tasks
    found = plan.data.source if source is None else source
    return _holds_texts(found, plan.data)


def _holds_texts(source: Any, data: DataSettings) -> bool:
    files = files_of(source)
    if len(files) == 1 and (files[0].is_dir() or is_zip(files[0])):
        return any(is_text_file(name) for name in list_files(files[0]))
    if any(is_text_file(path.name) for path in files):
        return True
    frame = read_source(source, data.names).frame.head(LOOKED_AT)
    kinds = {data.types.get(column.name) or infer_kind(column) for column in frame}
    alone = frame.dtypes == [pl.String] and not {"image", "sound"} & kinds
    return "text" in kinds or alone


def _predict(run: Run, source: Any) -> Any:
    raise _not_asked(run, "predicts nothing of rows")


def _evaluate(run: Run, source: Any) -> dict[str, Any]:
    raise _not_asked(run, "has nothing left to be judged by")


def _not_asked(run: Run, what: str) -> InputError:
    return InputError(
        f"an encoder that was pretrained {what}",
        expected="a run that learnt a target",
        got="a run of the task pretrain, whose pretext is gone",
        do=f"glial train LABELLED --target COLUMN --weights {run.path or 'RUN'}, "
        f"or glial embed {run.path or 'RUN'} SOURCE",
    )


PRETEXT_WAY = Way(make_ready, _predict, _evaluate)
