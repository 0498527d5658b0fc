"""A label for each word or step of a row: named entities, parts of speech, what one is doing."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from glial.core.errors import InputError
from glial.data.lists import flat, listed
from glial.functional import chain_loss, chain_marginals, forbid, viterbi
from glial.tasks.entities import (
    OUTSIDE,
    Scheme,
    allowed_tags,
    count_entities,
    entity_details,
    entity_scores,
    find_scheme,
)
from glial.tasks.labels import Labels, LabelType, label_texts
from glial.tasks.settings import TaskSettings
from glial.tasks.task import Decoded, Loss, Task

logger = logging.getLogger(__name__)

# Codes of targets: behind a row's end, of a tag that training never showed, and of none.
NO_TAG, UNSEEN, UNTAGGED = -1, -2, -3
ROWS_AT_ONCE = 1000


class Tagging:
    """Give each word, or each step of a sequence, a tag.

    A network's outputs are potentials of a chain, [row, position, before, tag] (see
    `glial.nn.ChainScores`), or scores whose softmax is the share of each position's tags, [row,
    position, tag]. A position whose outputs are all 0 stands behind its row's end. A position
    without a tag is neither learnt nor judged.

    Args:
        target: Name of the column of tags.
        labels: The tags.
        shares: Share of each in training.
        scheme: How tags make entities.
        settings: The plan's ``task`` part.
        custom_loss: The user's own ``loss(outputs, target)``, when the settings name it.

    Attributes:
        monitored: The loss, and F1 of entities; accuracy where tags make none.
    """

    name = "tagging"
    thresholds: list[float] | None = None

    def __init__(
        self,
        target: str,
        labels: Labels,
        shares: list[float],
        scheme: Scheme,
        settings: TaskSettings,
        custom_loss: Loss | None = None,
    ) -> None:
        self.targets = [target]
        self.labels = labels
        self.shares = shares
        self.scheme = scheme
        self.settings = settings
        self.monitored = ("loss", "accuracy" if scheme == "none" else "f1")
        self._custom_loss = custom_loss
        self._allowed = allowed_tags(labels.names, scheme)

    @classmethod
    def fit(
        cls, frame: pl.DataFrame, targets: list[str], settings: TaskSettings, loss: Loss | None
    ) -> Tagging:
        """The task for the training rows of a table.

        Raises:
            InputError: If there is not one target with two tags or more, or a setting does not
                fit.
        """
        lists = listed(frame[targets[0]])
        items = _items(lists)
        labels = Labels.of(items)
        if len(targets) != 1 or len(labels.names) < 2:
            raise InputError(
                f"the target {', '.join(targets)!r} cannot be learnt as tags",
                expected="one column of lists of tags, with at least two tags in the training rows",
                got=f"{len(targets)} columns, {len(labels.names)} tags",
                do="name the column of tags with --target",
            )
        if settings.class_weights != "none" or settings.label_smoothing:
            raise InputError(
                "tags are not weighed by class, and not smoothed",
                expected="task.class_weights none and task.label_smoothing 0",
                got=f"{settings.class_weights} and {settings.label_smoothing}",
                do="take them out of the plan",
            )
        counts = np.bincount(labels.codes(items.drop_nulls()), minlength=len(labels.names))
        shares = counts / counts.sum()
        scheme = find_scheme([[tag for tag in row if tag] for row in _texts(lists)])
        _say_scheme(labels.names, scheme)
        return cls(targets[0], labels, shares.tolist(), scheme, settings, loss)

    @property
    def num_outputs(self) -> int:
        """Tags."""
        return len(self.labels.names)

    def encode(self, frame: pl.DataFrame) -> Tensor:
        """Tags as whole numbers, [row, position].

        -1 stands behind a row's end, -2 for a tag that training never showed, -3 for none.
        """
        lists = listed(frame[self.targets[0]])
        lengths = lists.list.len().to_numpy().astype(np.int64)
        held = np.full((len(lists), int(lengths.max(initial=1))), NO_TAG, dtype=np.int64)
        if lengths.any():
            items = _items(lists)
            codes = self.labels.codes(items)
            codes[codes < 0] = np.where(items.is_null(), UNTAGGED, UNSEEN)[codes < 0]
            held[np.arange(held.shape[1]) < lengths[:, None]] = codes
        return torch.from_numpy(held)

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Minus the logarithm of the probability of the tags, divided by their number.

        Rows with a tag that training never showed are left out.
        """
        target = target[:, : outputs.shape[1]]
        if self._custom_loss is not None:
            return self._custom_loss(outputs, target)
        tagged, counted = _counted(target, weight)
        if outputs.ndim == 4:
            counted = counted * (target != UNTAGGED).all(dim=1)
            losses = chain_loss(outputs, target, (target != NO_TAG).sum(dim=1))
        else:
            logs = outputs.log_softmax(dim=2).gather(2, target.clamp_min(0)[:, :, None])[:, :, 0]
            losses = -logs.masked_fill(target < 0, 0.0).sum(dim=1)
        tiny = torch.finfo(losses.dtype).tiny
        return (losses * counted).sum() / (tagged * counted).sum().clamp_min(tiny)

    def mass(self, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The number of tags, or the sum of their rows' weights."""
        tagged, counted = _counted(target, weight)
        if self._custom_loss is not None:
            return torch.tensor(float(len(target)), device=target.device)
        return (tagged * counted).sum()

    def monitor(self, outputs: Tensor, target: Tensor) -> dict[str, float]:
        """The loss of a tag, and F1 of entities or the share of tags that are right."""
        outputs = outputs.detach().float()
        # "B-?" is never right.
        names = {**dict(enumerate(self.labels.names)), UNSEEN: "B-?", UNTAGGED: ""}
        truth = [[names[code] for code in row if code != NO_TAG] for row in target.tolist()]
        found = self._fitted(self._tags(outputs), [len(row) for row in truth])
        score = self.monitored[1]
        scores = _accuracy if score == "accuracy" else self._scores
        value = scores(truth, found)[score]
        return {"loss": float(self.loss(outputs, target)), score: value}

    def tune(
        self, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None = None
    ) -> None:
        """Nothing: the likeliest sequence is taken."""

    def _tags(self, outputs: Tensor) -> list[list[str]]:
        """The best sequence of each row that the scheme allows, as text."""
        outputs = outputs.detach().float().cpu()
        if outputs.ndim == 3 and self.scheme == "none":
            return self._spelt(outputs.argmax(dim=2), lengths_of(outputs))
        found: list[list[str]] = []
        for part in torch.split(outputs, ROWS_AT_ONCE):
            lengths, pairs = lengths_of(part), _pairs(part)
            best = viterbi(forbid(pairs, lengths, *self._allowed), lengths)
            free = best.scores[:, 0] == -torch.inf  # nothing is allowed: anything is
            tags = best.tags[:, 0]
            if free.any():
                tags = torch.where(free[:, None], viterbi(pairs, lengths).tags[:, 0], tags)
            found += self._spelt(tags, lengths)
        return found

    def _spelt(self, tags: Tensor, lengths: Tensor) -> list[list[str]]:
        pairs = zip(tags.tolist(), lengths.tolist(), strict=True)
        return [[self.labels.names[code] for code in row[:length]] for row, length in pairs]

    def decode(self, outputs: Tensor, frame: pl.DataFrame | None = None) -> Decoded:
        """The list of each row's tags."""
        rows = self._tags(outputs)
        spelt = dict(zip(self.labels.names, self.labels.typed().tolist(), strict=True))
        kind = {"integer": pl.Int64, "number": pl.Float64, "boolean": pl.Boolean}
        inner = kind.get(self.labels.kind, pl.String)
        tags = [[spelt[tag] for tag in row] for row in rows]
        return Decoded({"prediction": pl.Series(tags, dtype=pl.List(inner))})

    def scores(
        self, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None = None
    ) -> dict[str, float]:
        """Accuracy, and scores of entities as seqeval's by default; rows count alike.

        Where tags make no entities: balanced accuracy, and the mean of the tags' F1.
        """
        return self._scores(*self.pairs(outputs, frame))

    def pairs(
        self, outputs: Tensor, frame: pl.DataFrame
    ) -> tuple[list[list[str]], list[list[str]]]:
        """True and predicted tags of each row."""
        truth = _texts(listed(frame[self.targets[0]]))
        return truth, self._fitted(self._tags(outputs), [len(row) for row in truth])

    def _fitted(self, rows: list[list[str]], lengths: list[int]) -> list[list[str]]:
        """Rows with the commonest tag where the network said none."""
        common = self.labels.names[int(np.argmax(self.shares))]
        fill = common if self.scheme == "none" else OUTSIDE
        pairs = zip(rows, lengths, strict=True)
        return [[*row[:length], *[fill] * (length - len(row))] for row, length in pairs]

    def _scores(self, truth: list[list[str]], found: list[list[str]]) -> dict[str, float]:
        if self.scheme != "none":
            return _accuracy(truth, found) | entity_scores(count_entities(truth, found))
        from sklearn import metrics

        tags, guesses = _known(truth, found)
        if not tags:
            return dict.fromkeys(("accuracy", "balanced_accuracy", "f1_macro"), float("nan"))
        among: dict[str, Any] = {"average": "macro", "zero_division": 0}
        recall = metrics.recall_score(tags, guesses, labels=sorted(set(tags)), **among)
        return _accuracy(truth, found) | {
            "balanced_accuracy": float(recall),
            "f1_macro": float(metrics.f1_score(tags, guesses, **among)),
        }

    def details(self, outputs: Tensor, frame: pl.DataFrame) -> dict[str, Any]:
        """Scores of each type of entity, by default and with ill-formed ones left out."""
        if self.scheme == "none":
            return {}
        truth, found = self.pairs(outputs, frame)
        strict = count_entities(truth, found, self.scheme)
        return {
            "types": entity_details(count_entities(truth, found)),
            "strict": entity_scores(strict),
        }

    def pool(self, members: Sequence[tuple[Task, Tensor]]) -> Tensor:
        """Logarithms of the mean probability of each position's tags, [row, position, tag]."""
        parts = []
        for task, outputs in members:
            outputs = outputs.detach().float().cpu()
            lengths = lengths_of(outputs)
            shares = chain_marginals(_pairs(outputs), lengths)
            names = task.labels.names  # type: ignore[attr-defined]
            places = [names.index(name) if name in names else None for name in self.labels.names]
            none = shares.new_zeros(shares.shape[:2])
            held = [none if place is None else shares[:, :, place] for place in places]
            parts.append(torch.stack(held, dim=2))
        mean = torch.stack(parts).mean(dim=0)
        real = mean.sum(dim=2, keepdim=True) > 0
        return mean.clamp_min(1e-12).log().masked_fill(~real, 0.0)

    def spread(
        self, members: Sequence[tuple[Task, Tensor]], frame: pl.DataFrame | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """Nothing: a row has many tags."""
        return {}

    def trivial_outputs(self, num_rows: int) -> Tensor:
        """Shares of the tags in training, by which every word has the commonest."""
        shares = torch.tensor(self.shares, dtype=torch.float64).clamp_min(1e-12).log()
        return shares.expand(num_rows, 1, -1)

    def state(self) -> dict[str, Any]:
        """The tags, their shares and their scheme."""
        return {
            "task": self.name,
            "targets": self.targets,
            "classes": self.labels.names,
            "label_type": self.labels.kind,
            "shares": self.shares,
            "scheme": self.scheme,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], settings: TaskSettings) -> Tagging:
        """The task that was saved.

        Raises:
            ValueError: If the state is damaged.
        """
        held = _State.model_validate(state)
        labels = Labels(held.classes, held.label_type)
        labels.typed()
        if len(held.shares) != len(held.classes) or len(set(held.classes)) != len(held.classes):
            raise ValueError("the tags and their shares do not match")
        return cls(held.targets[0], labels, held.shares, held.scheme, settings)


class _State(BaseModel):
    """What ``decoding.json`` holds of a tagging."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    task: Literal["tagging"]
    targets: list[str] = Field(min_length=1, max_length=1)
    classes: list[str] = Field(min_length=2)
    label_type: LabelType
    shares: list[Annotated[float, Field(ge=0, le=1)]]
    scheme: Scheme


def lengths_of(outputs: Tensor) -> Tensor:
    """Positions of each row: up to the last at which not all outputs are 0.

    Args:
        outputs: [row, position, ...].

    Example:
        >>> lengths_of(torch.tensor([[[1.0], [0.0]], [[0.0], [0.0]]]))
        tensor([1, 0])
    """
    told = (outputs != 0).flatten(2).any(dim=2)
    return (told * torch.arange(1, told.shape[1] + 1, device=told.device)).amax(dim=1)


def _pairs(outputs: Tensor) -> Tensor:
    """Potentials of a chain; shares of tags have the same behind every other tag."""
    if outputs.ndim == 4:
        return outputs
    return outputs[:, :, None].expand(-1, -1, outputs.shape[2], -1)


def _counted(target: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """Tags of each row, and what the row counts for."""
    counted = (target != UNSEEN).all(dim=1).float()
    tagged = ((target != NO_TAG) & (target != UNTAGGED)).sum(dim=1)
    return tagged, counted if weight is None else counted * weight


def unseen_tags(task: Tagging, frame: pl.DataFrame) -> list[str]:
    """The tags of a table that training never showed.

    Args:
        task: The task.
        frame: A table with its target.
    """
    items = _items(listed(frame[task.targets[0]])).drop_nulls()
    texts = label_texts(items).filter(pl.Series(task.labels.codes(items) < 0, dtype=pl.Boolean))
    return sorted(set(texts.to_list()))


def _items(lists: pl.Series) -> pl.Series:
    """The tags of all rows, null where there is none."""
    items = flat(lists)
    return items.set(items.str.strip_chars() == "", None) if items.dtype == pl.String else items


def _known(truth: list[list[str]], found: list[list[str]]) -> tuple[list[str], list[str]]:
    """True and predicted tags, of all positions that have one."""
    pairs = [
        (tag, guess)
        for tags, row in zip(truth, found, strict=True)
        for tag, guess in zip(tags, row, strict=True)
        if tag
    ]
    return [tag for tag, _ in pairs], [guess for _, guess in pairs]


def _accuracy(truth: list[list[str]], found: list[list[str]]) -> dict[str, float]:
    """The share of tags that are right."""
    tags, guesses = _known(truth, found)
    right = sum(tag == guess for tag, guess in zip(tags, guesses, strict=True))
    return {"accuracy": right / len(tags) if tags else float("nan")}


def _texts(lists: pl.Series) -> list[list[str]]:
    """The tags of each row as text, as labels are spelt; nothing where there is none."""
    texts = iter(label_texts(_items(lists)).to_list())
    return [[next(texts) or "" for _ in range(count)] for count in lists.list.len().to_list()]


def _say_scheme(tags: list[str], scheme: Scheme) -> None:
    if scheme != "none":
        logger.info("tags: %s, %d of them", scheme, len(tags))
        return
    logger.info("tags: %d of no scheme of entities", len(tags))
    odd = [tag for tag in tags if tag != OUTSIDE and tag[:2] not in ("B-", "I-", "E-", "S-")]
    if 0 < len(odd) < len(tags) / 2:
        logger.warning(
            "most tags look like B-x, I-x and O, but not %s: no entities are scored", odd[:5]
        )
