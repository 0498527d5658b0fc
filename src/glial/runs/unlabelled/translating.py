"""What a network makes of the rows of a source: other images, or the rows restored."""

from __future__ import annotations

import logging
from typing import Any

import torch

from glial.core.errors import InputError
from glial.core.progress import share_logger
from glial.data.encoders import ImageEncoder
from glial.data.folders import PATH
from glial.models.image_pairs import Translates
from glial.models.unlabelled import Reconstructs
from glial.nn.summary import evaluating
from glial.runs.prediction import notice_differences, read_for
from glial.runs.run import Run
from glial.runs.unlabelled.judging import in_parts
from glial.runs.unlabelled.making import MADE_AT_ONCE, Made, shown

logger = logging.getLogger(__name__)


def turn(run: Run, source: Any, *, back: bool = False) -> Made:
    """Rows of a source as a run's network turns them, or gives them back.

    Args:
        run: The run of a network that turns images into images, or restores rows.
        source: As for `translate`; for a network that restores, rows as for `glial.predict`.
        back: As for `translate`.

    Raises:
        InputError: If the network does neither, or the source cannot be read.
    """
    network = run.model
    if isinstance(network, Translates) or not isinstance(network, Reconstructs):
        return translate(run, source, back=back)
    if back:
        raise InputError("a network that restores knows no way back", do="leave --back out")
    frame, _ = read_for(run, source)
    if not frame.height:
        raise InputError("there are no rows to restore", expected="at least one row", got="none")
    notice_differences(run, frame)
    return shown(run, in_parts(run, frame, lambda rows, _: network.reconstruct(*rows)))


def translate(run: Run, source: Any, *, back: bool = False) -> Made:
    """Images of a source as a run's network turns them.

    Args:
        run: The run of a network that turns images into images.
        source: A folder of images, or a table with the column that is turned.
        back: The second column into the first.

    Raises:
        InputError: If the run turns nothing, the network does not know the way, or the source has
            no such images.
    """
    network = run.model
    if not isinstance(network, Translates):
        raise InputError(
            f"the model {run.plan.model['name']} does not turn images into others",
            expected="a run of pix2pix, of cyclegan, or of a network that restores rows",
            got=f"a run of {run.plan.model['name']}",
            do="leave the source out",
        )
    columns: dict[str, Any] = dict(run.encoding.encoders)
    names = [name for name, one in columns.items() if isinstance(one, ImageEncoder)]
    before, after = reversed(names) if back else names
    frame, _ = read_for(run, source)
    if before not in frame.columns and PATH in frame.columns:
        frame = frame.rename({PATH: before})
    if before not in frame.columns or not frame.height:
        raise InputError(
            "there are no images to turn",
            expected=f"a folder of images, or a table with the column {before!r}",
            got=", ".join(frame.columns) if frame.height else "no rows",
            do="give the images that the network is to turn",
        )
    like = next(run.model.parameters())
    tell = share_logger(logger, "turning images")
    parts = []
    with evaluating(run.model), torch.no_grad():
        for begin in range(0, frame.height, MADE_AT_ONCE):
            some = columns[before].tensor(frame[before].slice(begin, MADE_AT_ONCE))
            scaled = columns[before].finish(some).to(like.device)
            parts.append(network.translate(scaled, back=back).cpu())
            tell(min(1.0, (begin + MADE_AT_ONCE) / frame.height))
    rows = torch.cat(parts)
    return Made(rows, None, columns[after].restore(rows))
