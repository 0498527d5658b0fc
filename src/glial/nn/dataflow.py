"""Which layer of a network gives its result to which, seen by running it once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from glial.nn.summary import evaluating

StepKind = Literal["input", "layer", "operation", "join", "output"]
# torch's own modules in whose insides nobody is interested are layers; these are not.
CONTAINERS = (
    *(nn.Sequential, nn.ModuleList, nn.ModuleDict),
    *(nn.Transformer, nn.TransformerEncoder, nn.TransformerDecoder),
)
# Functions of one tensor that are worth a box; others only move or reshape numbers.
SHOWN = frozenset(
    (
        "relu",
        "relu6",
        "leaky_relu",
        "elu",
        "selu",
        "gelu",
        "silu",
        "mish",
        "hardswish",
        "sigmoid",
        "tanh",
        "softmax",
        "log_softmax",
        "glu",
        "softplus",
        "max_pool1d",
        "max_pool2d",
        "max_pool3d",
        "avg_pool1d",
        "avg_pool2d",
        "adaptive_avg_pool1d",
        "adaptive_avg_pool2d",
        "adaptive_max_pool2d",
        "mean",
        "sum",
        "amax",
        "max",
        "cumsum",
        "interpolate",
        "layer_norm",
        "batch_norm",
        "group_norm",
        "rms_norm",
        "normalize",
        "linear",
        "conv1d",
        "conv2d",
        "conv3d",
        "conv_transpose2d",
        "embedding",
        "scaled_dot_product_attention",
        "bmm",
        "fft",
        "rfft",
        "stft",
    )
)
SIGNS = {
    **dict.fromkeys(("add", "add_", "__add__", "__iadd__", "__radd__"), "+"),
    **dict.fromkeys(("mul", "mul_", "__mul__", "__imul__", "__rmul__"), "×"),
    **dict.fromkeys(("sub", "__sub__", "rsub", "__rsub__"), "−"),
    **dict.fromkeys(("matmul", "__matmul__", "bmm"), "matrix product"),
    **dict.fromkeys(("cat", "concat", "concatenate", "stack"), "join"),
    "scaled_dot_product_attention": "attention",
}


# Packages whose frames lie between a line of code and what it calls.
OTHERS = ("/torch/", "/jaxtyping/", "/beartype/", "<@beartype")


@dataclass
class Step:
    """One step of a network's computation.

    Attributes:
        name: Its name, unique; a layer's is its ``named_modules()`` path.
        kind: A layer; an operation outside of layers on one result, or on several (``join``); or
            what goes into the network (``input``) and comes out of it.
        label: Its class, or what the operation is called.
        shape: Of what it gave last.
        num_parameters: Of its own.
        inputs: Names of the steps whose results it takes, earlier ones.
        calls: How often it was done.

    Example:
        >>> Step("fc", "layer", "Linear", [2, 3], 15, ["input"]).calls
        0
    """

    name: str
    kind: StepKind
    label: str
    shape: list[int] | None = None
    num_parameters: int = 0
    inputs: list[str] = field(default_factory=list)
    calls: int = 0


def follow(model: nn.Module, inputs: tuple[Any, ...]) -> list[Step]:
    """Run a network once in evaluation mode and note which layer takes whose result.

    What is repeated, as by a recurrent network, is one step. Reshaping, indexing and masks (tensors
    of truth values) are not told, nor layers that do nothing, as dropout of nothing. A layer
    without parameters that is used in several places of the code is a step in each.

    Args:
        model: The network; it is left as it was.
        inputs: What it is called with.

    Returns:
        The steps, each after all whose results it takes.

    Example:
        >>> steps = follow(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), (torch.zeros(2, 4),))
        >>> [(step.name, step.inputs) for step in steps]
        [('input', []), ('0', ['input']), ('1', ['0']), ('output', ['1'])]
    """
    watch = _Watch(model)
    for number, tensor in enumerate(tensors_in(inputs)):
        name = f"input{f' {number + 1}' if number else ''}"
        watch.note(name, "input", name, [], [tensor])
    with evaluating(model), torch.no_grad(), watch.hooked(), watch:
        output = model(*inputs)
    found = list(tensors_in(output))
    watch.note("output", "output", "output", watch.makers(found), found)
    return _leading_out(list(watch.steps.values()))


def _leading_out(steps: list[Step]) -> list[Step]:
    """The inputs, and the steps that the output needs; all where nothing leads to it."""
    needed = {steps[-1].name} if steps[-1].inputs else {step.name for step in steps}
    for step in reversed(steps):
        if step.name in needed:
            needed.update(step.inputs)
    return [step for step in steps if step.name in needed or step.kind == "input"]


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in a value, however deep in lists, mappings and dataclasses.

    Example:
        >>> len(list(tensors_in({"a": [torch.zeros(1)], "b": (torch.ones(1), 3)})))
        2
    """
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from tensors_in(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from tensors_in(each)
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            yield from tensors_in(getattr(value, each.name))


def is_layer(module: nn.Module) -> bool:
    """Whether a module is a layer, of which nobody asks what is in it.

    Example:
        >>> is_layer(nn.Linear(1, 1)), is_layer(nn.Sequential(nn.Linear(1, 1)))
        (True, False)
    """
    children = {name for name, _ in module.named_children()}
    if not children - {"parametrizations"}:
        return not isinstance(module, CONTAINERS)
    return type(module).__module__.startswith("torch.nn.") and not isinstance(module, CONTAINERS)


def _does_nothing(module: nn.Module) -> bool:
    """Whether a layer stands there only so that another could."""
    if isinstance(module, nn.Identity):
        return True
    return "Drop" in type(module).__name__ and getattr(module, "p", None) == 0


class _Watch(TorchFunctionMode):
    """Notes who made each tensor."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.steps: dict[str, Step] = {}
        self._maker: dict[int, list[str]] = {}
        self._alive: list[Tensor] = []  # so that no two tensors have one id
        self._path: list[str] = [""]
        self._inside = 0  # layers
        self._keys: dict[tuple[Any, ...], str] = {}

    def hooked(self) -> _Hooks:
        """Watch the calls of all modules."""
        handles = []
        for name, module in self.model.named_modules():
            layer = name != "" and is_layer(module)
            handles += [
                module.register_forward_pre_hook(self._entering(name, layer=layer)),
                module.register_forward_hook(
                    self._leaving(name, layer=layer), with_kwargs=True, always_call=True
                ),
            ]
        return _Hooks(handles)

    def _entering(self, name: str, *, layer: bool) -> Callable[..., None]:
        def enter(module: nn.Module, args: Any) -> None:
            self._path.append(name)
            self._inside += layer

        return enter

    def _leaving(self, name: str, *, layer: bool) -> Callable[..., None]:
        def leave(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            self._path.pop()
            self._inside -= layer
            made = list(tensors_in(output))
            if layer and not self._inside and _does_nothing(module):
                self._made(made, self.makers([*tensors_in(args), *tensors_in(kwargs)]))
            elif layer and not self._inside:
                own = sum(parameter.numel() for parameter in module.parameters())
                place = () if own else _place()
                key = self._named((name, *place), name)
                makers = self.makers([*tensors_in(args), *tensors_in(kwargs)])
                self.note(key, "layer", type(module).__name__, makers, made)
                self.steps[key].num_parameters = own

        return leave

    def _named(self, key: tuple[Any, ...], name: str) -> str:
        """A name for what happens at a place; the same again when it happens there again."""
        if key not in self._keys:
            taken = sum(1 for known in self._keys.values() if known.split(" #")[0] == name)
            self._keys[key] = name if not taken else f"{name} #{taken + 1}"
        return self._keys[key]

    def makers(self, tensors: list[Tensor]) -> list[str]:
        """The steps that made tensors."""
        return list(dict.fromkeys(name for t in tensors for name in self._maker.get(id(t), ())))

    def note(
        self, name: str, kind: StepKind, label: str, makers: list[str], made: list[Tensor]
    ) -> None:
        """Add a step, or what it does when it is done again."""
        step = self.steps.setdefault(name, Step(name, kind, label))
        step.calls += 1
        if step.calls > 1 and kind == "output":
            return
        order = {known: n for n, known in enumerate(self.steps)}
        step.inputs += [
            each for each in makers if each not in step.inputs and order[each] < order[name]
        ]
        if made:
            step.shape = [int(size) for size in made[0].shape]
        self._made(made, [name])

    def _made(self, tensors: list[Tensor], makers: list[str]) -> None:
        for tensor in tensors:
            if tensor.dtype is not torch.bool:
                self._maker[id(tensor)] = makers
                self._alive.append(tensor)

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if self._inside:
            return result
        made = list(tensors_in(result))
        makers = self.makers([*tensors_in(args), *tensors_in(kwargs or {})])
        if not made or not makers:
            return result
        called = getattr(func, "__name__", "operation")
        if len(makers) > 1 or called in SHOWN:
            path = self._path[-1]
            name = self._named((path, called, *_place()), f"{path}.{called}".lstrip("."))
            kind: StepKind = "join" if len(makers) > 1 else "operation"
            self.note(name, kind, SIGNS.get(called, called.strip("_")), makers, made)
        else:
            self._made(made, makers)
        return result


class _Hooks:
    """Hooks that are taken away at the end."""

    def __init__(self, handles: list[Any]) -> None:
        self.handles = handles

    def __enter__(self) -> None:
        """Nothing more to do."""

    def __exit__(self, *error: object) -> None:
        for handle in self.handles:
            handle.remove()


def _place() -> tuple[str, int]:
    """The line of code that is running, outside of this file, torch and what checks types."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        file = frame.f_code.co_filename
        path = file.replace("\\", "/")
        if file != __file__ and not any(mark in path for mark in OTHERS):
            return file, frame.f_lineno
        frame = frame.f_back
    return "", 0
