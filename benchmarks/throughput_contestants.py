"""The contestants of ``throughput.py``: each trains the same networks in its own framework.

``throughput.py`` starts this file once for a contestant and a number of threads, so that backends,
imports and thread pools of frameworks never meet in a process:

    python benchmarks/throughput_contestants.py NAME '[{"name": "mlp-32", ...}, ...]'

Printed: one line of JSON a case. A contestant is a function of a case, its rows and ``mark``; it
calls ``mark`` at the end of every epoch and returns what gives the logits of rows. Weights start
as He et al. (2015) draw them wherever the framework lets one choose.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

NUM_COLUMNS, HIDDEN, NUM_CLASSES = 54, 256, 7
CHANNELS, SIDE, WIDTHS, NUM_IMAGE_CLASSES = 3, 32, (32, 64, 128), 10
LR = 1e-3
USUAL_EPOCHS = 100  # what Glial's mlp is trained for where nobody says
MIDDLE, SPREAD = 128.0, 40.0  # bytes of an image, from numbers around 0
MAX_JUDGED = 10_000

Mark = Callable[[], None]
Logits = Callable[[Any], Any]


@dataclass(frozen=True)
class Case:
    """What is trained: ``mlp`` on table rows or ``cnn`` on images, for one epoch and ``epochs``."""

    name: str
    kind: str
    rows: int
    batch_size: int
    epochs: int
    seed: int = 0

    @property
    def total_epochs(self) -> int:
        """The epochs measured and the one that warms up."""
        return 1 + self.epochs


def rows_of(case: Case) -> tuple[Any, Any]:
    """Inputs [row, column] or [row, channel, y, x], and labels that there is something to learn of.

    The labels of a table are a fixed random network's; an image is its class's texture in noise.
    """
    random = np.random.default_rng(0)
    if case.kind == "mlp":
        x = random.standard_normal((case.rows, NUM_COLUMNS), dtype=np.float32)
        first = random.standard_normal((NUM_COLUMNS, 32), dtype=np.float32) / NUM_COLUMNS**0.5
        second = random.standard_normal((32, NUM_CLASSES), dtype=np.float32)
        return x, np.argmax(np.tanh(2 * x @ first) @ second, axis=1)
    shape = (CHANNELS, SIDE, SIDE)
    y = random.integers(0, NUM_IMAGE_CLASSES, case.rows)
    tiles = random.standard_normal((NUM_IMAGE_CLASSES, CHANNELS, 8, 8), dtype=np.float32)
    textures = np.tile(tiles, (1, 1, SIDE // 8, SIDE // 8))
    noise = random.standard_normal((case.rows, *shape), dtype=np.float32)
    bytes_ = np.clip(np.round(MIDDLE + SPREAD * (textures[y] + noise)), 0, 255)
    return ((bytes_ - MIDDLE) / SPREAD).astype(np.float32), y


def torch_network(case: Case) -> Any:
    """The network of every contestant on PyTorch."""
    import torch
    from torch import nn

    torch.manual_seed(case.seed)
    if case.kind == "mlp":
        network = nn.Sequential(
            nn.Linear(NUM_COLUMNS, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, NUM_CLASSES),
        )
    else:
        blocks: list[Any] = []
        for before, width in zip((CHANNELS, *WIDTHS), WIDTHS, strict=False):
            for inputs in (before, width):
                conv = nn.Conv2d(inputs, width, 3, padding=1, bias=False)
                blocks += [conv, nn.BatchNorm2d(width), nn.ReLU()]
            blocks.append(nn.MaxPool2d(2))
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTHS[-1], NUM_IMAGE_CLASSES)]
        network = nn.Sequential(*blocks, *head)
    for layer in network:
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if isinstance(layer, nn.Linear):
            nn.init.zeros_(layer.bias)
    return network


def _torch_logits(network: Any) -> Logits:
    import torch

    def logits(x: Any) -> Any:
        with torch.inference_mode():
            return network.eval()(torch.from_numpy(x)).numpy()

    return logits


def glial(case: Case, x: Any, y: Any, mark: Mark, *, watch: bool = True) -> Logits:
    """The public door, with progress, checkpoints, history, a run's folder and the doctor.

    How steps are computed depends on how many there will be: as many as usual are asked for, and
    a callback ends the training when enough were measured.
    """
    import torch

    import glial
    from glial.cli.progress import ProgressBar

    class Marks:
        def on_epoch_end(self, view: Any) -> bool:
            mark()
            return view.epoch >= case.total_epochs

    held = x
    if case.kind == "cnn":
        held = np.round(x.transpose(0, 2, 3, 1) * SPREAD + MIDDLE).astype(np.uint8)
    model: Any = "mlp" if case.kind == "mlp" else torch_network(case)
    settings = {
        "data.scaling": "none",
        "data.split.train": 1.0,
        "data.split.val": 0.0,
        "data.split.test": 0.0,
        "train.optimizer": "adam",
        "train.lr": LR,
        "train.batch_size": case.batch_size,
        "train.schedule": "constant",
        "train.weight_decay": 0.0,
        "train.patience": None,
        "train.threads": torch.get_num_threads(),
        "train.precision": "float32",
        "data.augment": "none",
        "doctor.watch": watch,
    }
    if case.kind == "mlp":
        settings["model.hidden_sizes"] = [HIDDEN, HIDDEN]
    with tempfile.TemporaryDirectory() as folder:
        run = glial.train(
            (held, y),
            target="target",
            task="classification",
            model=model,
            epochs=max(USUAL_EPOCHS, case.total_epochs),
            seed=case.seed,
            out=folder,
            set=settings,
            callbacks=[ProgressBar(), Marks()],
        )
    return lambda rows: run.outputs(glial.data.read(held[: len(rows)])).numpy()


def hand(case: Case, x: Any, y: Any, mark: Mark) -> Logits:
    """The best loop that PyTorch allows: slices of rows permuted once an epoch, fused Adam.

    Convolutions on a processor are faster with channels last.
    """
    import torch
    from torch.nn.functional import cross_entropy

    layout = torch.channels_last if case.kind == "cnn" else torch.contiguous_format
    network = torch_network(case).train().to(memory_format=layout)
    optimizer = torch.optim.Adam(network.parameters(), lr=LR, fused=True)
    inputs, target = torch.from_numpy(x).contiguous(memory_format=layout), torch.from_numpy(y)
    for _ in range(case.total_epochs):
        order = torch.randperm(len(inputs))
        taken = (part.index_select(0, order).split(case.batch_size) for part in (inputs, target))
        for rows, labels in zip(*taken, strict=True):
            loss = cross_entropy(network(rows), labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        mark()
    return _torch_logits(network)


def _loader(case: Case, x: Any, y: Any) -> Any:
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    rows = TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    return DataLoader(rows, batch_size=case.batch_size, shuffle=True)


def loader(case: Case, x: Any, y: Any, mark: Mark) -> Logits:
    """The loop of PyTorch's tutorials: a DataLoader, Adam, and the loss read on every step."""
    import torch
    from torch.nn.functional import cross_entropy

    network = torch_network(case).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=LR)
    batches = _loader(case, x, y)
    for _ in range(case.total_epochs):
        total = 0.0
        for rows, labels in batches:
            optimizer.zero_grad()
            loss = cross_entropy(network(rows), labels)
            loss.backward()
            optimizer.step()
            total += loss.item()
        mark()
    return _torch_logits(network)


