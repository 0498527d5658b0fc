"""Autoencoders: principal components, Jacobians, divergences by other libraries; real digits."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.distributions import Bernoulli, kl_divergence

from glial.core.errors import InputError
from glial.data.batches import Batch, TensorBatches
from glial.functional import cross_entropy, psnr
from glial.models import MODELS, build
from glial.models.autoencoder import DenseAutoencoderSettings
from glial.models.autoencoding import Autoencoded, kl_of_shares
from glial.models.unlabelled import Decodes, Drawn, Encodes, Reconstructs, Unlabelled
from glial.training import Descent, Loop, TrainSettings


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures() -> Tensor:
    """The digits as pictures of 8 x 8 pixels from -1 to 1."""
    return torch.tensor(load_digits().images / 8 - 1, dtype=torch.float32)[:, None]


def numbers() -> Tensor:
    """Their pixels as standardised numbers."""
    return torch.tensor(StandardScaler().fit_transform(load_digits().data), dtype=torch.float32)


def trained(
    network: nn.Module,
    rows: tuple[Tensor, ...],
    epochs: int,
    lr: float = 0.003,
    batch: int = 128,
) -> nn.Module:
    """A network trained by Glial's own loop, as a run trains it."""
    settings = TrainSettings(epochs=epochs, lr=lr, schedule="cosine", step="eager")
    generator = draws()

    def drawn(given: Batch, number: int) -> Batch:
        found = network.draw(*given.inputs, generator=generator)
        return Batch(found.inputs, found.target)

    batches = TensorBatches(Batch(rows, rows[0]), batch, seed=0, augment=drawn)
    Loop(network, Descent(network, network.loss, settings, lr), batches, settings).run()
    return network.eval()


def small(name: str = "autoencoder", **settings: object) -> nn.Module:
    torch.manual_seed(0)
    sizes = {"images": [[1, 8, 8]]} if name in ("conv_autoencoder", "dncnn") else {"num_inputs": 64}
    return build(name, **sizes, **settings)


def error(network: nn.Module, rows: Tensor) -> float:
    with torch.no_grad():
        return network.measure(rows, generator=draws(9))["reconstruction_error"].mean().item()


def error_of_components(count: int, train: Tensor, test: Tensor) -> float:
    pca = PCA(count).fit(train.numpy())
    given = pca.inverse_transform(pca.transform(test.numpy()))
    return float(np.square(given - test.numpy()).mean())


# What it is


@pytest.mark.parametrize("numbers_of_a_row", [2, 3, 13, 64, 784, 3072])
def test_a_code_is_smaller_than_a_row(numbers_of_a_row: int) -> None:
    chosen = DenseAutoencoderSettings().for_data(1000, numbers_of_a_row)
    network = chosen.build(numbers_of_a_row)
    assert network.latent_size == chosen.code_size < numbers_of_a_row
    assert network.encode(torch.zeros(3, numbers_of_a_row)).shape == (3, network.latent_size)


@pytest.mark.parametrize("layers", [4, 5])
def test_halves_of_a_deep_one_mirror_each_other(layers: int) -> None:
    network = small(hidden_sizes=[48, 32, 24, 16][: layers - 1], code_size=4)
    sizes = [
        [tuple(p.shape) for p in half.parameters() if p.ndim == 2]
        for half in (network.encoder, network.decoder)
    ]
    assert [len(half) for half in sizes] == [layers, layers]
    assert sizes[0] == [shape[::-1] for shape in sizes[1][::-1]]


@pytest.mark.parametrize("image", [(1, 28, 28), (3, 13, 10), (2, 1, 7), (1, 33, 8)])
@pytest.mark.parametrize("name", ["autoencoder", "conv_autoencoder", "dncnn"])
def test_pictures_of_any_size_come_back_in_their_size(name: str, image: tuple[int, ...]) -> None:
    network = build(name, images=[image], corruption="gaussian").eval()
    rows = torch.rand(2, *image) * 2 - 1
    assert network.reconstruct(rows).shape == rows.shape
    found = network.measure(rows, generator=draws())
    assert set(found) == {
        f"{prefix}{figure}"
        for prefix in ("", "corrupted_")
        for figure in ("reconstruction_error", "psnr", "ssim")
    }
    assert all(values.shape == (2,) and values.isfinite().all() for values in found.values())


