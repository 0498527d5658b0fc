"""Every model that learns from rows alone keeps the laws of such; broken ones are caught."""

from typing import ClassVar, Literal

import pytest
import torch
from torch import nn

from glial.models import MODELS
from glial.models.clusters import Refined
from glial.models.unlabelled import Drawn, UnlabelledSettings
from glial.testing import LawBroken, check_unlabelled

SMALL = {
    "hopfield": {"num_memories": 4},
    "boltzmann_machine": {"hidden_size": 2, "sweeps": 2, "sampling_sweeps": 3},
    "dbm": {"hidden_sizes": [6, 4], "greedy_epochs": 1, "partition_steps": 20},
    "flow": {"couplings": 2, "hidden_sizes": [8]},
    "diffusion": {"hidden_size": 8, "layers": 1, "widths": [4, 8]},
    "patch_memory": {"features": "random", "memory": 8},
    "pix2pix": {"generator_width": 4, "discriminator_width": 4, "dropout": 0.0},
    "cyclegan": {"generator_width": 4, "discriminator_width": 4, "blocks": 1},
    "deep_clustering": {"hidden_sizes": [8], "code_size": 2, "num_clusters": 3},
    "gan": {"hidden_sizes": [8], "latent_size": 2},
    "dcgan": {"width": 4, "latent_size": 2},
    "rbm_autoencoder": {"hidden_sizes": [9, 7]},
    "rbm": {"hidden_size": 6, "gibbs_steps": 2, "partition_steps": 100},
}
# What differences of judgements take away again.
IDLE = {
    **{name: ["discriminator.head.bias"] for name in ("gan", "dcgan")},
    "deep_clustering": ["centres"],  # learn once they are placed
}


@pytest.mark.parametrize(
    "name", [name for name in MODELS if issubclass(MODELS.resolve(name), UnlabelledSettings)]
)
def test_every_model_of_rows_alone_keeps_the_laws(name):
    settings = MODELS.resolve(name).read({"name": name, **SMALL.get(name, {})})
    check_unlabelled(settings, without_gradient=IDLE.get(name, ()))


class _Broken(nn.Module):
    def __init__(self, how, num_inputs):
        super().__init__()
        self.how = how
        self.steps = 0
        self.linear = nn.Linear(num_inputs, num_inputs)
        self.unused = nn.Parameter(torch.ones(1)) if how == "unused" else None

    def draw(self, *rows, generator):
        noise = torch.randn(rows[0].shape, generator=None if self.how == "draw" else generator)
        return Drawn((rows[0] + noise,), rows[0])

    def forward(self, rows):
        if self.how == "passes":
            rows = rows + torch.randn(rows.shape)
        return self.linear(rows)

    def loss(self, outputs, target, weight=None):
        each = (outputs - target).square().mean(dim=1)
        return each.sum() if self.how == "sum" and weight is not None else each.mean()

    def measure(self, *rows, generator):
        found = (self(rows[0]) - rows[0]).square().mean(dim=1)
        return {"reconstruction_error": found.mean() if self.how == "figure" else found}

    def assign(self, *rows):
        codes = self(rows[0]).argmax(dim=1)
        if self.how == "crowd":
            codes = codes + int(len(codes) > 2)
        return codes.float() if self.how == "names" else codes

    def refine(self, *rows, weight=None):
        with torch.no_grad():
            self.linear.weight *= 0.5 if self.how == "endless" else 1
        loss = self.loss(self(rows[0]), rows[0]).detach()
        worse = self.how == "worse" and self.steps
        self.steps += 1
        return Refined(loss + worse, settled=self.steps > 2 and self.how != "endless")

    def embed(self, *rows):
        return self(rows[0]) - (rows[0].mean(dim=0) if self.how == "leak" else 0)

    def sample(self, num_samples, *, generator, classes=None):
        size = self.linear.in_features + (self.how == "shape")
        return torch.randn(num_samples, size, generator=generator)


class _BrokenSettings(UnlabelledSettings):
    takes_images: ClassVar[bool] = False
    description: ClassVar[str] = "broken"
    source: ClassVar[str] = "nowhere"
    name: Literal["broken"] = "broken"
    how: str = ""

    def build(self, num_inputs, num_outputs=0, cardinalities=()):
        return _Broken(self.how, num_inputs)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("unused", "unused gets no gradient"),
        ("draw", "draws otherwise"),
        ("passes", "the passes draw"),
        ("sum", "weights of one"),
        ("figure", "one number a row"),
        ("leak", "leak between rows"),
        ("crowd", "clusters leak between rows"),
        ("names", "clusters are no numbers"),
        ("worse", "makes the loss greater"),
        ("endless", "come to no end"),
        ("shape", "samples"),
    ],
)
def test_broken_models_are_caught(how, message):
    check_unlabelled(_BrokenSettings())
    with pytest.raises(LawBroken, match=message):
        check_unlabelled(_BrokenSettings(how=how))
