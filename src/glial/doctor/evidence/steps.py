"""What was seen of optimisers and losses."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from glial.core.findings import Place
from glial.doctor.evidence.numbers import Series, TensorSeen


@dataclass
class LineProbe:
    """The loss along a step.

    Attributes:
        step: Which.
        before: The loss on the step's own batch, where it began.
        after: Likewise, where it went.
        multiples: Of the step: 0 stands where it began, 1 where it went.
        losses: The loss there, on the batch before it, or its own where there was none.

    Example:
        >>> LineProbe(1, 2.0, 1.0, [0.0, 1.0], [2.5, 1.5]).losses[0]
        2.5
    """

    step: int
    before: float
    after: float
    multiples: list[float]
    losses: list[float]


@dataclass
class OptimizerSeen:
    """One optimiser.

    Attributes:
        name: The variable that holds it, or its class's name.
        kind: Its class.
        settings: Its first group's numbers (``lr``, ``momentum``, ``beta1``, ``eps``, ...).
        steps: How often it stepped, sampled or not.
        lr: Series of the first group's rate.
        at: Where ``step`` is called.
        made_at: Where it was made.
        model: The name of the network whose parameters it holds, if there is one.
        parameters: Number of parameters that it holds.
        kept_gradients: Sampled steps whose gradients hold those of the step before.
        cleared_gradients: Sampled steps whose gradients do not.
        empty_steps: Sampled steps at which no parameter had a gradient, or those that a backward
            pass had given were cleared.
        backwards: Backward passes that reached its parameters, for each sampled step.
        scheduler: The class of the scheduler that sets its rate; None without one.
        scheduler_at: Where that was made.
        cleared_at: Where its gradients were last cleared.
        backward_at: Where the last gradient before its step was taken.
        norm: Series of the norm of the gradients that it steps by.
        norm_before: Likewise, as the backward pass left them: before they were clipped or scaled.
        agreement: Series of the cosine between the gradients of two steps that follow each other.
        alignment: Series of the cosine between what a step changed and the gradient, turned so
            that 1 is straight down.
        line: Probes along a step's direction: for each, the step, and the loss at the given
            multiples of the step, divided by the loss at 0; on another batch than the step's.

    Example:
        >>> OptimizerSeen("optimizer", "SGD", {"lr": 0.1}).steps
        0
    """

    name: str
    kind: str
    settings: dict[str, float] = field(default_factory=dict)
    steps: int = 0
    lr: Series = field(default_factory=Series)
    at: Place | None = None
    made_at: Place | None = None
    model: str | None = None
    parameters: int = 0
    kept_gradients: int = 0
    cleared_gradients: int = 0
    empty_steps: int = 0
    backwards: list[int] = field(default_factory=list)
    scheduler: str | None = None
    scheduler_at: Place | None = None
    cleared_at: Place | None = None
    backward_at: Place | None = None
    norm: Series = field(default_factory=Series)
    norm_before: Series = field(default_factory=Series)
    agreement: Series = field(default_factory=Series)
    alignment: Series = field(default_factory=Series)
    line: list[LineProbe] = field(default_factory=list)


@dataclass
class LossSeen:
    """One place at which a loss is computed from a network's outputs.

    Attributes:
        name: torch's name of the loss function (``cross_entropy``); ``hand-written`` where it
            is made of other functions.
        at: Where.
        made_at: Where the loss was made, if it is a module.
        backward_at: Where its gradient is taken.
        cut_at: Where what a trained network gave was last cut off from the gradient on the way to
            this number.
        noise_at: Where random numbers were drawn that the network's inputs are computed from.
        chosen_at: Where the log-probabilities of choices are multiplied by what those brought.
        model: The name of the network whose outputs it takes.
        functions: torch's functions from the outputs to the number whose gradient is taken, in
            their order.
        functions_at: Where each is called.
        over_rows: Those of them, counted from 0, that normalise a table over its rows.
        value: Series of that number, in training.
        own: Series of the loss function's own value, without what is added to it, in the rounds
            that are looked at.
        added_at: Where most is added to it.
        added_weight: The number that this is multiplied by; NaN where nothing is added.
        eval_value: Series of it in evaluation, where it is computed there.
        outputs: What the loss function is given as outputs (its ``input``).
        target: What it is given as target; None where there is none.
        output_function: The function or layer that made these outputs (``softmax``,
            ``sigmoid``, ``relu``, ``linear``, ...).
        output_layer: The path of the layer that made them, if one did.
        reduction: ``mean``, ``sum`` or ``none``; None where it is hand-written.
        settings: Other numbers it is given (``label_smoothing``, ``delta``, ``ignore_index``).
        sign: 1 where the number rises with the loss function's value, -1 where it falls; 0
            where it does not depend on it.
        weight: By how much it does.
        broadcast: Pairs of shapes that were silently expanded, one against the other.
        batch_sizes: Smallest and largest number of rows.
        constant: The loss of the best constant outputs on the targets that were seen; NaN where
            it is not known.
        of_batch: Number of rows of the first batch.
        weighted: Whether it is given weights of classes or rows.
        judges: By how much it rises with what a network answers to what another network made, where
            that is cut off from its maker; NaN without such a call.
        deceives: Likewise, where the gradient goes on to the maker.
        entropy: Series of the mean entropy of the predicted classes, 1 where all are as likely.
        hits: For each class that targets name, the share of its rows that were lately predicted
            to be of it.
        bootstrapped: Whether its targets were computed by a network, so that it need not fall.

    Example:
        >>> LossSeen("mse_loss").sign
        1.0
    """

    name: str
    at: Place | None = None
    made_at: Place | None = None
    backward_at: Place | None = None
    cut_at: Place | None = None
    noise_at: Place | None = None
    chosen_at: Place | None = None
    model: str | None = None
    functions: list[str] = field(default_factory=list)
    functions_at: list[Place | None] = field(default_factory=list)
    over_rows: list[int] = field(default_factory=list)
    value: Series = field(default_factory=Series)
    own: Series = field(default_factory=Series)
    added_at: Place | None = None
    added_weight: float = math.nan
    eval_value: Series = field(default_factory=Series)
    outputs: TensorSeen = field(default_factory=TensorSeen)
    target: TensorSeen | None = None
    output_function: str | None = None
    output_layer: str | None = None
    reduction: str | None = None
    settings: dict[str, float] = field(default_factory=dict)
    sign: float = 1.0
    weight: float = 1.0
    broadcast: list[list[list[int]]] = field(default_factory=list)
    batch_sizes: list[int] = field(default_factory=list)
    constant: float = math.nan
    of_batch: int = 0
    weighted: bool = False
    judges: float = math.nan
    deceives: float = math.nan
    entropy: Series = field(default_factory=Series)
    hits: dict[str, float] = field(default_factory=dict)
    bootstrapped: bool = False
