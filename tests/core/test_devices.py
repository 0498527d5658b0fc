"""A device is chosen with a reason, and never another than was asked for."""

from __future__ import annotations

import pytest
import torch

from glial.core.devices import available_devices, choose_device
from glial.core.errors import InputError


def test_the_processor_is_always_there():
    assert available_devices()[-1] == "cpu"
    assert choose_device("cpu") == (torch.device("cpu"), "asked for")
    assert choose_device("cpu:0")[0].type == "cpu"


def test_auto_takes_the_first_and_says_why():
    device, reason = choose_device("auto")
    assert device.type == available_devices()[0]
    assert reason == (
        "no accelerator was found" if device.type == "cpu" else "the fastest device of this machine"
    )


@pytest.mark.parametrize("asked", ["", "gpu", "cpu:x", "cuda:-1", "meta", "cpu::", "CPU", "auto "])
def test_nonsense_is_refused(asked):
    with pytest.raises(InputError) as caught:
        choose_device(asked)
    assert caught.value.got == repr(asked)


@pytest.mark.parametrize("asked", ["cpu:7", "cuda:99", "cuda:300", "mps:5", "xpu:99"])
def test_a_device_that_is_not_there_is_refused(asked):
    with pytest.raises(InputError):
        choose_device(asked)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_is_not_silently_replaced():
    with pytest.raises(InputError, match="'cuda' is not there"):
        choose_device("cuda")