@pytest.mark.parametrize(
    "name", ["autoencoder", "conv_autoencoder", "sequence_autoencoder", "dncnn"]
)
def test_all_keep_the_protocol(name: str) -> None:
    if name == "sequence_autoencoder":
        network = build(name, sequences=[[3]], size=4)
        rows: tuple[Tensor, ...] = (torch.randn(4, 6, 3), torch.tensor([6, 2, 1, 5]))
    else:
        network = small(name)
        rows = (pictures()[:4] if name != "autoencoder" else numbers()[:4],)
    network.eval()
    wanted = [Unlabelled, Reconstructs, *([] if name == "dncnn" else [Encodes, Decodes])]
    assert all(isinstance(network, kind) for kind in wanted)
    drawn = network.draw(*rows, generator=draws())
    loss = network.loss(network(*drawn.inputs), drawn.target)
    weight = torch.tensor([1.0, 0.0, 2.0, 0.0])
    weighted = network.loss(network(*drawn.inputs), drawn.target, weight)
    chosen = [part[[0, 2, 2]] for part in drawn.inputs]
    repeated = network.loss(network(*chosen), drawn.target[[0, 2, 2]])
    torch.testing.assert_close(weighted, repeated)
    loss.backward()
    assert all(p.grad is not None for p in network.parameters())
    if name != "dncnn":
        assert network.embed(*rows).shape == (4, network.latent_size)
        assert network.decode(network.embed(*rows)).shape[0] == 4


# What it learns


@pytest.mark.slow
@pytest.mark.parametrize("tied", [False, True])
def test_a_linear_one_finds_the_subspace_of_principal_components(tied: bool) -> None:
    """No linear code can do better (Eckart and Young), and the best is reached."""
    rows = numbers()[:600] - numbers()[:600].mean(dim=0)
    network = small(hidden_sizes=[], code_size=6, tied=tied)
    optimizer = torch.optim.LBFGS(network.parameters(), max_iter=150, history_size=20)

    def closure() -> float:
        optimizer.zero_grad()
        loss = network.loss(network(rows), rows)
        loss.backward()
        return loss.item()

    optimizer.step(closure)
    pca = PCA(6).fit(rows.numpy())
    wanted = float(
        np.square(pca.inverse_transform(pca.transform(rows.numpy())) - rows.numpy()).mean()
    )
    found = error(network, rows)
    assert wanted * (1 - 1e-5) <= found <= wanted * 1.01


def test_it_begins_as_principal_components() -> None:
    rows = numbers()[:600]
    network = small(code_size=6)
    network.start(rows)
    wanted = error_of_components(6, rows, rows)
    assert wanted < error(network, rows) < 1.05 * wanted
    few = small(code_size=20, hidden_sizes=[4])
    few.start(rows[:5])
    assert error(few, rows[:5]) < 0.01


@pytest.mark.slow
def test_a_deep_one_keeps_more_of_digits_than_principal_components() -> None:
    rows = numbers()
    train, test = rows[:1400], rows[1400:]
    network = small(hidden_sizes=[128, 64], code_size=6)
    network.start(train)
    trained(network, (train,), 30)
    linear = error_of_components(6, train, test)
    assert error(network, test) < 0.85 * linear
    # Codes that are another row's give other rows back.
    mixed = network.decode(network.encode(test).roll(1, 0))
    assert (mixed - test).square().mean() > 1.5 * linear


RESTORERS = {
    "autoencoder": {"code_size": 24},
    "conv_autoencoder": {"code_size": 24, "widths": [16, 32]},
    "dncnn": {"width": 12, "depth": 4, "fold": 1},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "corruption", "level", "gain"),
    [
        ("autoencoder", "gaussian", 0.8, 2.0),
        ("autoencoder", "salt_and_pepper", 0.3, 2.0),
        ("conv_autoencoder", "masking", 0.4, 1.5),
        ("dncnn", "gaussian", 0.8, 2.0),
        ("dncnn", "blur", 0.8, 2.0),
    ],
)
def test_what_is_restored_is_nearer_the_clean_picture(name, corruption, level, gain) -> None:
    """On digits that training never saw."""
    rows = pictures()
    asked = {"corruption": corruption, "corruption_level": level, **RESTORERS[name]}
    torch.manual_seed(0)
    network = build(name, images=[[1, 8, 8]], **asked)
    trained(network, (rows[:1400],), 6 if name == "dncnn" else 15, lr=0.005)
    with torch.no_grad():
        found = network.measure(rows[1400:], generator=draws(1))
    assert found["psnr"].mean() > found["corrupted_psnr"].mean() + gain
    assert found["ssim"].mean() > found["corrupted_ssim"].mean()


