"""How torch tells what a script does: global hooks, a function mode, and a few of its doors.

Everything is put in place once and taken away at the end. What it calls may look at everything
and change nothing; whatever goes wrong in it is kept from the script.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn
from torch.nn.modules import module as modules
from torch.optim import optimizer as optimizers
from torch.optim.lr_scheduler import LRScheduler
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack
from torch.utils.hooks import RemovableHandle

_WITHIN_A_STEP = ("torch.nn.", "torch.optim.", "torch.amp.", "torch.autograd.")


@runtime_checkable
class Listener(Protocol):
    """Who is told.

    Attributes:
        listens: Whether calls of functions and modules are to be told.
        dozes: Whether nothing is to be told but steps that were made.

    Example:
        >>> class Deaf:
        ...     listens = dozes = False
        >>> Deaf().listens
        False
    """

    listens: bool
    dozes: bool

    def function(self, call: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make a call of one of torch's functions, and return what it gives."""

    def enter(self, module: nn.Module) -> None:
        """A module is about to be called."""

    def leave(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        """A module was called."""

    def before_backward(self, roots: Any) -> None:
        """Gradients are about to be taken."""

    def after_backward(self, roots: Any, inputs: Any = (), gradients: Any = ()) -> None:
        """Gradients were taken; those that were returned, and not left in the inputs, are given."""

    def is_descent(self, inputs: list[Any]) -> bool:
        """Whether gradients with respect to some tensors are those to learn by."""

    def before_step(self, optimizer: torch.optim.Optimizer, closure: Any) -> None:
        """An optimiser is about to step."""

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimiser stepped."""

    def wake(self) -> None:
        """An evaluation may begin."""

    def made(self, made: nn.Module | torch.optim.Optimizer | LRScheduler) -> None:
        """A module, an optimiser or a scheduler is being made."""

    def cleared(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimiser's gradients are being cleared."""


class FunctionMode(TorchFunctionMode):
    """Sends every call of a torch function to a listener while it listens."""

    def __init__(self, listener: Listener) -> None:
        super().__init__()
        self._listener = listener
        self.calls = 0

    def __torch_function__(
        self, call: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Make the call, heard or not; meanwhile torch has this mode set aside."""
        self.calls += 1
        try:
            if self._listener.listens:
                return self._listener.function(call, args, kwargs or {})
            return call(*args, **(kwargs or {}))
        finally:
            self.calls -= 1


class Hooks:
    """What is put in place to hear of a training.

    Args:
        listener: Who is told.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._mode = FunctionMode(listener)
        self._handles: list[RemovableHandle] = []
        self._module_handles: list[RemovableHandle] = []
        self._doors: list[tuple[Any, str, Any]] = []
        self._mutes = False

    def put(self) -> None:
        """Put everything in place that stays there."""
        self._handles = [
            optimizers.register_optimizer_step_pre_hook(self._before_step),
            optimizers.register_optimizer_step_post_hook(self._after_step),
        ]
        self._door(torch.autograd, "backward", self._around_backward)
        self._door(torch.autograd, "grad", self._around_grad)
        self._door(nn.Module, "__init__", self._around_making)
        self._door(torch.optim.Optimizer, "__init__", self._around_making)
        self._door(LRScheduler, "__init__", self._around_making)
        self._door(torch.optim.Optimizer, "zero_grad", self._around_clearing)
        self._door(nn.Module, "train", self._waking_by_evaluation)
        self._door(torch.no_grad, "__enter__", self._waking)
        self._door(torch.inference_mode, "__enter__", self._waking)
        self._door(torch.set_grad_enabled, "__init__", self._waking_without_gradients)
        self._door(torch, "compile", self._around_compile)
        self._door(nn.Module, "compile", self._around_compile_in_place)

    def _before_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> Any:
        listener = self._listener
        if listener.dozes:
            return None
        closure = next(iter(args[1:]), kwargs.get("closure"))
        listener.before_step(optimizer, closure)
        if closure is None or not listener.listens:
            return None
        self._mutes, listener.listens = True, False
        heard = self._heard(closure)
        if len(args) > 1:
            return (args[0], heard, *args[2:]), kwargs
        return args, {**kwargs, "closure": heard}

    def _after_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if self._mutes:
            self._mutes, self._listener.listens = False, True
        self._listener.after_step(optimizer)

    def _heard(self, closure: Any) -> Any:
        """What an optimiser calculates by itself is its own affair; what it calls is heard."""

        @functools.wraps(closure)
        def heard(*args: Any, **kwargs: Any) -> Any:
            self._listener.listens = True
            try:
                result = closure(*args, **kwargs)
            except BaseException:
                self._mutes = False  # the step is left, and what comes next is heard
                raise
            self._listener.listens = not self._mutes and self._listener.listens
            return result

        return heard

    def take_away(self) -> None:
        """Take everything away; what others put there since stays."""
        self.rest()
        for handle in self._handles:
            handle.remove()
        for owner, name, original in reversed(self._doors):
            if getattr(getattr(owner, name), "__wrapped__", None) is original:
                setattr(owner, name, original)
        self._handles, self._doors = [], []

    @property
    def is_alert(self) -> bool:
        """Whether calls of functions and modules are heard."""
        return bool(self._module_handles)

    def alert(self) -> bool:
        """Hear this thread's calls of functions and modules; False where that is impossible."""
        stack = _get_current_function_mode_stack()  # type: ignore[no-untyped-call]
        if self._mode not in stack and not self._mode.calls:
            if stack:  # somebody's mode would be taken away in our place
                return False
            self._mode.__enter__()  # type: ignore[no-untyped-call]
        if self.is_alert:
            return True
        listener = self._listener
        self._module_handles = [
            modules.register_module_forward_pre_hook(lambda module, args: listener.enter(module)),
            modules.register_module_forward_hook(
                # Where a module ended with an error there is no output.
                lambda module, args, kwargs, output=None: listener.leave(
                    module, args, kwargs, output
                ),
                with_kwargs=True,
                always_call=True,
            ),
        ]
        return True

    def rest(self) -> None:
        """Hear them no more, as far as somebody else's modes let us."""
        for handle in self._module_handles:
            handle.remove()
            modules._global_forward_hooks_with_kwargs.pop(handle.id, None)  # torch leaves it
        self._module_handles = []
        stack = _get_current_function_mode_stack()  # type: ignore[no-untyped-call]
        if stack and stack[-1] is self._mode:
            self._mode.__exit__(None, None, None)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is heard meanwhile."""
        was = self.is_alert
        self._listener.listens = False
        self.rest()
        try:
            yield
        finally:
            if was and self._handles:
                self._listener.listens = self.alert()

    def _door(self, owner: Any, name: str, around: Callable[[Any], Any]) -> None:
        original = getattr(owner, name)
        self._doors.append((owner, name, original))
        setattr(owner, name, functools.wraps(original)(around(original)))

    def _around_backward(self, original: Any) -> Any:
        listener = self._listener

        def backward(*args: Any, **kwargs: Any) -> Any:
            if listener.dozes:
                return original(*args, **kwargs)
            roots = args[0] if args else kwargs.get("tensors")
            listener.before_backward(roots)
            result = original(*args, **kwargs)
            listener.after_backward(roots)
            return result

        return backward

    def _around_grad(self, original: Any) -> Any:
        """Gradients that are returned may be there to learn by, or a part of the loss."""
        listener = self._listener

        def grad(outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            if not isinstance(inputs, (torch.Tensor, tuple)):
                inputs = list(inputs)  # what is read once is read here
            asked = [inputs] if isinstance(inputs, torch.Tensor) else list(inputs)
            outermost = not self._mode.calls  # torch calls it again from within a mode
            descends = outermost and not kwargs.get("create_graph") and listener.is_descent(asked)
            if descends:
                listener.before_backward(outputs)
            result = original(outputs, inputs, *args, **kwargs)
            if descends:
                listener.after_backward(outputs, asked, result)
            return result

        return grad

    def _around_making(self, original: Any) -> Any:
        listener = self._listener

        def __init__(made: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            original(made, *args, **kwargs)
            listener.made(made)

        return __init__

    def _around_clearing(self, original: Any) -> Any:
        listener = self._listener

        def zero_grad(optimizer: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> None:
            if listener.listens:
                listener.cleared(optimizer)
            original(optimizer, *args, **kwargs)

        return zero_grad

    def _waking_by_evaluation(self, original: Any) -> Any:
        listener = self._listener

        def train(module: nn.Module, mode: bool = True) -> Any:
            if not mode:
                listener.wake()
            return original(module, mode)

        return train

    def _waking(self, original: Any, depth: int = 1) -> Any:
        listener = self._listener

        def waking(*args: Any, **kwargs: Any) -> Any:
            # Clipping and stepping switch gradients off as well, and evaluate nothing.
            if not sys._getframe(depth).f_globals.get("__name__", "").startswith(_WITHIN_A_STEP):
                listener.wake()
            return original(*args, **kwargs)

        return waking

    def _waking_without_gradients(self, original: Any) -> Any:
        waking = self._waking(original, depth=2)

        def setting(made: Any, mode: bool) -> Any:
            return original(made, mode) if mode else waking(made, mode)

        return setting

    def _unheard(self, call: Any) -> Any:
        paused = self.paused

        @functools.wraps(call)
        def run(*args: Any, **kwargs: Any) -> Any:
            with paused():
                return call(*args, **kwargs)

        return run

    def _around_compile_in_place(self, original: Any) -> Any:
        def in_place(module: Any, *args: Any, **kwargs: Any) -> None:
            original(module, *args, **kwargs)
            module._compiled_call_impl = self._unheard(module._compiled_call_impl)

        return in_place

    def _around_compiled(self, original: Any) -> Any:
        """A compiled network is seen from outside only."""
        listener = self._listener

        def __call__(module: nn.Module, *args: Any, **kwargs: Any) -> Any:  # noqa: N807
            heard = listener.listens
            if heard:
                listener.enter(module)
            with self.paused():
                result = original(module, *args, **kwargs)
            if heard:
                listener.leave(module, args, kwargs, result)
            return result

        return __call__

    def _around_compile(self, original: Any) -> Any:
        """Compiled code runs without hooks and modes: they would change what it computes."""
        unheard = self._unheard

        def compiling(model: Any = None, **kwargs: Any) -> Any:
            if model is None:
                return lambda function: compiling(function, **kwargs)
            compiled = original(model, **kwargs)
            if not isinstance(compiled, nn.Module):
                return unheard(compiled)
            kind = type(compiled)  # known only now: importing it takes seconds
            if all(owner is not kind for owner, _, _ in self._doors):
                self._door(kind, "__call__", self._around_compiled)
            return compiled

        return compiling
