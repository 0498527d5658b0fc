"""Lessons: settings that show one thing each, and what to look at."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Lesson:
    """A setting that shows one thing.

    Attributes:
        name: What its address says.
        title: What it is called.
        look: What to look at, in two sentences.
        then: What to try next, and what it will show.
        knobs: What differs from the first setting.
        after: The knobs that ``then`` turns, for those who want to see it at once.

    Example:
        >>> LESSONS[0].title
        'Why a line cannot do XOR'
    """

    name: str
    title: str
    look: str
    then: str
    knobs: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The lesson as JSON."""
        return asdict(self)


LESSONS = (
    Lesson(
        "xor",
        "Why a line cannot do XOR",
        "Without a hidden layer the network can only draw one straight line. However long it "
        "trains, about half of the points stay on the wrong side.",
        "Give it one hidden layer of four units: each draws a line of its own, and the output "
        "puts them together.",
        {"dataset": "xor", "hidden_sizes": [], "noise": 0.0},
        {"hidden_sizes": [4]},
    ),
    Lesson(
        "zero",
        "Zero initialisation learns nothing",
        "All units of a layer start equal, get equal gradients and stay equal. The picture of the "
        "network says so, and the gradients of the weights are zero.",
        "Start from small random numbers, or from Xavier's: now units differ and can learn "
        "different things.",
        {"initialization": "zero"},
        {"initialization": "xavier_uniform"},
    ),
    Lesson(
        "too-high",
        "A rate that is too high",
        "Each step jumps over the valley and lands higher than before. The loss leaps about "
        "instead of falling.",
        "Turn the rate down by ten, and by ten again: somewhere the loss falls fast and smoothly.",
        {"lr": 20.0, "batches": "full"},
        {"lr": 0.5},
    ),
    Lesson(
        "too-low",
        "A rate that is too low",
        "Every step goes the right way, and hardly anywhere. The loss falls in a straight line "
        "that would take for ever.",
        "Multiply the rate by a hundred: the same number of steps now gets somewhere.",
        {"lr": 0.0005},
        {"lr": 0.3},
    ),
    Lesson(
        "vanishing",
        "Watch gradients vanish",
        "Each sigmoid passes on at most a quarter of the gradient that comes back to it. Eight "
        "layers down, the gradient flow shows next to nothing left for the first.",
        "Switch to tanh with skip connections: the gradient reaches every layer, and the network "
        "begins to learn.",
        {"activation": "sigmoid", "hidden_sizes": [8] * 8, "optimizer": "sgd"},
        {"activation": "tanh", "skip": True},
    ),
    Lesson(
        "exploding",
        "Starting weights that are too large",
        "Weights twelve times too large drive the units into their flat ends, where they pass on "
        "almost no gradient. See the outputs pile up at both ends.",
        "Set the scale back to 1: Xavier's weights keep signals of the same size in every layer.",
        {"init_scale": 12.0, "hidden_sizes": [8] * 5, "lr": 0.05},
        {"init_scale": 1.0},
    ),
    Lesson(
        "dead",
        "Units that die",
        "A rate that is too high pushes rectifiers so far that they are zero for every point. "
        "Zero has no slope, so they never come back.",
        "Start anew with leaky rectifiers: they keep a small slope below zero, and stay alive.",
        {"activation": "relu", "lr": 10.0, "hidden_sizes": [8, 8], "batches": "full"},
        {"activation": "leaky_relu", "lr": 0.3},
    ),
    Lesson(
        "overfit",
        "Overfit, then regularise",
        "Few noisy points and many weights: the network learns the noise by heart. The training "
        "loss falls to nothing while the test loss rises.",
        "Pull the weights to zero with L2, or draw more points: the boundary grows smooth and "
        "the test loss comes down.",
        {
            "dataset": "moons",
            "noise": 0.35,
            "points": 60,
            "hidden_sizes": [16, 16],
            "activation": "relu",
            "optimizer": "adam",
            "lr": 0.02,
        },
        {"l2": 0.003},
    ),
    Lesson(
        "features",
        "The right feature beats a deep network",
        "Circles need a bent boundary. With both squares as features a linear model draws it, "
        "since a circle is a line in squares.",
        "Take the squares away: the same model is lost, and needs hidden units to bend.",
        {"hidden_sizes": [], "features": ["x1_squared", "x2_squared"], "lr": 1.0},
        {"features": ["x1", "x2"]},
    ),
    Lesson(
        "noise",
        "Small batches are noisy",
        "One point a step: each pulls its own way, and the loss shakes. It still gets there, with "
        "many cheap steps.",
        "Take all points at once: the curve is smooth, with one step for each pass.",
        {"batches": "single", "lr": 0.1, "dataset": "blobs", "noise": 0.2},
        {"batches": "full"},
    ),
    Lesson(
        "optimisers",
        "Momentum and Adam on a hard task",
        "Plain descent creeps along the spirals. Watch how long the loss stays where it is.",
        "Switch to Adam: a rate of its own for each weight gets there in a fraction of the steps.",
        {
            "dataset": "spirals",
            "noise": 0.02,
            "points": 400,
            "hidden_sizes": [12, 12],
            "activation": "relu",
            "epochs": 3000,
        },
        {"optimizer": "adam", "lr": 0.01},
    ),
    Lesson(
        "rectified",
        "A rectifier before the last sigmoid",
        "The output cannot be negative, so the probability cannot fall below one half. The "
        "network says the same class everywhere.",
        "Make the output linear again: scores may be negative, and both classes come back.",
        {"output_activation": "relu"},
        {"output_activation": "linear"},
    ),
)