def lightning(case: Case, x: Any, y: Any, mark: Mark) -> Logits:
    """Lightning's Trainer without logger, checkpoints or progress bar: at its leanest."""
    import lightning as pl
    import torch
    from torch.nn.functional import cross_entropy

    class Classifier(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = torch_network(case)

        def training_step(self, batch: Any, index: int) -> Any:
            rows, labels = batch
            return cross_entropy(self.network(rows), labels)

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), lr=LR)

    class Marks(pl.Callback):
        def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
            mark()

    model = Classifier()
    trainer = pl.Trainer(
        max_epochs=case.total_epochs,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Marks()],
    )
    trainer.fit(model, _loader(case, x, y))
    return _torch_logits(model.network)


def skorch(case: Case, x: Any, y: Any, mark: Mark) -> Logits:
    """skorch's classifier on arrays, without validation or printing."""
    import torch
    from skorch import NeuralNetClassifier
    from skorch.callbacks import Callback

    class Marks(Callback):
        def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
            mark()

    net = NeuralNetClassifier(
        torch_network,
        module__case=case,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=LR,
        batch_size=case.batch_size,
        max_epochs=case.total_epochs,
        iterator_train__shuffle=True,
        train_split=None,
        callbacks=[Marks()],
        verbose=0,
    )
    net.fit(x, y)
    return _torch_logits(net.module_)


