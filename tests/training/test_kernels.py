"""Compiled steps: products and Adam against other arithmetic, and who may build and load them."""

from __future__ import annotations

import copy
import ctypes
import gc
import mmap
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from glial.core import native
from glial.core.errors import InputError
from glial.core.native import NoKernelsError
from glial.data.batches import Batch, TensorBatches
from glial.runs import Plan, engine
from glial.tasks.classification import Classification
from glial.tasks.labels import Labels
from glial.tasks.settings import TaskSettings
from glial.training import Descent, Loop, Moment, TrainSettings, kernels, make_optimizer
from glial.training.captured import CapturedPasses
from glial.training.kernels import CompiledAdam, find_kernels
from glial.training.optimizers import DirectAdam

FOUND = find_kernels()
pytestmark = pytest.mark.skipif(FOUND is None, reason="there is no GCC to build the kernels")
EPSILON = torch.finfo(torch.float32).eps
SIZES = st.integers(1, 300)
NAN, INFINITY = float("nan"), float("inf")


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def computed(a, b, bias=None, relu=False, gate=None):
    place, call = FOUND.product(a, b, bias, relu, gate)
    place.fill_(NAN)
    call()
    return place


@given(
    *(SIZES, SIZES, SIZES),
    *(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
    st.integers(0, 3),
)
def test_products_are_those_of_float64(m, n, k, turned_a, turned_b, biased, relu, gap):
    """The error of a sum of k products is at most k rounding errors of the absolute sum."""
    a = normal(k, m + gap)[:, :m].t() if turned_a else normal(m, k + gap)[:, :k]
    b = normal(n, k + gap, seed=1)[:, :k].t() if turned_b else normal(k, n + gap, seed=1)[:, gap:]
    bias = normal(n, seed=2) if biased else None
    wanted = a.double() @ b.double()
    most = a.double().abs() @ b.double().abs()
    if bias is not None:
        wanted, most = wanted + bias.double(), most + bias.double().abs()
    if relu:
        wanted = wanted.relu()
    error = (computed(a, b, bias, relu).double() - wanted).abs()
    assert bool((error <= (k + 1) * EPSILON * most).all())


@given(*(SIZES, SIZES, SIZES), st.booleans())
def test_a_gate_lets_through_what_torch_lets_through(m, n, k, turned):
    """Where the gate is NaN, too; what it shuts is zero, even if it is not finite."""
    a, b = normal(k, m).t() if turned else normal(m, k), normal(k, n, seed=1)
    a[m // 2] = INFINITY
    gate = normal(m, n, seed=2)
    gate.view(-1)[:: max(2, n // 3)] = 0.0
    gate.view(-1)[:: max(2, n // 2)] = NAN
    gate.view(-1)[:: max(2, n)] = -0.0
    wanted = torch.ops.aten.threshold_backward(computed(a, b), gate, 0)
    assert torch.equal(computed(a, b, gate=gate).nan_to_num(7.0), wanted.nan_to_num(7.0))


@pytest.mark.parametrize("value", [NAN, INFINITY, -INFINITY])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("place", ["a", "b", "bias"])
def test_what_is_not_finite_goes_where_torch_lets_it_go(value, relu, place):
    parts = {"a": normal(9, 20), "b": normal(20, 35, seed=1), "bias": normal(35, seed=2)}
    parts[place].view(-1)[17] = value
    wanted = torch.addmm(parts["bias"], parts["a"], parts["b"])
    found = computed(parts["a"], parts["b"], parts["bias"], relu)
    torch.testing.assert_close(found, wanted.relu() if relu else wanted, equal_nan=True)
    assert not bool(found.isfinite().all()) or (relu and value == -INFINITY)


@pytest.mark.parametrize("shape", [(64, 300, 301), (2048, 54, 256), (300, 700, 41)])
def test_threads_change_no_bit(shape, monkeypatch):
    m, k, n = shape
    a, b, bias = normal(m, k), normal(n, k, seed=1).t(), normal(n, seed=2)
    monkeypatch.setattr(kernels, "SHARED_OPERATIONS", 0)
    found = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found.append(computed(a, b, bias, True))
    assert torch.equal(found[1], found[0])
    assert torch.equal(found[2], found[0])


def test_what_the_kernels_do_not_do_is_left_to_torch():
    a, b, bias = normal(3, 4), normal(4, 5), normal(5)
    assert FOUND.product(a, b, bias, False) is not None
    others = [
        (a.double(), b.double(), None),
        (a, normal(8, 10)[::2, ::2], None),
        (normal(3, 5000), normal(5000, 5), None),
        (normal(0, 4), b, None),
        (normal(3, 0), normal(0, 5), None),
        (a, b, normal(10)[::2]),
        (a, b, normal(1)),
        (a, b, normal(3, 5)),
    ]
    assert [FOUND.product(*parts, False) for parts in others] == [None] * len(others)
    gates = [normal(3, 5).double(), normal(3, 4), normal(5), normal(5, 3).t()]
    assert [FOUND.product(a, b, None, False, gate) for gate in gates] == [None] * len(gates)


def fenced(shape, at_end):
    """A matrix that ends, or begins, where memory that nobody may touch begins or ends."""
    library, page = ctypes.CDLL(None, use_errno=True), mmap.PAGESIZE
    library.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    size = 4 * shape[0] * shape[1]
    room = -(-size // page) * page
    memory = mmap.mmap(-1, room + 2 * page)
    begin = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for fence in (begin, begin + page + room):
        assert library.mprotect(fence, page, 0) == 0
    offset = page + (room - size if at_end else 0)
    return torch.frombuffer(memory, dtype=torch.float32, count=size // 4, offset=offset).view(shape)


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 17, 33), (5, 64, 64), (13, 16, 100), (6, 3, 31)])
def test_nothing_is_read_or_written_outside_the_matrices(shape, at_end):
    m, k, n = shape
    for turned in (False, True):
        a = fenced((k, m) if turned else (m, k), at_end).copy_(
            normal(*((k, m) if turned else (m, k)))
        )
        b = fenced((n, k) if turned else (k, n), at_end).copy_(
            normal(*((n, k) if turned else (k, n)))
        )
        a, b = (a.t(), b.t()) if turned else (a, b)
        bias = fenced((1, n), at_end).copy_(normal(1, n))[0]
        gate = fenced((m, n), at_end).copy_(normal(m, n, seed=1))
        _, call = FOUND.product(a, b, bias, True, gate)
        task = call.args[0]
        place, space = fenced((m, n), at_end), fenced((k, kernels.COLUMNS), at_end)
        task.c, task.space = place.data_ptr(), space.data_ptr()
        call()
        wanted = torch.addmm(bias, a, b).relu()
        torch.testing.assert_close(place, wanted.where(gate > 0, 0.0))


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_adam_is_torchs_to_its_rounding(optimizer):
    """Two groups with rates and decays of their own, rates that change, 200 steps."""
    networks, states = [], []
    for compiled in (False, True):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(40, 50), nn.Linear(50, 3))
        adam = make_optimizer(network, TrainSettings(optimizer=optimizer), lr=0.01)
        generator = torch.Generator().manual_seed(1)
        mine = None
        for number in range(200):
            for group, factor in zip(adam.param_groups, (1.0, 0.3), strict=True):
                group["lr"] = 0.01 * factor / (1 + number % 7)
                group["weight_decay"] = 0.1 * factor if optimizer == "adamw" else 0.0
            for parameter in network.parameters():
                scale = 10 ** torch.randn(parameter.shape, generator=generator)
                parameter.grad = torch.randn(parameter.shape, generator=generator) * scale
            if compiled and number:
                mine = mine or CompiledAdam(adam, FOUND)
                mine.step()
            else:
                adam.step()
        networks.append(network.state_dict())
        states.append(adam.state_dict()["state"])
    for key, wanted in networks[0].items():
        assert float((networks[1][key] - wanted).norm() / wanted.norm()) <= 1e-6, key
    for number, values in states[0].items():
        assert states[1][number]["step"].item() == 200
        for key, wanted in values.items():
            found = states[1][number][key]
            assert float((found - wanted).norm() / wanted.norm()) <= 1e-6, (number, key)


def test_adam_that_c_does_not_do_is_torchs_own():
    """Coupled decay, and gradients in another layout."""
    networks = []
    for kind in (DirectAdam, lambda adam: CompiledAdam(adam, FOUND)):
        layer = nn.Linear(4, 4, dtype=torch.float32)
        nn.init.ones_(layer.weight)
        nn.init.ones_(layer.bias)
        adam = torch.optim.Adam(layer.parameters(), lr=0.1, weight_decay=0.5, fused=True)
        layer.weight.grad, layer.bias.grad = normal(4, 4), normal(4)
        adam.step()
        kind(adam).step()
        adam.param_groups[0]["weight_decay"] = 0.0
        layer.weight.grad = normal(4, 4, seed=1).t()
        kind(adam).step()
        networks.append(layer.state_dict())
    for key, wanted in networks[0].items():
        assert torch.equal(networks[1][key], wanted)


def rows(number=70):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(number, 18, generator=generator)
    target = (inputs[:, 0] > 0).long() + (inputs[:, 1] > 0).long()
    return Batch((inputs,), target)


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        *(
            nn.Linear(18, 40),
            nn.ReLU(),
            nn.Linear(40, 24, bias=False),
            nn.BatchNorm1d(24),
            nn.Tanh(),
        ),
        *(nn.Dropout(0.1), nn.Linear(24, 3)),
    )


def loss(outputs, target, weight):
    return F.cross_entropy(outputs, target)


def loop_of(step, folder=None, epochs=6, **settings):
    settings = TrainSettings(epochs=epochs, step=step, weight_decay=0.1, **settings)
    model = network()
    descent = Descent(model, loss, settings, lr=0.01)
    return Loop(model, descent, TensorBatches(rows(), 16, seed=0), settings, folder=folder)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "momentum"])
def test_a_compiled_training_follows_the_eager_one(optimizer):
    curves, weights = [], []
    for step in ("eager", "compiled"):
        loop = loop_of(step, optimizer=optimizer)
        assert loop.run() == "epochs"
        curves.append(torch.tensor([row["train_loss"] for row in loop.progress.history]))
        weights.append(loop._objective._model.state_dict())
    assert not torch.equal(*curves)  # or nothing was compiled
    torch.testing.assert_close(*curves, rtol=1e-4, atol=0.0)
    for key, wanted in weights[0].items():
        torch.testing.assert_close(weights[1][key], wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [3, 4, 5, 7, 16])
def test_a_compiled_training_that_was_cut_ends_in_the_same_bits(stop):
    """Also where it stops before the last, smaller batch of an epoch: the fifth of each."""
    batches = list(TensorBatches(rows(), 16, seed=0).epoch(0)) * 4
    ends = []
    for cuts in ((), (stop,)):
        model = network()
        settings = TrainSettings(step="compiled", weight_decay=0.1)
        descent = Descent(model, loss, settings, lr=0.01)
        for number, batch in enumerate(batches):
            if number in cuts:
                tensors = {key: value.clone() for key, value in descent.tensors().items()}
                numbers, model = descent.numbers(), copy.deepcopy(model)
                descent = Descent(model, loss, settings, lr=0.01)
                descent.load(tensors, numbers)
            torch.manual_seed(number)
            descent.step(batch, Moment(0, number, 0.0))
        ends.append((model.state_dict(), descent.tensors()))
    for wanted, found in zip(*ends, strict=True):
        assert all(torch.equal(found[key], value) for key, value in wanted.items())


@pytest.mark.slow
def test_a_compiled_training_goes_on_from_an_eager_one_and_back(tmp_path):
    ends = {}
    for steps in ("eager eager", "compiled eager", "eager compiled", "compiled captured"):
        for epochs, step in zip((3, 6), steps.split(), strict=True):
            loop = loop_of(step, tmp_path / steps, epochs)
            assert loop.load() == (epochs == 6)
            loop.run()
            loop.save()
        ends[steps] = loop._objective._model.state_dict()
    wanted = ends.pop("eager eager")
    for steps, found in ends.items():
        for key, value in wanted.items():
            torch.testing.assert_close(found[key], value, rtol=1e-3, atol=1e-4, msg=steps + key)


class Deep(nn.Module):
    """Perceptrons in which the gradient of ReLU is, or is not, all that is done to a product."""

    def __init__(self, kind):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.last = nn.Linear(18, 40), nn.Linear(40, 40), nn.Linear(40, 3)
        self.kind = kind

    def forward(self, inputs):
        hidden = self.first(inputs).relu()
        if self.kind == "skip":  # both slopes: of a sum, and of what is summed
            return self.last(self.second(hidden).relu() + hidden)
        if self.kind == "threshold":
            return self.last(F.threshold(self.second(hidden), 0.1, 0.0))
        return self.last(self.second(hidden).relu())


@pytest.mark.parametrize(("kind", "left"), [("plain", 0), ("skip", 2), ("threshold", 1)])
def test_slopes_of_relu_are_part_of_products_where_nothing_else_reads_these(kind, left):
    model, batch = Deep(kind), rows()
    passes = CapturedPasses(model, model, loss, batch, FOUND.product)
    assert sum("threshold_backward" in str(call) for call in passes._calls) == left
    found = passes.run(batch)
    wanted = loss(model(*batch.inputs), batch.target, None)
    gradients = torch.autograd.grad(wanted, list(model.parameters()))
    torch.testing.assert_close(found, wanted.detach())
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


@pytest.mark.slow
def test_memory_stays_while_calls_need_it_and_goes_with_them():
    def megabytes():
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * mmap.PAGESIZE / 2**20

    batch = Batch((normal(256, 18),), torch.zeros(256, dtype=torch.long))
    sizes = []
    for number in range(12):
        model = network()
        passes = CapturedPasses(model, model, loss, batch, FOUND.product)
        gc.collect()
        junk = [torch.full((256, 40), NAN) for _ in range(50)]
        torch.manual_seed(0)
        found = passes.run(batch)
        torch.manual_seed(0)
        torch.testing.assert_close(found, loss(model(*batch.inputs), batch.target, None))
        del model, passes, junk
        if number > 3:
            sizes.append(megabytes())
    assert sizes[-1] - sizes[0] < 20


def test_long_trainings_are_compiled_where_that_is_faster_and_written_so(monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr(engine, "MEASURED_SECONDS", 0.0)
    monkeypatch.setattr(engine, "CAPTURED_STEPS", 0)
    learnt = Classification("y", Labels(["a", "b", "c"]), [1 / 3] * 3, TaskSettings())

    def chosen(gain, **train):
        monkeypatch.setattr(engine, "_gain", lambda *trials: gain)
        asked = {"threads": 1, "precision": "float32", **train}
        plan = Plan.from_values({"model": {"name": "custom"}, "train": asked})
        passes = (learnt.loss, learnt.mass)
        return engine.with_engine(plan, network(), *passes, rows(), num_batches=5).train.step

    assert chosen(1.5) == "compiled"
    assert "compiled step 1.50x" in caplog.text
    assert chosen(1.05) == "captured"
    assert chosen(1.5, step="captured") == "captured"
    assert chosen(1.5, deterministic=True) == "captured"
    monkeypatch.setattr(engine, "find_kernels", lambda: None)
    assert chosen(1.5) == "captured"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GLIAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(native, "FLAGS", ("-O0", *native.FLAGS[1:]))  # built in less time
    return tmp_path / "cache" / "kernels"


@pytest.mark.slow
def test_the_library_is_built_once_into_a_folder_of_ones_own(cache):
    path = native.built_library("glial.training", "kernels.c")
    made = path.stat().st_mtime_ns
    assert path.parent == cache
    assert cache.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o222 == 0
    assert native.built_library("glial.training", "kernels.c") == path
    assert path.stat().st_mtime_ns == made
    assert [file.name for file in cache.iterdir()] == [path.name]


@pytest.mark.slow
@pytest.mark.parametrize("harm", ["cut short", "changed", "writable by others", "a link"])
def test_a_library_that_is_not_as_it_was_built_is_built_again(cache, harm, tmp_path):
    path = native.built_library("glial.training", "kernels.c")
    content = path.read_bytes()
    path.chmod(0o700)
    if harm == "writable by others":
        path.chmod(0o722)
    elif harm == "a link":
        path.replace(tmp_path / "elsewhere.so")
        path.symlink_to(tmp_path / "elsewhere.so")
    else:
        path.write_bytes(content[:100] if harm == "cut short" else content[:-1] + b"x")
    again = native.built_library("glial.training", "kernels.c")
    assert again.read_bytes() == content
    assert not again.is_symlink()
    assert again.stat().st_mode & 0o022 == 0


@pytest.mark.parametrize("harm", ["group", "others", "a link", "parent", "a file"])
def test_a_folder_that_others_may_write_to_is_refused(cache, harm, tmp_path):
    cache.mkdir(parents=True)
    if harm == "a link":
        cache.rmdir()
        (tmp_path / "there").mkdir(mode=0o700)
        cache.symlink_to(tmp_path / "there")
    elif harm == "a file":
        cache.rmdir()
        cache.touch()
    elif harm == "parent":
        cache.parent.chmod(0o777)
    else:
        cache.chmod(0o720 if harm == "group" else 0o702)
    with pytest.raises(NoKernelsError):
        native.built_library("glial.training", "kernels.c")


def test_other_flags_of_the_processor_or_another_compiler_make_another_file(cache, monkeypatch):
    first = native.built_library("glial.training", "kernels.c")
    monkeypatch.setattr(native, "FLAGS", (*native.FLAGS, "-mno-avx512f"))
    second = native.built_library("glial.training", "kernels.c")
    assert first != second
    assert first.is_file()


@pytest.mark.slow
def test_two_processes_may_build_at_once(cache):
    build = "native.built_library('glial.training', 'kernels.c')"
    script = f"from glial.core import native; print({build})"
    with ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(
                subprocess.run,
                [sys.executable, "-c", script],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
            for _ in range(2)
        ]
        paths = {Path(run.result().stdout.strip()) for run in runs}
    assert all(path.is_file() for path in paths)


def test_without_a_compiler_steps_are_captured_or_refused(cache, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr(native, "COMPILERS", ("no-such-compiler",))
    kernels._found.cache_clear()
    try:
        assert find_kernels() is None
        assert "no compiled kernels: there is no GCC" in caplog.text
        with pytest.raises(InputError) as raised:
            find_kernels(required=True)
        assert raised.value.got == "there is no GCC"
        captured, compiled = loop_of("captured"), loop_of("compiled")
        assert "captured, not compiled" in caplog.text
        assert [captured.run(), compiled.run()] == ["epochs", "epochs"]
        assert (
            captured.progress.history[-1]["train_loss"]
            == (compiled.progress.history[-1]["train_loss"])
        )
    finally:
        kernels._found.cache_clear()


def test_a_compiler_that_fails_says_so(cache, monkeypatch):
    monkeypatch.setattr(native, "FLAGS", (*native.FLAGS, "-no-such-flag"))
    with pytest.raises(NoKernelsError, match="no-such-flag"):
        native.built_library("glial.training", "kernels.c")
