"""Training on texts without labels: tokens are hidden, and the network finds them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import torch
from torch import Tensor, nn

from glial.core.devices import choose_device
from glial.core.errors import InputError
from glial.core.seeds import derive_seed
from glial.data import Encoding, fingerprint
from glial.data.batches import Batch, Batches, TensorBatches
from glial.data.corpora import SPLITS, Corpus, read_corpus
from glial.data.encoders import SubwordEncoder
from glial.data.masking import mask_tokens
from glial.data.vocabularies import padded
from glial.models import MODELS
from glial.nn.summary import evaluating
from glial.runs.network import make_network, make_objective
from glial.runs.plan import Plan
from glial.runs.preparation import choose_model, chosen_batch_size
from glial.runs.pretexts import is_of_texts
from glial.runs.pretexts import make_ready as make_pretext_ready
from glial.runs.request import Request
from glial.runs.run import Run
from glial.runs.texts import check_texts, read_texts
from glial.runs.transfer import with_model_data, with_model_of_weights
from glial.runs.ways import Judged, Readied, Way
from glial.tasks import fit_task
from glial.tasks.pretraining import Pretraining
from glial.tasks.task import Loss
from glial.training import Objective
from glial.training.objective import Mass

logger = logging.getLogger(__name__)

NAME = "pretrain"
DEFAULT_MODEL = "bert"
# Tokens of a stretch of running text, where the plan does not say.
STRETCH = 128
# After an epoch so many texts are judged; in the end, all.
MONITORED_ROWS = 2048
JUDGED_AT_ONCE = 64


@dataclass
class PretrainingReady:
    """Everything before the first step on texts without labels.

    Attributes:
        request: What was asked for.
        plan: The plan, but for what is measured.
        settings: The model's settings, capacity chosen.
        network: The network.
        encoding: The vocabulary.
        task: What is learnt.
        sizes: What ``model.json`` holds.
        fingerprint: What tells the texts from others.
        rows: Tokens of each split, [row, place].
    """

    request: Request
    plan: Plan
    settings: Any
    network: nn.Module
    encoding: Encoding
    task: Pretraining
    sizes: dict[str, Any]
    fingerprint: str
    rows: dict[str, Tensor]

    @property
    def loss(self) -> Loss:
        """Nats a hidden token."""
        return self.task.loss

    @property
    def mass(self) -> Mass:
        """The number of hidden tokens."""
        return self.task.mass

    @property
    def encoder(self) -> SubwordEncoder:
        """The vocabulary."""
        return encoder_of(self.encoding)

    def batches(self) -> Batches:
        """Texts with other tokens hidden in every epoch, as the batch's place decides."""
        train, held = self.plan.train, self.rows["train"]
        return TensorBatches(
            Batch((held,), torch.zeros(len(held), device=held.device)),
            int(train.batch_size),
            train.seed,
            augment=lambda batch, seed: hidden(self.encoder, batch.inputs[0], seed),
        )

    def example(self) -> Batch:
        """The first batch."""
        return next(iter(self.batches().epoch(0)))

    def sampled(self, split: str) -> Batch | None:
        """Some texts with hidden tokens."""
        held = self.rows["train" if split == "train" else "val"]
        seed = derive_seed(self.plan.train.seed, "sample")
        return hidden(self.encoder, held[:JUDGED_AT_ONCE], seed) if len(held) else None

    def objective(self, plan: Plan) -> Objective:
        """Descent on the loss."""
        return make_objective(self.network, self.task, plan)

    def validator(self, run: Run) -> Callable[[], dict[str, float]] | None:
        """Figures of validation texts, in which the same tokens are hidden each time."""
        held = self.rows["val"][:MONITORED_ROWS]
        if not len(held):
            return None

        def validate() -> dict[str, float]:
            told, _ = told_of(run.model, self.task, self.encoder, held)
            figures = self.task.figures(told)
            return {"loss": figures.pop("log_loss"), **figures}

        return validate

    def judged(self, run: Run, split: str) -> Judged | None:
        """How well hidden tokens are found, and how well by how common they are."""
        held = self.rows[split]
        return _judged(run, held) if len(held) else None


def make_ready(request: Request, plan: Plan) -> Readied:
    """Everything before the first step of a plan: of texts, or of images and tables.

    Args:
        request: What was asked for.
        plan: The plan, or the one of an unfinished run.

    Raises:
        InputError: If the source or the plan cannot be used.
    """
    if is_of_texts(plan, request.source):
        return make_texts_ready(request, plan)
    return make_pretext_ready(request, plan)


