"""Dense networks of images: pixels are numbers, and nothing else about the network changes."""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_digits

from glial.core.errors import InputError
from glial.data import Batch
from glial.models import build
from glial.models.pixels import joined
from glial.objectives import PerceptronRule
from glial.training import Moment

DENSE = ["mlp", "linear", "neuron", "perceptron", "adaline"]
DIGITS = load_digits()
IMAGES = torch.tensor(DIGITS.images[:, None] / 16, dtype=torch.float32)
TABLE = torch.tensor(DIGITS.data / 16, dtype=torch.float32)


@pytest.mark.parametrize("name", DENSE)
def test_digits_as_images_are_the_same_numbers_as_a_table(name):
    torch.manual_seed(0)
    of_images = build(name, num_outputs=1, images=[[1, 8, 8]])
    of_table = build(name, num_inputs=64, num_outputs=1)
    for parameter in of_table.parameters():
        torch.nn.init.normal_(parameter)
    of_images.load_state_dict(of_table.state_dict())
    expected = of_table(TABLE)
    assert expected.std() > 0.1
    assert torch.equal(of_images(IMAGES), expected)


def test_parameters_of_a_network_of_mnist_by_hand():
    network = build("mlp", num_outputs=10, images=[[1, 28, 28]])
    assert {name: tuple(value.shape) for name, value in network.named_parameters()} == {
        "blocks.0.linear.weight": (128, 784),
        "blocks.0.linear.bias": (128,),
        "blocks.1.linear.weight": (128, 128),
        "blocks.1.linear.bias": (128,),
        "head.weight": (10, 128),
        "head.bias": (10,),
    }
    assert network(torch.zeros(3, 1, 28, 28)).shape == (3, 10)


def test_numbers_come_first_and_pixels_channel_by_channel_row_by_row():
    pixels = torch.arange(12.0).reshape(1, 3, 2, 2)
    network = build("linear", num_inputs=2, num_outputs=1, images=[[3, 2, 2]], bias="none")
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[1000.0, 100.0, *[0.0] * 12]]))
        network.weight[0, 2 + 1 * 4 + 1 * 2 + 0] = 1.0
    numbers = torch.tensor([[2.0, 3.0]])
    assert network(numbers, pixels).item() == 2000 + 300 + pixels[0, 1, 1, 0].item()
    assert network.embed(numbers, pixels).tolist() == [[2.0, 3.0, *range(12)]]


def test_one_part_is_passed_on_as_it_is():
    numbers = torch.zeros(2, 3)
    assert joined([numbers]) is numbers


@pytest.mark.parametrize("name", DENSE)
@pytest.mark.parametrize("images", [[[3, 4, 5]], [[3, 4, 5], [1, 2, 2]]], ids=["one", "two"])
def test_images_stand_beside_numbers_and_each_counts(name, images):
    torch.manual_seed(0)
    network = build(name, num_inputs=2, num_outputs=1, images=images)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    parts = [torch.randn(6, 2), *(torch.randn(6, *image) for image in images)]
    before = network(*parts)
    assert before.shape == (6, 1)
    for place in range(len(parts)):
        changed = [part.flip(0) if at == place else part for at, part in enumerate(parts)]
        assert (network(*changed) - before).abs().max() > 0.01


def test_a_network_of_numbers_categories_and_an_image():
    torch.manual_seed(0)
    sizes = {"num_inputs": 2, "cardinalities": [3], "images": [[1, 4, 4]]}
    network = build("mlp", num_outputs=4, hidden_sizes=[7, 5], embedding_size=2, **sizes)
    assert network.blocks[0].linear.weight.shape == (7, 2 + 16 + 2)
    numbers, images = torch.zeros(3, 2), torch.zeros(3, 1, 4, 4)
    outputs = network(numbers, torch.tensor([[0], [1], [2]]), images)
    assert outputs.shape == (3, 4)
    assert len(outputs.unique(dim=0)) == 3


def test_the_embedding_of_an_mlp_is_its_last_hidden_layer():
    torch.manual_seed(0)
    network = build("mlp", num_outputs=10, images=[[1, 8, 8]], hidden_sizes=[9, 6])
    hidden = network.embed(IMAGES[:5])
    assert hidden.shape == (5, network.num_features) == (5, 6)
    first = torch.relu(TABLE[:5] @ network.blocks[0].linear.weight.T)
    torch.testing.assert_close(hidden, torch.relu(first @ network.blocks[1].linear.weight.T))
    torch.testing.assert_close(network(IMAGES[:5]), hidden @ network.head.weight.T)


def test_a_perceptron_tells_images_of_zero_from_images_of_one():
    rows = DIGITS.target < 2
    images, target = IMAGES[rows], torch.tensor(DIGITS.target[rows])
    network = build("perceptron", num_outputs=1, images=[[1, 8, 8]])
    rule = PerceptronRule(network, lr=1.0)
    batch = Batch((images[:200],), target[:200])
    errors = [rule.step(batch, Moment(0, 0, 0.0)).item() for _ in range(20)]
    assert errors[0] > 0 == errors[-1]
    found = network.fire(images)[:, 0]
    assert torch.equal(found[:200], target[:200].float())
    assert (found[200:] == target[200:]).float().mean() > 0.95


def test_the_perceptron_rule_sees_numbers_and_images_of_a_row():
    network = build("perceptron", num_inputs=1, num_outputs=1, images=[[1, 1, 2]])
    batch = Batch((torch.tensor([[2.0]]), torch.tensor([[[[3.0, 5.0]]]])), torch.tensor([0]))
    PerceptronRule(network, lr=0.5).step(batch, Moment(0, 0, 0.0))
    assert network.linear.weight.tolist() == [[-1.0, -1.5, -2.5]]
    assert network.linear.bias.tolist() == [-0.5]


@pytest.mark.parametrize("name", DENSE)
@pytest.mark.parametrize("image", [[28, 28], [1, 0, 28], [1, 1, 28, 28]], ids=str)
def test_images_of_no_size_are_refused(name, image):
    with pytest.raises(InputError, match="size"):
        build(name, num_outputs=1, images=[image])


def test_one_unit_has_one_output_of_images_too():
    with pytest.raises(InputError, match="3 outputs"):
        build("perceptron", num_outputs=3, images=[[1, 8, 8]])


@pytest.mark.parametrize("name", DENSE)
def test_mixed_does_not_take_them_for_its_images(name):
    with pytest.raises(InputError, match="cannot read the images"):
        build("mixed", num_outputs=1, images=[[1, 8, 8]], image=name)