def keras(case: Case, x: Any, y: Any, mark: Mark) -> Logits:
    """Keras's ``fit`` on arrays, images in the order that the backend's convolutions like."""
    import keras as k

    k.utils.set_random_seed(case.seed)
    last = case.kind == "cnn" and k.backend.backend() == "jax"
    order = "channels_last" if last else "channels_first"

    def arranged(rows: Any) -> Any:
        return np.ascontiguousarray(rows.transpose(0, 2, 3, 1)) if last else rows

    dense = {"kernel_initializer": "he_normal"}
    stack: list[Any] = [k.Input(arranged(x[:1]).shape[1:])]
    if case.kind == "mlp":
        stack += [k.layers.Dense(HIDDEN, activation="relu", **dense) for _ in range(2)]
        stack.append(k.layers.Dense(NUM_CLASSES, **dense))
    else:
        for width in WIDTHS:
            for _ in range(2):
                conv = {"padding": "same", "use_bias": False, "data_format": order}
                norm = {"axis": -1 if last else 1, "momentum": 0.9, "epsilon": 1e-5}
                stack.append(k.layers.Conv2D(width, 3, **conv, **dense))
                stack += [k.layers.BatchNormalization(**norm), k.layers.ReLU()]
            stack.append(k.layers.MaxPooling2D(2, data_format=order))
        stack.append(k.layers.GlobalAveragePooling2D(data_format=order))
        stack.append(k.layers.Dense(NUM_IMAGE_CLASSES, **dense))
    model = k.Sequential(stack)
    loss = k.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=k.optimizers.Adam(LR), loss=loss)
    model.fit(
        arranged(x),
        y,
        batch_size=case.batch_size,
        epochs=case.total_epochs,
        verbose=0,
        callbacks=[k.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: mark())],
    )
    return lambda rows: model.predict(arranged(rows), batch_size=256, verbose=0)


def sklearn(case: Case, x: Any, y: Any, mark: Mark) -> Logits:
    """scikit-learn's perceptron, an epoch a call; it knows no convolutions."""
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        (HIDDEN, HIDDEN),
        alpha=0.0,
        batch_size=case.batch_size,
        learning_rate_init=LR,
        random_state=case.seed,
    )
    for _ in range(case.total_epochs):
        model.partial_fit(x, y, classes=np.arange(NUM_CLASSES))
        mark()
    return lambda rows: np.log(np.maximum(model.predict_proba(rows), 1e-30))


