"""Writes what torchvision and timm say of the networks that Glial has too, for tests to hold it to.

Needs both packages (`pip install --no-deps torchvision timm`); torchvision's compiled part may be
missing, as it is beside a CPU build of torch. Usage: python tools/published_networks.py > FILE
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import re
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

OF_TIMM = {
    "inception_v4": "inception_v4",
    "mobilenet_v1": "mobilenetv1_100",
    "efficientnet_lite0": "tf_efficientnet_lite0",
}
OF_TORCHVISION = [
    "alexnet",
    *(f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")),
    *("googlenet", "inception_v3"),
    *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)),
    *(f"densenet{depth}" for depth in (121, 169, 201)),
    *("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "convnext_tiny", "vit_b_16"),
]
SIDES = {"inception_v3": 128, "inception_v4": 128, "vit_b_16": 224}


def import_torchvision() -> Any:
    """torchvision, its operators declared where its compiled part does not do so."""
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None:
        sys.exit("torchvision is not installed. Do: pip install --no-deps torchvision timm")
    try:
        torch.ops.load_library(Path(found.origin).parent / "_C.so")
    except OSError:
        text = (Path(found.origin).parent / "_meta_registrations.py").read_text()
        names = re.findall(r'register_(?:meta|fake)\("(?:torchvision::)?(\w+)"\)', text)
        library = torch.library.Library("torchvision", "DEF")
        for name in dict.fromkeys(names):
            library.define(f"{name}(Tensor x) -> Tensor")
        import_torchvision.library = library  # type: ignore[attr-defined] # else it is undone
    return importlib.import_module("torchvision")


def reference(name: str) -> nn.Module:
    """The network as torchvision or timm defines it, with its auxiliary heads."""
    if name in OF_TIMM:
        network: nn.Module = importlib.import_module("timm").create_model(OF_TIMM[name])
        return network
    models = import_torchvision.module.models  # type: ignore[attr-defined]
    quick = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    built: nn.Module = models.get_model(name, **quick)
    return built


def fill(network: nn.Module, leave: Sequence[str] = ()) -> None:
    """Weights that hang on names and shapes alone; some, tied to others, are left to those."""
    for name, value in network.state_dict().items():
        if not value.is_floating_point() or name in leave:
            continue
        generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        drawn = torch.randn(value.shape, generator=generator)
        if value.ndim > 1:
            drawn *= math.sqrt(2 / max(1, value[0].numel()))
        elif name.endswith(("running_var", "weight")):
            drawn = 1 + 0.1 * drawn.abs()
        else:
            drawn *= 0.1
        value.copy_(drawn)


def picture(side: int) -> Tensor:
    """One image, [1, 3, side, side], of waves."""
    places = torch.arange(side) / side
    waves = torch.sin(17 * places[:, None] + 5 * places[None, :] ** 2)
    return torch.stack([waves, waves.T, waves.flip(0)])[None]


def keys_digest(network: nn.Module) -> str:
    """A digest of the names and shapes of a network's state."""
    state = network.state_dict()
    lines = sorted(f"{name} {list(value.shape)}" for name, value in state.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def facts(name: str) -> dict[str, Any]:
    """What a test can hold a network to."""
    network = reference(name)
    fill(network)
    with torch.no_grad():
        outputs = network.eval()(picture(SIDES.get(name, 64)))
    count = sum(p.numel() for p in network.parameters())
    return {
        "parameters": count,
        "state": keys_digest(network),
        "side": SIDES.get(name, 64),
        "outputs": [round(float(value), 6) for value in outputs[0, :4]],
        "spread": round(float(outputs.std()), 6),
    }


def main() -> None:
    """Print the facts of every network as JSON."""
    import_torchvision.module = import_torchvision()  # type: ignore[attr-defined]
    found = {name: facts(name) for name in [*OF_TORCHVISION, *OF_TIMM]}
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
