"""The laws of a model that learns from rows alone; `check_unlabelled` runs them all.

A third party's test is one line: ``check_unlabelled(MySettings())``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from glial.models.anomalies import ScoresAnomalies
from glial.models.players import Players
from glial.models.unlabelled import (
    Decodes,
    Encodes,
    Reconstructs,
    Samples,
    Unlabelled,
    UnlabelledSettings,
)
from glial.testing.clusters import check_clusters, check_fitting
from glial.testing.models import LawBroken, check_settings

NUM_ROWS, NUM_INPUTS, NUM_CLASSES = 12, 5, 3
IMAGES = ((1, 12, 12), (3, 16, 8))
LENGTH, NUM_NUMBERS = 7, 2


def check_unlabelled(
    settings: UnlabelledSettings, *, without_gradient: Collection[str] = ()
) -> None:
    """Run every law of a model of rows alone, on rows of all the kinds that it takes.

    Args:
        settings: The model's settings; small sizes make it quick.
        without_gradient: Names of parameters that are known to get no gradient.

    Raises:
        LawBroken: If a law is broken.

    Example:
        >>> from glial.models.vae import VAESettings
        >>> check_unlabelled(VAESettings(hidden_sizes=[8], latent_size=2))
    """
    check_settings(settings)
    signed = settings.data_defaults().get("images.scaling") == "signed"
    _law(signed or not settings.takes_images, "images are not asked for from -1 to 1")
    for sizes in unlabelled_sizes(settings):
        network = _built(settings, sizes)
        rows = unlabelled_rows(network, sizes)
        _law(isinstance(network, Unlabelled), "the network does not keep the protocol Unlabelled")
        check_draws(network, rows)
        check_learning(network, rows, without_gradient)
        check_figures(network, rows)
        check_codes(network, rows)
        check_clusters(network, rows)
        check_fitting(network, rows)
        if not sizes["num_outputs"]:
            check_scores(network, rows)
        check_samples(network, rows, sizes["num_outputs"])
        check_weights(network, _built(settings, sizes, seed=1), rows)


def unlabelled_sizes(settings: UnlabelledSettings) -> list[dict[str, Any]]:
    """Sizes of networks to try: of every kind of row, without classes and with.

    Args:
        settings: The model's.

    Example:
        >>> from glial.models.gan import GANSettings
        >>> [sizes["num_outputs"] for sizes in unlabelled_sizes(GANSettings())][:2]
        [0, 3]
    """
    kinds: list[dict[str, Any]] = []
    if settings.takes_numbers:
        kinds.append({"num_inputs": NUM_INPUTS})
    if settings.takes_images:
        kinds += [{"num_inputs": 0, "images": [image] * settings.num_images} for image in IMAGES]
    if settings.takes_sequences:
        kinds.append({"num_inputs": 0, "sequences": [[NUM_NUMBERS]]})
    counts = (0, NUM_CLASSES) if settings.conditional else (0,)
    return [{**kind, "num_outputs": count} for kind in kinds for count in counts]


def unlabelled_rows(network: nn.Module, sizes: dict[str, Any]) -> tuple[Tensor, ...]:
    """Rows for a network of these sizes; one whose first weights look at rows is started.

    Args:
        network: The network.
        sizes: One of `unlabelled_sizes`.

    Example:
        >>> [part.shape for part in unlabelled_rows(nn.Identity(), {"num_outputs": 3})]
        [torch.Size([12, 5]), torch.Size([12])]
    """
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randn(NUM_ROWS, NUM_INPUTS, generator=generator)]
    if "images" in sizes:
        rows = [torch.rand(NUM_ROWS, *i, generator=generator) * 2 - 1 for i in sizes["images"]]
    if "sequences" in sizes:
        lengths = torch.arange(NUM_ROWS) % LENGTH + 1
        steps = torch.randn(NUM_ROWS, LENGTH, NUM_NUMBERS, generator=generator)
        rows = [steps * (torch.arange(LENGTH) < lengths[:, None])[:, :, None], lengths]
    if sizes["num_outputs"]:
        rows.append(torch.arange(NUM_ROWS) % sizes["num_outputs"])
    start = getattr(network, "start", None)
    if callable(start):
        start(*rows)
    return tuple(rows)


def check_draws(network: Any, rows: Sequence[Tensor]) -> None:
    """What is drawn hangs on the generator alone, and has a row a row.

    Raises:
        LawBroken: If not.
    """
    first, again = (network.draw(*rows, generator=_generator()) for _ in range(2))
    for one, other in zip(
        (*first.inputs, first.target), (*again.inputs, again.target), strict=True
    ):
        _law(torch.equal(one, other), "the same generator draws otherwise")
        _law(len(one) == len(rows[0]), f"{len(one)} rows are drawn of {len(rows[0])}")


def check_learning(
    network: Any, rows: Sequence[Tensor], without_gradient: Collection[str] = ()
) -> None:
    """The loss is a finite number, its own steps draw nothing, and every parameter learns of it.

    Raises:
        LawBroken: If not.
    """
    network.train()
    drawn = network.draw(*rows, generator=_generator())
    torch.manual_seed(0)
    with torch.no_grad():  # what starts at nothing hides from others, for a step, what there is
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.02)
    before = torch.get_rng_state()
    outputs = network(*drawn.inputs)
    if not any(isinstance(module, nn.modules.dropout._DropoutNd) for module in network.modules()):
        _law(torch.equal(before, torch.get_rng_state()), "the passes draw what draw should have")
    loss = network.loss(outputs, drawn.target)
    _law(loss.ndim == 0 and bool(loss.isfinite()), "the loss is no finite number")
    ones = torch.ones(len(rows[0]))
    close = torch.allclose(network.loss(outputs, drawn.target, ones), loss, rtol=1e-4, atol=1e-5)
    _law(close, "weights of one change the loss")
    network.zero_grad()
    if not any(parameter.requires_grad for parameter in network.parameters()):
        return  # its weights are computed, or kept
    if isinstance(network, Players):
        made = network.generate(*drawn.inputs)
        cut = tuple(part.detach() for part in made)
        loss = network.discriminator_loss(cut, *drawn.inputs)
        loss = loss + network.generator_loss(made, *drawn.inputs)
    loss.backward()
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad or name in without_gradient:
            continue
        learns = parameter.grad is not None and bool(parameter.grad.isfinite().all())
        _law(learns and bool((parameter.grad != 0).any()), f"{name} gets no gradient")


def check_figures(network: Any, rows: Sequence[Tensor]) -> None:
    """Figures are a finite number a row, and the same for the same draws.

    Raises:
        LawBroken: If not.
    """
    network.eval()
    with torch.no_grad():
        first, again = (network.measure(*rows, generator=_generator()) for _ in range(2))
    _law(bool(first), "there is no figure")
    for name, values in first.items():
        _law(tuple(values.shape) == (len(rows[0]),), f"{name} has not one number a row")
        _law(bool(values.isfinite().all()), f"{name} is not finite")
        _law(torch.equal(values, again[name]), f"{name} differs for the same draws")


def check_codes(network: Any, rows: Sequence[Tensor]) -> None:
    """Vectors and reconstructions of a row do not hang on the rows beside it.

    Raises:
        LawBroken: If they do, or have another shape than they should.
    """
    network.eval()
    few = [part[:2] for part in rows]
    with torch.no_grad():
        if isinstance(network, Encodes):
            vectors = network.embed(*rows)
            _law(len(vectors) == len(rows[0]) and vectors.ndim >= 2, "embeddings are no rows")
            _same(vectors[:2], network.embed(*few), "embeddings leak between rows")
        if isinstance(network, Reconstructs):
            back = network.reconstruct(*rows)
            _law(back.shape == rows[0].shape, "reconstructions have another shape")
            _same(back[:2], network.reconstruct(*few), "reconstructions leak between rows")


def check_scores(network: Any, rows: Sequence[Tensor]) -> None:
    """Scores of a network that tells anomalies are the row's own, and so are their parts.

    Raises:
        LawBroken: If they hang on rows beside it, are not finite, or have another shape.
    """
    told: Any = network if isinstance(network, ScoresAnomalies) else None
    if told is None:
        return
    told.eval()
    few = [part[:2] for part in rows]
    with torch.no_grad():
        scores, parts = told.scores(*rows), told.parts(*rows)
        _law(tuple(scores.shape) == (len(rows[0]),), "there is not one score a row")
        _law(parts.shape == rows[0].shape, "parts of scores have another shape than rows")
        _law(bool(scores.isfinite().all() and parts.isfinite().all()), "scores are not finite")
        _same(scores[:2], told.scores(*few), "scores leak between rows")
        _same(parts[:2], told.parts(*few), "parts of scores leak between rows")


def check_samples(network: Any, rows: Sequence[Tensor], num_classes: int) -> None:
    """Samples have the shape of rows, and hang on the generator alone.

    Raises:
        LawBroken: If not.
    """
    network.eval()
    classes = torch.arange(4) % num_classes if num_classes else None
    with torch.no_grad():
        if isinstance(network, Samples):
            first, again = (
                network.sample(4, generator=_generator(), classes=classes) for _ in range(2)
            )
            _law(first.shape == (4, *rows[0].shape[1:]), f"samples {tuple(first.shape)}")
            _law(bool(first.isfinite().all()), "samples are not finite")
            _law(torch.equal(first, again), "the same generator samples otherwise")
            if num_classes:
                drawn = network.sample(4, generator=_generator())
                _law(drawn.shape == first.shape, "samples of drawn classes have another shape")
        if isinstance(network, Decodes):
            codes = torch.randn(4, network.latent_size, generator=_generator())
            decoded = network.decode(codes, classes)
            _law(decoded.shape[0] == 4, "codes do not decode to a row each")


def check_weights(network: Any, other: Any, rows: Sequence[Tensor]) -> None:
    """A network with another's weights is the same.

    Raises:
        LawBroken: If it is not.
    """
    other.load_state_dict(network.state_dict())
    for one in (network, other):
        one.eval()
    with torch.no_grad():
        told, copied = (one.measure(*rows, generator=_generator()) for one in (network, other))
    for name, values in told.items():
        _same(values, copied[name], f"{name} is another once the weights are loaded")


def _built(settings: UnlabelledSettings, sizes: dict[str, Any], seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return settings.build(**sizes)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def _same(one: Tensor, other: Tensor, message: str) -> None:
    _law(torch.allclose(one, other, rtol=1e-3, atol=1e-4), message)


def _law(holds: bool, message: str) -> None:
    if not holds:
        raise LawBroken(message)
