"""Questions that rows ask by themselves, about which an encoder learns without labels."""

from __future__ import annotations

from inspect import signature
from typing import Any

from torch import nn

from glial.core.errors import InputError
from glial.core.tables import Table
from glial.models.pretexts.pretext import Pretext, RowForm

CELLS = "masked_cells"
BOUNDS = {
    "temperature": (0.001, 1000.0),
    "size": (2, 65_536),
    "strength": (0.0, 2.0),
    "share": (0.01, 0.99),
    **dict.fromkeys(("invariance", "variance", "covariance"), (0.0, 1e6)),
}

PRETEXTS = Table(
    "pretext",
    "pretexts",
    {
        "rotation": "glial.models.pretexts.turned:Rotation",
        "jigsaw": "glial.models.pretexts.turned:Jigsaw",
        "inpainting": "glial.models.pretexts.filling:Inpainting",
        "masked": "glial.models.pretexts.filling:MaskedPatches",
        CELLS: "glial.models.pretexts.cells:MaskedCells",
        "simclr": "glial.models.pretexts.alike:Contrastive",
        "vicreg": "glial.models.pretexts.alike:VarianceRegularized",
    },
)


def suited_pretext(form: RowForm) -> str:
    """What is asked about such rows where nothing is said: SimCLR of images, cells of tables.

    Example:
        >>> suited_pretext(RowForm((1, 28, 28))), suited_pretext(RowForm(owners=(0, 1)))
        ('simclr', 'masked')
    """
    return "masked" if form.image is None else "simclr"


def pretext_around(name: str, encoder: nn.Module, form: RowForm, **options: Any) -> Pretext:
    """The network of a pretext around an encoder.

    Args:
        name: A name in `PRETEXTS`, or ``auto``; ``masked`` hides patches of images and cells of
            tables.
        encoder: A network with ``embed`` and ``num_features``.
        form: What a row holds.
        options: The pretext's own, such as ``temperature`` of ``simclr``.

    Raises:
        InputError: If the name, an option, the rows or the network do not fit.

    Example:
        >>> from glial.models import build
        >>> encoder = build("mlp", num_inputs=2, num_outputs=1, hidden_sizes=[4])
        >>> type(pretext_around("masked", encoder, RowForm(owners=(0, 1)))).__name__
        'MaskedCells'
    """
    name = suited_pretext(form) if name == "auto" else name
    name = CELLS if name == "masked" and form.image is None else name
    kind: type[Pretext] = PRETEXTS.resolve(name)
    known = [key for key in signature(kind).parameters if key not in ("encoder", "form")]
    for key in options:
        if key not in known:
            raise InputError(
                f"the pretext {name!r} has no option {key!r}",
                expected=f"one of {', '.join(known)}" if known else "none",
                got=key,
                do="leave it out, or choose another with task.pretext",
            )
        least, most = BOUNDS[key]
        if not least <= options[key] <= most:
            raise InputError(
                f"{key} of the pretext {name!r} is out of its range",
                expected=f"from {least:g} to {most:g}",
                got=f"{options[key]:g}",
                do="correct it, or leave it out",
            )
    if "size" in options:
        options["size"] = int(options["size"])
    return kind(encoder, form, **options)


__all__ = ["PRETEXTS", "Pretext", "RowForm", "pretext_around", "suited_pretext"]
