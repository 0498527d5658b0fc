"""Scripts that make it hard for whoever watches: never a hang, no lost traceback or verdict."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.slow

# What each does, its own exit status, and the steps that are seen of it.
SCRIPTS = {
    "exits": ("train(4)\nsys.exit(5)", 5, 4),
    "leaves": ("train(4)\nos._exit(7)", 7, 4),
    "leaves_healthy": ("train(40)\nos._exit(0)", 0, 40),
    "raises": ("train(4)\nraise ValueError('boom')", 1, 4),
    "catches_exit": ("try:\n    sys.exit(3)\nexcept SystemExit:\n    train(4)", 0, 4),
    "catches_all": (
        "for _ in range(4):\n    try:\n        step()\n        1 / 0\n    except:\n        pass",
        0,
        4,
    ),
    "forks": (
        "train(4)\nif os.fork() == 0:\n    train(9)\n    os._exit(0)\nos.wait()\ntrain(1)",
        0,
        5,
    ),
    "threads": (
        "import threading\n"  # a network each: torch itself crashes where threads share gradients
        "def alone():\n"
        "    net = nn.Linear(3, 2)\n"
        "    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)\n"
        "    for _ in range(4):\n"
        "        x = torch.randn(8, 3)\n"
        "        optimizer.zero_grad()\n"
        "        loss_of(net(x), (x[:, 0] > 0).long()).backward()\n"
        "        optimizer.step()\n"
        "many = [threading.Thread(target=alone) for _ in range(3)]\n"
        "[each.start() for each in many]",
        0,
        12,
    ),
    "prints_megabytes": (
        "train(4)\nprint('o' * 3_000_000)\nprint('e' * 3_000_000, file=sys.stderr)",
        0,
        4,
    ),
    "deletes_all": (
        "import gc\ntrain(3)\ndel net, optimizer, loss_of\ngc.collect()\n"
        "net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))\n"
        "loss_of = nn.CrossEntropyLoss()\n"
        "optimizer = torch.optim.Adam(net.parameters())\ntrain(2)",
        0,
        5,
    ),
    "has_many_optimizers": (
        "for _ in range(1000):\n    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)\n"
        "    step()",
        0,
        1000,
    ),
    "closes_output": ("sys.stdout.close()\nos.close(1)\ntrain(4)", 0, 4),
    "changes_folder": ("os.makedirs('sub')\nos.chdir('sub')\ntrain(4)", 0, 4),
    "redefines_print": (
        "import builtins\nbuiltins.print = print = None\ntrain(4)",
        0,
        4,
    ),
    "clears_variables": ("os.environ.clear()\nsys.path.clear()\ntrain(4)", 0, 4),
    "ends_in_a_handler": (
        "import atexit\natexit.register(lambda: train(2))\ntrain(4)",
        0,
        6,
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_verdict_of(doctor, name):
    code, status, steps = SCRIPTS[name]
    told = doctor.judge(code)
    assert told.status == 3 if status else told.is_status_of_findings, told.err
    assert told.watched["exit_status"] == status
    assert told.watched["steps"] == steps
    if name == "prints_megabytes":
        assert len(told.err) > 6_000_000


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_verdict_of_a_script_that_kills_itself(doctor, number):
    # What was seen is written every second: of a process that is killed the rest is lost.
    code = f"import time\ntrain(4)\ntime.sleep(2)\nstep()\nos.kill(os.getpid(), {int(number)})"
    told = doctor.judge(code)
    assert (told.status, told.watched["exit_status"]) == (3, 128 + number)
    assert told.watched["signal"] == signal.Signals(number).name
    assert told.watched["steps"] in {4, 5}


def test_optimizer_whose_step_is_replaced(doctor):
    code = (
        "def mine(self, closure=None):\n"
        "    for p in net.parameters():\n        p.data -= 0.1 * p.grad\n"
        "torch.optim.SGD.step = mine\n"
        "optimizer = torch.optim.SGD(net.parameters(), lr=0.1)\ntrain(4)\nprint('end')"
    )
    told = doctor.judge(code)
    assert told.is_status_of_findings, told.err
    assert "end\n" in told.err


def test_traceback_and_place_of_an_exception(doctor):
    told = doctor.judge("train(4)\ndef fall():\n    raise ValueError('boom')\nfall()")
    assert told.err.count("Traceback (most recent call last)") == 1
    assert "ValueError: boom" in told.err
    line = (
        (doctor.folder / "train.py").read_text().splitlines().index("    raise ValueError('boom')")
    )
    assert told.watched["error"] == {
        "kind": "ValueError",
        "message": "boom",
        "at": {"file": "train.py", "line": line + 1},
    }


@pytest.mark.parametrize("ending", ["", "; os._exit(9)", "; raise KeyError('in the hook')"])
def test_own_excepthook(doctor, ending):
    code = (
        "def mine(*_):\n    print('MINE', file=sys.stderr)" + ending + "\n"
        "sys.excepthook = mine\ntrain(4)\nraise ValueError('boom')"
    )
    told = doctor.judge(code)
    assert (told.status, told.watched["exit_status"]) == (3, 9 if "_exit" in ending else 1)
    assert "MINE" in told.err
    assert told.watched["error"]["kind"] == "ValueError"
    assert told.watched["steps"] == 4


def test_own_sitecustomize_runs_once(doctor):
    own = doctor.folder / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text(
        "import os, sys\nprint('OWN', os.getpid(), file=sys.stderr)\n"
    )
    code = "import sitecustomize\nprint(sitecustomize.__file__)\ntrain(4)"
    doctor.find_first(own)
    told = doctor.judge(code)
    assert told.is_status_of_findings, told.err
    assert told.watched["steps"] == 4
    who = [line for line in told.err.splitlines() if line.startswith("OWN")]
    assert len(set(who)) == len(who) == 2, "the doctor's process and the script's, once each"
    assert told.err.count(str(own / "sitecustomize.py")) == 1


SEEN = """
import importlib.util
before = importlib.util.find_spec("torch")
print(__name__, sys.argv, sys.path, os.getcwd(), sys.stdin.read().split(), __file__)
print([type(finder) for finder in sys.meta_path][-3:], type(torch.__loader__), torch.__spec__)
try:
    import sitecustomize
    print(sitecustomize.__file__)
