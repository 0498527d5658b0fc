"""Steps given to torch's compiler: the same numbers to their accuracy, or the plain steps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from glial.data.batches import Batch
from glial.training import Descent, Moment, TrainSettings
from glial.training.torch_compile import TorchCompiled


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


def rows(number=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(number, 3, 8, 8, generator=generator)
    return Batch((images,), torch.arange(number) % 3)


def entropy(outputs, target, weight):
    return nn.functional.cross_entropy(outputs, target)


def descent_of(model, step, lr=0.0):
    settings = TrainSettings(optimizer="sgd", step=step, layout="channels_last")
    return Descent(model, entropy, settings, lr=lr)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GLIAL_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # so that it is put back
    return tmp_path


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's compilers, by torch
def test_compiled_steps_give_the_gradients_and_buffers_of_plain_ones(own_cache, caplog):
    models = {step: network() for step in ("eager", "torch_compile")}
    losses = {}
    for step, model in models.items():
        descent = descent_of(model, step)
        losses[step] = [descent.step(rows(n, n), Moment(0, 0, 0.0)).item() for n in (8, 8, 5)]
    assert losses["torch_compile"] == pytest.approx(losses["eager"], rel=1e-5)
    plain, compiled = models.values()
    for name, wanted in plain.named_parameters():
        found = compiled.get_parameter(name).grad
        assert (found - wanted.grad).abs().max() <= 1e-5 * max(1.0, wanted.grad.abs().max()), name
    for name, buffer in plain.named_buffers():
        assert torch.allclose(compiled.get_buffer(name).float(), buffer.float(), atol=1e-6), name
    assert any((own_cache / "inductor").iterdir())
    assert "not compiled" not in caplog.text


def calls_of(monkeypatch):
    """Shapes of the inputs that go to the compiled passes; nothing is compiled."""
    shapes = []

    def compiled(passes, **options):
        def run(*inputs):
            shapes.append(tuple(inputs[0].shape))
            return passes(*inputs)

        return run

    monkeypatch.setattr(torch, "compile", compiled)
    return shapes


def test_only_batches_like_the_first_are_compiled(own_cache, monkeypatch):
    shapes = calls_of(monkeypatch)
    descent = descent_of(network(), "torch_compile")
    for number in (8, 5, 8):
        descent.step(rows(number), Moment(0, 0, 0.0))
    descent.make_passes(rows(8), Moment(0, 0, 0.0))  # whoever looks in sees the layers themselves
    assert shapes == [(8, 3, 8, 8), (8, 3, 8, 8)]


def test_a_training_that_goes_on_compiles_for_the_batches_of_its_start(own_cache, monkeypatch):
    shapes = calls_of(monkeypatch)
    first, second = (descent_of(network(), "torch_compile") for _ in range(2))
    first.step(rows(8), Moment(0, 0, 0.0))
    second.load(first.tensors(), first.numbers())
    second.step(rows(5), Moment(0, 1, 0.0))
    second.step(rows(8), Moment(0, 2, 0.0))
    assert shapes == [(8, 3, 8, 8), (8, 3, 8, 8)]


def test_what_cannot_be_compiled_runs_as_it_is(own_cache, monkeypatch, caplog):
    tried = []

    def fails(passes, **options):
        tried.append(passes)
        raise RuntimeError("no C++ compiler")

    monkeypatch.setattr(torch, "compile", fails)
    plain = descent_of(network(), "eager")
    wanted = [plain.step(rows(), Moment(0, k, 0.0)).item() for k in range(2)]
    descent = descent_of(network(), "torch_compile")
    assert [descent.step(rows(), Moment(0, k, 0.0)).item() for k in range(2)] == wanted
    assert len(tried) == 1
    assert caplog.messages.count("steps are not compiled: no C++ compiler") == 1


def test_memory_that_runs_out_is_no_failure_of_the_compiler(own_cache, monkeypatch):
    def fails(passes, **options):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(torch, "compile", fails)
    with pytest.raises(torch.OutOfMemoryError):
        TorchCompiled(network())(rows().inputs[0])


def test_nothing_is_built_where_others_may_write(own_cache, caplog):
    (own_cache / "inductor").mkdir()
    (own_cache / "inductor").chmod(0o777)
    passes = TorchCompiled(network())
    assert passes(rows().inputs[0]).shape == (8, 3)
    assert not passes.is_compiled
    assert "others may write to" in caplog.text