def jax(case: Case, x: Any, y: Any, mark: Mark) -> Logits:
    """A whole epoch compiled: ``lax.scan`` over batches, optax's Adam; full batches only.

    XLA runs convolutions inside a loop a hundred times slower on a processor, so that of the
    network of images a step is compiled, not the epoch.
    """
    import jax
    import optax
    from jax import lax
    from jax import numpy as jnp

    start, forward = _jax_mlp() if case.kind == "mlp" else _jax_cnn()
    if case.kind == "cnn":
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    inputs, target = jnp.asarray(x), jnp.asarray(y, dtype=jnp.int32)
    num_steps, adam = len(x) // case.batch_size, optax.adam(LR)
    key = jax.random.key(case.seed)

    def loss_of(parameters: Any, averages: Any, rows: Any, labels: Any) -> Any:
        logits, averages = forward(parameters, averages, rows, training=True)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return losses.mean(), averages

    def step(carry: Any, batch: Any) -> Any:
        parameters, averages, state = carry
        gradient = jax.value_and_grad(loss_of, has_aux=True)
        (loss, averages), slopes = gradient(parameters, averages, *batch)
        updates, state = adam.update(slopes, state, parameters)
        return (optax.apply_updates(parameters, updates), averages, state), loss

    def shuffled(key: Any, inputs: Any, target: Any) -> Any:
        order = jax.random.permutation(key, len(inputs))[: num_steps * case.batch_size]
        order = order.reshape(num_steps, case.batch_size)
        return inputs[order], target[order]

    def epoch(carry: Any, key: Any, inputs: Any, target: Any) -> Any:
        return lax.scan(step, carry, shuffled(key, inputs, target))[0]

    compiled_epoch = jax.jit(epoch, donate_argnums=0)
    compiled_step = jax.jit(step, donate_argnums=0)
    parameters, averages = jax.jit(start)(key)
    carry = parameters, averages, adam.init(parameters)
    for number in range(case.total_epochs):
        draw = jax.random.fold_in(key, number)
        if case.kind == "mlp":
            carry = compiled_epoch(carry, draw, inputs, target)
        else:
            for batch in zip(*shuffled(draw, inputs, target), strict=True):
                carry, _ = compiled_step(carry, batch)
        jax.block_until_ready(carry)
        mark()

    def logits(rows: Any) -> Any:
        rows = rows.transpose(0, 2, 3, 1) if case.kind == "cnn" else rows
        return jax.jit(partial(forward, training=False))(*carry[:2], rows)[0]

    return logits


def _jax_mlp() -> tuple[Any, Any]:
    import jax
    from jax import numpy as jnp

    sizes = [(NUM_COLUMNS, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, NUM_CLASSES)]

    def start(key: Any) -> Any:
        draw, keys = jax.nn.initializers.he_normal(), jax.random.split(key, len(sizes))
        layers = [(draw(k, s), jnp.zeros(s[1])) for k, s in zip(keys, sizes, strict=True)]
        return layers, ()

    def forward(layers: Any, averages: Any, rows: Any, *, training: bool) -> Any:
        *hidden, (weight, bias) = layers
        for hidden_weight, hidden_bias in hidden:
            rows = jax.nn.relu(rows @ hidden_weight + hidden_bias)
        return rows @ weight + bias, averages

    return start, forward


def _jax_cnn() -> tuple[Any, Any]:
    import jax
    from jax import lax
    from jax import numpy as jnp

    pairs = zip((CHANNELS, *WIDTHS), WIDTHS, strict=False)
    sizes = [(inputs, width) for before, width in pairs for inputs in (before, width)]

    def start(key: Any) -> Any:
        draw, keys = jax.nn.initializers.he_normal(), jax.random.split(key, len(sizes) + 1)
        convs = [
            (draw(k, (3, 3, *size)), jnp.ones(size[1]), jnp.zeros(size[1]))
            for k, size in zip(keys, sizes, strict=False)
        ]
        head = draw(keys[-1], (WIDTHS[-1], NUM_IMAGE_CLASSES)), jnp.zeros(NUM_IMAGE_CLASSES)
        return (convs, head), [(jnp.zeros(width), jnp.ones(width)) for _, width in sizes]

    def forward(parameters: Any, averages: Any, rows: Any, *, training: bool) -> Any:
        convs, (weight, bias) = parameters
        seen = []
        for number, (kernel, scale, shift) in enumerate(convs):
            names = ("NHWC", "HWIO", "NHWC")
            rows = lax.conv_general_dilated(rows, kernel, (1, 1), "SAME", dimension_numbers=names)
            mean, variance = averages[number]
            if training:
                now = rows.mean((0, 1, 2)), rows.var((0, 1, 2))
                seen.append((0.9 * mean + 0.1 * now[0], 0.9 * variance + 0.1 * now[1]))
                mean, variance = now
            rows = jax.nn.relu((rows - mean) * lax.rsqrt(variance + 1e-5) * scale + shift)
            if number % 2:
                window = (1, 2, 2, 1)
                rows = lax.reduce_window(rows, -jnp.inf, lax.max, window, window, "VALID")
        return rows.mean((1, 2)) @ weight + bias, seen if training else averages

    return start, forward


