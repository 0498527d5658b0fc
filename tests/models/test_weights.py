"""Weights of files and runs: what fits is loaded, what does not is refused, nothing is run."""

from __future__ import annotations

import logging
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.models import MODELS
from glial.models.weights import read_state, start_from

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def settings_of(name: str, **values: Any) -> Any:
    return MODELS.resolve(name).read({"name": name, **values})


def built(name: str, outputs: int = 4, channels: int = 3, seed: int = 0, **values: Any) -> Any:
    torch.manual_seed(seed)
    return settings_of(name, **values).build(0, outputs, images=[[channels, 64, 64]])


def given(network: nn.Module) -> Tensor:
    with torch.no_grad():
        outputs: Tensor = network.eval()(IMAGES)
    return outputs


@pytest.fixture
def source() -> Any:
    return built("resnet18", width=0.125)


def started(path: Path, outputs: int = 4, channels: int = 3, name: str = "resnet18") -> Any:
    network = built(name, outputs, channels, seed=1, width=0.125)
    fresh = start_from(network, settings_of(name, width=0.125, weights=str(path)))
    return network, fresh


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ending", "around"),
    [
        *(("safetensors", around) for around in ("nothing", "module.", "_orig_mod.")),
        *(("pth", around) for around in ("nothing", "state_dict", "model", "module.")),
        ("bin", "nothing"),
    ],
)
def test_a_file_of_the_same_network_gives_the_same_outputs(
    source: Any, tmp_path: Path, ending: str, around: str
) -> None:
    state: dict[str, Any] = dict(source.state_dict())
    if around.endswith("."):
        state = {f"{around}{name}": value for name, value in state.items()}
    elif around != "nothing":
        state = {around: state, "epoch": 3, "optimizer": {"lr": 0.1}}
    path = tmp_path / f"weights.{ending}"
    if ending == "safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path)
    network, fresh = started(path)
    assert fresh == []
    assert torch.equal(given(network), given(source))


def test_a_head_of_other_classes_starts_anew(
    source: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(source.state_dict(), path)
    with caplog.at_level(logging.INFO):
        network, fresh = started(path, outputs=7)
    assert fresh == ["fc.weight", "fc.bias"]
    assert "fc.weight, fc.bias start anew" in caplog.text
    torch.testing.assert_close(network.eval().embed(IMAGES), source.eval().embed(IMAGES))


def test_grey_images_are_read_as_equal_colours(source: Any, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(source.state_dict(), path)
    network, _ = started(path, channels=1)
    grey = IMAGES[:, :1]
    with torch.no_grad():
        found, wanted = network.eval()(grey), source.eval()(grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_auxiliary_heads_may_be_left_out_and_may_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    whole = built("googlenet", width=0.125)
    safetensors.torch.save_file(whole.state_dict(), path)
    without = built("googlenet", seed=1, width=0.125, auxiliary=False)
    settings = settings_of("googlenet", width=0.125, auxiliary=False, weights=str(path))
    assert start_from(without, settings) == []
    assert torch.equal(given(without), given(whole))
    safetensors.torch.save_file(without.state_dict(), path)
    _, fresh = started(path, name="googlenet")
    assert {name.partition(".")[0] for name in fresh} == {"aux1", "aux2"}


def test_weights_of_another_network_are_refused(source: Any, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(source.state_dict(), path)
    with pytest.raises(InputError, match="those of another network") as told:
        started(path, name="mobilenet_v2")
    assert "bn1.bias" in str(told.value.got)
    wider = built("resnet18", width=0.25)
    safetensors.torch.save_file(wider.state_dict(), path)
    with pytest.raises(InputError, match="a network of another size") as told:
        started(path)
    assert told.value.expected == "conv1.weight of [8, 3, 7, 7]"
    assert told.value.got == "[16, 3, 7, 7]"


class Trap:
    """What would run a command if it were unpickled."""

    def __reduce__(self) -> Any:
        return (print, ("trapped",))


@pytest.mark.parametrize(
    ("write", "why"),
    [
        (lambda path: path.write_bytes(pickle.dumps(Trap())), "no tensors|cannot be read"),
        (lambda path: torch.save({"a": Trap()}, path), "no tensors|cannot be read"),
        (lambda path: torch.save([torch.ones(1)], path), "tensors by name"),
        (lambda path: torch.save({"a": torch.ones(1), "b": "c"}, path), "tensors by name"),
        (lambda path: torch.save({}, path), "tensors by name"),
        (lambda path: path.write_bytes(b""), "cannot be read"),
        (lambda path: path.write_text("weights"), "cannot be read"),
    ],
)
def test_what_holds_no_tensors_is_refused_and_never_run(
    write: Any, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "weights.pth"
    write(path)
    with pytest.raises(InputError, match="cannot be read") as told:
        read_state(path)
    assert "trapped" not in capsys.readouterr().out
    assert told.value.got


def test_a_damaged_safetensors_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"\x10\0\0\0\0\0\0\0not json at all.")
    with pytest.raises(InputError, match="cannot be read"):
        read_state(path)


def test_a_missing_file_and_an_unfinished_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are no weights at") as told:
        read_state(tmp_path / "none.safetensors")
    assert told.value.got == "nothing"
    with pytest.raises(InputError, match="there are no weights at") as told:
        read_state(tmp_path)
    assert told.value.got == "no model.safetensors in it"


@pytest.mark.parametrize("name", ["lenet5", "alexnet_lrn", "resnet20_cifar", "mlp"])
def test_a_network_without_published_weights_says_so(name: str) -> None:
    with pytest.raises(InputError, match=f"no published weights of '{name}'") as told:
        start_from(nn.Linear(1, 1), settings_of(name, weights="imagenet"))
    assert "efficientnet_lite0" in str(told.value.do)


def test_published_weights_come_from_the_package_of_the_hub(
    monkeypatch: pytest.MonkeyPatch, source: Any
) -> None:
    class Models:
        @staticmethod
        def get_model(name: str, weights: str) -> nn.Module:
            assert (name, weights) == ("resnet18", "DEFAULT")
            return source

    asked = []
    monkeypatch.setattr(
        "glial.models.weights.require", lambda name, **told: asked.append((name, told)) or Models
    )
    network = built("resnet18", seed=1, width=0.125)
    assert start_from(network, settings_of("resnet18", width=0.125, weights="imagenet")) == []
    assert asked[0][0] == "torchvision.models"
    assert asked[0][1]["extra"] == "hub"
    assert torch.equal(given(network), given(source))


def test_without_the_hub_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with pytest.raises(InputError, match="torchvision") as told:
        start_from(nn.Linear(1, 1), settings_of("resnet18", weights="imagenet"))
    assert told.value.do == "pip install 'glial[hub]'"
