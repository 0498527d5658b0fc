"""Faults that are often reported, planted in scripts that others published.

    git clone https://github.com/pytorch/examples && git clone https://github.com/karpathy/minGPT
    python benchmarks/public_faults.py list
    python benchmarks/public_faults.py run --examples DIR --mingpt DIR --mnist FILE --text FILE \
        --results FILE [--name REGEX] [--heal]
    python benchmarks/public_faults.py report --results FILE

Each script is copied with its fault into a folder of its own and run under the doctor, with
options that make it short. FILEs are MNIST as arrays (``train_x``, ``train_y``, ``test_x``,
``test_y``) and any long text. What torchvision would read comes from ``benchmarks/public``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from doctor import records

STAND_INS = Path(__file__).parent / "public"


@dataclass(frozen=True)
class PublicScript:
    """One public script, and how it is run and judged here.

    Attributes:
        repository: ``examples`` or ``mingpt``.
        path: It, in the repository.
        arguments: What it is given.
        metric: What is read from its output.
        maximize: Whether more of that is better.
    """

    repository: str
    path: str
    arguments: tuple[str, ...]
    metric: str
    maximize: bool = True


ACCURACY = r"Accuracy: (\d+)/"
MNIST = PublicScript("examples", "mnist/main.py", ("--epochs", "2"), ACCURACY)
MNIST_RNN = PublicScript("examples", "mnist_rnn/main.py", ("--epochs", "3"), ACCURACY)
VAE = PublicScript(
    *("examples", "vae/main.py", ("--epochs", "3")),
    metric=r"Test set loss: ([\d.naif]+)",
    maximize=False,
)
BOOK = PublicScript(
    *("examples", "word_language_model/main.py"),
    ("--epochs", "1", "--emsize", "64", "--nhid", "64", "--data", "book"),
    metric=r"test loss\s+([\d.naif]+)",
    maximize=False,
)
ADDER = PublicScript(
    *("mingpt", "projects/adder/adder.py"),
    ("--data.ndigit=2", "--trainer.max_iters=1001", "--trainer.num_workers=0"),
    metric=r"test final score: (\d+)/",
)


@dataclass(frozen=True)
class PublicFault:
    """One fault in one public script.

    Attributes:
        name: What it is called here.
        script: The script.
        edits: Pairs of what stands there and what is put in its place.
        accepted: The problems of which any is a right first answer.
        reported: Where such a fault was reported.
        file: Where it is planted, if that is not the script.
    """

    name: str
    script: PublicScript
    edits: tuple[tuple[str, str], ...]
    accepted: tuple[str, ...]
    reported: str
    file: str | None = None


FAULTS = (
    PublicFault(
        "mnist-never-cleared",
        MNIST,
        (("        optimizer.zero_grad()\n", ""),),
        ("missing-zero-grad",),
        "pytorch #47175",
    ),
    PublicFault(
        "mnist-tested-in-training-mode",
        MNIST,
        (("    model.eval()\n", ""),),
        ("wrong-mode",),
        "pytorch #76383",
    ),
    PublicFault(
        "mnist-softmax-twice",
        MNIST,
        (("F.log_softmax(x, dim=1)", "F.softmax(x, dim=1)"), ("F.nll_loss(", "F.cross_entropy(")),
        ("softmax-twice",),
        "pytorch #55902",
    ),
    PublicFault(
        "mnist-schedule-in-each-step",
        MNIST,
        (
            ("train_loader, optimizer, epoch)", "train_loader, optimizer, scheduler, epoch)"),
            ("        optimizer.step()\n", "        optimizer.step()\n        scheduler.step()\n"),
            ("        scheduler.step()\n\n    if args", "\n    if args"),
        ),
        ("schedule-collapse",),
        "gradsnitch's collapse of the rate",
    ),
    PublicFault(
        "mnist-head-alone",
        MNIST,
        (("optim.Adadelta(model.parameters()", "optim.Adadelta(model.fc2.parameters()"),),
        ("untrained-parameters",),
        "torchtest2's optimizer coverage",
    ),
    PublicFault(
        "mnist-wrong-divisor",
        MNIST,
        (("Normalize((0.1307,), (0.3081,))", "Normalize((0.1307,), (255 * 0.3081,))"),),
        ("constant-input", "unscaled-input"),
        "torch-audit's near-constant inputs",
    ),
    PublicFault(
        "mnist-maximised",
        MNIST,
        (("loss = F.nll_loss(output, target)\n", "loss = -F.nll_loss(output, target)\n"),),
        ("gradient-ascent",),
        "TheDeepChecker's flipped gradient",
    ),
    PublicFault(
        "rnn-batch-as-time",
        MNIST_RNN,
        (("hidden_size=64, batch_first=True)", "hidden_size=64)"),),
        ("wrong-axis", "wrong-layout", "cross-sample-leak"),
        "DEFault's changes of LSTM layers",
    ),
    PublicFault(
        "vae-sigmoid-twice",
        VAE,
        (("BCE = F.binary_cross_entropy(", "BCE = F.binary_cross_entropy_with_logits("),),
        ("softmax-twice",),
        "UMLAUT's from_logits",
    ),
    PublicFault(
        "book-uphill",
        BOOK,
        (("p.data.add_(p.grad, alpha=-lr)", "p.data.add_(p.grad, alpha=lr)"),),
        ("gradient-ascent",),
        "TheDeepChecker's flipped gradient",
    ),
    PublicFault(
        "gpt-sees-the-answer",
        ADDER,
        (
            (
                "        att = att.masked_fill(self.bias[:,:,:T,:T] == 0, float('-inf'))\n",
                "",
            ),
        ),
        ("target-in-input",),
        "a mask that is left out",
        file="mingpt/model.py",
    ),
    PublicFault(
        "gpt-without-places",
        ADDER,
        (("self.transformer.drop(tok_emb + pos_emb)", "self.transformer.drop(tok_emb)"),),
        ("missing-position", "untrained-parameters"),
        "positions that are left out",
        file="mingpt/model.py",
    ),
    PublicFault(
        "gpt-rate",
        ADDER,
        (("C.trainer.learning_rate = 5e-4", "C.trainer.learning_rate = 5e-1"),),
        ("learning-rate-too-high", "exploding-gradient"),
        "UMLAUT's and AutoTrainer's rates",
    ),
)


def planted(fault: PublicFault, repository: Path, folder: Path, *, healthy: bool) -> Path:
    """A copy of a repository's part with the fault, or without; returns the script."""
    script = fault.script
    parts = (
        ("mingpt", "projects") if script.repository == "mingpt" else (Path(script.path).parts[0],)
    )
    for name in parts:
        shutil.copytree(repository / name, folder / name)
    path = folder / (fault.file or script.path)
    text = path.read_text()
    for old, new in fault.edits:
        if old not in text:
            raise SystemExit(f"{fault.name}: {path.name} does not hold {old!r}")
        text = text if healthy else text.replace(old, new)
    path.write_text(text)
    return folder / script.path