except ImportError as error:
    print(repr(error), error.name)
"""


def test_script_sees_the_world_as_always(doctor):
    doctor.write(SEEN)
    alone = subprocess.run(
        [sys.executable, "train.py", "a", "--", "--json"],
        cwd=doctor.folder,
        env=doctor.variables,
        input="some words",
        capture_output=True,
        text=True,
        check=True,
    )
    told = doctor.call("train.py", "--quiet", "--", "a", "--", "--json", stdin="some words")
    address = re.compile("0x[0-9a-f]+")
    assert address.sub("", told.out) == address.sub("", alone.stdout)
    assert told.err == alone.stderr


ENDLESS = {
    "plain": "while True:\n    step()",
    "catches_all": "while True:\n    try:\n        step()\n    except:\n        pass",
    "fails_then": "try:\n    while True:\n        step()\nexcept BaseException:\n    sys.exit(4)",
    "in_a_thread": (
        "import threading\nthread = threading.Thread(target=train, args=(10**9,))\n"
        "thread.start()\nthread.join()"
    ),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_endless_training_stops_after_the_steps_asked_for(doctor, name):
    told = doctor.judge(ENDLESS[name], "--steps", "5")
    assert told.is_status_of_findings, told.err
    # What swallows the exception that stops it is left at its next step.
    assert told.watched["steps"] in ({5, 6} if name == "catches_all" else {5})
    assert told.watched["stopped"] is True
    assert "Traceback" not in told.err


def test_processes_that_are_spawned(doctor):
    code = (
        "def work(rank):\n    train(3 + rank)\n"
        "if __name__ == '__main__':\n"
        "    import torch.multiprocessing as mp\n    mp.spawn(work, nprocs=2)"
    )
    told = doctor.judge(code)
    assert told.is_status_of_findings, told.err
    assert told.watched["steps"] == 4
    assert [each["steps"] for each in told.watched["processes"]] == [4, 3, 0]


def test_grandchild_that_stays(doctor):
    code = (
        "import subprocess\ntrain(4)\n"
        "stays = subprocess.Popen(['sleep', '100'])\nopen('pid', 'w').write(str(stays.pid))"
    )
    with (doctor.folder / "log").open("w") as log:
        told = doctor.judge(code, stderr=log)
    os.kill(int((doctor.folder / "pid").read_text()), signal.SIGKILL)
    assert told.is_status_of_findings
    assert told.watched["steps"] == 4


def wait_for(path, seconds=60):
    """Wait until a file is there."""
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_training_gets_a_verdict(doctor, number, status):
    doctor.write("train(4)\nopen('ready', 'w').close()\nwhile True:\n    step()")
    process = doctor.start("train.py", "--json")
    wait_for(doctor.folder / "ready")
    time.sleep(2.5)  # what a process that is killed leaves is a second old
    process.send_signal(number)
    told = doctor.finish(process)
    assert told.status == status, told.err
    assert told.watched["steps"] >= 4
    if number == signal.SIGINT:
        assert told.watched["error"]["kind"] == "KeyboardInterrupt"
        assert told.err.rstrip().endswith("KeyboardInterrupt")
    else:
        assert told.watched["signal"] == "SIGTERM"
        assert "KeyboardInterrupt" not in told.err


def test_script_that_takes_no_interrupt_is_killed_by_the_third(doctor):
    code = (
        "import signal\nsignal.signal(signal.SIGINT, lambda *_: print('NO', flush=True))\n"
        "train(4)\nopen('ready', 'w').close()\nimport time\nwhile True:\n    time.sleep(0.1)"
    )
    doctor.write(code)
    process = doctor.start("train.py", "--json")
    wait_for(doctor.folder / "ready")
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
    told = doctor.finish(process)
    assert (told.status, told.watched["signal"]) == (130, "SIGKILL")
    assert told.err.count("NO") == 2
