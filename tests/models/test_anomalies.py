"""Networks that tell how anomalous rows are, and what in them is."""

import math

import pytest
import torch

from glial.models import build
from glial.models.anomalies import ScoresAnomalies, parts_of_way
from glial.models.code_search import nearest_codes


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_parts_of_the_way_add_up_to_the_difference_of_scores():
    def scores(rows):
        return (rows[:, 0] * rows[:, 1]).sin() + rows[:, 2].exp()

    rows, start = drawn(20, 3), torch.tensor([0.3, -0.2, 0.1])
    found = parts_of_way(scores, rows, start=start, steps=200)
    difference = scores(rows) - scores(start[None])
    torch.testing.assert_close(found.sum(dim=1), difference, atol=1e-3, rtol=1e-3)
    assert parts_of_way(scores, start[None], start=start).abs().sum() == 0


def test_parts_need_no_gradient_around_them_and_leave_none():
    network = build("autoencoder", num_inputs=4)
    with torch.no_grad():
        found = parts_of_way(network.scores, drawn(3, 4))
    assert not found.requires_grad
    assert all(parameter.grad is None for parameter in network.parameters())


def test_an_autoencoder_scores_by_what_it_does_not_give_back():
    torch.manual_seed(0)
    network = build("autoencoder", num_inputs=4).eval()
    rows = drawn(6, 4)
    with torch.no_grad():
        assert isinstance(network, ScoresAnomalies)
        error = (network.reconstruct(rows) - rows).square()
        torch.testing.assert_close(network.parts(rows), error)
        torch.testing.assert_close(network.scores(rows), error.mean(dim=1))


def test_padding_of_sequences_adds_nothing():
    torch.manual_seed(0)
    network = build("sequence_autoencoder", sequences=[[2]]).eval()
    steps, lengths = drawn(3, 5, 2), torch.tensor([5, 2, 3])
    with torch.no_grad():
        parts = network.parts(steps, lengths)
        scores = network.scores(steps, lengths)
    assert parts[1, 2:].abs().sum() == 0
    torch.testing.assert_close(parts.sum(dim=(1, 2)), scores * 2 * lengths)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def fit(network, rows, epochs, lr=3e-3):
    """The plainest training."""
    generator, optimizer = seeded(), torch.optim.Adam(network.parameters(), lr=lr)
    for _ in range(epochs):
        for some in torch.randperm(len(rows), generator=generator).split(64):
            found = network.draw(rows[some], generator=generator)
            optimizer.zero_grad()
            network.loss(network(*found.inputs), found.target).backward()
            optimizer.step()
    return network.eval()


def two_clouds(count=400):
    """Normal rows in two clouds, and others half way between them: the mean is the oddest place."""
    side = torch.where(torch.arange(count) % 2 == 0, -2.0, 2.0)[:, None]
    normal = side + 0.3 * drawn(count, 2)
    return normal, 0.3 * drawn(count, 2, seed=1)


def area(normal, odd):
    return (odd[:, None] > normal).double().mean().item()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings", "least"),
    [
        ("one_class", {"hidden_sizes": [32, 32]}, 0.97),
        ("deep_svdd", {"hidden_sizes": [32, 32]}, 0.9),
        ("deep_svdd", {"hidden_sizes": [32, 32], "boundary": "soft"}, 0.8),
    ],
)
def test_rows_between_two_clouds_of_normal_ones_are_found(name, settings, least):
    normal, odd = two_clouds()
    torch.manual_seed(0)
    network = build(name, num_inputs=2, **settings)
    if hasattr(network, "start"):
        network.start(normal)
    fit(network, normal, 40)
    with torch.no_grad():
        assert area(network.scores(normal), network.scores(odd)) > least
    # How far rows are from their mean tells the opposite.
    assert area(normal.square().sum(dim=1), odd.square().sum(dim=1)) < 0.05