def place_text(path: Path, folder: Path) -> None:
    """A text as the corpus that the language model reads: train, valid and test."""
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    lines = raw.decode().splitlines(keepends=True)[:6000]
    (folder / "book").mkdir()
    for name, begin, end in (("train", 0, 0.8), ("valid", 0.8, 0.9), ("test", 0.9, 1.0)):
        part = lines[int(begin * len(lines)) : int(end * len(lines))]
        (folder / "book" / f"{name}.txt").write_text("".join(part))


def run(fault: PublicFault, options: argparse.Namespace) -> records.Record:
    """What the doctor says of one script, and what it makes of it."""
    repository = {"examples": options.examples, "mingpt": options.mingpt}[fault.script.repository]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = planted(fault, repository, folder, healthy=options.healthy)
        if "book" in fault.script.arguments:
            place_text(options.text, script.parent)
        paths = [str(STAND_INS), str(folder), os.environ.get("PYTHONPATH", "")]
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "MNIST_NPZ": str(options.mnist.resolve()),
            "PYTHONPATH": os.pathsep.join(paths),
        }
        call = [sys.executable, "-m", "glial", "doctor", "--json", script.name]
        if options.heal:
            better = "--maximize" if fault.script.maximize else "--minimize"
            call += ["--heal", "--metric", fault.script.metric, better]
        begin = time.monotonic()
        ended = subprocess.run(
            [*call, "--", *fault.script.arguments],
            capture_output=True,
            text=True,
            env=environment,
            cwd=script.parent,
        )
        seconds = time.monotonic() - begin
    found = re.findall(fault.script.metric, ended.stderr)
    try:
        answer = json.loads(ended.stdout)
    except json.JSONDecodeError:
        answer = {"error": {"message": ended.stdout[-500:] + ended.stderr[-1500:]}}
    return {
        "name": fault.name + (" healthy" if options.healthy else ""),
        "version": "",
        "seed": 0,
        "score": found[-1] if found else None,
        "seconds": round(seconds, 1),
        "accepted": fault.accepted,
        "answer": answer,
    }


def report(found: list[records.Record]) -> str:
    """One block for each fault: what was named, where, and the diff."""
    told = []
    for record in found:
        findings = record["answer"].get("findings", [])
        first = findings[0] if findings else {}
        named = first.get("problem") in record["accepted"]
        told.append(f"## {record['name']}: {'named' if named else 'NOT NAMED'}")
        for finding in findings:
            told.append(
                f"{finding['severity']} {finding['problem']} {finding['where']} {finding['at']}"
            )
        healing = record["answer"].get("healing")
        if healing:
            told.append(f"before {healing['before']} after {healing['after']}")
            told.append(f"kept {healing['kept']}, noise {healing['noise']}")
            told.append(healing["diff"] or "no diff")
        elif first.get("remedy"):
            told.append(str(first["remedy"].get("diff")))
        if "error" in record["answer"]:
            told.append(str(record["answer"]["error"]))
        told.append(f"score {record['score']}, {record['seconds']} s")
    return "\n".join(told)


def main() -> None:
    """Parse the command and do it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("verb", choices=["list", "run", "report"])
    parser.add_argument("--examples", type=Path, help="a clone of pytorch/examples")
    parser.add_argument("--mingpt", type=Path, help="a clone of karpathy/minGPT")
    parser.add_argument("--mnist", type=Path)
    parser.add_argument("--text", type=Path)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--name", default="", help="regular expression that names hold")
    parser.add_argument("--heal", action="store_true")
    parser.add_argument("--healthy", action="store_true", help="without the faults")
    options = parser.parse_args()
    chosen = [fault for fault in FAULTS if re.search(options.name, fault.name)]
    if options.verb == "list":
        for fault in chosen:
            print(f"{fault.name:32s} {fault.script.path:30s} {', '.join(fault.accepted)}")
        return
    if options.results is None:
        parser.error("--results FILE is needed")
    if options.verb == "report":
        print(report(records.read(options.results)))
        return
    done = {record["name"] for record in records.read(options.results)}
    for fault in chosen:
        if fault.name + (" healthy" if options.healthy else "") not in done:
            record = run(fault, options)
            records.append(options.results, record)
            print(report([record]), flush=True)


if __name__ == "__main__":
    main()
