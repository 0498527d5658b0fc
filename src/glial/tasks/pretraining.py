"""Finding the tokens that were hidden in a text."""

from __future__ import annotations

from torch import Tensor

from glial.tasks.language import LanguageModelling


class Pretraining(LanguageModelling):
    """Learn a language by finding hidden tokens from those before and behind them.

    The loss, in nats, is the mean over the hidden tokens alone; the trivial predictor knows how
    often each token stands in the training texts.

    Source:
        Devlin et al. (2019), arXiv 1810.04805, section 3.1.

    Example:
        >>> import torch
        >>> from glial.tasks.settings import TaskSettings
        >>> task = Pretraining("text", [0, 3, 1], TaskSettings())
        >>> hidden = torch.tensor([[1, -1]])  # one was hidden, and a place is left over
        >>> float(task.loss(torch.zeros(1, 2, 3), hidden).exp())
        3.0
    """

    name = "pretrain"
    monitored: tuple[str, ...] = ("loss", "perplexity", "masked_accuracy")

    def figures(self, told: Tensor, num_characters: int | None = None) -> dict[str, float]:
        """Metrics of hidden tokens.

        Args:
            told: As of `told`, [token, 2].
            num_characters: Is not used: hidden tokens stand for no text.

        Returns:
            ``masked_accuracy``, ``log_loss`` (nats a hidden token) and ``perplexity``.
        """
        found = super().figures(told)
        return {"masked_accuracy": found.pop("accuracy"), **found}

    def monitor(self, outputs: Tensor, target: Tensor) -> dict[str, float]:
        """Loss, perplexity and accuracy of the hidden tokens of some texts."""
        kept = target >= 0
        figures = self.figures(self.told(outputs[kept], target[kept]))
        return {"loss": figures.pop("log_loss"), **figures}
