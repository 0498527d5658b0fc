"""What the doctor says of networks that learn without labels: planted faults, healthy trainings.

    python benchmarks/collapse.py [--seeds 10] [--only REGEX] [--list]

Each case is a plain PyTorch loop under `glial.doctor.Doctor.watch`: adversarial networks on eight
Gaussians, variational autoencoders and two views on scikit-learn's digits. A planted fault counts
as detected when its problem is among the errors and warnings; a healthy training with any error or
warning at all counts as a false alarm.
"""

from __future__ import annotations

import argparse
import itertools
import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from glial.doctor import Doctor

IMAGES = torch.tensor(load_digits().data).float() / 16


@dataclass(frozen=True)
class Case:
    """A training, and the problem that is planted in it; None in a healthy one."""

    name: str
    problem: str | None
    train: Callable[[int], Doctor]


def dense(*sizes: int, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Linear layers with activations between them."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers[:-1])


def eight_gaussians(rows: int, modes: int = 8) -> Tensor:
    """Rows around points of a circle."""
    angles = torch.randint(modes, (rows,)) * math.tau / 8
    centres = 2 * torch.stack([angles.cos(), angles.sin()], 1)
    return centres + 0.05 * torch.randn(rows, 2)


@dataclass
class Gan:
    """An adversarial training, healthy as it stands; a fault changes one thing of it."""

    generator_lr: float = 1e-3
    judge_lr: float = 2e-3
    r1: float = 0.2
    judge_steps: int = 1
    generator_steps: int = 1
    saturates: bool = False
    critic: bool = False
    hinge: bool = False
    joined: bool = False
    apart: float = 0.0
    hidden: int = 96
    noise: int = 8
    discrete: int = 0
    steps: int = 1200
    betas: tuple[float, float] = (0.0, 0.9)

    def __call__(self, seed: int) -> Doctor:
        """Train under the doctor's eyes."""
        torch.manual_seed(seed)
        generator = dense(self.noise, self.hidden, self.hidden, 2)
        judge = dense(2, self.hidden, self.hidden, 1, activation=nn.SiLU)
        slow = torch.optim.Adam(generator.parameters(), lr=self.generator_lr, betas=self.betas)
        fast = torch.optim.Adam(judge.parameters(), lr=self.judge_lr, betas=self.betas)
        with Doctor.watch(generator, judge) as doctor:
            for _ in range(self.steps):
                for _ in range(self.judge_steps):
                    fast.zero_grad()
                    self.judged(generator, judge).backward()
                    fast.step()
                for _ in range(self.generator_steps):
                    slow.zero_grad()
                    answers = judge(generator(self.drawn(128)))
                    if self.critic or self.hinge:
                        (-answers.mean()).backward()
                    elif self.saturates:
                        (-F.softplus(answers)).mean().backward()
                    else:
                        F.softplus(-answers).mean().backward()
                    slow.step()
        return doctor

    def drawn(self, rows: int) -> Tensor:
        """Noise; of a few kinds only where that is the fault."""
        if not self.discrete:
            return torch.randn(rows, self.noise)
        kinds = torch.randint(self.discrete, (rows,))
        return torch.eye(self.noise)[kinds] + 0.02 * torch.randn(rows, self.noise)

    def judged(self, generator: nn.Module, judge: nn.Module) -> Tensor:
        """The judge's loss."""
        real = (eight_gaussians(128) + self.apart).requires_grad_()
        made = generator(self.drawn(128)).detach()
        if self.joined:
            answers = judge(torch.cat([real, made]))
            labels = torch.cat([torch.ones(128, 1), torch.zeros(128, 1)])
            loss = F.binary_cross_entropy_with_logits(answers, labels)
            return 2 * loss + self.penalty(judge, real)
        high, low = judge(real), judge(made)
        if self.critic:
            share = torch.rand(128, 1)
            between = (share * real + (1 - share) * made).detach().requires_grad_()
            (slope,) = torch.autograd.grad(judge(between).sum(), between, create_graph=True)
            return low.mean() - high.mean() + (slope.norm(dim=1) - 1).square().mean()
        if self.hinge:
            return (1 - high).relu().mean() + (1 + low).relu().mean() + self.penalty(judge, real)
        loss = F.softplus(-high).mean() + F.softplus(low).mean()
        return loss + self.penalty(judge, real)

    def penalty(self, judge: nn.Module, real: Tensor) -> Tensor:
        """R1: the slope at real rows."""
        if not self.r1:
            return torch.zeros(())
        (slope,) = torch.autograd.grad(judge(real).sum(), real, create_graph=True)
        return self.r1 * slope.square().sum(1).mean()


class Vae(nn.Module):
    """A variational autoencoder of digits in the form in which most are written."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 96), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(96, latent), nn.Linear(96, latent)
        self.decoder = dense(latent, 96, 64)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What is decoded, and the code's mean and log variance."""
        hidden = self.encoder(rows)
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        code = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        return self.decoder(code), mean, log_variance


@dataclass
class Variational:
    """A variational autoencoder's training, healthy as it stands."""

    beta: float = 1.0
    averaged: bool = False
    outside: bool = False
    distribution: bool = False
    latent: int = 8
    epochs: int = 25

    def __call__(self, seed: int) -> Doctor:
        """Train under the doctor's eyes."""
        torch.manual_seed(seed)
        encoder, decoder = dense(64, 96, 2 * self.latent), dense(self.latent, 96, 64)
        whole = Vae(self.latent)
        apart = self.outside or self.distribution
        network: nn.Module = nn.ModuleList([encoder, decoder]) if apart else whole
        optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
        with Doctor.watch(network, optimizer) as doctor:
            for _ in range(self.epochs):
                for order in torch.randperm(1500).split(64):
                    rows = IMAGES[order]
                    if apart:
                        mean, log_variance = encoder(rows).chunk(2, dim=1)
                        deviation = (0.5 * log_variance).exp()
                        if self.distribution:
                            code = torch.distributions.Normal(mean, deviation).rsample()
                        else:
                            code = mean + torch.randn_like(mean) * deviation
                        decoded = decoder(code)
                    else:
                        decoded, mean, log_variance = whole(rows)
                    error = 10 * (decoded.sigmoid() - rows).square().sum(1).mean()
                    if self.averaged:
                        error = F.mse_loss(decoded.sigmoid(), rows)
                    divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1)
                    optimizer.zero_grad()
                    (error + self.beta * divergence.mean()).backward()
                    optimizer.step()
        return doctor