def test_the_centre_keeps_away_from_nothing_and_no_layer_has_a_bias():
    torch.manual_seed(0)
    network = build("deep_svdd", num_inputs=5, hidden_sizes=[16], code_size=8)
    rows = 0.01 * drawn(50, 5)  # so that their images lie near 0
    network.start(rows)
    assert network.centre.abs().min() >= 0.1
    signs = network.embed(rows).mean(dim=0).sign()
    assert torch.equal(network.centre.sign(), signs)
    assert all("bias" not in name for name, _ in network.named_parameters())
    assert network.embed(torch.zeros(1, 5)).abs().sum() == 0  # a bias could hold it at the centre


def test_a_soft_sphere_is_the_best_for_the_distances_there_are():
    network = build("deep_svdd", num_inputs=2, boundary="soft", outside=0.1)
    distances = drawn(201).square()
    found = network.loss(distances, distances).item()
    radii = torch.linspace(0, distances.max().item(), 4000)
    costs = radii + (distances - radii[:, None]).clamp_min(0).mean(dim=1) / 0.1
    assert found == pytest.approx(costs.min().item(), abs=2e-3)


def test_the_loss_of_one_class_is_the_cross_entropy_of_its_probabilities():
    network = build("one_class", num_inputs=2)
    found = network(drawn(30, 2), 3 * drawn(30, 2, seed=1))
    chances = torch.cat([(-found.normal).exp(), (-found.made).exp()])
    truth = torch.arange(60) < 30
    theirs = torch.nn.functional.binary_cross_entropy(chances, truth.float())
    assert network.loss(found, found.normal).item() == pytest.approx(theirs.item(), rel=1e-4)


def test_half_of_what_is_made_up_mixes_rows_and_all_of_it_has_noise():
    network = build("one_class", num_inputs=2, noise=[1e-3, 1.1e-3])
    same = drawn(2000, 1).expand(-1, 2)  # both numbers of a row are one
    made = network.draw(same, generator=seeded()).inputs[1]
    apart = (made[:, 0] - made[:, 1]).abs() > 0.02
    assert apart.double().mean().item() == pytest.approx(0.5, abs=0.05)
    kept = (made - same)[~apart]
    assert 4e-4 < kept.abs().median() < 1e-3  # 0.67 standard deviations


def test_the_search_finds_the_codes_of_rows_as_least_squares_does():
    decoder = drawn(5, 3)
    rows = drawn(20, 5, seed=1)
    exact = torch.linalg.lstsq(decoder, rows.T).solution.T @ decoder.T
    found = nearest_codes(lambda codes: codes @ decoder.T, rows, drawn(64, 3, seed=2), steps=400)
    errors, least = ((made - rows).square().sum() for made in (found @ decoder.T, exact))
    assert errors < 1.02 * least
    alone = nearest_codes(lambda c: c @ decoder.T, rows[:1], drawn(64, 3, seed=2), steps=400)
    torch.testing.assert_close(alone, found[:1], atol=2e-3, rtol=0)


def test_an_adversarial_network_scores_high_what_it_cannot_make_and_what_seems_made_up():
    torch.manual_seed(0)
    network = build("gan", num_inputs=4, num_outputs=0, hidden_sizes=[16], latent_size=2).eval()
    own, other = network.sample(50, generator=seeded(3)), 5 * drawn(50, 4)
    own_scores, other_scores = network.scores(own), network.scores(other)
    assert area(own_scores, other_scores) > 0.99
    with torch.no_grad():
        network.discriminator.head.weight.zero_()
        before = network.scores(own)
        network.discriminator.head.bias.add_(7.0)  # all judgements alike: no row is doubted more
    torch.testing.assert_close(network.scores(own), before)
    excess = before - network.parts(own).mean(dim=1)
    torch.testing.assert_close(excess, torch.full((50,), 0.1 * math.log(2)))


def test_a_flow_scores_by_the_density_of_a_row():
    torch.manual_seed(0)
    network = build("flow", num_inputs=2, num_outputs=0, couplings=2, hidden_sizes=[8]).eval()
    rows = drawn(40, 2)
    with torch.no_grad():
        measured = network.measure(rows, generator=seeded())["log_likelihood"]
        torch.testing.assert_close(network.scores(rows), -measured)  # no noise before its start
