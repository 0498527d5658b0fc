"""Character models of tiny Shakespeare, and Glial's speed beside a minimal trainer's own loop.

    python benchmarks/shakespeare.py loss [--seconds 1800] [--lstm-seconds 1800]
    python benchmarks/shakespeare.py speed [--rounds 7] [--steps 40] [--nanogpt FOLDER]

``loss`` trains on the first 90 % of the text for at most so many seconds and judges the last 10 %
whole, each character told from at least half a context of text before it: the transformer, then an
LSTM of about as many parameters. No text is kept back to choose among epochs: the weights are the
last. It prints the loss in nats a character, the size, characters a second and samples.

``speed`` trains one and the same network in Glial's loop and in a loop as minimal trainers
have it: windows at random places, stacked one by one, attention by torch's fused kernel, a fused
AdamW with two groups of weights, clipped gradients, a rate by step. They take turns, an epoch of so
many steps each; medians and quartiles of the ratio are printed. Glial's loop is the whole of it:
batches, steps, history, checkpoints of the best weights, and the doctor's looks. With
``--nanogpt``, the folder of a checkout of github.com/karpathy/nanoGPT, its own network, optimiser
and way of reading batches have their turns too, in the loop of its train.py without its logging.

The text is looked for in the folder that GLIAL_DATA names, as shakespeare.txt.gz with 1,115,394
characters, and in shared/data beside the repository.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import math
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import glial

FILE = "shakespeare.txt.gz"
SIZES: dict[str, Any] = {"context": 128, "size": 128, "layers": 4, "heads": 4, "dropout": 0.0}
RATE, BATCH = 2e-3, 32
SPLIT = {"data.split.train": 0.9, "data.split.val": 0.0, "data.split.test": 0.1}


def source() -> Path:
    """The file of the text."""
    for folder in (os.environ.get("GLIAL_DATA"), Path(__file__).parents[2] / "shared" / "data"):
        if folder is not None and (Path(folder) / FILE).exists():
            return Path(folder) / FILE
    raise SystemExit(f"set GLIAL_DATA to the folder that holds {FILE}")


def train(model: str, seconds: float, settings: dict[str, Any], epochs: int) -> None:
    """Train one model and print what it has come to."""
    with tempfile.TemporaryDirectory() as folder:
        run = glial.train(
            source(),
            task="language-modelling",
            model=model,
            epochs=epochs,
            time_limit=seconds,
            out=Path(folder) / "run",
            set={**SPLIT, **settings},
        )
    count = sum(p.numel() for p in run.model.parameters())
    length = run.sizes["block"]
    found, baseline = run.metrics["test"], run.metrics["baseline"]
    print(
        f"| {model} | {count:,} | {run.seconds:,.0f} s, {run.ended_by} | "
        f"{run.samples_per_second * length:,.0f} | {found['log_loss']:.4f} | "
        f"{found['bits_per_character']:.3f} | {baseline['log_loss']:.4f} |",
        flush=True,
    )
    for number, sample in enumerate(
        glial.generate(run, prompt="\n", num_samples=2, length=300, temperature=0.8), 1
    ):
        print(f"\n--- {model}, sample {number}\n{sample.text.strip()}\n", flush=True)


def losses(options: argparse.Namespace) -> None:
    """The loss of each model."""
    print(
        "| model | parameters | trained | characters a second | nats a character | bits | unigram |"
    )
    print("|---|---|---|---|---|---|---|")
    shared = {"train.lr": RATE, "train.batch_size": BATCH}
    sizes = {f"model.{key}": value for key, value in SIZES.items()}
    if options.seconds:
        train("gpt2", options.seconds, {**shared, **sizes}, options.epochs)
    if options.lstm_seconds:
        own = {"model.size": 224, "model.layers": 2, "model.context": 64, "train.lr": 4e-3}
        train("lstm_lm", options.lstm_seconds, {**shared, **own}, options.epochs)


class Attention(nn.Module):
    """Causal attention as minimal trainers write it."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_attn = nn.Linear(size, 3 * size)
        self.c_proj = nn.Linear(size, size)

    def forward(self, x: Tensor) -> Tensor:
        """The mixtures."""
        rows, length, size = x.shape
        q, k, v = (
            part.view(rows, length, self.heads, size // self.heads).transpose(1, 2)
            for part in self.c_attn(x).split(size, dim=2)
        )
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).contiguous().view(rows, length, size))  # type: ignore[no-any-return]


