"""The layer of a continuous Hopfield network: one step is attention, more steps settle."""

import pytest
import torch

from glial.core.errors import InputError
from glial.functional import associate
from glial.nn import Association


def test_one_step_is_attention():
    torch.manual_seed(0)
    layer = Association(6, 5, hidden_size=4, output_size=3)
    queries, memories = torch.randn(2, 7, 6), torch.randn(2, 9, 5)
    keys = layer.key(memories)
    values = layer.value(keys)
    attended = torch.nn.functional.scaled_dot_product_attention(layer.query(queries), keys, values)
    torch.testing.assert_close(layer(queries, memories), attended)
    broken = Association(6, 5, hidden_size=4, output_size=3, beta=9.0)
    broken.load_state_dict(layer.state_dict())
    assert not torch.allclose(broken(queries, memories), attended, atol=1e-3)


def test_more_steps_are_those_of_the_network_and_end_at_a_memory():
    torch.manual_seed(0)
    layer = Association(8, beta=4.0, steps=5, num_memories=6)
    with torch.no_grad():
        for module in (layer.query, layer.key, layer.value):
            module.weight.copy_(torch.eye(8))
        layer.value.bias.zero_()
        layer.memories.normal_()
    queries = layer.memories.detach()[[2, 4]][:, None] + 0.1
    found = layer(queries)[:, 0]
    torch.testing.assert_close(found, associate(queries[:, 0], layer.memories, 4.0, steps=5))
    torch.testing.assert_close(found, layer.memories[[2, 4]], atol=0.05, rtol=0)
    layer(queries).sum().backward()
    assert layer.memories.grad.abs().sum() > 0


def test_masked_memories_are_not_called_up():
    torch.manual_seed(0)
    layer = Association(4)
    queries, memories = torch.randn(2, 3, 4), torch.randn(2, 5, 4)
    mask = torch.arange(5) < torch.tensor([[2], [5]])
    found = layer(queries, memories, mask)
    torch.testing.assert_close(found[0], layer(queries[:1], memories[:1, :2])[0])
    torch.testing.assert_close(found[1], layer(queries[1:], memories[1:])[0])
    nowhere = layer(queries, memories, torch.zeros(2, 5, dtype=torch.bool))
    torch.testing.assert_close(nowhere, layer.value.bias.expand_as(nowhere))


def test_memories_are_either_given_or_learnt():
    with pytest.raises(InputError, match="call up"):
        Association(4)(torch.zeros(1, 1, 4))
    with pytest.raises(InputError, match="call up"):
        Association(4, num_memories=2)(torch.zeros(1, 1, 4), torch.zeros(1, 2, 4))
    with pytest.raises(InputError, match="beta"):
        Association(4, beta=0.0)
