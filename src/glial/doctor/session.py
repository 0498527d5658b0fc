"""The doctor in a notebook or in somebody's own loop: a context that watches what happens in it."""

from __future__ import annotations

from collections.abc import Collection
from types import TracebackType
from typing import Any

from torch import nn
from torch.optim import Optimizer

from glial.core.errors import InputError
from glial.core.findings import Finding, is_healthy
from glial.doctor.diagnosis import Sensitivity, diagnose
from glial.doctor.evidence import Evidence
from glial.doctor.ignoring import check_ignored
from glial.doctor.remedies.diffs import with_diffs
from glial.doctor.telling import tell
from glial.doctor.watcher import Watcher


class Doctor:
    """Watches the training of a ``with`` block, and says what is wrong with it.

    Made by :meth:`watch`.

    Attributes:
        findings: What was found, the one to mend first at the front, with the diff that mends it
            most likely where the source can be read; empty before the end.
        evidence: What was seen; None before the end.

    Example:
        >>> import torch
        >>> net = nn.Linear(2, 1)
        >>> optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        >>> x, y = torch.randn(64, 2), torch.randn(64)
        >>> with Doctor.watch(net, optimizer) as doctor:
        ...     for _ in range(8):
        ...         optimizer.zero_grad()
        ...         loss = (net(x) - y).square().mean()
        ...         loss.backward()
        ...         optimizer.step()
        >>> [finding.problem for finding in doctor.findings], doctor.healthy
        (['shape-broadcast'], False)
    """

    def __init__(
        self,
        parts: Collection[nn.Module | Optimizer],
        sensitivity: Sensitivity,
        ignore: Collection[str],
        budget: float,
    ) -> None:
        check_parts(parts)
        self.findings: list[Finding] = []
        self.evidence: Evidence | None = None
        self._sensitivity, self._ignore = sensitivity, check_ignored(ignore)
        self._watcher = Watcher(budget=budget)

    @classmethod
    def watch(
        cls,
        *parts: nn.Module | Optimizer,
        sensitivity: Sensitivity = "normal",
        ignore: Collection[str] = (),
        budget: float = 0.1,
    ) -> Doctor:
        """A context in which every training of this thread is watched.

        Args:
            parts: Networks and optimisers that are meant; none need be named, since whatever is
                called and steps is seen.
            sensitivity: How little is enough for a finding.
            ignore: Problems that are left out, each as ``ID`` or ``ID@layer``.
            budget: The share of the training's time that tests on copies may take; two seconds
                in any case.

        Raises:
            InputError: If a part is neither, or ``ignore`` names no problem.
        """
        return cls(parts, sensitivity, ignore, budget)

    @property
    def healthy(self) -> bool:
        """Whether training was seen, and no error and no warning found in it."""
        seen = self.evidence is not None and self.evidence.steps > 0
        return seen and is_healthy(self.findings)

    def __enter__(self) -> Doctor:
        self._watcher.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.evidence = self._watcher.end()
        if error is not None:
            self.evidence.ended, self.evidence.error = type(error).__name__, str(error)
        findings = diagnose(self.evidence, self._sensitivity, self._ignore)
        self.findings = with_diffs(findings, self.evidence)

    def __str__(self) -> str:
        told = [line for finding in self.findings for line in tell(finding)]
        return "\n".join(told) or "healthy: no error, no warning"


def check_parts(parts: Collection[Any]) -> None:
    """Refuse what can be no part of a training.

    Raises:
        InputError: If one is neither a network nor an optimiser.

    Example:
        >>> check_parts([nn.Linear(1, 1)])
    """
    for part in parts:
        if not isinstance(part, (nn.Module, Optimizer)):
            raise InputError(
                "the doctor cannot watch this",
                expected="networks (torch.nn.Module) and optimisers (torch.optim.Optimizer)",
                got=type(part).__name__,
                do="give what is trained; data and losses are seen without being named",
            )
