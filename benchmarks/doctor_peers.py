"""Other people's tools on the doctor's fault bench: what they find there, and in healthy scripts.

    python benchmarks/doctor_peers.py run --results FILE       runs what was not yet
    python benchmarks/doctor_peers.py report --results FILE --ours FILE

`run` needs the packages of benchmarks/doctor/peers/packages.txt, which the project does not; give
them an environment of their own. `--ours` holds what `benchmarks/doctor.py run` wrote of the same
scripts. Results are appended as JSON lines: what was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from doctor import records
from doctor.cases import Case, all_cases
from doctor.peers.runner import GROUPS, run_all


def sample(only: str, most: int) -> list[Case]:
    """Faults of the reporting half, some programs of each kind, and every healthy program."""
    return all_cases("faults", "report", only, most) + all_cases("healthy", "all", only)


def main() -> None:
    """Parse the command and do it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("verb", choices=["run", "report"])
    parser.add_argument("name", nargs="?", default="", help="regular expression that names hold")
    parser.add_argument("--what", choices=["sample", "healthy", "faults", "open"], default="sample")
    parser.add_argument("--half", choices=["tune", "report", "all"], default="all")
    parser.add_argument("--most", type=int, default=3, help="programs for each kind of fault")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--ours", type=Path, help="the doctor's own results")
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--harmless", action="store_true", help="faults not known to matter too")
    options = parser.parse_args()
    if options.what == "sample":
        cases = sample(options.name, options.most)
    else:
        cases = all_cases(options.what, options.half, options.name, options.most)
    if options.verb == "run":
        run_all(cases, options.seeds, options.results, options.groups, options.harmless)
    else:
        from doctor.peers import report  # needs Glial; running does not

        ours = records.read(options.ours) if options.ours else []
        print(report.report(records.read(options.results), ours))


if __name__ == "__main__":
    main()
