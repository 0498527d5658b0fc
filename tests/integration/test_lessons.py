"""What textbooks claim of dense networks, measured: each claim beside its opposite."""

from __future__ import annotations

import math
from statistics import mean

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from glial.data import Batch, TensorBatches
from glial.functional import activation_shift, largest_curvature
from glial.models.mlp import MLPSettings
from glial.nn import Dense, Step
from glial.training import Descent, Loop, Moment, TrainSettings

SEEDS = range(3)


def classes(outputs, target, weight=None):
    return cross_entropy(outputs, target)


def squares(outputs, target, weight=None):
    return mse_loss(outputs, target)


def network(seed, inputs, outputs, **settings):
    torch.manual_seed(seed)
    return MLPSettings(**settings).build(inputs, outputs)


def fit(model, rows, lr, loss, batch_size=32, **settings):
    """Train, and give the loss over all rows afterwards."""
    torch.manual_seed(0)
    plan = TrainSettings(**{"optimizer": "sgd", **settings})
    x, y = rows
    batches = TensorBatches(Batch((x,), y), batch_size, seed=0)
    Loop(model, Descent(model, loss, plan, lr), batches, plan).run()
    with torch.no_grad():
        return loss(model.eval()(x), y).item()


def digits():
    bunch = load_digits()
    x = torch.tensor(bunch.data, dtype=torch.float32)[:600]
    return (x - x.mean(dim=0)) / (x.std(dim=0) + 1e-6), torch.tensor(bunch.target)[:600]


