"""Published networks against the facts that `tools/published_networks.py` reads off torchvision
and timm: counts, names and shapes of weights, and outputs of the same weights."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
import torch

from glial.models import MODELS, build

ROOT = Path(__file__).parents[2]
FACTS = json.loads((Path(__file__).parent / "published.json").read_text())
QUICK = ("resnet18", "mobilenet_v3_small", "googlenet")


def _tool() -> ModuleType:
    path = ROOT / "tools" / "published_networks.py"
    spec = importlib.util.spec_from_file_location("published_networks", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TOOL = _tool()
# As the papers and torchvision's documentation print them, with the auxiliary heads.
PUBLISHED = {
    "alexnet": 61_100_840,
    "vgg11": 132_863_336,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "vgg19": 143_667_240,
    "googlenet": 13_004_888,
    "inception_v3": 27_161_264,
    "inception_v4": 42_679_816,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "resnet152": 60_192_808,
    "densenet121": 7_978_856,
    "mobilenet_v1": 4_231_976,
    "mobilenet_v2": 3_504_872,
    "mobilenet_v3_large": 5_483_032,
    "efficientnet_lite0": 4_652_008,
    "convnext_tiny": 28_589_128,
    "vit_b_16": 86_567_656,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FACTS)
def test_weights_have_the_published_names_shapes_and_number(name: str) -> None:
    with torch.device("meta"):
        network = build(name)
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == FACTS[name]["parameters"] == PUBLISHED.get(name, count)
    assert TOOL.keys_digest(network) == FACTS[name]["state"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in FACTS],
)
def test_outputs_are_those_of_the_reference(name: str) -> None:
    with torch.device("meta"):
        network = build(name)
    network.to_empty(device="cpu")
    for buffer in network.buffers():
        buffer.zero_()
    TOOL.fill(network)
    facts = FACTS[name]
    with torch.no_grad():
        outputs = network.eval()(TOOL.picture(facts["side"]))
    wanted = torch.tensor(facts["outputs"])
    torch.testing.assert_close(outputs[0, :4], wanted, rtol=2e-4, atol=2e-4 * facts["spread"])
    assert float(outputs.std()) == pytest.approx(facts["spread"], rel=2e-4)


def test_every_published_network_is_held_to_a_reference_or_counted_by_hand() -> None:
    counted = {"lenet5", "alexnet_lrn", *(f"resnet{n}_cifar" for n in (20, 32, 44, 56, 110))}
    texts = {"gpt2", "bert"}  # held to transformers in test_transformers.py
    published = {n for n in MODELS if getattr(MODELS.resolve(n), "num_classes", None)}
    assert published == counted | texts | set(FACTS)