@pytest.mark.slow
def test_who_is_held_against_noisy_pictures_restores_nothing() -> None:
    rows = pictures()
    network = small("dncnn", corruption_level=0.8, **RESTORERS["dncnn"])
    settings = network.settings
    network.draw = lambda given, generator: Drawn(
        (noisy := settings.corrupted(given, generator),), noisy
    )
    trained(network, (rows[:1400],), 3)
    noisy = settings.corrupted(rows[1400:], draws(1))
    with torch.no_grad():
        restored = network.reconstruct(noisy)
    before = psnr(noisy.clamp(-1, 1), rows[1400:], peak=2.0).mean()
    assert psnr(restored, rows[1400:], peak=2.0).mean() < before + 0.5


# Penalties


def test_kl_is_of_two_coins() -> None:
    shares = torch.tensor([0.02, 0.05, 0.5, 0.97])
    wanted = kl_divergence(Bernoulli(0.05), Bernoulli(shares)).sum()
    torch.testing.assert_close(kl_of_shares(0.05, shares), wanted)
    assert kl_of_shares(0.05, torch.tensor([0.0, 1.0])).isfinite()


def test_the_loss_by_hand() -> None:
    network = small(sparsity="l1", sparsity_weight=0.5, contraction=2.0, code_size=3)
    network.shape = (2,)
    outputs = Autoencoded(
        torch.tensor([[1.0, 0.0], [0.0, 0.0]]),
        torch.tensor([[1.0, -1.0], [0.0, 4.0]]),
        torch.tensor([3.0, 5.0]),
    )
    # Errors 1/2 and 2, contraction (3 + 5) / 2, absolute codes (2 + 4) / 2; by 2 numbers a row.
    target = torch.tensor([[0.0, 0.0], [2.0, 0.0]])
    assert network.loss(outputs, target).item() == pytest.approx(1.25 + (2 * 4 + 0.5 * 3) / 2)
    weight = torch.tensor([0.0, 1.0])
    assert network.loss(outputs, target, weight).item() == pytest.approx(2 + (10 + 2) / 2)


@pytest.mark.parametrize("kind", ["sigmoid", "tanh", "linear"])
def test_contraction_of_one_layer_is_the_jacobians_norm(kind: str) -> None:
    network = small(hidden_sizes=[], code_size=5, contraction=1.0, code_activation=kind)
    rows = numbers()[:4]
    jacobian = torch.func.vmap(torch.func.jacrev(lambda row: network.encode(row[None])[0]))(rows)
    wanted = jacobian.square().sum(dim=(1, 2))
    assert network.tells_contraction
    torch.testing.assert_close(network(rows).contraction, wanted)


@pytest.mark.parametrize("name", ["autoencoder", "conv_autoencoder"])
def test_contraction_of_deep_ones_is_the_mean_over_directions(name: str) -> None:
    """The mean over all directions of signs is exact; over some that are drawn it is near."""
    image = (1, 2, 2)
    torch.manual_seed(0)
    network = build(name, images=[image], code_size=3, contraction=1.0, activation="tanh")
    row = torch.randn(1, *image)
    jacobian = torch.func.jacrev(network.encode)(row)
    signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=3)))
    found = network(row.expand(8, -1, -1, -1), signs).contraction.mean()
    torch.testing.assert_close(found, jacobian.square().sum())
    drawn = network.draw(row.expand(4000, -1, -1, -1), generator=draws())
    assert set(drawn.inputs[1].unique().tolist()) == {-1.0, 1.0}
    near = network(*drawn.inputs).contraction.mean()
    torch.testing.assert_close(near, jacobian.square().sum(), rtol=0.1, atol=0)


def test_contraction_is_learnt_and_told_without_gradients() -> None:
    network = small(contraction=0.1, hidden_sizes=[8], code_size=3)
    drawn = network.draw(numbers()[:8], generator=draws())
    loss = network.loss(network(*drawn.inputs), drawn.target)
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    with torch.inference_mode():
        torch.testing.assert_close(
            network.loss(network(*drawn.inputs), drawn.target), loss.detach()
        )