def viewed(rows: Tensor) -> Tensor:
    """Rows with a fifth of their pixels left out, and some noise."""
    return rows * (torch.rand_like(rows) > 0.2) + 0.1 * torch.randn_like(rows)


def vicreg(one: Tensor, other: Tensor, spread: float = 25.0, apart: float = 1.0) -> Tensor:
    """Variance, invariance and covariance."""
    loss = 25 * F.mse_loss(one, other)
    for each in (one, other):
        centred = each - each.mean(0)
        covariance = centred.T @ centred / (len(each) - 1)
        loss = loss + spread * (1 - (centred.var(0) + 1e-4).sqrt()).relu().mean()
        off = covariance.square().sum() - covariance.diagonal().square().sum()
        loss = loss + apart * off / each.shape[1]
    return loss


def simclr(one: Tensor, other: Tensor, temperature: float = 0.3) -> Tensor:
    """Each view finds its other view among all others."""
    both = F.normalize(torch.cat([one, other]), dim=1)
    scores = both @ both.T / temperature
    scores = scores.masked_fill(torch.eye(len(both), dtype=torch.bool), -1e9)
    partner = torch.arange(len(both)).roll(len(one))
    return F.cross_entropy(scores, partner)


def alike(one: Tensor, other: Tensor) -> Tensor:
    """Views are pulled together, and nothing keeps rows apart."""
    return F.mse_loss(one, other)


def alike_in_direction(one: Tensor, other: Tensor) -> Tensor:
    """Likewise, whatever the length."""
    return -F.cosine_similarity(one, other).mean()


@dataclass
class Views:
    """Two views of digits, and a loss that holds them against each other."""

    loss: Callable[[Tensor, Tensor], Tensor]
    predicts: bool = False
    stops: bool = False
    teacher: bool = False
    joined: bool = False
    epochs: int = 40

    def __call__(self, seed: int) -> Doctor:
        """Train under the doctor's eyes."""
        torch.manual_seed(seed)
        encoder = nn.Sequential(nn.Linear(64, 96), nn.BatchNorm1d(96), nn.ReLU(), nn.Linear(96, 32))
        teacher = nn.Sequential(nn.Linear(64, 96), nn.BatchNorm1d(96), nn.ReLU(), nn.Linear(96, 32))
        teacher.load_state_dict(encoder.state_dict())
        predictor = nn.Sequential(
            nn.Linear(32, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 32)
        )
        learnt = [*encoder.parameters(), *(predictor.parameters() if self.predicts else ())]
        optimizer = torch.optim.Adam(learnt, lr=2e-3)
        with Doctor.watch(encoder, optimizer) as doctor:
            for _ in range(self.epochs):
                for order in torch.randperm(1536).split(128):
                    one, other = viewed(IMAGES[order]), viewed(IMAGES[order])
                    loss = self.of(one, other, encoder, predictor, teacher)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    with torch.no_grad():
                        for slow, fast in zip(
                            teacher.parameters(), encoder.parameters(), strict=True
                        ):
                            slow.lerp_(fast, 0.03)
        return doctor

    def of(
        self,
        one: Tensor,
        other: Tensor,
        encoder: nn.Module,
        predictor: nn.Module,
        teacher: nn.Module,
    ) -> Tensor:
        """The loss of two views."""
        if self.joined:
            first, second = encoder(torch.cat([one, other])).chunk(2)
            return self.loss(first, second)
        first = encoder(one)
        if self.teacher:
            with torch.no_grad():
                second = teacher(other)
        else:
            second = encoder(other)
        if self.stops:
            second = second.detach()
        return self.loss(predictor(first) if self.predicts else first, second)


