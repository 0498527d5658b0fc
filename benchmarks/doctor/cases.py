"""The cases of the bench: every healthy program, and every fault that fits one."""

from __future__ import annotations

import ast
import hashlib
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from doctor.catalogue import PROGRAMS, Program
from doctor.mutations import OPERATORS
from doctor.mutations.loop import learning_rate
from doctor.script import Script

OPEN_CASES = Path(__file__).parents[3] / "shared" / "faults" / "open_cases.py"


def digest(text: str) -> str:
    """A short number of a text, the same on every machine."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Case:
    """One script, healthy or with one fault.

    Attributes:
        program: The healthy program that it is made of.
        operator: The kind of fault; None of a healthy one.
        text: The script; None where it stands elsewhere, at ``path``.
        accepted: The problems of which any is a right first answer.
        lines: The lines that are right to name.
        layers: The layers that are right to name.
        visible: Whether a lower score shows the fault.
        half: ``tune`` or ``report``.
        kinds: What the program does and on what.
        path: The script's place, where it is never copied.
        arguments: What stands before and after the seed in its arguments.
    """

    program: str
    operator: str | None
    text: str | None
    accepted: tuple[str, ...] = ()
    lines: tuple[int, ...] = ()
    layers: tuple[str, ...] = ()
    visible: bool = True
    half: str = "tune"
    kinds: tuple[str, ...] = ()
    path: Path | None = None
    arguments: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    @property
    def name(self) -> str:
        """The program's name, with the fault's after a colon."""
        return f"{self.program}:{self.operator}" if self.operator else self.program

    @property
    def version(self) -> str:
        """A short digest of the script: what was measured of another text is out of date."""
        text = self.text if self.text is not None else (self.path or Path()).read_text()
        return digest(f"{self.arguments}{text}")

    def command(self, folder: Path, seed: int) -> tuple[Path, list[str]]:
        """The script's place and its arguments; it is written into a folder where it has none."""
        before, after = self.arguments
        if self.path is not None:
            return self.path, [*before, str(seed), *after]
        # A folder for each case: scripts keep their names, and nothing beside them.
        place = folder / (self.operator or "healthy") / f"{self.program}.py"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(self.text or "")
        return place, [str(seed)]


def faults(program: Program) -> Iterator[Case]:
    """The program with each fault that fits it."""
    script = Script(program.path.read_text())
    for operator in OPERATORS:
        fault = operator.plant(script, program)
        if fault is not None:
            planted = script.plant(fault)
            yield Case(
                program.name,
                operator.name,
                planted.text,
                operator.accepted,
                tuple(planted.lines),
                tuple(planted.layers),
                operator.visible,
                program.half,
                program.kinds,
            )


def rates(program: Program) -> Iterator[Case]:
    """The healthy program with a third and with three times its learning rate."""
    script = Script(program.path.read_text())
    for factor in (0.3, 3):
        fault = learning_rate(factor)(script, program)
        if fault is not None:
            text = script.plant(fault).text
            yield Case(program.name, f"rate-times-{factor:g}", text, half=program.half)


def open_cases() -> Iterator[Case]:
    """The open cases, faulty and fixed, where they are on this machine."""
    if not OPEN_CASES.is_file():
        return
    answer = subprocess.run(
        [sys.executable, str(OPEN_CASES), "list"], capture_output=True, text=True, check=True
    )
    for line in answer.stdout.splitlines():
        number, _, accepted = line.split("\t")
        ids = tuple(ast.literal_eval(accepted))
        for variant in ("fixed", "faulty"):
            yield Case(
                f"open-{number}",
                "open" if variant == "faulty" else None,
                None,
                ids if variant == "faulty" else (),
                half="report",
                kinds=("open",),
                path=OPEN_CASES,
                arguments=((number,), (variant,)),
            )


def all_cases(what: str, half: str, only: str = "", most: int | None = None) -> list[Case]:
    """Cases that a choice names.

    Args:
        what: ``healthy``, ``faults``, ``all`` (both), ``rates`` or ``open``.
        half: ``tune``, ``report`` or ``all``.
        only: A regular expression that names must hold.
        most: At most so many programs for each kind of fault, the same ones every time.
    """
    made: list[Case] = []
    if what == "open":
        made.extend(open_cases())
    for program in PROGRAMS if what != "open" else ():
        if program.missing:
            print(f"skipped {program.name}: {', '.join(program.missing)} missing", file=sys.stderr)
            continue
        if what in ("healthy", "all"):
            text = program.path.read_text()
            made.append(Case(program.name, None, text, half=program.half, kinds=program.kinds))
        if what in ("faults", "all"):
            made.extend(faults(program))
        if what == "rates":
            made.extend(rates(program))
    chosen = [c for c in made if half in ("all", c.half) and re.search(only, c.name)]
    if most is None:
        return chosen
    kept: set[str] = set()
    groups: dict[str | None, list[str]] = defaultdict(list)
    for case in chosen:
        groups[case.operator].append(case.name)
    for operator, names in groups.items():
        kept.update(sorted(names, key=digest)[: most if operator else None])
    return [case for case in chosen if case.name in kept]
