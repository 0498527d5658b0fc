"""Vectors of words that foretell the words around them.

Variants: skip-gram, where a word foretells each word around it, and continuous bag of words, where
the mean of the words around it foretells a word; each by negative sampling, hierarchical softmax,
or the exact softmax.

Source:
    Mikolov, Chen, Corrado, Dean (2013), "Efficient estimation of word representations in vector
    space", arXiv 1301.3781; Mikolov, Sutskever, Chen, Corrado, Dean (2013), "Distributed
    representations of words and phrases and their compositionality", arXiv 1310.4546.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from glial.data.word_windows import ContextBatches, WordStream
from glial.functional import cross_entropy
from glial.functional.word_losses import (
    Subsampling,
    huffman_tree,
    kept_share,
    negative_sampling,
    noise_distribution,
    path_log_probability,
)
from glial.models.word_vectors import (
    FIRST,
    WordNetwork,
    WordVectorSettings,
    log_shares,
    mean_of_rows,
    rows_of,
)


class Word2VecSettings(WordVectorSettings):
    """Skip-gram or continuous bag of words.

    Attributes:
        method: Whether a word foretells those around it, or these the word.
        output: How a word is foretold among all: told from words of noise, by turns in a Huffman
            tree, or by the softmax over all words, which only small vocabularies can afford.
        negatives: Words of noise that each pair is told from.
        noise: Words of noise that are drawn for a batch; all of its pairs share them.
        noise_power: Power of counts by which noise is drawn.
        subsample: Share of the text above which a word is thinned; 0 thins none.
        subsample_by: The formula of the authors' code, or of their paper.

    Example:
        >>> network = Word2VecSettings().build(0, 4, vocabularies=[10])
        >>> network(torch.tensor([[5, 7, 0]])).shape
        torch.Size([1, 4])
    """

    description: ClassVar[str] = "plain text: vectors of words that foretell those around them"
    source: ClassVar[str] = "Mikolov et al. (2013), arXiv 1310.4546"

    name: Literal["word2vec"] = "word2vec"
    method: Literal["skip-gram", "cbow"] = "skip-gram"
    output: Literal["negative_sampling", "hierarchical_softmax", "softmax"] = "negative_sampling"
    negatives: int = Field(default=5, ge=1)
    noise: int = Field(default=64, ge=1)
    noise_power: float = Field(default=0.75, ge=0, le=1)
    subsample: float = Field(default=1e-3, ge=0, le=1)
    subsample_by: Subsampling = "code"

    def network(self, vocabulary: int, size: int) -> nn.Module:
        """The network of a vocabulary."""
        return Word2Vec(self, vocabulary, size)


class Word2Vec(WordNetwork):
    """A vector for each word, and another for each word (or node of the tree) that is foretold.

    Args:
        settings: The settings.
        vocabulary: Number of tokens.
        size: Numbers of a word's vector.

    Example:
        >>> network = Word2Vec(Word2VecSettings(), 5, 2)
        >>> around = torch.tensor([[3, 4]])
        >>> network.loss(torch.tensor([2]), around, torch.tensor([2, 3]))  # 6 ln 2
        tensor(4.1589, grad_fn=<DivBackward0>)
    """

    def __init__(self, settings: Word2VecSettings, vocabulary: int, size: int) -> None:
        super().__init__(vocabulary, size)
        self.settings = settings
        self.embedding = nn.Embedding(vocabulary, size)
        self.contexts = nn.Embedding(vocabulary, size)
        with torch.no_grad():
            self.embedding.weight.uniform_(-0.5 / size, 0.5 / size)
            self.embedding.weight[:FIRST] = 0
            self.contexts.weight.zero_()
        self._tree: tuple[Tensor, Tensor] | None = None

    def vectors(self) -> Float[Tensor, "word feature"]:
        """The vector of each word."""
        return self.embedding.weight

    def noise(self) -> Float[Tensor, " word"]:
        """How likely each word is drawn as noise."""
        return noise_distribution(self.counts, self.settings.noise_power)

    def kept(self) -> Float[Tensor, " word"]:
        """With which chance each occurrence of a word is learnt from."""
        return kept_share(self.counts, self.settings.subsample, self.settings.subsample_by)

    def foretold(self) -> Float[Tensor, " word"]:
        """How often each word is left when frequent ones are thinned."""
        return self.counts * self.kept()

    def windows(self, stream: WordStream, batch_size: int, seed: int) -> ContextBatches:
        """Words of a text with those around them, thinned as in training."""
        window, kept = self.settings.window, self.kept()
        return ContextBatches(stream, window, batch_size, seed, keep=kept)

    def batches(self, stream: WordStream, batch_size: int, seed: int) -> ContextBatches:
        """Words of a text with those around them, and noise where that is learnt from."""
        noisy = self.settings.output == "negative_sampling"
        return ContextBatches(
            stream,
            self.settings.window,
            batch_size,
            seed,
            keep=self.kept(),
            noise=self.noise() if noisy else None,
            num_noise=self.settings.noise,
        )

    def split(
        self, words: Int[Tensor, " position"], around: Int[Tensor, "position place"]
    ) -> tuple[Int[Tensor, "row bag"], Int[Tensor, " row"]]:
        """What foretells a word, and the word: one, or all of those around it."""
        return (around, words) if self.settings.method == "cbow" else super().split(words, around)

    def hidden(self, words: Int[Tensor, " row"]) -> Float[Tensor, "row feature"]:
        """Vectors of words as they are learnt: their gradients are those of single rows."""
        return rows_of(self.embedding.weight, words)

    def loss(self, *inputs: Tensor) -> Float[Tensor, ""]:
        """The mean loss of pairs, or of bags.

        Args:
            inputs: Words of a text [position], those around each [position, place], 0 where there
                is none, and words of noise [noise].
        """
        words, around, noise = inputs
        row, place = around.nonzero(as_tuple=True)
        if self.settings.method == "cbow":
            mean = mean_of_rows(self.hidden(around[row, place]), row, len(words))
            targets, row = words, torch.arange(len(words), device=words.device)
        else:
            mean, targets = self.hidden(words), around[row, place]
        if self.settings.output == "negative_sampling":
            scores = (mean.index_select(0, row) * rows_of(self.contexts.weight, targets)).sum(dim=1)
            told = mean @ rows_of(self.contexts.weight, noise).T
            return negative_sampling(scores, told, row=row, num_noise=self.settings.negatives)
        scored = mean.index_select(0, row)
        if self.settings.output == "softmax":
            # As `log_probability` has it: padding and the unknown word are never foretold.
            logits = scored @ self.contexts.weight[FIRST:].T
            found: Tensor = cross_entropy(logits, targets - FIRST)
            return found
        return -self._along_tree(scored, targets).sum() / max(1, len(targets))

    def log_probability(
        self, around: Int[Tensor, "row bag"], word: Int[Tensor, " row"]
    ) -> Float[Tensor, " row"]:
        """The logarithm of each word's chance beside the mean of words.

        Under negative sampling a score stands for the logarithm of the chance over that of noise,
        up to a constant (Levy and Goldberg 2014), so the noise's chance is put back.
        """
        row, place = around.nonzero(as_tuple=True)
        vectors = self.vectors().detach()
        mean = mean_of_rows(vectors[around[row, place]], row, len(word))
        if self.settings.output == "hierarchical_softmax":
            parts = zip(torch.split(mean, 4096), torch.split(word, 4096), strict=True)
            return torch.cat([self._along_tree(*part) for part in parts])
        table = self.contexts.weight.detach()[FIRST:]
        bias = table.new_zeros(len(table))
        if self.settings.output == "negative_sampling":
            bias = self.noise()[FIRST:].log().to(table)
        return log_shares(mean, table, bias, word - FIRST)

    def _along_tree(
        self, hidden: Float[Tensor, "row feature"], words: Int[Tensor, " row"]
    ) -> Float[Tensor, " row"]:
        if self._tree is None:
            self._tree = huffman_tree(self.counts[FIRST:].cpu())
        nodes, turns = (part[words - FIRST] for part in self._tree)
        vectors = rows_of(self.contexts.weight, nodes.clamp_min(0))
        scores = (vectors @ hidden[:, :, None]).squeeze(2)
        return path_log_probability(scores, nodes, turns)

    def set_words(self, words: Sequence[str], counts: Int[Tensor, " word"]) -> None:
        """Take in the text's words and how often each stands there."""
        super().set_words(words, counts)
        self._tree = None
