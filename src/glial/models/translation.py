"""What the networks that write one text from another have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field
from torch import nn

from glial.core.errors import InputError
from glial.models.settings import ModelSettings
from glial.models.text import text_recipe

MANY_ROWS = 20_000


class TranslationSettings(ModelSettings):
    """A network that reads one text and tells the next token of another.

    It is called with the tokens of sources, [row, place], and with those of targets so far, [row,
    position], the start token first, and gives scores of the token behind each position, [row,
    position, token]; padding is 0 and stands at the end. For decoding, ``read`` makes of sources
    what `glial.functional.Stepwise` starts from.

    Attributes:
        size: Length of a token's vector; None is 128, and 256 from 20,000 rows on.
        token_dropout: Share of tokens taken for unknown in training.
        dropout: Share of what layers give dropped in training.

    Example:
        >>> TranslationSettings().for_data(1000, 0, 50).size
        128
    """

    tasks: ClassVar[tuple[str, ...]] = ("translation",)
    takes_numbers: ClassVar[bool] = False
    takes_texts: ClassVar[bool] = True
    num_texts: ClassVar[int] = 2
    per_position: ClassVar[bool] = True

    size: int | None = Field(default=None, ge=1)
    token_dropout: float = Field(default=0.0, ge=0, lt=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with one cosine fall, clipped gradients, and smoothed targets.

        Example:
            >>> TranslationSettings.train_defaults("translation")["task.label_smoothing"]
            0.1
        """
        recipe = text_recipe(num_rows, lr=0.001, epochs=20)
        return {**recipe, "task.label_smoothing": 0.1}

    def for_data(
        self, num_rows: int, num_inputs: int, num_outputs: int, task: str = "translation"
    ) -> TranslationSettings:
        """Longer vectors where there are many rows."""
        size = self.size or (128 if num_rows < MANY_ROWS else 256)
        return self.model_copy(update={"size": size})

    def build(
        self,
        num_inputs: int,
        num_outputs: int,
        cardinalities: Sequence[int] = (),
        vocabularies: Sequence[int] = (),
    ) -> nn.Module:
        """The network; without `for_data` a token's vector has 128 numbers.

        Args:
            num_inputs: 0.
            num_outputs: Tokens that are told apart in what is written.
            cardinalities: None.
            vocabularies: Tokens of what is read, and of what has been written so far.

        Raises:
            InputError: If there are not two texts, or anything beside them.
        """
        self.check_sizes(num_inputs, num_outputs, cardinalities, vocabularies=vocabularies)
        if num_inputs or len(vocabularies) != 2:
            raise InputError(
                f"the model {getattr(self, 'name', '')!r} takes two texts and nothing else",
                expected="the tokens that are read and those written so far",
                got=f"{num_inputs} numbers and {len(vocabularies)} texts",
                do="choose another model",
            )
        return self.network((vocabularies[0], vocabularies[1]), num_outputs, self.size or 128)

    def network(self, vocabularies: tuple[int, int], num_outputs: int, size: int) -> nn.Module:
        """The network of two vocabularies."""
        raise NotImplementedError
