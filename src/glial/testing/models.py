"""The laws of a model; `check_model` runs them all on one model's settings.

A third party's test is one line: ``check_model(MySettings())``.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

from glial.models.settings import ModelSettings
from glial.nn import WithAuxiliary
from glial.nn.dropping import dropping
from glial.nn.tokens import PADDING
from glial.testing.inputs import LENGTH, NUM_INPUTS, inputs_of, sizes_of

FEW, MOST = 3, 32  # positions of a text that an exported network takes
ROW_COUNTS = (1, 2, 7)


class LawBroken(AssertionError):
    """A part does not keep a law of its kind; the message says which and how.

    Example:
        >>> str(LawBroken("rows leak"))
        'rows leak'
    """


def check_model(settings: ModelSettings, *, without_gradient: Collection[str] = ()) -> None:
    """Run every law of a model, on inputs of all the kinds that it takes.

    Args:
        settings: The model's settings; small sizes make it quick.
        without_gradient: Names of parameters that are known to get no gradient.

    Raises:
        LawBroken: If a law is broken.

    Example:
        >>> from glial.models.linear import LinearSettings
        >>> check_model(LinearSettings())
    """
    check_settings(settings)
    exported: list[dict[str, Any]] = []
    for sizes in reversed(sizes_of(settings)):
        network = _built(settings, sizes)
        inputs = inputs_of(network, sizes)
        check_outputs(network, inputs, sizes["num_outputs"], per_position=settings.per_position)
        check_gradients(network, inputs, without_gradient)
        check_evaluation(network, inputs)
        check_rows(network, inputs)
        check_padding(network, inputs)
        check_state(network, _built(settings, sizes, seed=1), inputs)
        check_dropping(settings, sizes, inputs)
        check_seed(settings, sizes)
        kinds = {**sizes, "num_outputs": ...}
        if kinds not in exported:  # how many outputs there are changes no operation
            check_export(network, inputs)
            exported.append(kinds)
        check_precision(network, inputs)


def check_settings(settings: ModelSettings) -> None:
    """Settings survive plain values, and say what the model is and wants.

    Raises:
        LawBroken: If not.

    Example:
        >>> from glial.models.mlp import MLPSettings
        >>> check_settings(MLPSettings())
    """
    cls = type(settings)
    _law(cls.read(settings.model_dump(mode="json")) == settings, "settings change when read back")
    _law(bool(cls.description and cls.source and cls.tasks), "no description, source or tasks")
    for task in cls.tasks:
        _law(isinstance(cls.train_defaults(task), dict), "train_defaults gives no dict")
    chosen = settings.for_data(1000, NUM_INPUTS, 1)
    _law(isinstance(chosen, cls), "for_data gives other settings")
    _law(chosen.for_data(10**6, NUM_INPUTS, 1) == chosen, "for_data changes what is chosen")


def check_outputs(
    network: nn.Module, inputs: Sequence[Tensor], num_outputs: int, *, per_position: bool = False
) -> None:
    """Any number of rows gives finite floats, [row, output] or [row, member, output].

    For each position they are [row, position, output], or potentials of a chain.

    Args:
        network: The network.
        inputs: Rows.
        num_outputs: Outputs of a row, or of a position.
        per_position: Whether outputs are [row, position, output].

    Raises:
        LawBroken: If not.
    """
    members = getattr(network, "num_members", None)
    shapes: list[tuple[int, ...]] = [(num_outputs,) if members is None else (members, num_outputs)]
    if per_position:
        positions = _num_positions(inputs)
        shapes = [(positions, num_outputs), (positions, num_outputs, num_outputs)]
    for training in (True, False):
        network.train(training)
        for rows in ROW_COUNTS:
            outputs = _plain(network(*(part[:rows] for part in inputs)))
            fits = tuple(outputs.shape) in [(rows, *shape) for shape in shapes]
            _law(fits, f"outputs {tuple(outputs.shape)} of {rows} rows")
            _law(outputs.is_floating_point(), "outputs are not floats")
            _law(bool(outputs.isfinite().all()), "outputs are not finite")


def check_gradients(
    network: nn.Module, inputs: Sequence[Tensor], without_gradient: Collection[str] = ()
) -> None:
    """Every parameter gets a gradient that is finite and not all zero.

    Raises:
        LawBroken: If one does not.
    """
    network.train()
    network.zero_grad()
    outputs = network(*inputs)
    heads = (outputs.outputs, *outputs.auxiliary) if _has_more(outputs) else (outputs,)
    for head in heads:
        wanted = torch.linspace(-2, 3, head.numel()).reshape(head.shape)
        (head - wanted).square().sum().backward(retain_graph=True)
    for name, parameter in network.named_parameters():
        if name in without_gradient:
            continue
        gradient = parameter.grad
        _law(gradient is not None, f"{name} gets no gradient")
        if gradient is not None:
            _law(bool(gradient.isfinite().all()), f"{name} gets a gradient that is not finite")
            _law(bool(gradient.any()), f"{name} gets a gradient of zero")
    network.zero_grad()


def check_evaluation(network: nn.Module, inputs: Sequence[Tensor]) -> None:
    """In evaluation mode the same rows give the same outputs, whenever asked.

    Raises:
        LawBroken: If not.
    """
    first = _evaluated(network, inputs)
    network.train()
    _law(torch.equal(_evaluated(network, inputs), first), "evaluation is not deterministic")


def check_rows(network: nn.Module, inputs: Sequence[Tensor]) -> None:
    """Rows do not see each other in evaluation mode, and keep their order.

    Raises:
        LawBroken: If they do.
    """
    whole = _evaluated(network, inputs)
    spoilt = [part.clone() for part in inputs]
    for part in spoilt:
        part[0] = float("nan") if part.is_floating_point() else part[-1]
    _law(_close(_evaluated(network, spoilt)[1:], whole[1:]), "a row leaks into others")
    for rows in ROW_COUNTS:
        part = _evaluated(network, [part[:rows] for part in inputs])
        _law(_close(part, whole[:rows]), "the size of the batch changes a row's outputs")
    order = torch.arange(len(whole)).flip(0)
    turned = _evaluated(network, [part[order] for part in inputs])
    _law(_close(turned, whole[order]), "the order of rows changes outputs")


def check_padding(network: nn.Module, inputs: Sequence[Tensor]) -> None:
    """Padding behind the end of texts and sequences changes neither outputs nor gradients.

    Raises:
        LawBroken: If it does.
    """
    found = []
    for parts in (inputs, _longer(inputs)):
        network.eval()
        network.zero_grad()
        outputs = _real(network(*parts), parts)
        outputs.square().sum().backward()  # type: ignore[no-untyped-call]
        held = outputs[:, :LENGTH] if outputs.ndim > 2 else outputs
        found.append([held, *(p.grad for p in network.parameters() if p.grad is not None)])
    network.zero_grad()
    for few, many in zip(*found, strict=True):
        _law(_close(many, few), "padding changes outputs or gradients")


def check_state(network: nn.Module, other: nn.Module, inputs: Sequence[Tensor]) -> None:
    """The state, written as safetensors and loaded into a fresh network, is the network.

    Raises:
        LawBroken: If not.
    """
    held = {name: value.clone() for name, value in network.state_dict().items()}
    state = safetensors.torch.load(safetensors.torch.save(held))
    other.load_state_dict(state)
    same = torch.equal(_evaluated(network, inputs), _evaluated(other, inputs))
    _law(same, "a loaded network gives other outputs")


def check_dropping(
    settings: ModelSettings, sizes: Mapping[str, Any], inputs: Sequence[Tensor]
) -> None:
    """With its dropout kept on, an evaluated network varies as in training, and keeps its state.

    Args:
        settings: The model's settings; where they have a ``dropout``, it is to be found.
        sizes: What they build a network of.
        inputs: What it is called with.

    Raises:
        LawBroken: If not.
    """
    rate = {"dropout": 0.5} if isinstance(getattr(settings, "dropout", None), float) else {}
    network = _built(settings.model_copy(update=rate), sizes)
    held = {name: value.clone() for name, value in network.state_dict().items()}
    plain = _evaluated(network, inputs)
    with torch.random.fork_rng(), torch.no_grad(), dropping(network):
        torch.manual_seed(0)
        drawn = [network(*inputs) for _ in range(2)]
        for module in network.modules():
            module.training = not isinstance(module, nn.modules.batchnorm._NormBase)
        trained = [_plain(network(*inputs)) for _ in range(2)]
    _law(drawn[0].shape == plain.shape, "dropout that is kept on changes the outputs' shape")
    kept = all(torch.equal(value, held[name]) for name, value in network.state_dict().items())
    _law(kept, "dropout that is kept on changes the state")
    found = torch.equal(*drawn) == torch.equal(*trained)
    _law(found, "dropout cannot be kept on: its rate has another name")


def check_seed(settings: ModelSettings, sizes: Mapping[str, Any]) -> None:
    """The same seed builds the same network.

    Args:
        settings: The model's settings.
        sizes: What they build a network of.

    Raises:
        LawBroken: If not.
    """
    states = [_built(settings, sizes, seed=2).state_dict() for _ in range(2)]
    same = all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    _law(same, "the same seed builds another network")


def check_export(network: nn.Module, inputs: Sequence[Tensor]) -> None:
    """What `torch.export` takes down is the network, for any number of rows and positions.

    Raises:
        LawBroken: If its outputs are others.
    """
    network.eval()
    few = tuple(part[:5] for part in inputs)
    shapes: Any = torch.export.ShapesCollection()  # type: ignore[no-untyped-call]
    for part in few:
        positions = {1: torch.export.Dim("positions", min=FEW, max=MOST)}
        follows = _is_text(part) or _is_sequence(part, inputs)
        shapes[part] = {0: torch.export.Dim("rows"), **(positions if follows else {})}
    exported = torch.export.export(network, few, dynamic_shapes=shapes).module()
    for parts in (inputs, _longer(inputs)):
        with torch.no_grad():
            found = _real(exported(*parts), parts)
        _law(_close(found, _evaluated(network, parts)), "the exported network gives other outputs")


def check_precision(network: nn.Module, inputs: Sequence[Tensor]) -> None:
    """In bfloat16 the outputs are finite and near those in float32.

    Raises:
        LawBroken: If not.
    """
    exact = _evaluated(network, inputs)
    low = [part.bfloat16() if part.is_floating_point() else part for part in inputs]
    rough = _evaluated(network.bfloat16(), low).float()
    network.float()
    _law(bool(rough.isfinite().all()), "outputs in bfloat16 are not finite")
    error = (rough - exact).abs().max() / exact.abs().max().clamp_min(1.0)
    _law(float(error) < 0.25, f"outputs in bfloat16 are off by {float(error):.0%}")


def _built(settings: ModelSettings, sizes: Mapping[str, Any], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return settings.build(**sizes)


def _has_more(outputs: Any) -> bool:
    return isinstance(outputs, WithAuxiliary)


def _plain(outputs: Any) -> Tensor:
    """What the head gives, without auxiliary heads."""
    found: Tensor = outputs.outputs if _has_more(outputs) else outputs
    return found


def _is_text(part: Tensor) -> bool:
    return not part.is_floating_point() and part.ndim in (2, 3) and part.shape[1] >= LENGTH


def _is_sequence(part: Tensor, inputs: Sequence[Tensor]) -> bool:
    """Whether a part holds sequences, whose lengths then stand among the inputs."""
    return part.is_floating_point() and part.ndim == 3 and any(other.ndim == 1 for other in inputs)


def _evaluated(network: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    network.eval()
    with torch.no_grad():
        outputs: Tensor = network(*inputs)
    return _real(outputs, inputs)


def _longer(inputs: Sequence[Tensor]) -> list[Tensor]:
    """The inputs with padding behind each text, and anything behind each sequence's end."""
    longer = [
        functional.pad(part, (*[0, 0] * (part.ndim - 2), 0, 3)) if _is_text(part) else part
        for part in inputs
    ]
    return [
        functional.pad(part, (0, 0, 0, 3), value=7.0) if _is_sequence(part, inputs) else part
        for part in longer
    ]


def _num_positions(inputs: Sequence[Tensor]) -> int:
    """Positions of the first text or sequence."""
    return next(part.shape[1] for part in inputs if _is_text(part) or _is_sequence(part, inputs))


def _real(outputs: Tensor, inputs: Sequence[Tensor]) -> Tensor:
    """Outputs with zeros where they stand for padding, [row, position, ...]; others as are."""
    masks = [_first(part) != PADDING for part in inputs if _is_text(part)]
    for steps, lengths in itertools.pairwise(inputs):
        if _is_sequence(steps, inputs):
            masks.append(torch.arange(steps.shape[1]) < lengths[:, None])
    if outputs.ndim < 3 or not masks or outputs.shape[1] != masks[0].shape[1]:
        return outputs
    return outputs * masks[0].view(*masks[0].shape, *[1] * (outputs.ndim - 2))


def _first(part: Tensor) -> Tensor:
    """The tokens of texts, or the first feature of words."""
    return part if part.ndim == 2 else part[:, :, 0]


def _close(found: Tensor, expected: Tensor) -> bool:
    return torch.allclose(found, expected, rtol=1e-4, atol=1e-5)


def _law(holds: bool, message: str) -> None:
    if not holds:
        raise LawBroken(message)
