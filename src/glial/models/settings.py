"""What the settings of every model say and do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from glial.core.errors import InputError
from glial.core.settings import Settings

ScalingName = Literal["standard", "robust", "none"]


class ModelSettings(Settings):
    """A model's name and sizes, and what it wants from data and training.

    Attributes:
        tasks: The tasks that the model can learn.
        min_outputs: The fewest outputs that it can have.
        max_outputs: The most outputs that it can have; None is any number.
        scaling: What suits it where the plan's ``data.scaling`` is "auto".
        takes_numbers: Whether it takes numbers.
        takes_categories: Whether it takes codes of categories; if not, all categories
            come one-hot among the numbers.
        min_categories: The fewest columns of categories that it is trained with.
        takes_images: Whether it takes images.
        any_size: Whether its network takes images of any size, so that one table may hold several.
        takes_masks: Whether its network can be called with a mask of the real pixels, [row, 1,
            height, width], after the images.
        takes_sequences: Whether it takes sequences of numbers.
        takes_texts: Whether it takes texts as tokens; if not, texts come as counts of words
            among the numbers.
        num_texts: How many texts it takes, where it is called with a fixed number of them.
        takes_words: Whether it takes words that are given one by one, with their features.
        takes_series: Whether it takes windows of series in time, and nothing else.
        per_position: Whether its network gives outputs for each position of a text, [row,
            position, output], and not for the whole, [row, output].
        max_one_hot: Categories with at most so many values come one-hot among the numbers,
            where ``data.categories`` is "auto"; None is the plan's own number.
        loss: The loss it is trained with where the plan's ``task.loss`` is "auto"; "auto" is
            the task's own.
        objective: How it learns: a name in ``glial.objectives.OBJECTIVES``.
        way: The way in which its data is prepared, where that is not its task's: a name in
            ``glial.runs.ways.WAYS``.
        description: One sentence.
        source: The paper.
        weights: What the network starts from: ``imagenet`` for weights published with the paper,
            a file of weights, or the folder of a run; None starts at random.

    Example:
        >>> class OneLayer(ModelSettings):
        ...     def build(self, num_inputs, num_outputs, cardinalities=()):
        ...         return nn.Linear(num_inputs, num_outputs)
        >>> OneLayer().build(3, 1).in_features
        3
    """

    tasks: ClassVar[tuple[str, ...]] = (
        "classification",
        "multilabel",
        "regression",
        "embedding",
    )
    min_outputs: ClassVar[int] = 1
    max_outputs: ClassVar[int | None] = None
    scaling: ClassVar[ScalingName] = "standard"
    takes_numbers: ClassVar[bool] = True
    takes_categories: ClassVar[bool] = False
    min_categories: ClassVar[int] = 0
    takes_images: ClassVar[bool] = False
    any_size: ClassVar[bool] = False
    takes_masks: ClassVar[bool] = False
    takes_sequences: ClassVar[bool] = False
    takes_texts: ClassVar[bool] = False
    num_texts: ClassVar[int] = 1
    takes_words: ClassVar[bool] = False
    takes_series: ClassVar[bool] = False
    per_position: ClassVar[bool] = False
    max_one_hot: ClassVar[int | None] = None
    loss: ClassVar[str] = "auto"
    objective: ClassVar[str] = "descent"
    way: ClassVar[str | None] = None
    description: ClassVar[str] = ""
    source: ClassVar[str] = ""

    weights: str | None = None

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """Values for the plan's ``train`` part (and ``task.`` keys) that suit the model.

        Args:
            task: Name of the task.
            num_rows: Rows of training.

        Returns:
            Key to value; used where the plan does not say.
        """
        return {}

    def transfer_defaults(self, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """As `train_defaults`, for a network that starts from weights: a lower rate.

        Args:
            task: Name of the task.
            num_rows: Rows of training.
        """
        usual = self.train_defaults(task, num_rows)
        return {**usual, "lr": usual["lr"] / 4} if "lr" in usual else usual

    def data_defaults(self) -> dict[str, Any]:
        """Values for the plan's ``data`` part that the network needs, such as a size of images.

        Returns:
            Dotted key below ``data`` to value; used where the plan does not say.
        """
        return {}

    def converted(self, state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
        """Published weights with the names and shapes of the network, where they have others.

        Args:
            state: Tensors by name.
            network: Whom they are for.
        """
        return dict(state)

    def for_data(
        self, num_rows: int, num_inputs: int, num_outputs: int, task: str = "classification"
    ) -> ModelSettings:
        """A copy in which every size left open is chosen for the data.

        A model that takes images has a further argument ``images`` as for :meth:`build`.

        Args:
            num_rows: Rows of training.
            num_inputs: Numbers and categories together.
            num_outputs: Outputs.
            task: Name of the task.
        """
        return self.model_copy()

    def build(
        self, num_inputs: int, num_outputs: int, cardinalities: Sequence[int] = ()
    ) -> nn.Module:
        """The network.

        A model that takes images, sequences, texts or words has further arguments with nothing by
        default: ``images``, a [channel, height, width] each, ``sequences``, a [number] of numbers
        at each step, ``vocabularies``, a number of tokens each, and ``words``, for each column how
        many numbers each feature may be.

        Args:
            num_inputs: Numbers in a row.
            num_outputs: Numbers that the head gives for a row.
            cardinalities: Number of codes of each category, the unknown bucket included.
        """
        raise NotImplementedError

    def check_sizes(
        self,
        num_inputs: int,
        num_outputs: int,
        cardinalities: Sequence[int] = (),
        *,
        images: Sequence[Sequence[int]] = (),
        sequences: Sequence[Sequence[int]] = (),
        vocabularies: Sequence[int] = (),
        words: Sequence[Sequence[int]] = (),
    ) -> None:
        """Refuse sizes that the model cannot have.

        Raises:
            InputError: If there is no input, no output or too many outputs, or there are
                categories that the model does not take.
        """
        name = getattr(self, "name", type(self).__name__)
        counts = {
            "numbers": num_inputs,
            "categories": len(cardinalities),
            "images": len(images),
            "sequences": len(sequences),
            "texts": len(vocabularies),
            "words": len(words),
        }
        takes = [kind for kind in counts if getattr(self, f"takes_{kind}")]
        if num_inputs < 0 or not sum(counts[kind] for kind in takes):
            raise InputError(
                f"the model {name!r} needs inputs",
                expected=f"at least one of {', '.join(takes)}",
                got=", ".join(f"{count} {kind}" for kind, count in counts.items()),
                do="keep at least one column beside the target",
            )
        few, most = self.min_outputs, self.max_outputs
        if num_outputs < few or (most and num_outputs > most):
            raise InputError(
                f"the model {name!r} cannot have {num_outputs} outputs",
                expected=f"from {few} to {most}" if most else f"at least {few}",
                got=str(num_outputs),
                do="choose another model, such as mlp" if num_outputs > 1 else "name a target",
            )
        if (cardinalities and not self.takes_categories) or any(c < 1 for c in cardinalities):
            raise InputError(
                f"the model {name!r} cannot take these categories",
                expected="codes of at least one value each"
                if self.takes_categories
                else "categories one-hot among the numbers",
                got=f"cardinalities {list(cardinalities)}",
                do="set data.categories=one-hot, or choose the model mlp",
            )