def noisy(num_rows, seed, num_inputs=10):
    """A product of two inputs plus a third, and noise of standard deviation one half."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(num_rows + 1000, num_inputs, generator=generator)
    y = x[:, :1] + x[:, 1:2] * x[:, 2:3] + torch.randn(len(x), 1, generator=generator) / 2
    return (x[:num_rows], y[:num_rows]), (x[num_rows:], y[num_rows:])


def errors(num_rows=100, hidden=64, **settings):
    """Training error and error on unseen rows, each the mean over seeds."""
    dropout = settings.pop("dropout", 0.0)
    pairs = []
    for seed in SEEDS:
        rows, (x, y) = noisy(num_rows, seed)
        model = network(seed, 10, 1, hidden_sizes=[hidden], dropout=dropout)
        epochs = 15_000 // num_rows
        seen = fit(model, rows, 0.01, squares, optimizer="adam", epochs=epochs, **settings)
        pairs.append((seen, squares(model(x), y).item()))
    return mean(seen for seen, _ in pairs), mean(unseen for _, unseen in pairs)


# ---- Units


def test_a_unit_fires_only_where_the_weighted_reasons_pass_its_threshold():
    """To play cricket: is the weather fine (3), is a friend coming (2), is the field near (1)?"""
    unit = nn.Sequential(Dense(3, 1), Step())
    with torch.no_grad():
        unit[0].weight.copy_(torch.tensor([[3.0, 2.0, 1.0]]))
        unit[0].bias.fill_(-3.5)
    cases = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
    with torch.no_grad():
        assert unit(cases)[:, 0].tolist() == [0, 0, 0, 0, 0, 1, 1, 1]
    # The larger a weight, the more cases its input decides.
    with torch.no_grad():
        decides = [
            (unit(cases.index_fill(1, torch.tensor([i]), 0.0)) != unit(cases)).sum().item()
            for i in range(3)
        ]
    assert decides == [3, 1, 1]


def test_one_bias_for_a_whole_layer_cannot_give_its_outputs_each_their_level():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 3, generator=generator)
    rows = (x, x[:, :2] + torch.tensor([5.0, -5.0]))

    def loss(kind):
        model = network(0, 3, 2, hidden_sizes=[], bias=kind)
        return fit(model, rows, 0.1, squares, 200, epochs=300)

    assert loss("per-neuron") < 1e-6
    # The best single level is 0, which leaves a squared error of 25 on each output.
    assert loss("shared") == pytest.approx(25, rel=0.05)


def kinks(model):
    """Changes of slope of a piecewise linear function over (0, 1)."""
    x = torch.linspace(0, 1, 100_001, dtype=torch.float64)[:, None]
    with torch.no_grad():
        slopes = model.double()(x)[:, 0].diff() / x[1, 0]
    changed = (slopes.diff().abs() > 1e-6 * slopes.abs().max()).nonzero()[:, 0]
    return 1 + int((changed.diff() > 1).sum()) if len(changed) else 0


def test_depth_makes_more_pieces_from_fewer_parameters():
    """A tent folded onto itself k times has 2^k pieces (Telgarsky 2016, arXiv 1602.04485)."""
    depth = 5
    settings = MLPSettings(hidden_sizes=[2] * depth)
    deep = settings.build(1, 1)
    with torch.no_grad():
        for number, block in enumerate(deep.blocks):
            block.linear.weight.copy_(torch.tensor([[1.0, 0.0], [1.0, 0.0]])[:, :1])
            if number:
                block.linear.weight.copy_(torch.tensor([[2.0, -4.0], [2.0, -4.0]]))
            block.linear.bias.copy_(torch.tensor([0.0, -0.5]))
        deep.head.weight.copy_(torch.tensor([[2.0, -4.0]]))
        deep.head.bias.zero_()
    x = torch.rand(1000, 1, dtype=torch.float64)
    folded = x.clone()
    for _ in range(depth):
        folded = 1 - (2 * folded - 1).abs()
    torch.testing.assert_close(deep.double()(x), folded, atol=1e-9, rtol=0)
    assert kinks(deep) == 2**depth - 1
    # One hidden layer of n units has at most n kinks: it needs 31 units.
    shallow = network(0, 1, 1, hidden_sizes=[2**depth - 1])
    with torch.no_grad():
        first = shallow.blocks[0].linear
        first.bias.copy_(-first.weight[:, 0] * torch.linspace(0.02, 0.98, 2**depth - 1))
    assert kinks(shallow) == 2**depth - 1
    count = [sum(p.numel() for p in m.parameters()) for m in (deep, shallow)]
    assert count == [31, 94]


# ---- Starting and descending
def test_in_a_deep_network_relu_learns_faster_than_tanh_and_tanh_than_sigmoid():
    def loss(name):
        shape = {"hidden_sizes": [32] * 5, "activation": name}
        return mean(
            fit(network(seed, 64, 10, **shape), digits(), 0.05, classes, epochs=10)
            for seed in SEEDS
        )

    relu, tanh, sigmoid = loss("relu"), loss("tanh"), loss("sigmoid")
    assert relu < 0.6 * tanh
    assert tanh < 0.2 * sigmoid
    assert sigmoid > 0.95 * math.log(10)  # it has not begun to learn


class Ball(nn.Module):
    """A point in a landscape; what it gives out is its height."""

    def __init__(self, height, *place):
        super().__init__()
        self.place = nn.Parameter(torch.tensor([place]))
        self.height = height

    def forward(self, _):
        return self.height(self.place[0])


def rolled(ball, lr, steps, noise=0.0, **settings):
    """Places of the ball over some steps."""
    plan = TrainSettings(**settings)
    descent = Descent(ball, lambda outputs, target, weight: outputs, plan, lr)
    rows = Batch((torch.zeros(1, 1),), torch.zeros(1, 1))
    generator = torch.Generator().manual_seed(0)
    places = [ball.place.detach()[0].clone()]
    for number in range(steps):
        descent.step(rows, Moment(0, number, 0.0))
        with torch.no_grad():
            ball.place.add_(noise * torch.randn(ball.place.shape, generator=generator))
        places.append(ball.place.detach()[0].clone())
    return torch.stack(places)


def valley(place):
    """Curvature 1 along one axis and 50 along the other."""
    return 0.5 * (place[0] ** 2 + 50 * place[1] ** 2)


def test_plain_descent_lowers_a_convex_loss_at_every_step():
    places = rolled(Ball(valley, 3.0, 1.0), 0.02, 100, optimizer="sgd")
    heights = torch.stack([valley(place) for place in places])
    assert (heights.diff() < 0).all()


def test_momentum_is_faster_in_a_narrow_valley_and_overshoots_where_it_is_too_high():
    def end(**settings):
        return rolled(Ball(valley, 3.0, 1.0), 0.02, 150, **settings)

    plain = end(optimizer="sgd")
    usual = end(optimizer="momentum", momentum=0.8)
    high = end(optimizer="momentum", momentum=0.99)
    assert valley(usual[-1]) < 1e-3 * valley(plain[-1])
    assert plain[:, 0].min() > 0  # never past the bottom
    assert high[:, 0].min() < -1.5  # far past it


def double_well(place):
    """A shallow well near 0.94, a deep one near -1.04 and a low ridge between."""
    return (place[0] ** 2 - 1) ** 2 + 0.35 * place[0]


def test_descent_stops_in_a_shallow_well_that_momentum_rolls_out_of():
    start = 2.2
    plain = rolled(Ball(double_well, start), 0.01, 500, optimizer="sgd")
    heavy = rolled(Ball(double_well, start), 0.01, 500, optimizer="momentum", momentum=0.9)
    assert plain[-1].item() == pytest.approx(0.95, abs=0.02)
    assert heavy[-1].item() == pytest.approx(-1.04, abs=0.02)


def saddle(place):
    return place[0] ** 2 - place[1] ** 2 + place[1] ** 4


def test_noise_leaves_a_saddle_on_which_exact_descent_rests():
    still = rolled(Ball(saddle, 1.0, 0.0), 0.05, 300, optimizer="sgd")
    stirred = rolled(Ball(saddle, 1.0, 0.0), 0.05, 300, noise=1e-4, optimizer="sgd")
    assert saddle(still[-1]).item() == pytest.approx(0, abs=1e-6)
    assert saddle(stirred[-1]).item() == pytest.approx(-0.25, abs=0.01)


def line(num_rows=500, noise=0.5):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(num_rows, 5, generator=generator)
    y = x.sum(dim=1, keepdim=True) + noise * torch.randn(num_rows, 1, generator=generator)
    best = torch.linalg.lstsq(torch.cat([x, torch.ones(num_rows, 1)], dim=1), y).solution
    floor = squares(torch.cat([x, torch.ones(num_rows, 1)], dim=1) @ best, y).item()
    return (x, y), floor


def excess(lr, batch_size, **settings):
    """How far the loss of a line ends above the least squares solution's."""
    rows, floor = line()
    torch.manual_seed(0)
    return fit(nn.Linear(5, 1), rows, lr, squares, batch_size, **settings) - floor