@pytest.mark.slow
def test_codes_of_contractive_ones_change_less_with_rows() -> None:
    rows = pictures()[:1000].flatten(1)
    found = {}
    for weight in (0.0, 1.0):
        network = small(
            hidden_sizes=[], code_size=32, contraction=weight, code_activation="sigmoid"
        )
        trained(network, (rows,), epochs=30, lr=0.01)
        with torch.no_grad():
            norm = network.exact_contraction(network.encode(rows)).mean().item()
        found[weight] = norm, error(network, rows)
    assert found[1.0][0] < 0.5 * found[0.0][0]
    assert found[1.0][1] < 0.5 * rows.var(dim=0).mean()


@pytest.mark.slow
def test_units_of_sparse_ones_are_on_as_often_as_told() -> None:
    rows = pictures()[:1000].flatten(1)
    found = {}
    for kind in ("none", "kl"):
        network = small(
            hidden_sizes=[],
            code_size=50,
            sparsity=kind,
            code_activation="sigmoid",
            sparsity_weight=5.0,
            sparsity_target=0.1,
        )
        trained(network, (rows,), epochs=30, lr=0.01)
        found[kind] = network.encode(rows).mean().item()
    assert abs(found["kl"] - 0.1) < 0.03
    assert found["none"] > 0.3


# Features


@pytest.mark.slow
def test_codes_help_a_linear_probe_of_few_labels() -> None:
    """Codes of all rows, and labels of 50 of them, beside the pixels themselves."""
    rows, classes = numbers(), load_digits().target
    asked = {"corruption": "masking", "corruption_level": 0.5, "code_activation": "relu"}
    network = small(hidden_sizes=[], code_size=200, **asked)
    untrained = copy.deepcopy(network)
    trained(network, (rows[:1400],), 60)

    def accuracy(features: np.ndarray) -> float:
        scaled = StandardScaler().fit_transform(features)
        probe = LogisticRegression(max_iter=1000).fit(scaled[:50], classes[:50])
        return probe.score(scaled[1400:], classes[1400:])

    with torch.no_grad():
        found = accuracy(network.embed(rows).numpy())
        assert found > accuracy(untrained.embed(rows).numpy()) + 0.05
    assert found > accuracy(rows.numpy()) + 0.03


@pytest.mark.slow
def test_an_encoder_is_a_start_for_a_classifier_of_few_labels() -> None:
    rows, classes = numbers(), torch.tensor(load_digits().target)
    network = small(hidden_sizes=[256, 128], code_size=12, corruption="masking", skip=False)
    fresh = copy.deepcopy(network.encoder)
    trained(network, (rows[:1400],), 30)

    def accuracy(encoder: nn.Module, first: int) -> float:
        torch.manual_seed(0)
        classifier = nn.Sequential(copy.deepcopy(encoder), nn.Linear(12, 10))
        optimizer = torch.optim.AdamW(classifier.parameters(), 0.001)
        known = slice(first, first + 50)
        for _ in range(200):
            optimizer.zero_grad()
            cross_entropy(classifier(rows[known]), classes[known]).backward()
            optimizer.step()
        return (classifier(rows[1400:]).argmax(1) == classes[1400:]).float().mean().item()

    draws_of_labels = range(0, 300, 50)
    gains = [accuracy(network.encoder, first) - accuracy(fresh, first) for first in draws_of_labels]
    assert sum(gains) / len(gains) > 0.01
    assert sum(gain > 0 for gain in gains) >= 5


# Sequences


def waves(rows: int = 300) -> tuple[Tensor, Tensor]:
    """Waves of two numbers, of frequencies and phases of their own, 4 to 12 steps long."""
    generator = draws()
    lengths = torch.randint(4, 13, (rows,), generator=generator)
    places = torch.arange(12)[None, :, None]
    speed = 0.3 + 0.7 * torch.rand(rows, 1, 1, generator=generator)
    phase = 6.3 * torch.rand(rows, 1, 2, generator=generator)
    steps = torch.sin(speed * places + phase)
    return steps * (torch.arange(12) < lengths[:, None])[:, :, None], lengths