def make_texts_ready(request: Request, plan: Plan) -> PretrainingReady:
    """Texts, vocabulary and network of a plan, before any of it is trained.

    Args:
        request: What was asked for.
        plan: The plan, or the one of an unfinished run.

    Raises:
        InputError: If the source or the plan cannot be used.
    """
    _check(request, plan)
    if plan.model["name"] == "auto":
        plan = plan.model_copy(update={"model": {**plan.model, "name": DEFAULT_MODEL}})
    plan = with_model_of_weights(plan)
    settings = MODELS.resolve(plan.model["name"]).read(plan.model, where="model")
    plan = plan.model_copy(update={"data": with_model_data(plan.data, settings)})
    corpus, texts = read_texts(plan, request.source)
    if corpus.is_running:  # one text, to be cut into stretches
        texts = {name: ["\n".join(part)] for name, part in texts.items()}
    plan, encoder = _with_vocabulary(plan, corpus, texts["train"])
    room = encoder.max_length - 2
    rows = {name: stretches(encoder, part, room) for name, part in texts.items()}
    if not len(rows["train"]):
        raise InputError(
            "there is no text to learn from",
            expected="at least one text with a token in it",
            got="none",
            do="check the source, or raise data.split.train",
        )
    plan, settings = choose_model(plan, len(rows["train"]), {corpus.column: "text"})
    counts = torch.bincount(rows["train"].flatten(), minlength=encoder.subwords.size)
    counts[list(encoder.subwords.specials.values())] = 0
    frame = pl.DataFrame({corpus.column: counts.numpy()})
    task: Any = fit_task(frame, [corpus.column], plan.task, loss=request.loss)
    settings = settings.for_data(len(rows["train"]), 1, task.num_outputs, NAME)
    encoding = Encoding({corpus.column: encoder})
    check_texts(settings, encoding)
    size = chosen_batch_size(plan.train, len(rows["train"]))
    plan = plan.model_copy(
        update={
            "model": settings.model_dump(mode="json"),
            "train": plan.train.model_copy(update={"batch_size": size}),
        }
    )
    told = fingerprint(pl.DataFrame({"text": corpus.texts}))
    ready = PretrainingReady(request, plan, settings, nn.Identity(), encoding, task, {}, told, rows)
    return _with_network(ready)


def _with_network(ready: PretrainingReady) -> PretrainingReady:
    device, reason = choose_device(ready.plan.train.device)
    logger.info("device: %s (%s)", device, reason)
    network, sizes = make_network(ready, ready.example(), None)
    ready.network, ready.sizes = network.to(device), {**sizes, "source": NAME}
    ready.rows = {name: part.to(device) for name, part in ready.rows.items()}
    logger.info(
        "task %s, model %s with %s parameters; %d stretches of text to train on, %d to validate, "
        "%d to test",
        NAME,
        ready.plan.model["name"],
        f"{sum(p.numel() for p in network.parameters()):,}",
        *(len(ready.rows[name]) for name in SPLITS),
    )
    return ready


def _with_vocabulary(plan: Plan, corpus: Corpus, texts: list[str]) -> tuple[Plan, SubwordEncoder]:
    """The plan with what texts become, and the vocabulary of those to train on."""
    changes: dict[str, Any] = {"text": "tokens", "types": {corpus.column: "text"}}
    if plan.data.tokens not in ("bpe", "wordpiece"):
        if "tokens" in plan.data.model_fields_set:
            raise InputError(
                f"tokens by {plan.data.tokens} cannot be hidden",
                expected="data.tokens: wordpiece or bpe",
                got=plan.data.tokens,
                do="leave data.tokens out",
            )
        changes["tokens"] = "wordpiece"
    if corpus.is_running and plan.data.max_length == "auto":
        changes["max_length"] = STRETCH
    plan = plan.model_copy(update={"data": plan.data.model_copy(update=changes)})
    lines = [line for text in texts for line in text.splitlines()] if corpus.is_running else texts
    return plan, SubwordEncoder.fit(pl.Series(corpus.column, lines, dtype=pl.String), plan.data)