def test_stochastic_steps_are_ahead_after_one_pass_and_noisy_at_the_end():
    assert excess(0.02, 1, epochs=1) < 0.1 * excess(0.02, 500, epochs=1)
    assert excess(0.02, 500, epochs=500) < 1e-4 < excess(0.02, 1, epochs=50)


def test_a_falling_rate_ends_closer_than_a_fixed_one():
    fixed = excess(0.02, 1, epochs=20)
    for schedule in ("cosine", "exponential"):
        settings = {"schedule": schedule, "schedule_gamma": 0.8}
        assert excess(0.02, 1, epochs=20, **settings) < 0.3 * fixed


def test_a_low_rate_is_slow_and_a_high_one_diverges_and_a_smaller_one_mends_it():
    settings = {"optimizer": "sgd"}
    low = rolled(Ball(valley, 3.0, 1.0), 1e-4, 200, **settings)[-1]
    good = rolled(Ball(valley, 3.0, 1.0), 0.03, 200, **settings)[-1]
    high = rolled(Ball(valley, 3.0, 1.0), 0.05, 200, **settings)[-1]
    assert valley(low) > 100 * valley(good)
    assert valley(high) > 1e6


def test_a_linear_grid_of_rates_misses_what_a_logarithmic_one_finds():
    """Inputs of scale 10 want rates below 0.02: 0.1, 0.2, ..., 0.5 all diverge."""
    (x, y), _ = line()
    rows = (10 * x, y)

    def ends(rate):
        torch.manual_seed(0)
        model = nn.Linear(5, 1)
        before = squares(model(rows[0]), y).item()
        settings = {"epochs": 3, "restore_best": False}
        return fit(model, rows, rate, squares, 500, **settings) / before

    assert all(not ends(rate) < 1 for rate in (0.1, 0.2, 0.3, 0.4, 0.5))
    assert min(ends(10.0**power) for power in range(-5, 1)) < 0.5


def test_inputs_of_one_scale_are_learnt_in_fewer_steps():
    (x, y), _ = line(noise=0.0)
    uneven = x * torch.tensor([1.0, 3.0, 10.0, 1.0, 1.0])

    def left(inputs):
        torch.manual_seed(0)
        curvature = 2 * torch.linalg.eigvalsh(inputs.T @ inputs / len(inputs)).max().item()
        return fit(nn.Linear(5, 1), (inputs, y), 1 / curvature, squares, 500, epochs=100)

    assert left(x) < 1e-3 * left(uneven)


# ---- Fitting and generalising
def test_the_gap_shrinks_with_rows_and_grows_with_capacity():
    seen, unseen = errors(100)
    more_seen, more_unseen = errors(1000)
    assert more_unseen < 0.6 * unseen
    assert more_unseen - more_seen < 0.3 * (unseen - seen)
    small_seen, small_unseen = errors(100, hidden=1)
    assert unseen - seen > small_unseen - small_seen
    # Too small: both errors high. Large: it memorises, the noise (0.25) included.
    assert small_seen > 0.8
    assert seen < 0.05 < 0.25 < unseen


def test_penalties_and_dropout_narrow_the_gap_until_they_underfit():
    seen, unseen = errors(100)
    for settings in ({"l2": 0.01}, {"dropout": 0.2}):
        held_seen, held_unseen = errors(100, **settings)
        assert held_seen > seen
        assert held_unseen < 0.85 * unseen
    too_much_seen, too_much_unseen = errors(100, l2=1.0)
    assert too_much_seen > 1.5
    assert too_much_unseen > 1.5 * unseen