@dataclass(frozen=True)
class Contestant:
    """A framework: what it is called, what trains, what must be installed, what it can train."""

    title: str
    train: Callable[[Case, Any, Any, Mark], Logits]
    modules: tuple[str, ...]
    kinds: tuple[str, ...] = ("mlp", "cnn")
    environment: tuple[tuple[str, str], ...] = ()


CONTESTANTS = {
    # Glial stands beside the unit, so that a machine whose speed drifts touches both alike.
    "hand": Contestant("PyTorch, by hand", hand, ("torch",)),
    "glial": Contestant("Glial", glial, ("torch", "glial")),
    "glial-unwatched": Contestant(
        "Glial, doctor.watch off", partial(glial, watch=False), ("torch", "glial")
    ),
    "loader": Contestant("PyTorch, DataLoader", loader, ("torch",)),
    "lightning": Contestant("Lightning", lightning, ("torch", "lightning")),
    "skorch": Contestant("skorch", skorch, ("torch", "skorch")),
    "keras-torch": Contestant(
        "Keras on torch", keras, ("torch", "keras"), environment=(("KERAS_BACKEND", "torch"),)
    ),
    "keras-jax": Contestant(
        "Keras on JAX", keras, ("jax", "keras"), environment=(("KERAS_BACKEND", "jax"),)
    ),
    "sklearn": Contestant("scikit-learn", sklearn, ("sklearn.neural_network",), ("mlp",)),
    "jax": Contestant("JAX, compiled", jax, ("jax", "optax")),
}


def measure(name: str, case: Case, seconds_to_import: float) -> dict[str, Any]:
    """Train once: speed of the epochs after the first, what went before, and what was learnt."""
    x, y = rows_of(case)
    marks: list[float] = []
    begin = time.perf_counter()
    logits = CONTESTANTS[name].train(case, x, y, lambda: marks.append(time.perf_counter()))
    if len(marks) != case.total_epochs:
        sys.exit(f"{name} ran {len(marks)} epochs of {case.total_epochs}")
    epoch = (marks[-1] - marks[0]) / case.epochs
    rows = len(x) // case.batch_size * case.batch_size if name == "jax" else len(x)
    answers = np.asarray(logits(x[:MAX_JUDGED]), dtype=np.float64)
    labels = y[:MAX_JUDGED]
    answers -= answers.max(axis=1, keepdims=True)
    shares = answers - np.log(np.exp(answers).sum(axis=1, keepdims=True))
    return {
        "case": case.name,
        "samples_per_second": rows / epoch,
        "import_seconds": seconds_to_import,
        "start_seconds": seconds_to_import + max(0.0, marks[0] - begin - epoch),
        "log_loss": float(-shares[np.arange(len(labels)), labels].mean()),
        "accuracy": float((answers.argmax(axis=1) == labels).mean()),
    }


def main() -> None:
    """Import what the contestant needs, then measure case after case."""
    name, cases = sys.argv[1], [Case(**values) for values in json.loads(sys.argv[2])]
    result = os.dup(1)
    os.dup2(2, 1)  # frameworks print what they like; only results go to the caller
    begin = time.perf_counter()
    modules = [importlib.import_module(module) for module in CONTESTANTS[name].modules]
    if modules[0].__name__ == "torch":
        # The first optimiser of a process loads torch's compiler, which is part of importing it.
        modules[0].optim.SGD([modules[0].zeros(1)])
    seconds_to_import = time.perf_counter() - begin
    with open(result, "w") as lines:  # noqa: PTH123 - a descriptor, no path
        for case in cases:
            print(json.dumps(measure(name, case, seconds_to_import)), file=lines, flush=True)


if __name__ == "__main__":
    main()
