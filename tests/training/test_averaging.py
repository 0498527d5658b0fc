"""Averages of weights against torch's, and the smaller parts of training."""

from __future__ import annotations

import os
import signal
import threading

import pytest
import torch
from torch import nn
from torch.optim import swa_utils

from glial.core.errors import InputError
from glial.training import (
    WeightAverage,
    graceful_signals,
    load_checkpoint,
    outputs_of,
    save_checkpoint,
)


@pytest.mark.parametrize("decay", [0.9, None])
def test_averages_are_torchs(decay):
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    function = swa_utils.get_ema_multi_avg_fn(decay) if decay else None
    oracle = swa_utils.AveragedModel(model, multi_avg_fn=function)
    average = WeightAverage(model, decay)
    for _ in range(6):
        with torch.no_grad():
            model.weight.add_(torch.randn(2, 3))
        average.update()
        oracle.update_parameters(model)
    with average.swapped_in():
        torch.testing.assert_close(model.weight, oracle.module.weight)


def test_the_weights_come_back_even_after_an_error():
    model = nn.Linear(1, 1)
    average = WeightAverage(model, 0.5)
    average.update()
    nn.init.constant_(model.weight, 7.0)
    with pytest.raises(ZeroDivisionError), average.swapped_in():
        _ = 1 / 0
    assert model.weight.item() == 7.0


def test_before_the_first_update_nothing_is_swapped():
    model = nn.Linear(1, 1)
    average = WeightAverage(model, None)
    nn.init.constant_(model.weight, 7.0)
    with average.swapped_in():
        assert model.weight.item() == 7.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_a_wish_and_the_second_interrupts(number):
    before, seen = signal.getsignal(number), []
    with pytest.raises(KeyboardInterrupt), graceful_signals() as request:
        _ = [
            os.kill(os.getpid(), number),
            seen.append(request.signal),
            os.kill(os.getpid(), number),
        ]
    assert seen == [number]
    assert signal.getsignal(number) is before


def test_signals_are_left_alone_outside_the_main_thread():
    seen = []

    def work():
        with graceful_signals() as request:
            seen.append(request.signal)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [None]


def test_outputs_of_many_rows_no_rows_and_a_networks_modes():
    model = nn.Sequential(nn.Linear(2, 3), nn.Dropout(), nn.BatchNorm1d(3).eval())
    rows = torch.randn(9001, 2)
    outputs = outputs_of(model, (rows,))
    assert not outputs.requires_grad
    assert [module.training for module in model] == [True, True, False]
    model.eval()
    torch.testing.assert_close(outputs, model(rows).detach())
    assert outputs_of(model, (rows[:0],)).shape == (0, 3)


def test_a_checkpoint_goes_there_and_back(tmp_path):
    path = tmp_path / "a" / "b.safetensors"
    tensors = {"x": torch.randn(2, 3).t(), "n": torch.tensor(3), "e": torch.zeros(0, 2)}
    save_checkpoint(path, tensors, {"a": [1, None, 0.1], "b": float("inf")})
    found, numbers = load_checkpoint(path)
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    assert numbers == {"a": [1, None, 0.1], "b": float("inf")}


@pytest.mark.parametrize("content", [b"", b"12345678", b"\xff" * 100, b"{" * 1000])
def test_a_damaged_checkpoint_is_an_input_error(tmp_path, content):
    path = tmp_path / "c"
    path.write_bytes(content)
    with pytest.raises(InputError):
        load_checkpoint(path)
    with pytest.raises(InputError):
        load_checkpoint(tmp_path / "none")