def test_l1_chooses_and_l2_shares():
    """Two inputs say the same; eight more say nothing."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, 10, generator=generator)
    x[:, 1] = x[:, 0]
    rows = (x, 2 * x[:, :1])

    def weights(**settings):
        model = nn.Linear(10, 1)
        with torch.no_grad():
            model.weight.copy_(torch.linspace(-0.3, 0.3, 10)[None])
        fit(model, rows, 0.05, squares, 300, epochs=400, **settings)
        return model.weight.detach()[0]

    lasso, ridge = weights(l1=0.2), weights(l2=0.1)
    assert (lasso[2:] == 0).all()
    assert (ridge != 0).all()
    assert ridge[0].item() == pytest.approx(ridge[1].item(), abs=5e-3)
    norms = [weights(l2=amount).norm().item() for amount in (0.01, 0.1, 1.0)]
    assert norms == sorted(norms, reverse=True)


def test_small_batches_end_in_flatter_minima():
    """Flatter by half; on unseen rows they were no better here, so that is not asserted."""
    for seed in SEEDS:
        rows, _ = noisy(200, seed)
        curvature = {}
        for batch_size, epochs in ((4, 40), (200, 2000)):
            model = network(seed, 10, 1, hidden_sizes=[64], activation="tanh")
            fit(model, rows, 0.05, squares, batch_size, epochs=epochs)
            loss = squares(model(rows[0]), rows[1])
            curvature[batch_size] = largest_curvature(loss, [*model.parameters()])
        assert curvature[4] < 0.6 * curvature[200]
        # Whole-table descent stays where it is just stable: below two over its rate.
        assert curvature[200] < 1.05 * 2 / 0.05


# ---- Dropout and normalisation


def test_a_network_at_test_time_is_close_to_the_average_over_dropouts_masks():
    model = network(0, 64, 10, hidden_sizes=[64], dropout=0.5)
    x, _ = rows = digits()
    fit(model, rows, 0.05, classes, epochs=3)
    with torch.no_grad():
        whole = model.eval()(x).softmax(dim=1)
        masks = torch.stack([model.train()(x).softmax(dim=1) for _ in range(200)])
    one_mask = (masks - masks.mean(dim=0)).abs().mean()
    assert (whole - masks.mean(dim=0)).abs().mean() < 0.5 * one_mask
    # As an ensemble: the average of the masks is right more often than single ones.
    target = rows[1]
    single = (masks.argmax(dim=2) == target).float().mean()
    assert (masks.mean(dim=0).argmax(dim=1) == target).float().mean() > single


def test_dropout_slows_learning():
    def loss(rate):
        return mean(
            fit(
                network(seed, 64, 10, hidden_sizes=[64, 64], dropout=rate),
                digits(),
                0.05,
                classes,
                epochs=5,
            )
            for seed in SEEDS
        )

    assert loss(0.5) > 1.5 * loss(0.0)


@pytest.mark.filterwarnings("ignore")
def test_batch_normalisation_learns_at_rates_where_a_plain_network_cannot():
    def losses(norm, lr):
        shape = {"hidden_sizes": [32] * 5, "norm": norm}
        return [
            fit(network(seed, 64, 10, **shape), digits(), lr, classes, epochs=5) for seed in SEEDS
        ]

    chance = math.log(10)
    assert all(not loss < 0.8 * chance for loss in losses("none", 1.0))
    assert all(loss < 0.4 * chance for loss in losses("batch", 1.0))


def drift(norm: str, lr: float = 0.1) -> Tensor:
    """How far the last hidden layer's input moves in ten steps, median over its units."""
    moved = []
    x, y = digits()
    for seed in SEEDS:
        model = network(seed, 64, 10, hidden_sizes=[32] * 4, norm=norm)
        lower = model.blocks[:-1]
        plan = TrainSettings(optimizer="sgd")
        descent = Descent(model, classes, plan, lr)
        with torch.no_grad():
            before = lower(x)
        for number in range(10):
            descent.step(Batch((x,), y), Moment(0, number, 0.0))
        with torch.no_grad():
            moved.append(activation_shift(before, lower(x)).nanmedian())
    return torch.stack(moved)


def test_the_covariate_shift_is_measured_and_a_higher_rate_shifts_more():
    """What batch normalisation does to it is measured, not asserted as the cause of anything."""
    plain, normalised = drift("none"), drift("batch")
    assert (plain > 0).all()
    assert (normalised > 0).all()
    assert (drift("none", 0.01) < plain).all()