CASES = [
    Case("gan", None, Gan()),
    Case("gan: hinge", None, Gan(hinge=True)),
    Case("gan: critic", None, Gan(critic=True, judge_steps=3, steps=500)),
    Case("gan: joined batches", None, Gan(joined=True)),
    Case("gan: slow judge", "players-unbalanced", Gan(judge_lr=5e-5, r1=0.0)),
    Case(
        "gan: judge wins",
        "players-unbalanced",
        Gan(saturates=True, apart=20.0, r1=0.0, judge_steps=5, steps=300),
    ),
    Case("gan: a few kinds", "mode-collapse", Gan(discrete=3, generator_lr=1e-3)),
    Case(
        "gan: no penalty",
        "mode-collapse",
        Gan(r1=0.0, generator_lr=2e-3, judge_lr=5e-4, generator_steps=3, betas=(0.9, 0.999)),
    ),
    Case("vae", None, Variational()),
    Case("vae: drawn outside", None, Variational(outside=True)),
    Case("vae: distributions", None, Variational(distribution=True)),
    Case("vae: error averaged over pixels", "posterior-collapse", Variational(averaged=True)),
    Case("vae: heavy divergence", "posterior-collapse", Variational(beta=30.0, outside=True)),
    Case(
        "vae: heavy divergence, distributions",
        "posterior-collapse",
        Variational(beta=30.0, distribution=True),
    ),
    Case("views: vicreg", None, Views(vicreg)),
    Case("views: simclr", None, Views(simclr)),
    Case("views: simclr, joined batches", None, Views(simclr, joined=True)),
    Case("views: stopped gradient", None, Views(alike_in_direction, predicts=True, stops=True)),
    Case("views: teacher", None, Views(alike_in_direction, predicts=True, teacher=True)),
    Case("views: invariance alone", "representation-collapse", Views(alike)),
    Case("views: invariance, joined batches", "representation-collapse", Views(alike, joined=True)),
    Case("views: directions alone", "representation-collapse", Views(alike_in_direction)),
    Case(
        "views: no variance term",
        "representation-collapse",
        Views(partial(vicreg, spread=0.0, apart=0.0)),
    ),
]


def told(doctor: Doctor) -> set[str]:
    """The problems of errors and warnings."""
    return {found.problem for found in doctor.findings if found.severity != "note"}


def measure(case: Case, seeds: int) -> tuple[int, Counter[str]]:
    """How many seeds were as they should be, and the problems that were told beside."""
    right, others = 0, Counter[str]()
    for seed in range(seeds):
        found = told(case.train(seed))
        right += case.problem in found if case.problem else not found
        others.update(found - {case.problem})
    return right, others


def main() -> None:
    """Print a line for each case, and how many were right in all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", default="", help="regular expression that names hold")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    sums: dict[bool, list[int]] = {True: [], False: []}
    for case in CASES:
        if not re.search(options.only, case.name):
            continue
        if options.list:
            print(case.name, case.problem or "")
            continue
        right, others = measure(case, options.seeds)
        sums[case.problem is None].append(right)
        beside: Any = ", ".join(f"{name} {count}" for name, count in others.items()) or "-"
        word = "silent" if case.problem is None else "found"
        print(
            f"{case.name:38} {case.problem or 'healthy':24} {word} {right:3} of "
            f"{options.seeds}   beside: {beside}",
            flush=True,
        )
    for healthy, counts in sums.items():
        if counts:
            what = "healthy trainings silent" if healthy else "planted faults found"
            print(f"{what}: {sum(counts)} of {len(counts) * options.seeds}")


if __name__ == "__main__":
    main()
