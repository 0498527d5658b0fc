"""Every use of chance has its own stream, and blocks leave the global one as it was."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glial.core.seeds import derive_seed, numpy_generator, seeded, torch_generator


def test_a_derived_seed_is_the_same_on_every_machine():
    digest = hashlib.sha256(b"0/split/3").hexdigest()
    assert derive_seed(0, "split", 3) == int(digest[:16], 16) // 2


@pytest.mark.slow
@given(st.integers(0, 2**63 - 1), st.text(max_size=5), st.integers())
def test_derived_seeds_fit_torch_and_differ_by_seed_and_purpose(seed, word, number):
    first = derive_seed(seed, word, number)
    assert 0 <= first < 2**63
    assert first == derive_seed(seed, word, number)
    assert first != derive_seed(seed, word, number + 1)
    assert first != derive_seed(seed + 1, word, number)


def test_generators_repeat():
    draws = [numpy_generator(1, "a").random(3) for _ in range(2)]
    assert np.array_equal(*draws)
    tensors = [torch.rand(3, generator=torch_generator(1, "a")) for _ in range(2)]
    assert torch.equal(*tensors)
    assert not torch.equal(tensors[0], torch.rand(3, generator=torch_generator(1, "b")))


def test_a_seeded_block_leaves_the_global_generator_as_it_was():
    before = torch.get_rng_state()
    with seeded(3, "block"):
        torch.rand(5)
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(ZeroDivisionError), seeded(3, "block"):
        _ = torch.rand(5)[5 // 0]
    assert torch.equal(torch.get_rng_state(), before)
