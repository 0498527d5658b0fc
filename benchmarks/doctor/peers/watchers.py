"""Tools that run beside a training, each as its documentation says.

Those that make a step of their own, or raise, get a copy of the network and the optimiser.
"""

# ruff: noqa: D102 what each moment is stands in Watcher

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from doctor.peers.listening import Training, Watcher, twin

LOOKS = (1, 10, 100, 500, 1000, 2000, 5000)  # steps at which tools that are called by hand look


@contextlib.contextmanager
def silence() -> Iterator[io.StringIO]:
    """Nothing that is printed is shown; it is handed over instead."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        yield said


def copied(training: Training) -> tuple[nn.Module, torch.optim.Optimizer]:
    """The network as it is now, and an optimiser that holds the copy's parameters."""
    if training.copies is None:
        msg = "the network cannot be copied"
        raise LookupError(msg)
    model, optimizer = twin(*training.copies)
    model.load_state_dict(training.model.state_dict())
    for group in optimizer.param_groups:
        group["lr"] = group.get("initial_lr", group["lr"])  # a test has no warm-up
    return model, optimizer


def loss_of(training: Training) -> tuple[Callable[[Any, Any], torch.Tensor] | None, Any]:
    """The loss as a function of outputs and targets, and the targets; None of what is unknown."""
    if training.last_loss is None or training.batch is None:
        return None, None
    return training.last_loss.of(training.batch.output), training.last_loss.target


class TorchTest(Watcher):
    """torchtest: ``test_suite`` on the first batch, with what does not need a wanted range."""

    def begin(self, training: Training) -> None:
        from torchtest import torchtest

        loss, target = loss_of(training)
        inputs = training.batch.inputs if training.batch else None
        if loss is None or not isinstance(inputs, torch.Tensor):
            return
        model, optimizer = copied(training)
        for test in ("test_vars_change", "test_nan_vals", "test_inf_vals"):
            try:
                with silence():
                    torchtest.test_suite(
                        model, loss, optimizer, [inputs, target], device="cpu", **{test: True}
                    )
            except torchtest.VariablesChangeException as error:
                self.say("vars_change", "error", str(error))
            except torchtest.NaNTensorException as error:
                self.say("nan", "error", str(error))
            except torchtest.InfTensorException as error:
                self.say("inf", "error", str(error))


class TorchTest2(Watcher):
    """torchtest2: ``check_model`` on the first batch, with its plugin where labels are inputs."""

    def begin(self, training: Training) -> None:
        import torchtest2

        inputs = training.batch.inputs if training.batch else None
        if inputs is None:
            return
        loss, target = loss_of(training)
        more: dict[str, Any] = {"loss_fn": loss}
        if isinstance(inputs, dict) and "labels" in inputs:
            target, more = inputs["labels"], {"plugin": "huggingface"}
            other = ("labels", "num_items_in_batch")
            inputs = {name: value for name, value in inputs.items() if name not in other}
        elif loss is None:
            target = None
        model, optimizer = copied(training)
        with silence():
            report = torchtest2.check_model(model, inputs, target, optimizer=optimizer, **more)
        for kind, severity in ((report.failures, "error"), (report.warnings, "warning")):
            for result in kind:
                # Without the script's loss these look at a random projection of the outputs.
                if target is not None or result.name not in ("gradient_flow", "params_change"):
                    self.say(result.name, severity, result.message)


