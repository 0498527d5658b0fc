"""A memory of patches: what is planted is found and shown, and memory is bounded."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from glial.core.errors import InputError
from glial.data.batches import Batch
from glial.models.anomalies import ScoresAnomalies
from glial.models.patch_memory import PatchMemorySettings
from glial.objectives import Remembering
from glial.training import Objective
from glial.training.schedules import Moment

SIDE = 48


def stripes(count, seed):
    """Stripes at any place, with noise, from -1 to 1: [row, 1, side, side]."""
    generator = np.random.default_rng(seed)
    turns = np.arange(SIDE)[None] / 8 + generator.random((count, 1))
    rows = 0.6 * np.sin(2 * np.pi * turns)[:, None, :].repeat(SIDE, axis=1)
    rows = rows + 0.1 * generator.normal(size=rows.shape)
    return torch.from_numpy(rows).float()[:, None].clamp(-1, 1)


@pytest.fixture(scope="module")
def learnt():
    torch.manual_seed(0)
    network = PatchMemorySettings(features="random", memory=60, blur=2.0).build(
        0, images=[[1, SIDE, SIDE]]
    )
    images = stripes(16, 0)
    network.start(images)
    objective = Remembering(network)
    for part in images.split(8):
        loss = objective.step(Batch((part,), part), Moment(0, 0, 0.0))
    assert loss > 0
    return network.eval()


@pytest.fixture(scope="module")
def spoilt():
    """Other stripes, of half of which a patch is turned."""
    images = stripes(16, 1)
    masks = torch.zeros(16, SIDE, SIDE, dtype=torch.bool)
    for number in range(0, 16, 2):
        top, left = 6 + number, 30 - number
        patch = images[number, 0, top : top + 12, left : left + 12]
        images[number, 0, top : top + 12, left : left + 12] = patch.T.clone()
        masks[number, top : top + 12, left : left + 12] = True
    return images, masks


@torch.no_grad()
def test_what_is_planted_is_found_and_shown_where_it_is(learnt, spoilt):
    images, masks = spoilt
    assert isinstance(learnt, ScoresAnomalies)
    scores, parts = learnt.scores(images), learnt.parts(images)
    assert roc_auc_score(masks.any(dim=(1, 2)), scores) > 0.95
    assert roc_auc_score(masks.flatten(), parts.flatten()) > 0.9
    assert parts.shape == images.shape
    assert torch.allclose(parts.amax(dim=(1, 2, 3)), scores)


@torch.no_grad()
def test_what_is_remembered_is_not_found(learnt, spoilt):
    images, masks = spoilt
    held = learnt.memory.clone()
    odd = learnt.maps(images)[::2].movedim(1, 3).flatten(0, 2)
    farthest = torch.cdist(odd, held).amin(dim=1).argsort(descending=True)
    learnt.memory.copy_(odd[farthest[: len(held)]])
    broken = roc_auc_score(masks.any(dim=(1, 2)), learnt.scores(images))
    learnt.memory.copy_(held)
    assert broken < 0.7


@torch.no_grad()
def test_distances_are_those_to_the_nearest_patch_beside_what_lies_around(learnt, spoilt):
    images = spoilt[0][:2]
    maps = learnt.maps(images)
    gaps = torch.cdist(
        maps.double().movedim(1, 3).reshape(1, -1, maps.shape[1]), learnt.memory[None].double()
    )[0]
    nearest = gaps.min(dim=1)
    by_hand = nearest.values / learnt.near[nearest.indices]
    assert torch.allclose(learnt(images).flatten().double(), by_hand, rtol=1e-3)


@torch.no_grad()
def test_features_are_turned_so_that_they_vary_by_themselves(learnt):
    maps = learnt.maps(stripes(16, 0)).movedim(1, 3).flatten(0, 2)
    spread = torch.cov(maps.T)
    strong = spread.diagonal() > 0.8
    assert strong.sum() >= 5
    off = spread[strong][:, strong]
    assert (off - off.diagonal().diag()).abs().max() < 0.05


def test_memory_is_bounded_and_holds_patches_that_were_seen():
    torch.manual_seed(0)
    network = PatchMemorySettings(features="random", memory=30).build(0, images=[[3, 32, 32]])
    images = torch.rand(12, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    network.start(images)
    network.remember(images[:6])
    sizes = [tensor.numel() for tensor in network.state_dict().values()]
    network.remember(images[6:])
    assert [tensor.numel() for tensor in network.state_dict().values()] == sizes
    assert int(network.filled) == 30
    patches = network.maps(images).movedim(1, 3).flatten(0, 2).detach()
    assert torch.cdist(network.memory, patches).amin(dim=1).max() < 0.05
    again = PatchMemorySettings(features="random", memory=30).build(0, images=[[3, 32, 32]])
    again.load_state_dict(network.state_dict())
    assert torch.equal(again.eval().scores(images), network.eval().scores(images))


def test_the_eyes_are_never_in_training_mode():
    network = PatchMemorySettings(features="random").build(0, images=[[1, 32, 32]])
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.train()
    network(torch.rand(4, 1, 32, 32))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_what_cannot_be_seen_is_refused():
    with pytest.raises(InputError, match="stages"):
        PatchMemorySettings(stages=[2, 1], features="random").build(0, images=[[1, 32, 32]])
    with pytest.raises(InputError, match="grey images or colours"):
        PatchMemorySettings(features="random").build(0, images=[[4, 32, 32]])
    network = PatchMemorySettings(features="random").build(0, images=[[1, 32, 32]])
    assert isinstance(Remembering(network), Objective)
