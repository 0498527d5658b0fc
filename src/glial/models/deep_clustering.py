"""Deep clustering: codes of rows that keep neighbours, and centres that draw them together.

Source:
    Xie, Girshick, Farhadi (2016), "Unsupervised deep embedding for clustering analysis", arXiv
    1511.06335; with the reconstruction kept: Guo, Gao, Liu, Yin (2017), "Improved deep embedded
    clustering with local structure preservation", IJCAI; neighbours: van der Maaten (2009),
    "Learning a parametric embedding by preserving local structure", AISTATS.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from glial.functional.clustering import log_soft_assignment, neighbour_divergence, sharpened
from glial.functional.losses import reduce
from glial.models.autoencoder import Autoencoder, DenseAutoencoderSettings
from glial.models.clusters import ClusteredSettings, PerRow, Rows, check_distinct
from glial.models.kmeans import started, with_best_count
from glial.models.unlabelled import Drawn

RESTARTS, STEPS = 10, 300
MOST_CODES = 10


class DeepClusteringSettings(ClusteredSettings):
    """Deep clustering.

    In the first part of training an autoencoder learns codes that keep near what is near. Then
    k-means finds centres among them, and codes and centres learn to make every row surer of its
    cluster, while rows are still given back.

    Attributes:
        hidden_sizes: Units of the encoder's hidden layers; the decoder has the same in reverse.
            None chooses two by the number of rows.
        code_size: Numbers of a code; None is 10, or half of a row's.
        activation: Of hidden layers.
        pretraining: Share of training before there are centres.
        num_neighbours: How many rows of a batch count as near to each.
        neighbour_weight: Weight of keeping these near, beside the mean squared error a number; 0
            leaves the published method without it.
        cluster_weight: Weight of being sure, likewise.

    Example:
        >>> network = DeepClusteringSettings(num_clusters=3, code_size=2).build(5)
        >>> network.assign(torch.zeros(4, 5)).shape
        torch.Size([4])
    """

    objective: ClassVar[str] = "descent"
    description: ClassVar[str] = "clusters of codes that an autoencoder learns with them"
    source: ClassVar[str] = "Guo et al. (2017), IJCAI; Xie et al. (2016), arXiv 1511.06335"

    name: Literal["deep_clustering"] = "deep_clustering"
    hidden_sizes: list[Annotated[int, Field(ge=1)]] | None = None
    code_size: int | None = Field(default=None, ge=1)
    activation: str = "relu"
    pretraining: float = Field(default=0.7, ge=0, lt=1)
    num_neighbours: int = Field(default=5, ge=1)
    neighbour_weight: float = Field(default=1.0, ge=0)
    cluster_weight: float = Field(default=0.1, ge=0)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with one cosine fall; the last weights are kept, as its parts have other losses.

        Example:
            >>> DeepClusteringSettings.train_defaults("cluster", 50_000)["batch_size"]
            512
        """
        many = num_rows >= 5_000
        return {
            "optimizer": "adamw",
            "lr": 0.002,
            "batch_size": 512 if many else 256,
            "epochs": 15 if num_rows >= 30_000 else 40 if many else 100,
            "schedule": "cosine",
            "patience": None,
            "restore_best": False,
        }

    def for_data(
        self,
        num_rows: int,
        num_inputs: int,
        num_outputs: int = 0,
        task: str = "cluster",
        images: Sequence[Sequence[int]] = (),
    ) -> DeepClusteringSettings:
        """Hidden layers that are wider where there are more rows, and a narrow code.

        Example:
            >>> chosen = DeepClusteringSettings().for_data(1000, 13)
            >>> chosen.hidden_sizes, chosen.code_size
            ([256, 128], 6)
        """
        hidden = self.hidden_sizes
        if hidden is None:
            hidden = [512, 256] if num_rows >= 5_000 else [256, 128]
        numbers = num_inputs + sum(math.prod(image) for image in images)
        size = self.code_size or max(1, min(MOST_CODES, numbers // 2))
        return self.model_copy(update={"hidden_sizes": hidden, "code_size": size})

    def for_rows(self, rows: Rows, *, seed: int) -> DeepClusteringSettings:
        """The number of clusters chosen, where it was left open, as k-means chooses it.

        Args:
            rows: Training rows.
            seed: Seed of starts.
        """
        return with_best_count(self, rows, seed)

    def build(
        self,
        num_inputs: int,
        num_outputs: int | None = 0,
        cardinalities: Sequence[int] = (),
        images: Sequence[Sequence[int]] = (),
    ) -> nn.Module:
        """The network; without `for_data` as for many rows, without `for_rows` of 8 clusters."""
        shape = self.shape_of(num_inputs, num_outputs, cardinalities, images=images)
        return DeepClustering(self, shape)


class Clustered(NamedTuple):
    """What the network makes of rows.

    Attributes:
        rows: The rows given back.
        codes: Their codes.
        log_shares: The logarithm of how much each belongs to each cluster.
        pull: Weight of making these surer, of each row.

    Example:
        >>> clustered = Clustered(*(torch.zeros(2, 3) for _ in range(3)), torch.zeros(2))
        >>> clustered.pull.shape
        torch.Size([2])
    """

    rows: Tensor
    codes: Tensor
    log_shares: Tensor
    pull: Tensor


class DeepClustering(nn.Module):
    """An autoencoder, and centres among its codes.

    Parameters: ``autoencoder.*`` and ``centres`` [cluster, latent]; the buffer ``placed`` says
    whether the centres have been found.

    Args:
        settings: The settings.
        shape: Of one row.

    Example:
        >>> network = DeepClustering(DeepClusteringSettings(num_clusters=2, code_size=1), (3,))
        >>> rows = torch.eye(3)
        >>> network.start(rows)
        >>> network(rows).log_shares.exp().sum(dim=1).allclose(torch.ones(3))
        True
    """

    placed: Tensor

    def __init__(self, settings: DeepClusteringSettings, shape: tuple[int, ...]) -> None:
        super().__init__()
        chosen = settings.for_data(0, math.prod(shape))
        self.settings = settings
        coding = DenseAutoencoderSettings(
            hidden_sizes=chosen.hidden_sizes,
            code_size=chosen.code_size,
            activation=settings.activation,
            skip=False,
        )
        self.autoencoder = Autoencoder(coding, shape)
        self.centres = nn.Parameter(torch.randn(settings.count, self.autoencoder.latent_size))
        self.register_buffer("placed", torch.zeros((), dtype=torch.bool))
        self._some: Tensor | None = None
        self._seed = 0

    def start(self, rows: Rows) -> None:
        """Look at some training rows, by which centres are placed.

        Args:
            rows: Training rows.
        """
        check_distinct(rows.flatten(1), len(self.centres))
        self._some = rows
        self._seed = int(torch.randint(2**31, ()))
        self._place()

    def set_progress(self, fraction: float) -> None:
        """How much of training is done, from 0 to 1: centres are found when codes have formed."""
        if fraction >= self.settings.pretraining and not bool(self.placed):
            self._place()
            self.placed.fill_(value=True)

    @torch.no_grad()
    def _place(self) -> None:
        """Let k-means find the centres among the codes of some rows."""
        if self._some is None:
            return
        codes = self.embed(self._some.to(self.centres.device)).double().cpu().numpy()
        centres, _ = started(codes, len(self.centres), RESTARTS, self._seed, STEPS)
        self.centres.copy_(torch.from_numpy(centres))

    def draw(self, rows: Rows, *, generator: torch.Generator) -> Drawn:
        """The rows themselves: nothing is drawn.

        Args:
            rows: The rows.
            generator: Is not used.
        """
        return Drawn((rows,), rows)

    def forward(self, rows: Rows) -> Clustered:
        """Rows given back, their codes, and how much they belong to each cluster."""
        codes = self.embed(rows)
        weight = self.settings.cluster_weight * self.placed.to(codes)
        given = self.autoencoder.decode(codes)
        pull = weight.expand(len(codes))
        return Clustered(given, codes, log_soft_assignment(codes, self.centres), pull)

    def loss(self, outputs: Clustered, target: Rows, weight: PerRow | None = None) -> Tensor:
        """The mean squared error a number, how far neighbours are apart, and how unsure rows are.

        The last is the divergence of the shares from those that `sharpened` makes of them; these
        count as given.

        Args:
            outputs: What the network makes of rows.
            target: The rows.
            weight: Of each row.
        """
        flat = target.flatten(1)
        total = reduce((outputs.rows.flatten(1) - flat).square().mean(dim=1), weight)
        if self.settings.neighbour_weight and len(flat) > 1:
            apart = neighbour_divergence(flat, outputs.codes, self.settings.num_neighbours, weight)
            total = total + self.settings.neighbour_weight * apart
        given = outputs.log_shares.detach().exp()
        counts = given.sum(dim=0) if weight is None else weight @ given
        wanted = sharpened(given, counts)
        unsure = (torch.xlogy(wanted, wanted) - wanted * outputs.log_shares).sum(dim=1)
        return total + reduce(outputs.pull * unsure, weight)

    def embed(self, rows: Rows) -> Float[Tensor, "row latent"]:
        """The codes of rows."""
        return self.autoencoder.encode(rows)

    def reconstruct(self, rows: Rows) -> Rows:
        """Rows as their codes keep them."""
        return self.autoencoder.reconstruct(rows)

    def assign(self, rows: Rows) -> Int[Tensor, " row"]:
        """The cluster of each row."""
        return log_soft_assignment(self.embed(rows), self.centres).argmax(dim=1)

    def measure(self, rows: Rows, *, generator: torch.Generator) -> dict[str, Tensor]:
        """How much each row belongs to its cluster, and how well it is given back.

        Args:
            rows: The rows.
            generator: Is not used.
        """
        shares = log_soft_assignment(self.embed(rows), self.centres).exp()
        error = (self.reconstruct(rows) - rows).square().flatten(1).mean(dim=1)
        return {"probability": shares.amax(dim=1), "reconstruction_error": error}
