"""A pytest plugin: with the fixture ``glial_doctor`` a test fails whose training is unhealthy."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

    from glial.core.findings import Finding
    from glial.doctor.evidence import Evidence


class TrainingWatch:
    """Watches the training of one test, from when it is made until it is finished.

    Example:
        >>> TrainingWatch((), "normal", ()).finish()
        ['no optimiser made a step: there was no training to judge']
    """

    def __init__(
        self,
        parts: Collection[nn.Module | Optimizer],
        sensitivity: Literal["low", "normal", "high"],
        ignore: Collection[str],
    ) -> None:
        from glial.doctor.session import Doctor

        self._doctor = Doctor.watch(*parts, sensitivity=sensitivity, ignore=ignore)
        self._unused = {id(part): type(part).__name__ for part in parts}
        self._handles = [self._hook(part) for part in parts]
        self._is_finished = False
        self._doctor.__enter__()

    @property
    def findings(self) -> list[Finding]:
        """What was found, once it is finished; the one to mend first at the top."""
        return self._doctor.findings

    @property
    def evidence(self) -> Evidence | None:
        """What was seen, once it is finished."""
        return self._doctor.evidence

    @property
    def healthy(self) -> bool:
        """Whether there is no error and no warning; only known once it is finished."""
        return self._doctor.healthy

    def finish(self) -> list[str]:
        """Watch no longer, and judge.

        Returns:
            What is wrong, in words; empty where nothing is, and when called again.
        """
        from glial.doctor.telling import tell

        if self._is_finished:
            return []
        self._is_finished = True
        for handle in self._handles:
            handle.remove()
        self._doctor.__exit__(None, None, None)
        if self.evidence is None or not self.evidence.steps:
            return ["no optimiser made a step: there was no training to judge"]
        told = [f"{name} took no part in the training" for name in self._unused.values()]
        for finding in self.findings:
            if finding.severity != "note":
                told += tell(finding)
        return told

    def __enter__(self) -> TrainingWatch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        told = self.finish()
        if told and error is not None:
            error.add_note("\n".join(["glial doctor:", *told]))
        elif told:
            pytest.fail("\n".join(["the training is unhealthy", *told]), pytrace=False)

    def _hook(self, part: nn.Module | Optimizer) -> Any:
        """Have a network tell that it is called, or an optimiser that it steps."""
        from torch.optim import Optimizer

        def use(*_: object) -> None:
            self._unused.pop(id(part), None)

        if isinstance(part, Optimizer):
            return part.register_step_post_hook(use)
        return part.register_forward_hook(use)


class DoctorFixture:
    """What the fixture ``glial_doctor`` gives a test.

    Example:
        >>> DoctorFixture().unfinished()
        []
    """

    def __init__(self) -> None:
        self._watches: list[TrainingWatch] = []

    def watch(
        self,
        *parts: nn.Module | Optimizer,
        sensitivity: Literal["low", "normal", "high"] = "normal",
        ignore: Collection[str] = (),
    ) -> TrainingWatch:
        """Watch the training that follows: of a ``with`` block, or else of the rest of the test.

        The test fails where an error or a warning is found, where nothing is trained, and where
        one of the parts takes no part in it.

        Args:
            parts: Networks and optimisers that must be used; none need be named.
            sensitivity: How much must speak for a finding.
            ignore: Problems, each as ``ID`` or ``ID@layer``, that are left out.

        Returns:
            The watch, with ``findings``, ``evidence`` and ``healthy`` once it is over.

        Raises:
            InputError: If a part is neither, or ``ignore`` names an unknown problem.
        """
        watch = TrainingWatch(parts, sensitivity, ignore)
        self._watches.append(watch)
        return watch

    def unfinished(self) -> list[str]:
        """End what still is watched, and say in words what is wrong with it."""
        return [line for watch in self._watches for line in watch.finish()]


@pytest.fixture
def glial_doctor() -> Iterator[DoctorFixture]:
    """Watches a training within a test, and fails the test where it is unhealthy."""
    doctor = DoctorFixture()
    yield doctor
    told = doctor.unfinished()
    if told:
        pytest.fail("\n".join(["the training is unhealthy", *told]), pytrace=False)
