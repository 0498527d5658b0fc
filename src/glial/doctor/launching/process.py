"""One child process: started, passed what signals the parent gets, and waited for in any case."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from glial.doctor.launching.output import Output

POLL_SECONDS = 0.5
STOP_SECONDS = 10.0  # for a script to end after it was told to stop
IDLE_SECONDS = 30.0  # without work, after its main thread is done
IDLE_SHARE = 0.02  # of a processor: less is no work
KILL_SECONDS = 5.0  # from asking a process to end to ending it
MOST_ASKED = 3  # interrupts, the last of which kills


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        process: Its number.
        status: Its exit status, or minus the number of the signal that ended it.
        asked: The signal that this process was sent and passed on; None where there was none.
        forced: Whether the doctor ended it because it did not end by itself.
        late: Whether that was because its time was over.

    Example:
        >>> Ended(42, -9).shell_status
        137
    """

    process: int
    status: int
    asked: int | None = None
    forced: bool = False
    late: bool = False

    @property
    def shell_status(self) -> int:
        """The status that a shell reports: 128 and the signal's number, where it was a signal."""
        return 128 - self.status if self.status < 0 else self.status

    @property
    def signal(self) -> str | None:
        """The name of the signal that ended it."""
        if self.status >= 0:
            return None
        try:
            return signal.Signals(-self.status).name
        except ValueError:
            return f"signal {-self.status}"


class Child:
    """A script's process, once it runs.

    Args:
        words: What Python is given.
        environment: Its variables.
        folder: Where it runs; None for here.
        output_to_error: Whether its standard output goes to standard error.
        output: Where what it writes is kept; None for nowhere.
        most_seconds: After how many it is ended; None for never.

    Example:
        >>> never = lambda process: False
        >>> Child(["-c", "raise SystemExit(3)"], os.environ).run(never, never).status
        3
    """

    def __init__(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        folder: Path | None = None,
        *,
        output_to_error: bool = False,
        output: Output | None = None,
        most_seconds: float | None = None,
    ) -> None:
        self._words = words
        self._environment = dict(environment)
        self._folder = folder
        self._output = 2 if output_to_error else None
        self._kept, self._most_seconds = output, most_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._asked: list[int] = []

    def run(self, is_stopped: Callable[[int], bool], is_over: Callable[[int], bool]) -> Ended:
        """Run it to its end, and help where it does not end.

        Args:
            is_stopped: Whether the script of a process, by its number, was told to stop.
            is_over: Whether its main thread is done.

        Returns:
            How it ended.
        """
        forced = late = False
        with self._signals_passed_on():
            process = self._start()
            clock, stopping, idleness = _Clock(), _Clock(), _Idleness(process.pid)
            while not _has_ended(process, POLL_SECONDS):
                late = clock.seconds() > (self._most_seconds or math.inf)
                slow = is_stopped(process.pid) and stopping.seconds() > STOP_SECONDS
                idle = is_over(process.pid) and idleness.seconds() > IDLE_SECONDS
                if late or slow or idle:
                    forced = True
                    _end(process)
        if self._kept is not None:
            self._kept.finish()
        asked = self._asked[0] if self._asked else None
        return Ended(process.pid, process.returncode, asked, forced, late and forced)

    def _start(self) -> subprocess.Popen[bytes]:
        piped = self._kept is not None
        process = subprocess.Popen(
            [sys.executable, *self._words],
            env=self._environment,
            cwd=self._folder,
            stdin=subprocess.DEVNULL if self._kept and self._kept.hidden else None,
            stdout=subprocess.PIPE if piped else self._output,
            stderr=subprocess.PIPE if piped else None,
        )
        if self._kept is not None:
            self._kept.follow(process, 2 if self._output == 2 else 1)
        self._process = process
        for number in self._asked:  # before there was somebody to pass it on to
            process.send_signal(number)
        return process

    @contextlib.contextmanager
    def _signals_passed_on(self) -> Iterator[None]:
        """Pass on what ends programs; a signal that was ignored before stays so."""
        before = {}
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(ValueError):  # not the main thread: signals go elsewhere
                if signal.getsignal(number) != signal.SIG_IGN:
                    before[number] = signal.signal(number, self._pass_on)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self._asked.append(number)
        if self._process is None:
            return
        if len(self._asked) >= MOST_ASKED:
            self._process.kill()
        # A terminal sends its interrupt to all processes in front, the child included.
        elif number != signal.SIGINT or len(self._asked) > 1 or not _is_in_front():
            self._process.send_signal(number)


def _has_ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    if not _has_ended(process, KILL_SECONDS):
        process.kill()


def _is_in_front() -> bool:
    """Whether a terminal's keys reach this process."""
    try:
        with open(os.ctermid(), "rb") as terminal:  # noqa: PTH123
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


class _Clock:
    """Seconds since it was first looked at."""

    def __init__(self) -> None:
        self._began: float | None = None

    def seconds(self) -> float:
        """Zero at first."""
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        return now - self._began


class _Idleness:
    """How long a process and its children have done nothing, as far as the system tells."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._since: float | None = None
        self._used = 0.0

    def seconds(self) -> float:
        """Zero at first, after any work, and where the system does not tell."""
        now, used = time.monotonic(), _processor_seconds(self._process)
        if used is None:
            return 0.0
        idle = 0.0 if self._since is None else now - self._since
        if self._since is None or abs(used - self._used) > IDLE_SHARE * max(idle, 1.0):
            self._since, self._used = now, used
        return now - self._since


def _processor_seconds(process: int) -> float | None:
    """What a process and all that descend from it have used; None where ``/proc`` is missing."""
    used: dict[int, float] = {}
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue
        # The name, in brackets, may hold anything: what follows it is state, parent, ...
        fields = text.rpartition(")")[2].split()
        number = int(path.parent.name)
        parents[number] = int(fields[1])
        used[number] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    if process not in used:
        return None
    family = {process}
    while grown := {number for number, above in parents.items() if above in family} - family:
        family |= grown
    return sum(used[number] for number in family)