class TorchDiag(Watcher):
    """torchdiag: a verified step at the start; gradients and dead units at some steps."""

    def begin(self, training: Training) -> None:
        import torchdiag

        loss, target = loss_of(training)
        inputs = training.batch.inputs if training.batch else None
        if loss is None or not isinstance(inputs, torch.Tensor):
            return
        model, optimizer = copied(training)
        with silence() as said:
            torchdiag.verify_step(model, optimizer, loss, inputs, target)
        self._issues("verify_step", said.getvalue())

    def before(self, training: Training) -> None:
        import torchdiag

        if training.steps + 1 in LOOKS:
            with silence() as said:
                torchdiag.check_gradients(training.model)
            for line in self._lines(said.getvalue()):
                kinds = ("exploding", "vanishing", "disconnected")
                self.say(next((k for k in kinds if k in line), "gradients"), "warning", line)
            self._dead(training)

    def end(self, trainings: list[Training]) -> None:
        for training in trainings:
            self._dead(training)

    def _dead(self, training: Training) -> None:
        import torchdiag

        inputs = training.batch.inputs if training.batch else None
        if isinstance(inputs, torch.Tensor):
            with silence() as said:
                torchdiag.check_dead_neurons(copied(training)[0], inputs)
            for line in self._lines(said.getvalue()):
                self.say("dead", "warning", line)

    def _lines(self, text: str) -> list[str]:
        return [line.strip(" •") for line in text.splitlines() if line.startswith("  •")]

    def _issues(self, rule: str, text: str) -> None:
        for line in self._lines(text):
            self.say(f"{rule}: {line.split(' ')[0]}", "warning", line)


@dataclass
class TorCheck(Watcher):
    """torcheck: all parameters change, nothing is NaN or infinite; what it raises is a finding.

    Its ``register`` is left out, which would end the script at the first finding.
    """

    specs: dict[int, Any] = field(default_factory=dict)

    def begin(self, training: Training) -> None:
        from torcheck.param_spec import ParamSpec

        spec = self.specs[id(training.optimizer)] = ParamSpec()
        held = {id(p) for group in training.optimizer.param_groups for p in group["params"]}
        for name, parameter in training.model.named_parameters():
            if parameter.requires_grad and id(parameter) in held:
                spec.add(parameter, name, "model", changing=True, check_nan=True, check_inf=True)

    def after(self, training: Training) -> None:
        spec = self.specs.get(id(training.optimizer))
        if spec is not None:
            try:
                spec.validate()
            except RuntimeError as error:  # its user's script ends here
                del self.specs[id(training.optimizer)]
                for rule in ("should change", "NaN", "inf"):
                    if rule in str(error):
                        self.say(rule, "error", str(error).strip())

    def end(self, trainings: list[Training]) -> None:
        held = {
            id(p) for t in trainings for group in t.optimizer.param_groups for p in group["params"]
        }
        for training in trainings:
            for name, parameter in training.model.named_parameters():
                if parameter.requires_grad and id(parameter) not in held:
                    self.say("no optimizer", "error", f"{name} doesn't belong to any optimizer")
                    break


@dataclass
class TorchMortem(Watcher):
    """torchmortem: an ``Autopsy`` round the training, told of each step's loss."""

    autopsies: dict[int, Any] = field(default_factory=dict)

    def begin(self, training: Training) -> None:
        from torchmortem import Autopsy

        autopsy = Autopsy(training.model, training.optimizer, sampling="fast")
        autopsy._atexit_registered = True
        autopsy.attach()
        self.autopsies[id(training.optimizer)] = autopsy

    def after(self, training: Training) -> None:
        if training.loss is not None:
            self.autopsies[id(training.optimizer)].step(loss=float(training.loss.sum()))

    def end(self, trainings: list[Training]) -> None:
        for training in trainings:
            autopsy = self.autopsies[id(training.optimizer)]
            with silence():
                autopsy.detach()
            report = autopsy.get_report()
            for finding in report.findings:
                severity = {"CRITICAL": "error", "WARNING": "warning"}.get(
                    finding.severity.name, "note"
                )
                rule = finding.title.split(" in ")[0]
                self.say(rule, severity, finding.summary, ", ".join(finding.affected_layers[:1]))


@dataclass
class TorchAudit(Watcher):
    """torch-audit: ``autopatch`` with static and initial checks, and every twentieth step."""

    auditors: list[Any] = field(default_factory=list)

    def begin(self, training: Training) -> None:
        from torch_audit import autopatch

        with silence():
            auditor = autopatch(
                training.model,
                optimizer=training.optimizer,
                every_n_steps=20,
                reporters=[],
                run_static=True,
                run_init=True,
            )
            if training.batch is not None:
                auditor.audit_data(training.batch.inputs)
        self.auditors.append(auditor)

    def end(self, trainings: list[Training]) -> None:
        levels = {"FATAL": "error", "ERROR": "error", "WARN": "warning"}
        for auditor in self.auditors:
            for finding in auditor.finish(report=False).findings:
                severity = levels.get(finding.severity.value, "note")
                self.say(finding.rule_id, severity, finding.message, finding.module_path)


