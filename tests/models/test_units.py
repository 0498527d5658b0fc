"""One-layer models: neuron, perceptron, adaline, linear."""

import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression

from glial.models import MODELS, build

XOR = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


def rule_passes(network, rows, labels, passes=50):
    """The perceptron rule by hand; errors of each pass."""
    errors = []
    for _ in range(passes):
        wrong = 0
        for row, label in zip(rows, labels, strict=True):
            error = label - network.fire(row[None]).item()
            with torch.no_grad():
                network.linear.weight += error * row
                network.linear.bias += error
            wrong += error != 0
        errors.append(wrong)
    return errors


@pytest.mark.parametrize("labels", [[0, 0, 0, 1], [0, 1, 1, 1], [1, 1, 1, 0]])
def test_the_perceptron_learns_separable_classes_without_error(labels):
    network = build("perceptron", num_inputs=2, num_outputs=1)
    assert rule_passes(network, XOR, labels)[-1] == 0
    assert network.fire(XOR)[:, 0].tolist() == labels


def test_the_perceptron_never_learns_xor():
    network = build("perceptron", num_inputs=2, num_outputs=1)
    assert min(rule_passes(network, XOR, [0, 1, 1, 0], passes=200)) > 0


@pytest.mark.parametrize("name", ["perceptron", "adaline"])
def test_step_units_start_at_zero_decide_two_classes_and_threshold_at_zero(name):
    network = build(name, num_inputs=2, num_outputs=1)
    assert all(p.abs().max() == 0 for p in network.parameters())
    assert MODELS.resolve(name).tasks == ("classification",)
    assert network.fire(torch.zeros(1, 2)).tolist() == [[1.0]]
    assert not network.fire(torch.zeros(1, 2)).requires_grad


def test_objectives():
    learns = {name: MODELS.resolve(name).objective for name in MODELS}
    others = {name: how for name, how in learns.items() if how not in ("descent", "two_players")}
    kinds = {
        "perceptron_rule": ["perceptron"],
        "row_descent": ["word2vec", "glove", "fasttext"],
        "contrastive_divergence": ["rbm", "boltzmann_machine", "dbm"],
        "greedy_descent": ["dbn", "rbm_autoencoder"],
        "competitive": ["som"],
        "fitting": ["kmeans", "hierarchical", "dbscan", "pca", "tsne"],
        "remembering": ["patch_memory"],
    }
    assert others == {name: how for how, names in kinds.items() for name in names}
    assert MODELS.resolve("adaline").loss == "half_squared_error"


def test_adaline_settles_at_the_least_squares_solution():
    torch.manual_seed(0)
    rows = torch.randn(60, 2)
    signs = torch.sign(rows[:, 0] - 0.5 * rows[:, 1] + 0.3 * torch.randn(60))
    network = build("adaline", num_inputs=2, num_outputs=1)
    for _ in range(500):
        error = signs - network(rows)[:, 0]
        with torch.no_grad():
            network.linear.weight += 0.5 * (error[:, None] * rows).mean(0)
            network.linear.bias += 0.5 * error.mean()
    expected = LinearRegression().fit(rows, signs)
    assert network.linear.weight[0].tolist() == pytest.approx(expected.coef_.tolist(), abs=1e-4)
    accuracy = ((network.fire(rows)[:, 0] * 2 - 1) == signs).float().mean()
    assert accuracy > 0.85


def test_a_neuron_is_weights_bias_and_activation():
    network = build("neuron", num_inputs=3, num_outputs=1, activation="tanh")
    rows = torch.randn(4, 3)
    expected = torch.tanh(rows @ network.linear.weight[0] + network.linear.bias)
    torch.testing.assert_close(network(rows)[:, 0], expected)


@pytest.mark.parametrize("first", ["zero", "constant", "normal"])
def test_linear_reaches_logistic_regressions_optimum_from_any_start(first):
    torch.manual_seed(0)
    rows = torch.randn(80, 3, dtype=torch.float64)
    labels = (rows[:, 0] - rows[:, 1] + torch.randn(80) > 0).double()
    network = build("linear", num_inputs=3, num_outputs=1, initialization=first).double()
    optimizer = torch.optim.LBFGS(network.parameters(), line_search_fn="strong_wolfe", max_iter=100)

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(rows)[:, 0], labels)
        loss.backward()
        return loss

    optimizer.step(closure)
    expected = LogisticRegression(C=1e8, tol=1e-8).fit(rows, labels)
    assert network.weight[0].tolist() == pytest.approx(expected.coef_[0].tolist(), rel=1e-2)
    decided = (network(rows)[:, 0] >= 0).tolist()
    assert decided == (torch.sigmoid(network(rows)[:, 0]) >= 0.5).tolist()
