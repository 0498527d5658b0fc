"""Every problem that a finding can name: its title, its meaning, and where it is explained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ProblemKind = Literal["cause", "symptom"]


@dataclass(frozen=True)
class Problem:
    """What is known of a problem, apart from how it is detected.

    Attributes:
        name: Its stable name, as findings bear it.
        theme: What it is a problem of, a key of ``THEMES``.
        kind: ``cause`` for what the user can change, ``symptom`` for what that leads to.
        title: The name in plain words.
        means: What it is, in one sentence.
        later: Whether nothing detects it yet.

    Example:
        >>> PROBLEMS["missing-step"].page
        'docs/problems/missing-step.md'
    """

    name: str
    theme: str
    kind: ProblemKind
    title: str
    means: str
    later: bool = False

    @property
    def page(self) -> str:
        """The page that explains it, from the root of the repository."""
        return f"docs/problems/{self.name}.md"


THEMES: dict[str, str] = {
    "loop": "The training loop",
    "output": "Output and loss",
    "numerics": "Numbers and their formats",
    "shown": "What the network is shown",
    "data": "Inputs and labels",
    "splits": "Splits",
    "structure": "Layers",
    "start": "The first weights",
    "rate": "Learning rate and optimiser",
    "signal": "Activations and gradients",
    "players": "Several networks, and collapse",
    "fit": "Fit",
    "curve": "The loss curve",
    "machine": "The machine",
}

SYMPTOMS = {
    "activation-collapse",
    "bad-initial-loss",
    "loss-not-decreasing",
    "loss-not-finite",
    "loss-oscillating",
    "loss-spike",
}
LATER = {"entropy-collapse"}

# By theme, the surest and the soonest mended first: among equals, findings come in this order.
_TABLE: dict[str, dict[str, tuple[str, str]]] = {
    "loop": {
        "missing-step": (
            "the optimiser never steps",
            "Gradients are computed and nothing is done with them, so no weight changes.",
        ),
        "missing-zero-grad": (
            "gradients are never cleared",
            "Each backward pass adds to the gradients of all before it, so steps follow old "
            "batches and grow.",
        ),
        "wrong-order": (
            "the steps of the loop are in the wrong order",
            "Backward pass, clearing, clipping, step and schedule follow each other so that one "
            "undoes or misses another.",
        ),
        "wrong-mode": (
            "training or evaluation in the wrong mode",
            "Dropout and batch normalisation work as for evaluation while training, or as for "
            "training while evaluating.",
        ),
        "untrained-parameters": (
            "parameters that nothing trains",
            "Some parameters are not in the optimiser, are frozen, or are cut off from the loss.",
        ),
        "stale-statistics": (
            "batch-norm statistics that do not fit",
            "The running mean and variance were never updated, or are those of other data.",
        ),
    },
    "output": {
        "wrong-output-width": (
            "the number of outputs does not fit the targets",
            "There are fewer or more outputs than classes or values to be predicted.",
        ),
        "shape-broadcast": (
            "outputs and targets are silently broadcast",
            "Shapes like [N] and [N, 1] are expanded to [N, N], so every prediction is held "
            "against every target.",
        ),
        "softmax-twice": (
            "probabilities where logits are expected",
            "The loss applies softmax or sigmoid to what is already a probability.",
        ),
        "wrong-axis": (
            "an operation over the wrong axis",
            "Softmax, normalisation or recurrence runs over rows where features, classes or time "
            "are meant.",
        ),
        "wrong-output-activation": (
            "the last activation does not fit the task",
            "The network cannot give the values that it should learn, or gives always the same.",
        ),
        "wrong-loss": (
            "the loss does not fit the targets",
            "What is minimised is made for another kind of target.",
        ),
        "wrong-reduction": (
            "the loss is summed, not averaged",
            "Gradients grow with the number of rows in a batch, so the rate depends on it.",
        ),
    },
    "numerics": {
        "unsafe-numerics": (
            "a formula that leaves the range of its numbers",
            "A logarithm, root, quotient or exponential is taken where it or its gradient is not "
            "finite.",
        ),
        "low-precision": (
            "updates are rounded away",
            "The number format is too coarse for the weights, their updates or a sum.",
        ),
    },
    "shown": {
        "target-in-input": (
            "the network is shown what it must predict",
            "The answer is among the inputs of its own row or time step.",
        ),
        "wrong-target": (
            "the target is not what was meant",
            "The target that the loss gets is computed wrongly, such as one time step off.",
        ),
        "cross-sample-leak": (
            "rows of a batch influence each other",
            "The output for one row depends on which others share its batch.",
        ),
        "unmasked-padding": (
            "padding is read as data",
            "Filled-up places of short sequences take part in sums, attention or the loss.",
        ),
        "missing-position": (
            "order matters and is not seen",
            "The network gives the same for every order of a sequence, and the target does not.",
        ),
    },
    "data": {
        "missing-values": (
            "missing values read as numbers",
            "Inputs or targets hold NaN, or a number that stands for a missing one.",
        ),
        "misaligned-labels": (
            "labels belong to other rows",
            "Inputs and labels are paired wrongly, so labels say nothing about inputs.",
        ),
        "wrong-layout": (
            "axes or type of the input are not those expected",
            "Channels, batch or time stand where the layer expects another axis, or the type is "
            "not the one meant.",
        ),
        "unscaled-input": (
            "inputs on unsuitable scales",
            "Features are so large, or so unlike in scale, that the first layer cannot use them "
            "at this learning rate.",
        ),
        "unscaled-target": (
            "targets on an unsuitable scale",
            "Targets are so far from zero or so spread that outputs can hardly reach them.",
        ),
        "constant-input": (
            "inputs that hardly vary",
            "All rows look nearly alike, as after scaling twice.",
        ),
        "unshuffled-data": (
            "batches follow the order of the data",
            "Rows that are alike come together, so each batch shows a part of the task only.",
        ),
        "harmful-augmentation": (
            "augmentation destroys what labels depend on",
            "Rows are changed so that their label is no longer true or can no longer be seen.",
        ),
        "label-noise": ("wrong labels", "Some labels contradict what the other rows teach."),
        "class-imbalance": (
            "a class so rare that it is ignored",
            "Answering the commonest class nearly always is nearly right, and the metric hides "
            "that.",
        ),
        "identical-workers": (
            "data workers draw the same random numbers",
            "Each worker repeats what the others do, so there is less variety than meant.",
        ),
        "duplicate-samples": (
            "rows that stand there several times",
            "Copies weigh more in training than other rows.",
        ),
        "silent-columns": (
            "columns that say nothing",
            "A column is empty, constant, nearly so, or a mere number of the row.",
        ),
        "data-drift": (
            "data unlike the training data",
            "What the network is given is distributed otherwise than what it learnt from.",
        ),
    },
    "splits": {
        "bad-split": (
            "splits that do not show the same task",
            "Validation or test holds what training never shows, or lacks some of the classes.",
        ),
        "leakage": (
            "knowledge that will not be there",
            "Rows stand in several splits, or a feature gives the target away.",
        ),
        "split-groups": (
            "groups are divided between splits",
            "Rows that belong together are in several splits, so the score is that of known "
            "groups.",
        ),
        "split-times": (
            "training knows the future",
            "Rows of validation or test are earlier than some of training.",
        ),
        "preprocessing-mismatch": (
            "evaluation inputs are prepared otherwise",
            "Evaluation inputs are distributed unlike training inputs.",
        ),
    },
    "structure": {
        "missing-nonlinearity": (
            "linear layers with nothing between them",
            "Layers in a row amount to one linear map, however many there are.",
        ),
        "misplaced-activation": (
            "an activation or dropout in the wrong place",
            "A function stands where it takes away what the next layer or the loss needs.",
        ),
        "redundant-layer": (
            "a layer that does nothing",
            "A layer undoes or repeats what its neighbour does.",
        ),
    },
    "start": {
        "symmetric-units": (
            "units that are all alike",
            "Units begin with the same weights, get the same gradients, and stay the same.",
        ),
        "bad-initial-scale": (
            "first weights too large or too small",
            "The spread of the first weights does not fit the width and the activation.",
        ),
    },
    "rate": {
        "gradient-ascent": ("the loss is maximised", "A sign is wrong: steps go up the loss."),
        "wrong-optimizer-setting": (
            "an optimiser setting that does not fit",
            "Momentum, eps, betas or decay keep the optimiser from working as it should.",
        ),
        "schedule-collapse": (
            "the schedule leaves no rate",
            "The learning rate is next to nothing while the loss could still fall.",
        ),
        "batch-size-unsuitable": (
            "a batch size that does not fit",
            "Batches are too small for their normalisation or rate, or too large for enough steps.",
        ),
        "learning-rate-too-high": (
            "learning rate too high",
            "Steps go past the minimum that they aim at.",
        ),
        "learning-rate-too-low": (
            "learning rate too low",
            "Steps are so small that the training ends before it gets anywhere.",
        ),
    },
    "signal": {
        "exploding-gradient": (
            "exploding gradients",
            "Gradients grow from layer to layer or from step to step until they destroy weights.",
        ),
        "saturated-units": (
            "saturated units",
            "Sigmoid, tanh or softmax units sit in their flat parts, where no gradient passes.",
        ),
        "dead-units": (
            "dead units",
            "Units give the same for every input, and get no gradient that could change that.",
        ),
        "vanishing-gradient": (
            "vanishing gradients",
            "Gradients shrink from layer to layer until the first layers hardly learn.",
        ),
        "activation-collapse": (
            "activations that no longer tell inputs apart",
            "Activations lose their spread or rank with depth, until outputs hardly depend on "
            "inputs.",
        ),
    },
    "players": {
        "players-unbalanced": (
            "one player wins",
            "One of two networks that learn against each other is so good that the other has "
            "nothing to learn from.",
        ),
        "mode-collapse": (
            "mode collapse",
            "The generator gives a few kinds of samples and leaves out the others.",
        ),
        "posterior-collapse": (
            "posterior collapse",
            "The code of a variational autoencoder says nothing about the input.",
        ),
        "representation-collapse": (
            "representation collapse",
            "A self-supervised network gives all inputs the same or a low-rank embedding.",
        ),
        "entropy-collapse": (
            "entropy collapse",
            "A policy stops exploring before it has found what is worth doing.",
        ),
    },
    "fit": {
        "over-regularised": (
            "regularised too much",
            "Decay, dropout or a penalty is so strong that the training data is not fitted.",
        ),
        "undertrained": (
            "stopped too soon",
            "The training ended while the loss was still falling.",
        ),
        "overfitting": (
            "overfitting",
            "The network fits its training rows better and better, and new rows worse.",
        ),
        "underfitting": ("underfitting", "The network does not fit even its training rows."),
    },
    "curve": {
        "loss-not-finite": (
            "the loss is not a number",
            "A NaN or an infinity has come up and spreads to everything that it touches.",
        ),
        "loss-spike": (
            "the loss jumps",
            "Single steps have a loss far above that of their neighbours.",
        ),
        "loss-oscillating": (
            "the loss swings",
            "The loss goes up and down by much more than it falls.",
        ),
        "loss-not-decreasing": (
            "the loss does not fall",
            "After many steps the loss is what it was at first.",
        ),
        "bad-initial-loss": (
            "the first loss is not that of guessing",
            "Before anything is learnt, the loss is far from that of the best constant answer.",
        ),
    },
    "machine": {
        "out-of-memory": ("out of memory", "A step needs more memory than the device has."),
        "memory-growth": (
            "memory grows step by step",
            "Something is kept at every step and never let go.",
        ),
        "data-stall": (
            "the training waits for its data",
            "Batches come slower than they could be learnt from.",
        ),
        "not-reproducible": (
            "two runs with one seed differ",
            "Something random is not seeded, or is computed in an order that changes.",
        ),
    },
}

PROBLEMS: dict[str, Problem] = {
    name: Problem(
        name, theme, "symptom" if name in SYMPTOMS else "cause", title, means, name in LATER
    )
    for theme, rows in _TABLE.items()
    for name, (title, means) in rows.items()
}