@dataclass
class StabilityGuard(Watcher):
    """stabilityguard: its gradient norms and spike detector, without skipping the step."""

    guards: dict[int, Any] = field(default_factory=dict)

    def begin(self, training: Training) -> None:
        from stabilityguard.core.guarded_optimizer import GuardedOptimizer

        logging.getLogger("stabilityguard").setLevel(logging.CRITICAL)
        self.guards[id(training.optimizer)] = GuardedOptimizer(
            _Still(training.optimizer),
            training.model,
            verbose=False,
            log_dir=tempfile.gettempdir() + "/stabilityguard",
        )

    def before(self, training: Training) -> None:
        guard = self.guards[id(training.optimizer)]
        spikes = guard.total_spikes
        with silence() as said:
            guard.step(loss=float(training.loss.sum()) if training.loss is not None else None)
        if guard.total_spikes > spikes:
            text = said.getvalue()
            bad = "nan" in text.lower() or "inf" in text.lower().replace("info", "")
            self.say("not finite" if bad else "spike", "error" if bad else "warning", text[:200])


class _Still(torch.optim.SGD):
    """An optimiser that holds another one's groups and changes nothing."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        super().__init__([torch.zeros(1, requires_grad=True)], lr=0.0)
        self.param_groups = optimizer.param_groups

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Nothing."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Nothing."""


@dataclass
class GradSnitch(Watcher):
    """gradsnitch: its monitor is told of each step; what it heard is the log of other tools."""

    monitors: dict[int, Any] = field(default_factory=dict)

    def begin(self, training: Training) -> None:
        import gradsnitch

        self.monitors[id(training.optimizer)] = gradsnitch.watch(training.model, training.optimizer)

    def before(self, training: Training) -> None:
        if training.loss is not None:
            self.monitors[id(training.optimizer)].log(
                training.steps, float(training.loss.sum()), val_loss=training.held_out
            )

    def end(self, trainings: list[Training]) -> None:
        for monitor in self.monitors.values():
            with silence():
                findings = monitor.report()
            for finding in findings:
                name = finding.name if finding.code == "GS008" else finding.code
                self.say(name.split(" (")[0], finding.severity, finding.name)


@dataclass
class Arc(Watcher):
    """ARC: its controller before each update, which it may undo; it changes the training."""

    controllers: dict[int, Any] = field(default_factory=dict)
    rollbacks: int = 0

    def begin(self, training: Training) -> None:
        import arc

        logging.getLogger("arc").setLevel(logging.CRITICAL)
        with silence():
            self.controllers[id(training.optimizer)] = arc.Controller(
                training.model, training.optimizer
            )

    def before(self, training: Training) -> None:
        with silence():
            action = self.controllers[id(training.optimizer)].step(training.loss)
        if action.failure_type:
            self.say(action.failure_type, "error", action.message)
        if action.should_skip:
            for group in training.optimizer.param_groups:
                for parameter in group["params"]:
                    parameter.grad = None  # optimisers leave such parameters as they are

    def end(self, trainings: list[Training]) -> None:
        self.rollbacks = sum(c.total_rollbacks for c in self.controllers.values())
        for controller in self.controllers.values():
            with silence():
                controller.close()


WATCHERS: dict[str, type[Watcher]] = {
    "torchtest": TorchTest,
    "torchtest2": TorchTest2,
    "torchdiag": TorchDiag,
    "torcheck": TorCheck,
    "torchmortem": TorchMortem,
    "torch-audit": TorchAudit,
    "stabilityguard": StabilityGuard,
    "gradsnitch": GradSnitch,
}