@pytest.mark.parametrize("unit", ["rnn", "gru", "lstm"])
def test_padding_has_no_part_in_sequences(unit: str) -> None:
    torch.manual_seed(0)
    network = build("sequence_autoencoder", sequences=[[2]], size=6, unit=unit)
    steps, lengths = waves(5)
    longer = torch.cat([steps, torch.full((5, 3, 2), 7.0)], dim=1)
    found = []
    for given in (steps, longer):
        network.zero_grad()
        loss = network.loss(network(given, lengths), given)
        loss.backward()
        found.append([loss.detach(), *(p.grad.clone() for p in network.parameters())])
    torch.testing.assert_close(found[0], found[1])
    assert (network.reconstruct(longer, lengths)[:, -1] == 0).all()


def test_errors_of_sequences_by_hand() -> None:
    network = build("sequence_autoencoder", sequences=[[1]], size=4)
    outputs = network(torch.zeros(2, 3, 1), torch.tensor([1, 3]))
    given = outputs._replace(steps=torch.tensor([[[2.0], [9.0], [9.0]], [[1.0], [1.0], [4.0]]]))
    # 4 of one step, and (1 + 1 + 16) of three.
    assert network.loss(given, torch.zeros(2, 3, 1)).item() == pytest.approx(5)


@pytest.mark.slow
def test_sequences_come_back_from_their_codes() -> None:
    steps, lengths = waves()
    torch.manual_seed(0)
    network = build("sequence_autoencoder", sequences=[[2]], size=32, code_size=6)
    trained(network, (steps, lengths), epochs=30, lr=0.02, batch=50)
    with torch.no_grad():
        found = network.measure(steps, lengths, generator=draws())["reconstruction_error"].mean()
        mixed = network.decode(network.encode(steps, lengths).roll(1, 0), num_steps=12)
    assert found < 0.1  # the waves have a variance of a half
    assert (mixed - steps)[lengths == 12].square().mean() > 0.4


# Runs, and what is refused


def test_a_run_of_the_same_seed_is_the_same_and_draws_nothing_in_its_passes() -> None:
    rows = numbers()[:256]
    first, second = (
        trained(small(corruption="gaussian", hidden_sizes=[8]), (rows,), epochs=2) for _ in range(2)
    )
    assert all(map(torch.equal, first.parameters(), second.parameters()))
    inputs = first.draw(rows, generator=draws()).inputs
    assert torch.equal(first.train()(*inputs).rows, first(*inputs).rows)


def test_what_restores_begins_by_changing_little() -> None:
    rows = pictures()[:4]
    torch.testing.assert_close(small("dncnn").eval()(rows), rows, rtol=0, atol=0.1)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("autoencoder", {"corruption": "blur"}, "pictures"),
        ("autoencoder", {"corruption": "masking", "corruption_level": 1.5}, "share"),
        ("autoencoder", {"corruption": "gaussian", "corruption_level": [0.5, 0.1]}, "levels"),
        ("autoencoder", {"corruption_level": -1.0}, "corruption_level"),
        ("autoencoder", {"sparsity": "kl", "code_activation": "linear"}, "sigmoid"),
        ("autoencoder", {"activation": "rleu"}, "relu"),
        (
            "conv_autoencoder",
            {"corruption": "blur", "blur": "motion", "corruption_level": 0.5},
            "1",
        ),
        ("dncnn", {"depth": 1}, "depth"),
    ],
)
def test_wrong_settings_are_told(name: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        small(name, **settings)


def test_one_kind_of_thing_at_a_time() -> None:
    with pytest.raises(InputError, match="one kind"):
        build("autoencoder", num_inputs=3, images=[[1, 4, 4]])
    with pytest.raises(InputError, match="classes"):
        build("autoencoder", num_inputs=3, num_outputs=4)


@pytest.mark.parametrize("corruption", ["gaussian", "masking", "salt_and_pepper", "blur"])
def test_levels_may_lie_between_two(corruption: str) -> None:
    rows, ends = pictures()[:300], [0.4, 0.9]

    def nearness(level: object) -> Tensor:
        settings = MODELS.resolve("dncnn")(corruption=corruption, corruption_level=level)
        return psnr(settings.corrupted(rows, draws()), rows, peak=2.0)

    low, high, between = nearness(ends[0]), nearness(ends[1]), nearness(ends)
    assert high.mean() + 0.5 < between.mean() < low.mean() - 0.5
    assert between.std() > high.std()
