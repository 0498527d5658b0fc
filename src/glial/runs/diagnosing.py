"""What is wrong with a training that is over."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from glial.core.findings import Finding, distinct, on_met_faults, with_known_remedies
from glial.doctor.diagnosis import Sensitivity
from glial.doctor.diagnosis import diagnose as diagnose_evidence
from glial.doctor.ignoring import check_ignored, is_ignored
from glial.doctor.launching import examine_run
from glial.runs.run import Run


def diagnose(
    run: Run | str | Path, *, sensitivity: Sensitivity = "normal", ignore: Collection[str] = ()
) -> list[Finding]:
    """What is wrong with a training that is over.

    Args:
        run: The run, or its folder.
        sensitivity: How little is enough for a finding.
        ignore: Problems that are left out, each as ``ID`` or ``ID@layer``.

    Returns:
        The findings, the one to mend first at the front.

    Raises:
        InputError: If the folder is no run's, or ``ignore`` names no problem.

    Example:
        >>> from glial.runs import train
        >>> run = train("iris", epochs=3, out=False, set={"train.lr": 10.0})
        >>> diagnose(run) == run.findings
        True
    """
    ignore = check_ignored(ignore)
    if isinstance(run, (str, Path)):
        return examine_run(Path(run), sensitivity=sensitivity, ignore=ignore).findings
    seen = [each.evidence for each in (run.members or [run]) if each.evidence is not None]
    if not seen and run.path is not None:
        return examine_run(run.path, sensitivity=sensitivity, ignore=ignore).findings
    found = distinct(f for one in seen for f in diagnose_evidence(one, sensitivity, ignore))
    met = [one for one in on_met_faults(run.findings) if not is_ignored(one, ignore)]
    return [*with_known_remedies(found, run.findings), *met]
