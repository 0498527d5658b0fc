"""Explainers of a network that draw: what units answer to, filters, maps, and rows in the plane."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch

from glial.core.errors import InputError
from glial.core.progress import share_logger
from glial.core.seeds import numpy_generator
from glial.explanation.explained import Explanation
from glial.explanation.networks.concepts import concept_sensitivity
from glial.explanation.networks.maximization import maximize_activation
from glial.explanation.predictions import Asked
from glial.explanation.scores import RunScores, run_scores
from glial.functional.planes import laid_out
from glial.nn.pictures import draw_filters, draw_maps
from glial.nn.pictures.sheet import Sheet, Strip, Tile
from glial.runs import embed
from glial.runs.prediction import read_for

logger = logging.getLogger(__name__)

MOST_POINTS = 2000
MOST_CLASSES = 24
STEPS = 200
SIDE = 128


@dataclass(frozen=True)
class ByDrawing:
    """An explainer of a network that makes pictures and tables.

    Attributes:
        name: Its name in the table.
        make: From what is asked to an explanation.
        description: One line.

    Example:
        >>> FILTERS.about
        'network'
    """

    name: str
    make: Callable[[Asked], Explanation]
    description: str
    about: str = "network"

    def explain(self, asked: Asked) -> Explanation:
        """Draw."""
        return self.make(asked)


def _one_image(scores: RunScores, name: str) -> int:
    """The place of the one image that a network takes."""
    places = [i for i, place in enumerate(scores.places) if place.kind in ("image", "sound")]
    if len(places) != 1 or len(scores.kinds()) != 1 or scores.run.encoding.image_sizes:
        raise InputError(
            f"the method {name} draws networks that take one image of one size",
            expected="a run of images or sounds and nothing else",
            got=", ".join(sorted(scores.kinds())),
        )
    return places[0]


def _maximization(asked: Asked) -> Explanation:
    """What each class, or a unit of a layer, answers to most strongly."""
    scores = run_scores(asked.run)
    options = asked.options or {}
    place = _one_image(scores, "maximization")
    shape = scores.inputs(asked.frame)[place].shape[1:]
    layer = options.get("layer")
    wanted = options.get("unit")
    count = len(scores.answers)
    if wanted is not None:
        units = [int(wanted)]
    elif asked.target is not None:
        units = [scores.answer(asked.target) or 0]
    else:
        units = list(range(min(count, MOST_CLASSES)))
    tell = share_logger(logger, "climbing")
    tiles, rows = [], []
    for number, unit in enumerate(units):
        found = maximize_activation(
            scores.network,
            list(shape),
            unit,
            layer=None if layer is None else f"network.{layer}",
            steps=STEPS,
            jitter=2,
            seed=asked.seed,
        )
        label = scores.answers[unit] if layer is None else f"{layer} {unit}"
        pixels = found.inputs[0].detach().cpu()
        low, high = pixels.min(), pixels.max()
        shown = (pixels - low) / (high - low).clamp_min(1e-12)
        tiles.append(Tile(shown if len(shown) == 3 else shown.mean(dim=0), f"{label}"))
        rows.append({"unit": label, "before": found.before, "after": found.after})
        tell((number + 1) / len(units))
    strip = Strip("what each answers to most strongly", tiles, 0.0, 1.0, side=SIDE)
    return Explanation(
        "maximization",
        scores.unit,
        tables={"maximization": pl.DataFrame(rows)},
        pictures={"maximization.png": Sheet([strip]).png()},
    )


def _filters(asked: Asked) -> Explanation:
    layers = (asked.options or {}).get("layer")
    sheet = draw_filters(run_scores(asked.run).run.model, None if layers is None else [layers])
    return Explanation("filters", "", pictures={"filters.png": sheet.png()})


def _maps(asked: Asked) -> Explanation:
    scores = run_scores(asked.run)
    place = _one_image(scores, "maps")
    layers = (asked.options or {}).get("layer")
    pictures = {}
    for number, image in enumerate(scores.inputs(asked.frame)[place]):
        sheet = draw_maps(scores.run.model, image.cpu(), None if layers is None else [layers])
        pictures[f"maps_{asked.numbers[number]}.png"] = sheet.png()
    return Explanation("maps", "", pictures=pictures)


def _embedding(asked: Asked) -> Explanation:
    """What the head sees of each row, brought to two numbers by t-SNE or principal components."""
    options = asked.options or {}
    frame = asked.background
    numbers = np.arange(frame.height)
    if frame.height > MOST_POINTS:
        drawn = numpy_generator(asked.seed, "embedding")
        numbers = np.sort(drawn.choice(frame.height, MOST_POINTS, replace=False))
        frame = frame[numbers]
    if frame.height < 3:
        raise InputError(
            "there are too few rows to lay out in a plane",
            expected="at least 3",
            got=str(frame.height),
        )
    held = embed(asked.run, frame, layer=options.get("layer"))
    vectors = np.asarray(pl.DataFrame(held).select(pl.selectors.numeric()).to_numpy(), np.float64)
    how = options.get("by", "tsne")
    if how not in ("tsne", "pca"):
        raise InputError("rows are laid out by tsne or pca", expected="tsne or pca", got=str(how))
    plane = laid_out(vectors, how, seed=asked.seed)
    columns = {"row": numbers, "x": plane[:, 0], "y": plane[:, 1]}
    table = pl.DataFrame(columns).with_columns(
        pl.Series("prediction", [str(p) for p in asked.predictions(frame)])
    )
    targets = [name for name in asked.run.decoder.targets if name in frame.columns]
    return Explanation(
        "embedding", "", tables={"embedding": table.hstack(frame.select(targets).get_columns())}
    )


def _concepts(asked: Asked) -> Explanation:
    """Whether a concept, shown by examples, speaks for an answer: TCAV."""
    scores = run_scores(asked.run)
    options = asked.options or {}
    layer = options.get("layer")
    if options.get("concept") is None or layer is None:
        raise InputError(
            "a concept is shown by examples, and sought in a layer",
            expected="the options concept and layer",
            got=", ".join(sorted(options)) or "neither",
            do="glial explain RUN SOURCE --method concepts --concept FOLDER --layer NAME",
        )
    examples = read_for(scores.run, options["concept"])[0]
    rest = asked.background
    generator = numpy_generator(asked.seed, "concepts")
    size = min(examples.height, rest.height)
    others = []
    for _ in range(5):
        drawn = np.sort(generator.choice(rest.height, size, replace=False))
        others.append(scores.inputs(rest[drawn]))
    choice = scores.answer(asked.target)
    inputs = scores.inputs(asked.frame)
    with torch.no_grad():
        picked = scores.network.eval()(*inputs).argmax(dim=1) if choice is None else choice
    found = concept_sensitivity(
        scores.network,
        inputs,
        scores.inputs(examples),
        others,
        f"network.{layer}",
        picked,
        seed=asked.seed,
    )
    row = {
        "answer": asked.target or "each row's likeliest",
        "score": found.score,
        "by_chance": float(np.mean(found.chance_scores)),
        "p_value": found.p_value,
        "accuracy": float(np.mean(found.accuracy)),
    }
    return Explanation("concepts", "share of rows", tables={"concepts": pl.DataFrame([row])})


MAXIMIZATION = ByDrawing("maximization", _maximization, "inputs that units answer to most strongly")
FILTERS = ByDrawing("filters", _filters, "the filters of convolutions")
MAPS = ByDrawing("maps", _maps, "what layers make of an image")
EMBEDDING = ByDrawing("embedding", _embedding, "rows in two dimensions, as the head sees them")
CONCEPTS = ByDrawing("concepts", _concepts, "whether a concept speaks for an answer (TCAV)")
