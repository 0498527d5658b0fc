"""A child process to its end: status, signals, and help where it does not end by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from glial.doctor.launching import process
from glial.doctor.launching.process import Child, Ended

pytestmark = pytest.mark.slow


def never(number):
    return False


def after(path):
    return lambda number: path.exists()


def run(code, is_stopped=never, is_over=never):
    return Child(["-c", code], os.environ).run(is_stopped, is_over)


@pytest.mark.parametrize(
    ("code", "status", "shell_status", "name"),
    [
        ("pass", 0, 0, None),
        ("raise SystemExit(3)", 3, 3, None),
        ("import os; os.kill(os.getpid(), 15)", -15, 143, "SIGTERM"),
        ("import os; os.kill(os.getpid(), 40)", -40, 168, "signal 40"),
    ],
)
def test_how_a_process_ended(code, status, shell_status, name):
    ended = run(code)
    assert (ended.status, ended.shell_status, ended.signal) == (status, shell_status, name)
    assert (ended.asked, ended.forced) == (None, False)


def test_what_is_over_and_idle_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "IDLE_SECONDS", 1.0)
    mark = tmp_path / "over"
    ended = run(f"open({str(mark)!r}, 'w'); import time; time.sleep(60)", is_over=after(mark))
    assert (ended.forced, ended.signal) == (True, "SIGTERM")


def test_what_is_over_and_works_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "IDLE_SECONDS", 1.0)
    mark = tmp_path / "over"
    child = "import time; e = time.monotonic() + 3\nwhile time.monotonic() < e: pass"
    code = (
        f"import subprocess, sys; open({str(mark)!r}, 'w')\n"
        f"subprocess.run([sys.executable, '-c', {child!r}])"
    )
    assert run(code, is_over=after(mark)).status == 0


def test_what_does_not_stop_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "STOP_SECONDS", 0.2)
    monkeypatch.setattr(process, "KILL_SECONDS", 0.2)
    mark = tmp_path / "stopped"
    code = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"open({str(mark)!r}, 'w')\nwhile True: pass"
    )
    ended = run(code, is_stopped=after(mark))
    assert (ended.forced, ended.signal) == (True, "SIGKILL")


def send_when_there(path, number):
    while not path.exists():
        time.sleep(0.02)
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_passed_on_and_handlers_put_back(tmp_path, monkeypatch, number):
    monkeypatch.setattr(process, "_is_in_front", lambda: False)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    mark = tmp_path / "ready"
    code = (
        "import signal, sys, time\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(7))\n"
        f"open({str(mark)!r}, 'w')\ntime.sleep(60)"
    )
    threading.Thread(target=send_when_there, args=(mark, number)).start()
    ended = run(code)
    assert (ended.asked, ended.status) == (number, 7)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_terminals_interrupt_is_not_sent_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "_is_in_front", lambda: True)
    mark = tmp_path / "ready"
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGINT, lambda *_: sys.exit(7))\n"
        f"open({str(mark)!r}, 'w')\ntime.sleep(1.5)"
    )
    threading.Thread(target=send_when_there, args=(mark, signal.SIGINT)).start()
    ended = run(code)
    assert (ended.asked, ended.status) == (signal.SIGINT, 0)


def test_in_a_thread_no_handler_is_set():
    found = []
    thread = threading.Thread(target=lambda: found.append(run("raise SystemExit(3)")))
    thread.start()
    thread.join()
    assert found[0].status == 3


def test_an_ignored_signal_stays_ignored():
    code = (
        "import os, signal, sys\n"
        "from glial.doctor.launching.process import Child\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "no = lambda number: False\n"
        "look = 'import signal; raise SystemExit(signal.getsignal(2) == signal.SIG_IGN)'\n"
        "sys.exit(Child(['-c', look], os.environ).run(no, no).status)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 1


def test_output_goes_to_standard_error_where_asked(capfd):
    Child(["-c", "print('told')"], os.environ, output_to_error=True).run(never, never)
    assert capfd.readouterr() == ("", "told\n")
    Child(["-c", "print('told')"], os.environ).run(never, never)
    assert capfd.readouterr() == ("told\n", "")


def test_status_of_a_healthy_end():
    assert Ended(1, 0).signal is None
