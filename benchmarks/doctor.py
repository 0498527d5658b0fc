"""The doctor's fault bench: what it finds in scripts with known faults, and in healthy ones.

    python benchmarks/doctor.py list [--what all]             cases, and what their faults do
    python benchmarks/doctor.py show PROGRAM[:OPERATOR]       one script
    python benchmarks/doctor.py measure --results FILE        scores without the doctor
    python benchmarks/doctor.py run --results FILE            the doctor's findings
    python benchmarks/doctor.py repair --results FILE         repairs, and what comes of them
    python benchmarks/doctor.py report --results FILE         what findings or repairs are worth
    python benchmarks/doctor.py graph --results FILE          what repairs teach about causes

Programs are split into a half for tuning and one for reporting by a digest of their names.
Results are appended as JSON lines: what was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import shlex
import statistics
import sys
from pathlib import Path

from doctor import effects, records, runner
from doctor.cases import Case, all_cases
from doctor.effects import Effects


def listed(cases: list[Case], known: Effects) -> None:
    """Print each case with its mean score and what its fault does."""
    healthy = {case.program: case for case in all_cases("healthy", "all")}
    words = {True: "matters", False: "harmless", None: "unmeasured"}
    for case in cases:
        scores = [s for s in known.of(case).values() if s is not None]
        mean = f"{statistics.fmean(scores):.3f}" if scores else "-"
        says = words[known.matters(case, healthy[case.program])] if case.operator else "healthy"
        print(f"{case.half:6s} {says:10s} {mean:>8s} {case.name}")


def main() -> None:
    """Parse the command and do it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = ["list", "show", "measure", "run", "repair", "report", "graph"]
    parser.add_argument("verb", choices=verbs)
    parser.add_argument("name", nargs="?", default="", help="regular expression that names hold")
    parser.add_argument(
        "--what", choices=["healthy", "faults", "all", "rates", "open"], default="all"
    )
    parser.add_argument("--half", choices=["tune", "report", "all"], default="all")
    parser.add_argument("--most", type=int, help="programs for each kind of fault, at most")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--results", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--harmless", action="store_true", help="run faults not known to matter too"
    )
    parser.add_argument(
        "--command", default=f"{sys.executable} -m glial doctor", help="how the doctor is called"
    )
    parser.add_argument(
        "--policy",
        choices=["ours", "random", "autotrainer"],
        default="ours",
        help="who repairs",
    )
    parser.add_argument("--budget", type=float, default=8, help="trainings of a repair in all")
    # `--repair` is the verb under another spelling.
    given = ["repair" if word == "--repair" else word for word in sys.argv[1:]]
    options = parser.parse_args(given)
    cases = all_cases(options.what, options.half, options.name, options.most)
    if options.verb == "list":
        listed(cases, Effects())
    elif options.verb == "show":
        for case in cases:
            print(f"# {case.name}: {', '.join(case.accepted)} at {case.lines} {case.layers}")
            print(case.text or case.path)
    elif options.verb == "measure":
        effects.measure(cases, options.seeds, options.results or effects.EFFECTS)
    elif options.results is None:
        parser.error("--results FILE is needed")
    elif options.verb == "run":
        call = shlex.split(options.command)
        runner.run_all(cases, options.seeds, options.results, call, options.jobs, options.harmless)
    else:
        # These need Glial; the other verbs run where it is missing.
        from doctor import graph, measures, regains, repairs

        if options.verb == "repair":
            call = shlex.split(options.command)
            seeds, path = options.seeds, options.results
            repairs.run_all(cases, seeds, path, call, options.jobs, options.policy, options.budget)
        found = records.read(options.results)
        if options.verb == "graph":
            print(graph.report(found))
        elif any(record.get("kind") == "repair" for record in found):
            print(regains.report(found, cases, Effects()))
        else:
            print(measures.report(found, cases, Effects()))


if __name__ == "__main__":
    main()
