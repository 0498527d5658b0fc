"""All that was seen of a training."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import TypeAdapter

from glial.core.findings import Place
from glial.doctor.evidence.collapses import CodeSeen, EmbeddingSeen, PlayersSeen
from glial.doctor.evidence.data import LoaderSeen, RowsSeen
from glial.doctor.evidence.networks import ModelSeen
from glial.doctor.evidence.numbers import Series
from glial.doctor.evidence.steps import LossSeen, OptimizerSeen


@dataclass
class Probe:
    """One test that was made on a copy of the state.

    Attributes:
        name: ``repeat``, ``one_batch``, ``rows``, ``modes``, ``scaled_inputs``, ...
        model: The network it was made on.
        step: After which update.
        numbers: What it measured.
        seconds: What it took.
        layer: The layer's path in the network, where it is about one.

    Example:
        >>> Probe("repeat", "net", 1, {"loss": 0.5}).seconds
        0.0
    """

    name: str
    model: str | None
    step: int
    numbers: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    layer: str | None = None


@dataclass
class NotChecked:
    """A problem that could not be looked for, and why.

    Example:
        >>> NotChecked("dead-units", "the model is compiled").problem
        'dead-units'
    """

    problem: str
    why: str


@dataclass
class Evidence:
    """All that was seen of one training.

    Attributes:
        steps: Updates by all optimisers, sampled or not.
        sampled: Updates that were looked at closely.
        seconds: From the first forward pass to the end.
        watching: Seconds of these that watching took, probes included.
        models: The networks.
        optimizers: The optimisers.
        losses: The losses.
        loaders: The loaders.
        rows: Rows compared with each other.
        players: Networks that learn against each other.
        codes: Codes that are drawn around a mean.
        embeddings: Vectors of two views of rows.
        probes: Tests that were made.
        loss_not_finite: The first step whose loss was not finite; None where all were.
        ended: What ended the training where it did not end by itself: an exception's class.
        error: The message of that exception.
        error_at: Where it was raised.
        memory: Series of the process's memory, in MB.
        graphs: Series of how many graphs of losses of earlier rounds, among those that were marked,
            still exist.
        graphs_marked: How many were marked by then.
        graphs_at: Where such a loss was last used again.
        unseeded: Generators that were used and never seeded (``torch``, ``numpy``).
        not_checked: What could not be looked for.
        keeps_best: Whether the weights that did best in evaluation are the ones that are kept.
        stopped: Whether the doctor stopped the training, after as many steps as were asked for.

    Example:
        >>> Evidence.from_dict(Evidence(steps=3).to_dict()).steps
        3
    """

    steps: int = 0
    sampled: int = 0
    seconds: float = 0.0
    watching: float = 0.0
    models: list[ModelSeen] = field(default_factory=list)
    optimizers: list[OptimizerSeen] = field(default_factory=list)
    losses: list[LossSeen] = field(default_factory=list)
    loaders: list[LoaderSeen] = field(default_factory=list)
    rows: RowsSeen = field(default_factory=RowsSeen)
    players: list[PlayersSeen] = field(default_factory=list)
    codes: list[CodeSeen] = field(default_factory=list)
    embeddings: list[EmbeddingSeen] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    loss_not_finite: int | None = None
    ended: str | None = None
    error: str | None = None
    error_at: Place | None = None
    memory: Series = field(default_factory=Series)
    graphs: Series = field(default_factory=Series)
    graphs_marked: int = 0
    graphs_at: Place | None = None
    unseeded: list[str] = field(default_factory=list)
    not_checked: list[NotChecked] = field(default_factory=list)
    keeps_best: bool = False
    stopped: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The evidence as plain values; numbers that are not finite stay so."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Evidence:
        """The evidence that :meth:`to_dict` gave.

        Raises:
            pydantic.ValidationError: If a value is missing or of another type.
        """
        return TypeAdapter(cls).validate_python(values)

    def probe(self, name: str, model: str | None = None) -> Probe | None:
        """The last test of a name, of one network or of any."""
        found = [p for p in self.probes if p.name == name and model in (None, p.model)]
        return found[-1] if found else None