def stretches(encoder: SubwordEncoder, texts: Sequence[str], room: int) -> Tensor:
    """Texts as rows of tokens between a start and an end; long ones are cut into several.

    Args:
        encoder: The vocabulary.
        texts: The texts; those without tokens have no row.
        room: The most tokens of a row, start and end not counted.

    Returns:
        Numbers of tokens, [row, place], padded at the end with 0.

    Example:
        >>> from glial.data import DataSettings
        >>> settings = DataSettings(tokens="wordpiece", max_tokens=30)
        >>> encoder = SubwordEncoder.fit(pl.Series(["low lower"] * 9), settings)
        >>> stretches(encoder, ["low low low", ""], room=2).tolist()
        [[2, 15, 15, 3], [2, 15, 3, 0]]
    """
    start, end = (encoder.subwords.specials[name] for name in ("start", "end"))
    rows = [
        [start, *row[begin : begin + room], end]
        for row in encoder.subwords.encode(texts)
        for begin in range(0, len(row), room)
    ]
    return padded(rows)


def hidden(encoder: SubwordEncoder, rows: Tensor, seed: int) -> Batch:
    """Rows as the network learns from them: tokens, no second text, places, and what stood there.

    Args:
        encoder: The vocabulary.
        rows: Tokens, [row, place].
        seed: Decides which are hidden.
    """
    specials = encoder.subwords.specials
    generator = torch.Generator().manual_seed(seed)
    found = mask_tokens(
        encoder.finish(rows),
        mask=specials["mask"],
        specials=list(specials.values()),
        vocabulary=encoder.subwords.size,
        generator=generator,
    )
    return Batch((found.tokens, rows[:, :0].long(), found.places), found.target)


def encoder_of(encoding: Encoding) -> SubwordEncoder:
    """The vocabulary of an encoding."""
    found: Any = next(iter(encoding.encoders.values()))
    assert isinstance(found, SubwordEncoder)  # noqa: S101 - narrows the type
    return found


def told_of(
    model: nn.Module, task: Pretraining, encoder: SubwordEncoder, rows: Tensor
) -> tuple[Tensor, Tensor]:
    """What a network says of hidden tokens, as by `LanguageModelling.told`, and these tokens."""
    told, right = [], []
    with evaluating(model), torch.inference_mode():
        for number, part in enumerate(torch.split(rows, JUDGED_AT_ONCE)):
            batch = hidden(encoder, part, derive_seed(0, "judged", number))
            kept = batch.target >= 0
            told.append(task.told(model(*batch.inputs)[kept], batch.target[kept]).cpu())
            right.append(batch.target[kept].cpu())
    return torch.cat(told), torch.cat(right)


def _judged(run: Run, rows: Tensor) -> Judged:
    task: Any = run.decoder
    device = next(run.model.parameters()).device
    told, right = told_of(run.model, task, encoder_of(run.encoding), rows.to(device))
    return Judged(task.figures(told), task.figures(task.trivial_told(right)))


def _evaluate(run: Run, source: Any) -> dict[str, Any]:
    encoder = encoder_of(run.encoding)
    (column,) = run.encoding.encoders
    corpus = read_corpus(source)
    rows = stretches(encoder, corpus.texts, encoder.max_length - 2)
    if not len(rows):
        raise InputError(
            f"there is no text to judge in {column!r}", expected="at least one text", got="none"
        )
    judged = _judged(run, rows)
    return {"metrics": judged.metrics, "baseline": judged.baseline, "details": {}}


def _predict(run: Run, source: Any) -> Any:
    raise InputError(
        "a network that was pretrained predicts nothing of rows",
        expected="a run that learnt a target",
        got="a run of the task pretrain",
        do=f"glial train LABELLED --target COLUMN --weights {run.path or 'RUN'}",
    )


def _check(request: Request, plan: Plan) -> None:
    """Refuse what texts without labels have no use for."""
    data = plan.data
    unfit = {
        "a network of your own": "given" if request.model is not None else None,
        "data.weight": data.weight,
        "data.sampling": None if data.sampling == "none" else data.sampling,
        "data.stratified_batches": data.stratified_batches or None,
        "several targets": data.target if isinstance(data.target, list) else None,
    }
    for key, value in unfit.items():
        if value is not None:
            raise InputError(
                f"{key} does not fit the task {NAME}",
                expected="texts, and how they are divided",
                got=repr(value),
                do="leave it out",
            )


PRETRAINING_WAY = Way(make_ready, _predict, _evaluate)
