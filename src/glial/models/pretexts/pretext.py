"""What all pretexts have in common: a network around an encoder, which is what stays."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.functional import reduce
from glial.models.unlabelled import Drawn

# Of a network with rates of its own, whose weights are of size 1 at any width.
ANSWER_RATE = 0.05


class RowForm(NamedTuple):
    """What a row holds: one image, or the cells of a table.

    Attributes:
        image: [channel, height, width] of its image; None of a table.
        owners: Of each of its numbers the column that it comes from, counted from 0 on without
            gaps.
        cardinalities: Number of codes of each category, the unknown bucket included.

    Example:
        >>> RowForm(owners=(0, 1, 1), cardinalities=(4,)).num_columns
        3
    """

    image: tuple[int, int, int] | None = None
    owners: tuple[int, ...] = ()
    cardinalities: tuple[int, ...] = ()

    @property
    def num_columns(self) -> int:
        """Columns of a table, those of codes behind those of numbers."""
        return (max(self.owners) + 1 if self.owners else 0) + len(self.cardinalities)


class Pretext(nn.Module):
    """A network that learns from rows alone by a question whose answer is drawn with it.

    Who derives from it draws the question (``draw``), answers it (``forward``), says what each
    answer is worth (`figures`) and what one gets without looking (`trivial_outputs`). It keeps the
    protocols ``Unlabelled`` and ``Encodes``. What is learnt is ``encoder``, whose own head is left
    alone; the rest is thrown away.

    Args:
        encoder: A network with ``embed`` and ``num_features``.
        form: What a row holds.

    Attributes:
        kinds: What it can ask about: ``image`` or ``table``.
        encoder: The network.

    Raises:
        InputError: If there is nothing to ask about such rows, or the network gives no vectors.

    Example:
        >>> from glial.models import build
        >>> from glial.models.pretexts.turned import Rotation
        >>> encoder = build("residual_cnn", num_outputs=1, images=[[1, 8, 8]], widths=[4])
        >>> network = Rotation(encoder, RowForm((1, 8, 8)))
        >>> network.embed(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 4])
        >>> [name for name, p in network.named_parameters() if not p.requires_grad]
        ['encoder.head.weight', 'encoder.head.bias']
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]] = ("image",)
    source: ClassVar[str]
    draw: Callable[..., Drawn]

    def __init__(self, encoder: nn.Module, form: RowForm) -> None:
        super().__init__()
        kind = "table" if form.image is None else "image"
        if kind not in self.kinds:
            raise InputError(
                f"the pretext {self.name!r} asks about {self.kinds[0]}s",
                expected=f"rows with one {self.kinds[0]}",
                got=f"rows with one {kind}" if kind == "image" else "rows of a table",
                do="choose another with task.pretext, or leave it out",
            )
        if kind == "table" and form.num_columns < 2:
            raise InputError(
                "a row with one column has nothing to ask about itself",
                expected="at least two columns",
                got=str(form.num_columns),
                do="add columns",
            )
        if not callable(getattr(encoder, "embed", None)) or not hasattr(encoder, "num_features"):
            raise InputError(
                "this network cannot be pretrained",
                expected="a network that makes one vector of each row before its head",
                got=type(encoder).__name__,
                do="choose the model residual_cnn for images, or tabular or mlp for tables",
            )
        self.encoder = encoder
        self.num_features = int(encoder.num_features)  # type: ignore[arg-type]
        self._head().requires_grad_(False)
        # Who trains a network asks it for these only where it has them.
        if hasattr(encoder, "set_progress"):
            self.set_progress = encoder.set_progress
        if hasattr(encoder, "parameter_groups"):
            self.parameter_groups = self._parameter_groups

    def _head(self) -> nn.Module:
        return self.encoder.get_submodule(getattr(self.encoder, "head_name", "head"))

    def released(self) -> nn.Module:
        """The encoder alone, all of it free to learn."""
        return self.encoder.requires_grad_(True)

    def embed(self, *rows: Tensor) -> Tensor:
        """The encoder's vectors of rows as they are, [row, feature]."""
        vectors: Tensor = self.encoder.embed(*rows)  # type: ignore[operator]
        return vectors

    @abstractmethod
    def figures(self, outputs: Tensor, target: Tensor) -> dict[str, Tensor]:
        """What each row's answer is worth, [row] each; ``pretext_loss`` is one of them."""

    @abstractmethod
    def trivial_outputs(self, target: Tensor) -> Tensor:
        """Outputs of who does not look at the row."""

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """What training makes small: the mean over rows."""
        return reduce(self.figures(outputs, target)["pretext_loss"], weight)

    def measure(self, *rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """How good the answers are to questions that are drawn, [row] each."""
        drawn = self.draw(*rows, generator=generator)
        return self.figures(self(*drawn.inputs), drawn.target)

    def trivial(self, *rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """As `measure`, of who does not look at the row."""
        target = self.draw(*rows, generator=generator).target
        return self.figures(self.trivial_outputs(target), target)

    def layer_groups(self) -> list[list[str]]:
        """The encoder, and what answers."""
        own = [name for name, _ in self.named_children() if name != "encoder"]
        return [["encoder"], own] if own else [["encoder"]]

    def _parameter_groups(self) -> list[dict[str, Any]]:
        own: list[dict[str, Any]] = self.encoder.parameter_groups()  # type: ignore[operator]
        kept = [
            {**group, "params": [p for p in group["params"] if p.requires_grad]} for group in own
        ]
        added = [p for name, p in self.named_parameters() if not name.startswith("encoder.")]
        return [*kept, {"params": added, "lr_factor": ANSWER_RATE, "decay_factor": 1.0}]
