"""Running ``glial doctor`` as a user does: on a script in a folder, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

SOURCE = Path(__file__).parents[3] / "src"

# A training that every script can go on with: ``train(steps)``.
TRAINING = """\
import os, sys
import torch
from torch import nn

torch.set_num_threads(1)
torch.manual_seed(0)
net = nn.Linear(3, 2)
loss_of = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

def step(scale=1.0):
    x = torch.randn(8, 3)
    optimizer.zero_grad()
    loss = loss_of(net(x), (x[:, 0] > 0).long()) * scale
    loss.backward()
    optimizer.step()
    return loss.item()

def train(steps):
    for _ in range(steps):
        step()

"""


class Told(NamedTuple):
    """What a call of the doctor gave."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on standard output."""
        assert self.out.count("\n") == 1, self.out
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def is_status_of_findings(self) -> bool:
        """Whether the exit status is what the findings ask for: 1 for an error or a warning."""
        return self.status == int(not self.json["healthy"])

    @property
    def watched(self) -> dict[str, Any]:
        """What was watched."""
        found: dict[str, Any] = self.json["watched"]
        return found


class Doctor:
    """The command in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")]))
        self.variables = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}

    def find_first(self, folder: Path) -> None:
        """Put a folder at the front of Python's path."""
        self.variables["PYTHONPATH"] = f"{folder}{os.pathsep}{self.variables['PYTHONPATH']}"

    def write(self, code: str, name: str = "train.py") -> Path:
        """Write a script that begins with the training above."""
        path = self.folder / name
        path.write_text(TRAINING + code, encoding="utf-8")
        return path

    def start(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        """Begin a call; away from any terminal, whose keys would reach it too."""
        return subprocess.Popen(
            [sys.executable, "-m", "glial", "doctor", *words],
            cwd=self.folder,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=more.pop("stderr", subprocess.PIPE),
            text=True,
            start_new_session=True,
            **more,
        )

    def call(self, *words: str, stdin: str = "", **more: Any) -> Told:
        """A call from its start to its end."""
        return self.finish(self.start(*words, stdin=subprocess.PIPE, **more), stdin)

    def finish(self, process: subprocess.Popen[str], stdin: str | None = None) -> Told:
        """A call that was begun, to its end."""
        try:
            out, err = process.communicate(stdin, timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return Told(process.returncode, out, err)

    def judge(self, code: str, *words: str, **more: Any) -> Told:
        """Write a script and call the doctor on it, for JSON."""
        self.write(code)
        return self.call("train.py", "--json", *words, **more)


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    """The command in a folder of its own."""
    return Doctor(tmp_path)
