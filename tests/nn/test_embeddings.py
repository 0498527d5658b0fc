"""Embeddings of categories."""

import pytest
import torch

from glial.nn.embeddings import CategoryEmbeddings, embedding_size


def test_sizes_grow_with_the_number_of_values():
    sizes = [embedding_size(count) for count in (1, 2, 10, 100, 10_000)]
    assert sizes == sorted(sizes)
    assert sizes[0] >= 1
    assert sizes[-1] == 64


def test_vectors_are_looked_up_and_joined():
    layer = CategoryEmbeddings([3, 5], size=2)
    outputs = layer(torch.tensor([[2, 4], [0, 1]]))
    expected = torch.cat([layer.tables[0].weight[2], layer.tables[1].weight[4]])
    assert torch.equal(outputs[0], expected)
    assert layer.num_outputs == 4


def test_the_unknown_bucket_starts_at_zero_and_can_be_learnt():
    layer = CategoryEmbeddings([4], size=3)
    outputs = layer(torch.tensor([[0]]))
    assert outputs.tolist() == [[0.0, 0.0, 0.0]]
    outputs.sum().backward()
    assert layer.tables[0].weight.grad[0].tolist() == [1.0, 1.0, 1.0]


def test_a_code_outside_is_refused():
    with pytest.raises(IndexError):
        CategoryEmbeddings([3], size=2)(torch.tensor([[3]]))
