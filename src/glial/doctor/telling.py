"""A finding in words: three lines, as a colleague would say it."""

from __future__ import annotations

from glial.core.findings import Finding


def tell(finding: Finding) -> list[str]:
    """What is wrong and where, the numbers that show it, and what to do about it.

    Example:
        >>> numbers = {"dead_share": 0.5}
        >>> print(*tell(Finding("dead-units", "warning", "0", numbers, "half is dead", "mend")))
        warning: half is dead (dead-units, 0)     seen: dead share 0.5     do: mend
    """
    at = f"{finding.at}: " if finding.at else ""
    where = f", {finding.where}" if finding.where else ""
    numbers = [f"{name.replace('_', ' ')} {_number(x)}" for name, x in finding.evidence.items()]
    since = f"; since step {finding.since_step:,}" if finding.since_step is not None else ""
    follows = f"; it explains {', '.join(finding.symptoms)}" if finding.symptoms else ""
    return [
        f"{at}{finding.severity}: {sentence(finding.means)} ({finding.problem}{where})",
        f"    seen: {', '.join(numbers) or 'no numbers'}{since}{follows}",
        f"    do: {sentence(finding.do)}",
    ]


def sentence(text: str) -> str:
    """A sentence on a line of its own, without its full stop.

    Example:
        >>> sentence("Lower the rate.")
        'Lower the rate'
    """
    return text.strip().removesuffix(".")


def _number(value: int | float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