class Layer(nn.Module):
    """Attention and two linear layers, normalised first, and added."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(size), nn.LayerNorm(size)
        self.attn = Attention(size, heads)
        self.up, self.down = nn.Linear(size, 4 * size), nn.Linear(4 * size, size)

    def forward(self, x: Tensor) -> Tensor:
        """The vectors of the next layer."""
        x = x + self.attn(self.ln_1(x))
        hidden = functional.gelu(self.up(self.ln_2(x)))
        return x + self.down(hidden)  # type: ignore[no-any-return]


class Minimal(nn.Module):
    """A transformer of characters as minimal trainers write it."""

    def __init__(self, vocabulary: int, context: int, size: int, layers: int, heads: int) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, size), nn.Embedding(context, size)
        self.h = nn.ModuleList(Layer(size, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(size)
        self.lm_head = nn.Linear(size, vocabulary, bias=False)
        self.wte.weight = self.lm_head.weight
        for weight in self.parameters():
            if weight.ndim > 1:
                nn.init.normal_(weight, std=0.02)

    def forward(self, tokens: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Scores, and the loss."""
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for layer in self.h:
            x = layer(x)
        scores = self.lm_head(self.ln_f(x))
        loss = functional.cross_entropy(
            scores.view(-1, scores.shape[-1]), targets.reshape(-1), ignore_index=-1
        )
        return scores, loss


class MinimalTrainer:
    """A loop as minimal trainers write it: a batch, a rate, forward, backward, clip, step."""

    def __init__(self, tokens: Tensor, vocabulary: int) -> None:
        torch.manual_seed(0)
        sizes = {key: SIZES[key] for key in ("context", "size", "layers", "heads")}
        self.tokens = tokens
        self.model = Minimal(vocabulary, **sizes)
        weights = list(self.model.parameters())
        groups = [
            {"params": [p for p in weights if p.ndim > 1], "weight_decay": 0.1},
            {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.99), fused=True)
        self.step = 0

    def batch(self) -> tuple[Tensor, Tensor]:
        """Windows at random places."""
        length = SIZES["context"]
        places = torch.randint(len(self.tokens) - length, (BATCH,))
        inputs = torch.stack([self.tokens[i : i + length] for i in places])
        targets = torch.stack([self.tokens[i + 1 : i + 1 + length] for i in places])
        return inputs, targets

    def run(self, steps: int) -> float:
        """Seconds of some steps."""
        begin = time.perf_counter()
        self.model.train()
        for _ in range(steps):
            rate = RATE * 0.5 * (1 + math.cos(math.pi * min(1.0, self.step / 5000)))
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            _, loss = self.model(*self.batch())
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            self.step += 1
        return time.perf_counter() - begin


class NanoGPT(MinimalTrainer):
    """nanoGPT's own network, optimiser and batches, from a checkout of it."""

    def __init__(self, tokens: Tensor, vocabulary: int, folder: Path) -> None:
        spec = importlib.util.spec_from_file_location("nanogpt_model", folder / "model.py")
        if spec is None or spec.loader is None or not (folder / "model.py").exists():
            raise SystemExit(f"{folder} has no model.py: give the folder of nanoGPT")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        torch.manual_seed(0)
        config = module.GPTConfig(
            block_size=SIZES["context"],
            vocab_size=vocabulary,
            n_layer=SIZES["layers"],
            n_head=SIZES["heads"],
            n_embd=SIZES["size"],
            dropout=SIZES["dropout"],
            bias=True,
        )
        self.model = module.GPT(config)
        self.optimizer = self.model.configure_optimizers(0.1, RATE, (0.9, 0.99), "cpu")
        self.file = Path(tempfile.mkdtemp()) / "train.bin"
        self.file.write_bytes(tokens.numpy().astype(np.uint16).tobytes())
        self.step = 0

    def batch(self) -> tuple[Tensor, Tensor]:
        """Windows at random places of a file that is mapped anew each time."""
        length = SIZES["context"]
        data = np.memmap(self.file, dtype=np.uint16, mode="r")
        places = torch.randint(len(data) - length, (BATCH,))
        parts = [data[i : i + length + 1].astype(np.int64) for i in places]
        windows = torch.stack([torch.from_numpy(part) for part in parts])
        return windows[:, :-1].contiguous(), windows[:, 1:].contiguous()


