"""Images that are anomalies, and what in them made them so, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from glial.core.errors import InputError
from glial.data.encoders.images import ImageEncoder
from glial.nn.pictures.sheet import Sheet, Strip, Tile
from glial.runs.anomaly.judging import scored
from glial.runs.prediction import read_for
from glial.runs.run import Run
from glial.runs.unlabelled.judging import in_parts
from glial.tasks.anomaly import Anomaly

MOST, SIDE = 24, 96


def draw_anomalies(run: Run, source: Any, *, most: int = MOST) -> bytes:
    """The most anomalous images of a source, and how far the surroundings of each pixel are.

    Args:
        run: A run of the task ``anomaly`` on images.
        source: Images.
        most: So many are drawn, the most anomalous first.

    Returns:
        A PNG file.

    Raises:
        InputError: If the run's rows are no images, or there are none.

    Example:
        >>> import glial
        >>> run = glial.train("iris", task="anomaly", epochs=1, out=False)
        >>> draw_anomalies(run, "iris")
        Traceback (most recent call last):
        ...
        glial.core.errors.InputError: only anomalies in images can be drawn. ...
    """
    task = run.decoder
    images_alone = {type(encoder) for encoder in run.encoding.encoders.values()} == {ImageEncoder}
    if not isinstance(task, Anomaly) or not images_alone:
        raise InputError(
            "only anomalies in images can be drawn",
            expected="a run of the task anomaly on images",
            got=f"the task {run.task} of a run on {run.sizes.get('source')}",
            do="leave --pictures out; the column because names what made rows of a table odd",
        )
    frame, paths = read_for(run, source)
    if not frame.height:
        raise InputError("there are no images to draw", expected="at least one", got="none")
    scores = scored(run, frame)[:, 0]
    order = scores.argsort(descending=True, stable=True)[:most].tolist()
    few, network = frame[order], cast(Any, run.model)
    images = in_parts(run, few, lambda rows, _: rows[0])
    parts = in_parts(run, few, lambda rows, _: network.parts(*rows).sum(dim=1))
    labels = []
    for place in order:
        mark = " *" if task.flags(scores[place : place + 1].numpy())[0] else ""
        name = Path(str(paths[place])).name if paths is not None else f"row {place + 1}"
        labels.append(f"{name}\n{float(scores[place]):.3g}{mark}")
    shown = [image if len(image) > 1 else image[0] for image in images]
    tiles = [Tile(image, label) for image, label in zip(shown, labels, strict=True)]
    heat = [Tile(part, label) for part, label in zip(parts, labels, strict=True)]
    low, high = float(parts.quantile(0.5) if parts.numel() < 1 << 24 else 0), float(parts.max())
    above = f"the {len(order)} most anomalous images; * above the threshold"
    return Sheet(
        [
            Strip(above, tiles, -1.0, 1.0, side=SIDE),
            Strip("what made them so", heat, low, high, palette="heat", side=SIDE),
        ]
    ).png()
