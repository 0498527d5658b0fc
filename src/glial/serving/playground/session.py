"""One playground: a network that learns step by step, and whose knobs may be turned meanwhile."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from glial.core.findings import Finding
from glial.core.seeds import derive_seed
from glial.data.batches import Batch, TensorBatches
from glial.doctor.settings import DoctorSettings
from glial.nn.landscape import weights_of
from glial.nn.summary import evaluating
from glial.runs.watching import TrainingWatch
from glial.serving.playground.history import Thinned
from glial.serving.playground.knobs import Knobs
from glial.serving.playground.network import (
    build_network,
    dense_layers,
    loss_of,
    probabilities,
    train_settings,
)
from glial.serving.playground.remedies import with_knob_remedies
from glial.serving.playground.toys import features_of, make_toy
from glial.training import Descent, Moment, TrainingView
from glial.training.best import BestWeights
from glial.training.checkpoints import Progress

MOST_MOMENTS, MOST_PATH = 240, 80
DATA = ("dataset", "points", "noise", "train_share", "seed")
START = ("seed", "initialization", "init_scale", "bias_initialization")
DIAGNOSE_SECONDS = 1.5
DOCTOR_SHARE = 0.2

ANEW = "The network started anew: this knob changes its shape or the weights it starts from."
GOES_ON = "That took effect on the network as it is. Reset starts anew with it."
NOT_FINITE = (
    "The loss is no number any more, since step {step}: weights grew until they overflowed. Lower "
    "the learning rate, clip gradients or scale the starting weights down, then reset."
)
STOPPED = "Stopped early after epoch {epoch}: the best weights, of epoch {best}, are back."
DONE = "All {epochs} epochs are done. Raise their number to go on, or reset."

# Torch draws from one stream, which trainings of several pages must not take from each other.
_draws = threading.Lock()


class Moments(NamedTuple):
    """What is known of the end of an epoch; gradients are root mean squares, layer by layer.

    Example:
        >>> Moments(1, 10, 0.7, 0.7, 0.5, 0.5, 0.1, [0.2]).epoch
        1
    """

    epoch: int
    step: int
    train_loss: float
    test_loss: float
    train_score: float
    test_score: float
    lr: float
    gradients: list[float]


class Session:
    """A network, its data and its training, all by the knobs.

    Args:
        knobs: What it starts with.

    Attributes:
        knobs: What it is set to.
        note: What happened last that the reader should know; empty for nothing.
        finished: Whether training has ended: by its epochs, its patience, or a loss that is no
            number.
        findings: What the doctor says so far.
        data_version: Grows whenever the points change.

    Example:
        >>> session = Session(Knobs(points=40, dataset="blobs", lr=0.3))
        >>> session.advance(steps=100)
        100
        >>> session.measure(session.test_rows).score > 0.9
        True
    """

    def __init__(self, knobs: Knobs) -> None:
        self.knobs = knobs
        self.data_version = 0
        self._make_data()
        self.reset()

    def reset(self) -> None:
        """Start again from the first weights."""
        self._draws = _first_draws(self.knobs.seed)
        self.network = build_network(self.knobs)
        self.step = self.epoch = 0
        self.history: Thinned[Moments] = Thinned(MOST_MOMENTS)
        self.path: Thinned[Tensor] = Thinned(MOST_PATH)
        self.path.add(weights_of(self.network))
        self._objective = self._descent()
        self._begin()
        self.note = ""

    def change(self, knobs: Knobs) -> str:
        """Turn knobs, on the network that is learning where its weights still fit.

        Args:
            knobs: What it is set to now.

        Returns:
            What that meant for the training, in a sentence; empty where nothing was turned.
        """
        before, self.knobs = self.knobs, knobs
        names = Knobs.model_fields
        turned = {name for name in names if getattr(before, name) != getattr(knobs, name)}
        if not turned:
            return ""
        if turned.intersection((*DATA, "features")):
            self._make_data()
        fresh, old = build_network(knobs), self.network.state_dict()
        fits = _shapes(fresh.state_dict()) == _shapes(old)
        if not fits or before.task != knobs.task or turned.intersection((*START, "features")):
            self.reset()
            self.note = ANEW
            return self.note
        fresh.load_state_dict(old)
        self.network = fresh
        tensors, numbers = self._objective.tensors(), self._objective.numbers()
        self._objective = self._descent()
        if before.optimizer == knobs.optimizer and before.schedule == knobs.schedule:
            self._objective.load(tensors, numbers)
        self._begin()
        self.note = GOES_ON
        return self.note

    def _begin(self) -> None:
        """Go on, from the first batch of an epoch, with nothing known of what is best."""
        self.finished = False
        self.findings: list[Finding] = []
        self._best, self._progress = BestWeights(("loss", True), 0.0), Progress()
        kind, size = self.knobs.batches, self.knobs.batch_size
        size = {"full": self.knobs.points, "mini": size}.get(kind, 1)
        seed, in_order = self.knobs.seed, kind == "online"
        self._batches = TensorBatches(self.train_rows, size, seed, shuffle=not in_order)
        self._ahead, self._batch = self._batches.epoch(self.epoch), 0
        settings = DoctorSettings(budget=DOCTOR_SHARE)
        steps = self.knobs.epochs * self._batches.num_batches
        self._watch = TrainingWatch(self.network, self._objective, settings, steps=steps)
        self._next_diagnosis = 0.0

    def _make_data(self) -> None:
        self.toy = make_toy(*(getattr(self.knobs, name) for name in DATA))
        features = features_of(self.toy.places, self.knobs.features)
        is_train, target = self.toy.is_train, self.toy.target
        self.train_rows = Batch((features[is_train],), target[is_train])
        self.test_rows = Batch((features[~is_train],), target[~is_train])
        self.data_version += 1

    def _descent(self) -> Descent:
        settings = train_settings(self.knobs)
        return Descent(self.network, loss_of(self.knobs), settings, lr=self.knobs.lr)

    @contextmanager
    def _own_draws(self) -> Iterator[None]:
        with _draws, torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self._draws)
            yield
            self._draws = torch.get_rng_state()

    def advance(self, steps: int, seconds: float = math.inf) -> int:
        """Train for some steps, or until the time is over; returns how many were made.

        Args:
            steps: Most steps.
            seconds: After which no further step is begun.
        """
        end, made = time.monotonic() + seconds, 0
        with self._own_draws():
            while made < steps and not self.finished and time.monotonic() < end:
                self._one_step()
                made += 1
            if made and (self.finished or time.monotonic() >= self._next_diagnosis):
                found = self._watch.findings_so_far()
                self.findings = with_knob_remedies(found, self.knobs)
                self._next_diagnosis = time.monotonic() + DIAGNOSE_SECONDS
        return made

    def _one_step(self) -> None:
        batch = next(self._ahead)
        if self.knobs.input_noise:
            noise = self.knobs.input_noise * torch.randn_like(batch.inputs[0])
            batch = batch._replace(inputs=(batch.inputs[0] + noise,))
        fraction = (self.epoch + self._batch / self._batches.num_batches) / self.knobs.epochs
        moment = Moment(self.step, self.epoch, min(1.0, fraction))
        self.network.train()
        looks = self._watch.is_due(self.step)
        if looks:
            self._watch.before_step(batch, moment)
        loss = float(self._objective.step(batch, moment))
        if looks:
            self._watch.after_step()
        self.step += 1
        self._batch += 1
        if not math.isfinite(loss):
            self._end(NOT_FINITE.format(step=self.step))
        elif self._batch >= self._batches.num_batches:
            self._close_epoch()

    def _close_epoch(self) -> None:
        self.epoch += 1
        self._ahead, self._batch = self._batches.epoch(self.epoch), 0
        train, test = self.measure(self.train_rows), self.measure(self.test_rows)
        rate = self._objective.rate()
        scores = (train.loss, test.loss, train.score, test.score)
        self.history.add(Moments(self.epoch, self.step, *scores, rate, self.gradients()))
        self.path.add(weights_of(self.network))
        metrics = {"train_loss": train.loss, "val_loss": test.loss}
        epochs = self.knobs.epochs
        view = TrainingView(self.epoch, epochs, self.step, self.epoch / epochs, 0.0, metrics)
        self._watch.on_epoch_end(view)
        self._objective.observe(test.loss)
        if not math.isfinite(train.loss):
            self._end(NOT_FINITE.format(step=self.step))
            return
        self._progress.epoch = self.epoch
        self._best.consider({"loss": test.loss}, self._progress, self._copied)
        if self.knobs.patience and self._progress.waited >= self.knobs.patience:
            if self._best.weights is not None:
                self.network.load_state_dict(self._best.weights)
            self._end(STOPPED.format(epoch=self.epoch, best=self._progress.best_epoch))
        elif self.epoch >= epochs:
            self._end(DONE.format(epochs=epochs))

    def _copied(self) -> dict[str, Tensor]:
        state = self.network.state_dict()
        return {name: value.detach().clone() for name, value in state.items()}

    def _end(self, note: str) -> None:
        self.finished, self.note = True, note

    def gradients(self) -> list[float]:
        """Root mean square of the last step's gradient in the weights of each layer."""
        held = [layer.weight.grad for layer in dense_layers(self.network)]
        return [0.0 if one is None else float(one.square().mean().sqrt()) for one in held]

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
        return self._objective.rate()

    def measure(self, rows: Batch) -> Measured:
        """Loss, without penalties, and score on some rows, as the network now is."""
        with torch.no_grad(), evaluating(self.network):
            outputs = self.network(*rows.inputs)
        loss = float(loss_of(self.knobs)(outputs, rows.target, None))
        return Measured(loss, score_of(outputs, rows.target, self.knobs))


class Measured(NamedTuple):
    """A loss, and a score: the share that is right of classes, R2 of heights.

    Example:
        >>> Measured(loss=0.1, score=0.9).score
        0.9
    """

    loss: float
    score: float


def score_of(outputs: Tensor, target: Tensor, knobs: Knobs) -> float:
    """The share of points whose class is right; of heights, R2.

    Example:
        >>> score_of(torch.tensor([[2.0], [-1.0]]), torch.tensor([1, 1]), Knobs())
        0.5
    """
    if knobs.task == "classification":
        said = probabilities(outputs, knobs).argmax(dim=1)
        return float((said == target).float().mean())
    spread = (target - target.mean()).square().mean()
    return float(1 - (outputs[:, 0] - target).square().mean() / spread)


def _shapes(state: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in state.items()}


def _first_draws(seed: int) -> Tensor:
    return torch.Generator().manual_seed(derive_seed(seed, "playground training")).get_state()
