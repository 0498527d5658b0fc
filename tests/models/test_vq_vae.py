"""Vector-quantised autoencoders: the book by hand, gradients that pass it, digits, a dead book."""

import math

import pytest
import torch
from sklearn.datasets import load_digits

from glial.core.errors import InputError
from glial.models.vq_layers import Codebook, CodePrior, perplexity
from glial.models.vq_vae import VQVAESettings


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def built(num_inputs=0, num_classes=0, images=(), **settings):
    torch.manual_seed(0)
    return VQVAESettings(**settings).build(num_inputs, num_classes, images=images)


def test_the_nearest_vector_by_hand():
    book = Codebook(3, 2).eval()
    book.vectors.copy_(torch.tensor([[0.0, 0.0], [1.0, 1.0], [5.0, 0.0]]))
    found = book(torch.tensor([[[0.4, 0.4], [0.6, 0.6]], [[3.5, 0.0], [0.0, 9.0]]]))
    assert found.codes.tolist() == [[0, 1], [2, 1]]
    assert found.vectors[1, 0].tolist() == [5.0, 0.0]


def test_averages_come_to_rest_at_the_means_of_what_is_nearest():
    points = torch.cat([torch.randn(50, 2, generator=seeded()) * 0.1 + c for c in (-2.0, 2.0)])
    book = Codebook(2, 2).train()
    book.vectors.copy_(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
    for _ in range(1000):
        book(points[None])
    means = torch.stack([points[:50].mean(dim=0), points[50:].mean(dim=0)])
    order = book.vectors[:, 0].argsort()
    torch.testing.assert_close(book.vectors[order], means, atol=1e-4, rtol=0)


@pytest.mark.parametrize("learnt_by", ["averages", "loss"])
def test_a_dead_vector_is_put_where_the_book_is_farthest(learnt_by):
    torch.manual_seed(0)
    book = Codebook(2, 1, learnt_by).train()
    with torch.no_grad():
        book.vectors.copy_(torch.tensor([[0.0], [100.0]]))
    points = torch.tensor([[[0.0], [0.1], [3.0], [0.2]]])
    for _ in range(400):
        book(points)
    assert sorted(book(points).codes.unique().tolist()) == [0, 1]
    assert 3.0 in [round(value, 1) for value in book.vectors.flatten().tolist()]


def test_gradients_go_straight_through_to_the_encoder_and_the_book_has_its_own():
    network = built(4, num_codes=5, code_size=2, num_places=2, codebook="loss", commitment=0.0)
    network.eval()
    rows = torch.randn(6, 4, generator=seeded())
    outputs = network(rows)
    encoded = outputs.encoded.detach().requires_grad_()
    straight = encoded + (outputs.quantized - encoded).detach()
    error = (network.decoder(straight) - rows).square().mean() / network.variance
    (wanted,) = torch.autograd.grad(error, encoded)
    loss = network.loss(outputs, rows)
    found, book = torch.autograd.grad(loss, [outputs.encoded, network.codebook.vectors])
    torch.testing.assert_close(found, wanted)
    # The mean squared distance of each vector from what is nearest to it.
    by_hand = torch.zeros_like(book)
    for code in range(5):
        mine = outputs.codes == code
        away = (outputs.quantized - outputs.encoded)[mine].sum(dim=0)
        by_hand[code] = 2 * away / outputs.encoded.numel()
    torch.testing.assert_close(book, by_hand)


def test_the_prior_sees_nothing_but_what_came_before_and_teaches_nothing_else():
    prior = CodePrior(4, (2, 3), 8, num_classes=2)
    codes = torch.randint(4, (2, 6), generator=seeded())
    classes = torch.tensor([0, 1])
    for place in range(6):
        changed = codes.clone()
        changed[:, place] = (changed[:, place] + 1) % 4
        same = (prior(changed, classes) == prior(codes, classes)).all(dim=2).all(dim=0)
        assert same[: place + 1].all()
        assert not same[place + 1 :].all() or place == 5
    network = built(4, num_codes=5)
    outputs = network(torch.randn(3, 4))
    outputs.logits.sum().backward()
    touched = {n.split(".")[0] for n, p in network.named_parameters() if p.grad is not None}
    assert touched == {"prior"}


def test_drawn_codes_are_as_likely_as_the_prior_says():
    torch.manual_seed(1)
    prior = CodePrior(2, (1, 2), 4)
    drawn = prior.sample(20_000, generator=seeded())
    pairs = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
    logs = prior(pairs).log_softmax(dim=2).gather(2, pairs[:, :, None]).sum(dim=(1, 2))
    assert logs.exp().sum().item() == pytest.approx(1, abs=1e-5)
    shares = torch.bincount(2 * drawn[:, 0] + drawn[:, 1], minlength=4) / len(drawn)
    torch.testing.assert_close(shares, logs.exp(), atol=0.015, rtol=0)


def test_perplexity():
    assert perplexity(torch.arange(8), 8).item() == pytest.approx(8)
    assert perplexity(torch.zeros(5, dtype=torch.int64), 8).item() == 1


def test_classes_that_are_not_there_are_refused():
    network = built(4, 2)
    with pytest.raises(InputError, match="classes"):
        network.sample(1, generator=seeded(), classes=torch.tensor([7]))


@pytest.mark.slow
@pytest.mark.parametrize("codebook", ["averages", "loss"])
def test_digits_come_back_and_are_made_up(codebook):
    images, classes = load_digits(return_X_y=True)
    images = torch.from_numpy(images).float().view(-1, 1, 8, 8) / 8 - 1
    classes = torch.from_numpy(classes)
    (train, unseen), told = (images[:1400], images[1400:]), classes[:1400]
    sizes = {"num_codes": 128, "code_size": 8, "widths": [16, 32], "prior_size": 64}
    network = built(0, 10, [[1, 8, 8]], codebook=codebook, **sizes)
    network.start(train, told)
    optimizer, generator = torch.optim.Adam(network.parameters(), lr=4e-3), seeded()
    network.train()
    for _ in range(10):
        for some in torch.randperm(len(train), generator=generator).split(50):
            optimizer.zero_grad()
            network.loss(network(train[some], told[some]), train[some]).backward()
            optimizer.step()
    network.eval()
    with torch.no_grad():
        found = network.measure(unseen, classes[1400:], generator=generator)
        made = network.sample(200, generator=generator, classes=torch.arange(10).repeat(20))
    trivial = (unseen - train.mean(dim=0)).square().mean()
    assert found["reconstruction_error"].mean() < 0.5 * trivial
    assert found["perplexity"][0] > 12
    assert found["code_nats"].mean() < 0.8 * 4 * math.log(128)
    means = torch.stack([train[told == code].mean(dim=0).flatten() for code in range(10)])
    nearest = torch.cdist(made.flatten(1), means).argmin(dim=1)
    assert (nearest == torch.arange(10).repeat(20)).float().mean() > 0.5
    # With a book of one used vector nothing of a row comes back.
    with torch.no_grad():
        network.codebook.vectors.data = network.codebook.vectors[:1].repeat(128, 1)
        broken = network.measure(unseen, classes[1400:], generator=generator)
    assert broken["reconstruction_error"].mean() > 0.8 * trivial
