"""Networks that tell how anomalous rows are, and what in them is."""

import torch

from glial.models import build
from glial.models.anomalies import ScoresAnomalies, parts_of_way


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
