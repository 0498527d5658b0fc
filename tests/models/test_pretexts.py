"""Pretexts: what they draw, what their answers are worth, and that they keep the protocols."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from glial.core.errors import InputError
from glial.models import build
from glial.models.pretexts import PRETEXTS, RowForm, pretext_around
from glial.models.pretexts.turned import far_orders, shuffled
from glial.models.pretexts.views import image_view, other_cells
from glial.models.unlabelled import Encodes, Unlabelled

IMAGE = RowForm((1, 12, 12))
TABLE = RowForm(owners=(0, 1, 1), cardinalities=(4,))
OF_IMAGES = [name for name in PRETEXTS if "image" in PRETEXTS.resolve(name).kinds]
OF_TABLES = [name for name in PRETEXTS if "table" in PRETEXTS.resolve(name).kinds]
CASES = [*((name, IMAGE) for name in OF_IMAGES), *((name, TABLE) for name in OF_TABLES)]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def network_of(name, form, **options):
    torch.manual_seed(0)
    if form.image is not None:
        encoder = build("residual_cnn", num_outputs=3, images=[form.image], widths=[4, 8])
    else:
        sizes = {"num_inputs": len(form.owners), "cardinalities": form.cardinalities}
        encoder = build("mlp", num_outputs=3, hidden_sizes=[8], **sizes)
    return pretext_around(name, encoder, form, **options)


def rows_of(form, count=6):
    if form.image is not None:
        return (torch.rand(count, *form.image, generator=generator(1)),)
    numbers = torch.randn(count, len(form.owners), generator=generator(1))
    return numbers, torch.randint(4, (count, 1), generator=generator(2))


@pytest.mark.parametrize(("name", "form"), CASES)
def test_a_pretext_keeps_the_protocols(name, form):
    network, rows = network_of(name, form), rows_of(form)
    assert isinstance(network, Unlabelled)
    assert isinstance(network, Encodes)
    drawn, again = (network.draw(*rows, generator=generator(3)) for _ in range(2))
    other = network.draw(*rows, generator=generator(4))
    assert all(torch.equal(a, b) for a, b in zip(drawn.inputs, again.inputs, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(drawn.inputs, other.inputs, strict=True))
    assert len(drawn.target) == 6
    network.train()
    outputs = network(*drawn.inputs)
    assert len(outputs) == 6
    loss = network.loss(outputs, drawn.target)
    loss.backward()
    for key, parameter in network.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, key
    frozen = [key for key, p in network.named_parameters() if not p.requires_grad]
    assert frozen == ["encoder.head.weight", "encoder.head.bias"]
    network.eval()
    for figures in (
        network.measure(*rows, generator=generator(5)),
        network.trivial(*rows, generator=generator(5)),
    ):
        assert "pretext_loss" in figures
        assert all(value.shape == (6,) and value.isfinite().all() for value in figures.values())
    assert torch.equal(network.embed(*rows), network.encoder.embed(*rows))
    released = network.released()
    assert all(parameter.requires_grad for parameter in released.parameters())


@pytest.mark.parametrize(("name", "form"), CASES)
def test_a_loss_is_the_mean_of_its_rows(name, form):
    network, rows = network_of(name, form).eval(), rows_of(form)
    drawn = network.draw(*rows, generator=generator(3))
    outputs = network(*drawn.inputs)
    each = network.figures(outputs, drawn.target)["pretext_loss"]
    assert torch.allclose(network.loss(outputs, drawn.target), each.mean())
    if name == "vicreg":  # its terms are of the batch
        return
    weight = torch.arange(6.0)
    expected = (each * weight).sum() / weight.sum()
    assert torch.allclose(network.loss(outputs, drawn.target, weight), expected)


def test_the_trivial_answers_cost_what_guessing_costs():
    of_images, of_cells = rows_of(IMAGE), rows_of(TABLE)
    costs = {
        ("rotation", IMAGE): math.log(4),
        ("jigsaw", IMAGE): math.log(24),
        ("simclr", IMAGE): math.log(11),
        ("simclr", TABLE): math.log(11),
        ("vicreg", IMAGE): 24.75,
    }
    for (name, form), cost in costs.items():
        rows = of_images if form is IMAGE else of_cells
        told = network_of(name, form).trivial(*rows, generator=generator())["pretext_loss"]
        assert told.mean().item() == pytest.approx(cost, rel=1e-5), name


def test_turned_images_are_numpys():
    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    network = network_of("rotation", RowForm((1, 3, 3)))
    drawn = network.draw(image.expand(40, 1, 3, 3), generator=generator())
    assert set(drawn.target.tolist()) == {0, 1, 2, 3}
    for turned, turns in zip(drawn.inputs[0], drawn.target, strict=True):
        assert torch.equal(turned[0], torch.rot90(image[0, 0], int(turns)))


def test_an_image_that_is_not_square_keeps_its_shape():
    network = network_of("rotation", RowForm((3, 8, 12)))
    drawn = network.draw(torch.rand(5, 3, 8, 12), generator=generator())
    assert drawn.inputs[0].shape == (5, 3, 8, 12)


@pytest.mark.slow
def test_orders_of_pieces_are_far_apart():
    orders = far_orders(9, 30)
    assert len({tuple(order) for order in orders.tolist()}) == 30
    assert all(sorted(order) == list(range(9)) for order in orders.tolist())
    apart = [int((a != b).sum()) for a, b in itertools.combinations(orders, 2)]
    assert min(apart) >= 7  # two drawn at random agree in one place on average, some in three
    assert len(far_orders(4, 30)) == 24


def test_pieces_are_laid_where_the_order_says():
    image = torch.arange(1.0, 82.0).reshape(1, 1, 9, 9)
    order = torch.tensor([[8, 1, 2, 3, 4, 5, 6, 7, 0]])
    laid = shuffled(image, order, grid=3)
    assert laid[0, 0, 1, 1] == image[0, 0, 7, 7]  # the middles of the pieces: the borders are blank
    assert laid[0, 0, 7, 7] == image[0, 0, 1, 1]
    assert laid[0, 0, 4, 4] == image[0, 0, 4, 4]
    assert laid.count_nonzero() == 9


@pytest.mark.parametrize("name", ["inpainting", "masked"])
def test_hidden_pixels_are_blank_and_alone_count(name):
    network, (images,) = network_of(name, IMAGE), rows_of(IMAGE)
    drawn = network.draw(images, generator=generator())
    whole, hidden = drawn.target[:, :1], drawn.target[:, 1:]
    assert torch.equal(whole, images)
    assert torch.equal(drawn.inputs[0], images * (1 - hidden))
    assert len(hidden.flatten(1).sum(dim=1).unique()) == 1  # as many pixels of each image
    assert network.loss(whole + 9 * (1 - hidden), drawn.target).item() == 0.0
    assert network.loss(whole + 2 * hidden, drawn.target).item() == pytest.approx(4.0)


def test_views_stay_near_and_none_of_no_strength_changes():
    (images,) = rows_of(IMAGE)
    assert torch.allclose(image_view(images, generator(), strength=0.0), images, atol=1e-5)
    blob = torch.zeros(200, 1, 21, 21)
    blob[:, :, 8:13, 8:13] = 1
    moved = image_view(blob, generator()).clamp_min(0.3)  # above the noise
    places = torch.arange(21.0)
    mass = (moved - 0.3).sum(dim=(1, 2))
    middle = (mass * places).sum(dim=1) / mass.sum(dim=1)
    assert (middle - 10).abs().max() < 0.12 * 21 * 1.6 + 1  # the shift, seen at the largest zoom
    assert middle.std() > 0.5


def test_cells_are_those_of_other_rows():
    numbers, codes = rows_of(TABLE, count=400)
    (drawn, swapped), chosen = other_cells(numbers, codes, TABLE, 0.3, generator())
    assert chosen.shape == (400, 3)
    assert chosen.mean().item() == pytest.approx(0.3, abs=0.05)
    kept = chosen == 0
    assert torch.equal(drawn[:, 0][kept[:, 0]], numbers[:, 0][kept[:, 0]])
    assert torch.equal(swapped[kept[:, 2]], codes[kept[:, 2]])
    # Two numbers of one column move together: each pair is one that stands in some row.
    pairs = {tuple(pair) for pair in numbers[:, 1:].tolist()}
    assert all(tuple(pair) in pairs for pair in drawn[:, 1:].tolist())
    assert not torch.equal(drawn, numbers)


def test_masked_cells_by_hand():
    network = network_of("masked", TABLE)
    # Numbers 1, 2 and 3 (the last two of one column), code 2; the second and third column hidden.
    target = torch.tensor([[1.0, 2.0, 3.0, 2.0, 0.0, 1.0, 1.0]])
    outputs = torch.zeros(1, 10)
    outputs[0, :3] = torch.tensor([9.0, 2.0, 1.0])  # the first does not count; 0 and 4 in a column
    figures = network.figures(outputs, target)
    nats = math.log(4)  # of four codes alike; and ln 2 of each cell being hidden or not
    assert figures["pretext_loss"].item() == pytest.approx((2 + nats) / 2 + math.log(2))
    assert figures["reconstruction_error"].item() == pytest.approx(2.0)
    assert figures["pretext_accuracy"].item() == 0.0
    outputs[0, 3 + 2] = 1.0
    assert network.figures(outputs, target)["pretext_accuracy"].item() == 1.0


def test_the_trivial_cells_are_the_entropies():
    network, rows = network_of("masked", TABLE), rows_of(TABLE, count=2000)
    network.share = 1.0
    told = network.trivial(*rows, generator=generator())
    error = (rows[0] - rows[0].mean(dim=0)).square().mean(dim=0)
    shares = rows[1].flatten().bincount() / 2000
    entropy = -(shares * shares.log()).sum()
    expected = (error[0] + error[1:].mean() + entropy) / 3
    assert told["pretext_loss"].mean().item() == pytest.approx(expected.item(), rel=1e-3)


def test_a_transformer_hides_its_own_patches():
    encoder = build("vit_b_16", num_outputs=2, images=[[1, 32, 48]], width=0.125)
    network = pretext_around("masked", encoder, RowForm((1, 32, 48)), share=0.5)
    assert network.patch == (16, 16)
    drawn = network.draw(torch.rand(2, 1, 32, 48), generator=generator())
    assert network(*drawn.inputs).shape == (2, 1, 32, 48)
    assert network.hidden(1, generator()).sum() == 3 * 16 * 16


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="rotation"):
        network_of("rotation", TABLE)
    with pytest.raises(InputError, match="tables"):
        network_of("masked_cells", IMAGE)
    with pytest.raises(InputError, match="no option"):
        network_of("rotation", IMAGE, temperature=0.1)
    with pytest.raises(InputError, match="simclr"):
        network_of("simcrl", IMAGE)
    with pytest.raises(InputError, match="cannot be pretrained"):
        pretext_around("simclr", torch.nn.Linear(3, 1), RowForm(owners=(0, 1, 2)))


def collapsed_by(variance, steps=60):
    """VICReg on numbers with and without its variance term: the spread of projected vectors.

    Args:
        variance: Weight of the variance term; 25 is healthy, 0 lets all vectors become one.
        steps: Steps of training.

    Returns:
        The network, and the mean standard deviation of its outputs' features over rows.
    """
    torch.manual_seed(0)
    form = RowForm(owners=tuple(range(8)))
    encoder = build("mlp", num_inputs=8, num_outputs=1, hidden_sizes=[32])
    options = {"variance": variance, "covariance": 1.0 if variance else 0.0, "size": 16}
    network = pretext_around("vicreg", encoder, form, **options)
    rows = torch.randn(256, 8, generator=generator(1))
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for step in range(steps):
        drawn = network.draw(rows, generator=generator(step))
        loss = network.loss(network(*drawn.inputs), drawn.target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    outputs = network(*network.draw(rows, generator=generator()).inputs)
    return network, outputs.flatten(0, 1).std(dim=0).mean().item()


@pytest.mark.slow
def test_without_the_variance_all_vectors_become_one():
    healthy, collapsed = (collapsed_by(variance)[1] for variance in (25.0, 0.0))
    assert healthy > 0.4
    assert collapsed < 0.05