class GlialTrainer:
    """Glial's own training: each turn is an epoch of so many steps, as the loop ends one."""

    def __init__(self, text: str, steps: int) -> None:
        self.path = Path(tempfile.mkdtemp()) / "text.txt"
        self.steps = steps
        self.text = text

    def run(self, rounds: int, turn: Any) -> None:
        """Train ``rounds`` epochs and call ``turn`` with the seconds of each."""
        watch = _Epochs(turn)
        length = SIZES["context"]
        self.path.write_text(self.text[: (self.steps * BATCH + 2) * length])
        sizes = {f"model.{key}": value for key, value in SIZES.items()} | {"model.gelu": "exact"}
        every = {"data.split.train": 1.0, "data.split.val": 0.0, "data.split.test": 0.0}
        glial.train(
            self.path,
            task="language-modelling",
            model="gpt2",
            epochs=rounds,
            out=False,
            callbacks=[watch],
            set={**every, **sizes, "train.lr": RATE, "train.batch_size": BATCH},
        )


class _Epochs:
    """Tells the seconds of each epoch; what ``turn`` takes does not count."""

    def __init__(self, turn: Any) -> None:
        self.turn = turn

    def on_fit_start(self, view: Any) -> None:
        """Start the clock."""
        self.begin, self.step = time.perf_counter(), view.step

    def on_epoch_end(self, view: Any) -> None:
        """Stop it, let others have their turn, and start it again."""
        self.turn(time.perf_counter() - self.begin, view.step - self.step)
        self.begin, self.step = time.perf_counter(), view.step


def speeds(options: argparse.Namespace) -> None:
    """Both loops in turns."""
    text = gzip.decompress(source().read_bytes()).decode()
    known = {character: number for number, character in enumerate(sorted(set(text)))}
    tokens = torch.tensor([known[character] for character in text])
    others: dict[str, MinimalTrainer] = {"minimal loop": MinimalTrainer(tokens, len(known))}
    if options.nanogpt is not None:
        others["nanoGPT"] = NanoGPT(tokens, len(known), options.nanogpt)
    for other in others.values():
        other.run(5)
    found: list[tuple[float, ...]] = []

    def turn(seconds: float, steps: int) -> None:
        found.append((seconds / steps, *(other.run(steps) / steps for other in others.values())))

    GlialTrainer(text, options.steps).run(options.rounds + 1, turn)
    found = found[1:]  # a first turn warms up
    of_batch = BATCH * SIZES["context"]
    own = statistics.median(times[0] for times in found)
    print(f"{BATCH} windows of {SIZES['context']} characters a step")
    print(f"Glial: {of_batch / own:,.0f} characters a second")
    for number, (name, other) in enumerate(others.items(), 1):
        gains = [times[number] / times[0] for times in found]
        low, middle, high = statistics.quantiles(gains, n=4)
        speed = of_batch / statistics.median(times[number] for times in found)
        count = sum(p.numel() for p in other.model.parameters())
        print(
            f"{name}, {count:,} parameters: {speed:,.0f} characters a second; "
            f"Glial's throughput by its: {middle:.3f} [{low:.3f}, {high:.3f}]"
        )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    loss = verbs.add_parser("loss")
    loss.add_argument("--seconds", type=float, default=1800.0)
    loss.add_argument("--lstm-seconds", type=float, default=1800.0)
    loss.add_argument("--epochs", type=int, default=25)
    speed = verbs.add_parser("speed")
    speed.add_argument("--rounds", type=int, default=7)
    speed.add_argument("--steps", type=int, default=40)
    speed.add_argument("--nanogpt", type=Path)
    options = parser.parse_args()
    losses(options) if options.verb == "loss" else speeds(options)


if __name__ == "__main__":
    main()
