"""An autoencoder of sequences: one recurrent network reads a code, another one writes it out.

Source:
    Srivastava, Mansimov, Salakhutdinov (2015), "Unsupervised learning of video representations
    using LSTMs", arXiv 1502.04681, section 2.2 (unconditioned); gated units: Cho et al. (2014),
    arXiv 1406.1078.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from glial.functional.losses import reduce
from glial.models.autoencoding import AutoencoderSettings
from glial.models.corruption import CorruptionSettings
from glial.models.sequence import Lengths, Steps
from glial.models.sequence_rnn import UNITS
from glial.models.unlabelled import Drawn
from glial.nn.sequence_pooling import steps_within

Codes = Float[Tensor, "row latent"]
PerRow = Float[Tensor, " row"]


class SequenceAutoencoderSettings(CorruptionSettings):
    """An autoencoder of sequences of any length.

    Attributes:
        code_size: Numbers of a whole sequence's code.
        size: Units of the reader in each direction, and of the writer.
        unit: Plain units, gated ones, or those with a cell.

    Example:
        >>> network = SequenceAutoencoderSettings(code_size=4).build(0, sequences=[[3]])
        >>> network.encode(torch.zeros(2, 7, 3), torch.tensor([7, 2])).shape
        torch.Size([2, 4])
    """

    tasks: ClassVar[tuple[str, ...]] = ("reduce", "anomaly")
    takes_numbers: ClassVar[bool] = False
    takes_images: ClassVar[bool] = False
    takes_sequences: ClassVar[bool] = True
    description: ClassVar[str] = "autoencoder of sequences: one network reads, another writes"
    source: ClassVar[str] = "Srivastava, Mansimov, Salakhutdinov (2015), arXiv 1502.04681"

    name: Literal["sequence_autoencoder"] = "sequence_autoencoder"
    code_size: int = Field(default=16, ge=1)
    size: int = Field(default=64, ge=1)
    unit: Literal["rnn", "gru", "lstm"] = "gru"

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """As for other autoencoders, with clipped gradients.

        Example:
            >>> SequenceAutoencoderSettings.train_defaults("reduce")["clip_norm"]
            1.0
        """
        return {**AutoencoderSettings.train_defaults(task, num_rows), "lr": 0.003, "clip_norm": 1.0}

    def build(
        self,
        num_inputs: int,
        num_outputs: int | None = 0,
        cardinalities: Sequence[int] = (),
        sequences: Sequence[Sequence[int]] = (),
    ) -> nn.Module:
        """The network."""
        shape = self.shape_of(num_inputs, num_outputs, cardinalities, sequences=sequences)
        return SequenceAutoencoder(self, shape[0])


class Written(NamedTuple):
    """What an autoencoder makes of sequences.

    Attributes:
        steps: The steps given back, 0 behind a row's end.
        mask: 1 at each step that counts, else 0.

    Example:
        >>> Written(torch.zeros(1, 4, 3), torch.ones(1, 4)).steps.shape
        torch.Size([1, 4, 3])
    """

    steps: Steps
    mask: Float[Tensor, "row time"]


class SequenceAutoencoder(nn.Module):
    """A reader in both directions, a code of its last states, and a writer that sees only the code.

    Parameters: ``reader.*``, ``to_code.*``, ``from_code.*``, ``writer.*`` and ``head.*``.

    Args:
        settings: The settings.
        num_numbers: Numbers at each step.

    Attributes:
        latent_size: Numbers of a code.

    Example:
        >>> network = SequenceAutoencoder(SequenceAutoencoderSettings(size=8), 2)
        >>> network.decode(torch.zeros(3, 16), num_steps=5).shape
        torch.Size([3, 5, 2])
    """

    def __init__(self, settings: SequenceAutoencoderSettings, num_numbers: int) -> None:
        super().__init__()
        settings.check_corruption(pictures=False)
        self.settings = settings
        self.latent_size = settings.code_size
        kind = UNITS[settings.unit]
        self.reader = kind(num_numbers, settings.size, bidirectional=True)
        self.to_code = nn.Linear(2 * settings.size, settings.code_size)
        self.from_code = nn.Linear(settings.code_size, settings.size)
        self.writer = kind(settings.code_size, settings.size)
        self.head = nn.Linear(settings.size, num_numbers)

    def encode(self, steps: Steps, lengths: Lengths | None = None) -> Codes:
        """The codes of whole sequences.

        Args:
            steps: Numbers at each step.
            lengths: Steps of each row that are no padding, at least 1; None counts all.
        """
        carried = self.reader(steps, lengths)[1]
        last = carried if isinstance(carried, Tensor) else carried[0]
        codes: Tensor = self.to_code(torch.cat([last[0], last[1]], dim=1))
        return codes

    def decode(self, codes: Codes, classes: Tensor | None = None, *, num_steps: int = 32) -> Steps:
        """The sequences that codes stand for.

        Args:
            codes: A code a row.
            classes: None: the network is told no classes.
            num_steps: How many steps are written.
        """
        state = torch.tanh(self.from_code(codes))[None]
        given = codes[:, None].expand(-1, num_steps, -1)
        start = (state, torch.zeros_like(state)) if self.settings.unit == "lstm" else state
        steps: Tensor = self.head(self.writer(given, None, start)[0])
        return steps

    def embed(self, steps: Steps, lengths: Lengths | None = None) -> Codes:
        """The codes of whole sequences, as :meth:`encode`."""
        return self.encode(steps, lengths)

    def forward(self, steps: Steps, lengths: Lengths | None = None) -> Written:
        """Sequences given back, and which of their steps count.

        Args:
            steps: Numbers at each step, corrupted ones where the network learns to restore.
            lengths: Steps of each row that are no padding, at least 1; None counts all.
        """
        given = self.decode(self.encode(steps, lengths), num_steps=steps.shape[1])
        mask = _mask(steps, lengths)
        return Written(given * mask[:, :, None], mask)

    def reconstruct(self, steps: Steps, lengths: Lengths | None = None) -> Steps:
        """Sequences as their codes keep them, 0 behind their ends.

        Args:
            steps: Numbers at each step.
            lengths: Steps of each row that are no padding, at least 1; None counts all.
        """
        return self(steps, lengths).steps  # type: ignore[no-any-return]

    def scores(self, steps: Steps, lengths: Lengths | None = None) -> PerRow:
        """How badly each sequence is given back: the mean squared error a number of its steps.

        Args:
            steps: Numbers at each step.
            lengths: Steps of each row that are no padding, at least 1; None counts all.
        """
        return _errors(self(steps, lengths), steps)

    def parts(self, steps: Steps, lengths: Lengths | None = None) -> Steps:
        """The squared error of each number of each step, 0 behind a row's end.

        Args:
            steps: Numbers at each step.
            lengths: Steps of each row that are no padding, at least 1; None counts all.
        """
        mask = _mask(steps, lengths)[:, :, None]
        return (self.reconstruct(steps, lengths) - steps).square() * mask

    def draw(
        self, steps: Steps, lengths: Lengths | None = None, *, generator: torch.Generator
    ) -> Drawn:
        """Corrupted sequences to start from, and the sequences themselves to give back.

        Args:
            steps: Numbers at each step.
            lengths: Steps of each row that are no padding, at least 1; None counts all.
            generator: Draws.
        """
        corrupted = self.settings.corrupted(steps, generator) * _mask(steps, lengths)[:, :, None]
        return Drawn((corrupted,) if lengths is None else (corrupted, lengths), steps)

    def loss(self, outputs: Written, target: Steps, weight: PerRow | None = None) -> Tensor:
        """The mean over rows of each one's squared error a number, its padding left out.

        Args:
            outputs: What the network made of drawn rows.
            target: The sequences themselves.
            weight: Of each row.
        """
        return reduce(_errors(outputs, target), weight)

    def measure(
        self, steps: Steps, lengths: Lengths | None = None, *, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """``reconstruction_error``, the squared error a number; of corrupted steps theirs too.

        Args:
            steps: Numbers at each step.
            lengths: Steps of each row that are no padding, at least 1; None counts all.
            generator: Draws.
        """
        inputs = self.draw(steps, lengths, generator=generator).inputs
        outputs = self(*inputs)
        found = {"reconstruction_error": _errors(outputs, steps)}
        if self.settings.corruption != "none":
            given = Written(inputs[0], outputs.mask)
            found["corrupted_reconstruction_error"] = _errors(given, steps)
        return found


def _mask(steps: Tensor, lengths: Tensor | None) -> Tensor:
    if lengths is None:
        return steps.new_ones(steps.shape[:2])
    return steps_within(steps, lengths).to(steps)


def _errors(outputs: Written, target: Tensor) -> Tensor:
    squares = (outputs.steps - target).square().mean(dim=2) * outputs.mask
    return squares.sum(dim=1) / outputs.mask.sum(dim=1).clamp_min(1)
