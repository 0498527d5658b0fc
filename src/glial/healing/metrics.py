"""The held-out metric of a script: a number in what it prints, or its evaluation loss."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from glial.core.errors import InputError
from glial.doctor.evidence import Evidence, LossSeen


@dataclass(frozen=True)
class PrintedMetric:
    r"""A number that a script prints.

    Attributes:
        pattern: A regular expression: its first group is the number, or all that it matches.
        lower_is_better: Whether a lower one is a better one.

    Raises:
        InputError: If it is no regular expression.

    Example:
        >>> PrintedMetric(r"accuracy: (\S+)", False).read("accuracy: 0.5\naccuracy: 0.75, best")
        0.75
    """

    pattern: str
    lower_is_better: bool

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise InputError(
                "--metric is no regular expression",
                expected=r"one such as 'accuracy: (\S+)', whose group is the number",
                got=f"{self.pattern!r}: {error}",
                do="write a backslash before characters that are meant as they are",
            ) from error

    @property
    def name(self) -> str:
        """What it is called where it is told."""
        return self.pattern

    def read(self, output: str, errors: str = "") -> float | None:
        """The last number that was printed; None where there was none.

        Args:
            output: What was written to standard output.
            errors: What was written to standard error: looked into where the other says nothing.

        Raises:
            InputError: If what the expression finds is no number.
        """
        for text in (output, errors):
            found = list(re.finditer(self.pattern, text, re.MULTILINE))
            if found:
                return self._number(found[-1])
        return None

    def _number(self, match: re.Match[str]) -> float:
        text = match.group(1) if match.re.groups else match.group()
        try:
            return float((text or "").strip().rstrip(".,;:%)]}"))
        except ValueError as error:
            raise InputError(
                "what --metric finds is no number",
                expected="an expression whose first group is the number, and nothing else",
                got=repr(text),
                do=r"put brackets around the number: 'accuracy: ([\d.]+)'",
            ) from error


def evaluation_loss(evidence: Evidence) -> float | None:
    """The loss that a script saw in its last evaluation, or its best where it keeps the best.

    Args:
        evidence: What was seen of the script.

    Returns:
        The mean over the batches of one evaluation that were looked at; None where no loss was
        computed without learning from it.

    Example:
        >>> from glial.doctor.evidence import Series
        >>> evaluated = Series([4, 4, 8, 8], [1.0, 3.0, 0.5, 1.5])
        >>> evaluation_loss(Evidence(losses=[LossSeen("mse_loss", eval_value=evaluated)]))
        1.0
    """
    seen = evaluated(evidence)
    if seen is None:
        return None
    values: dict[int, list[float]] = {}
    for step, value in seen.eval_value:
        values.setdefault(step, []).append(value)
    means = [math.fsum(several) / len(several) for several in values.values()]
    return min(means) if evidence.keeps_best else means[-1]


def evaluated(evidence: Evidence) -> LossSeen | None:
    """The loss that was computed in evaluation, most often of several.

    Example:
        >>> evaluated(Evidence()) is None
        True
    """
    found = [loss for loss in evidence.losses if len(loss.eval_value)]
    return max(found, key=lambda loss: len(loss.eval_value), default=None)
