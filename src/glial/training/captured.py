"""A step's passes as a list of calls on buffers that are made once: no autograd, no modules.

Small networks on small batches spend most of a step in Python and in the bookkeeping of
gradients. Forward pass, loss and backward pass are traced once into a graph of torch's own
operations, and each is bound to the memory that it reads and writes. The same operations run in
the same order, so the numbers are those of the eager passes, bit for bit. Whoever computes matrix
products in another way may be given, and changes their last bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.proxy_tensor import make_fx

from glial.data.batches import Batch
from glial.training.graph_calls import Product, bind_graph

LossFunction = Callable[[Tensor, Tensor, Tensor | None], Tensor]

# Sums in another order differ by less of the largest gradient; wrong ones by more.
CLOSE = 1e-3


class CannotCaptureError(Exception):
    """A network's passes cannot be captured; the message says why.

    Example:
        >>> str(CannotCaptureError("its gradients differ"))
        'its gradients differ'
    """


class CapturedPasses:
    """The forward and backward pass of one network on batches of one shape.

    Args:
        model: The network, in training mode; its weights and buffers are used where they are.
        passes: How it is called, in the layout and precision of the plan.
        loss: ``loss(outputs, target, weight)``.
        batch: A batch like all that come.
        product: Who computes the matrix products that it does not leave to torch.

    Raises:
        CannotCaptureError: If the passes cannot be traced, or the trace gives other gradients.

    Example:
        >>> model, rows = nn.Linear(2, 1), Batch((torch.ones(3, 2),), torch.zeros(3, 1))
        >>> squared = lambda outputs, target, weight: (outputs - target).square().mean()
        >>> passes = CapturedPasses(model, model, squared, rows)
        >>> torch.equal(passes.run(rows), squared(model(*rows.inputs), rows.target, None))
        True
        >>> model.weight.grad.shape
        torch.Size([1, 2])
    """

    def __init__(
        self,
        model: nn.Module,
        passes: Callable[..., Tensor],
        loss: LossFunction,
        batch: Batch,
        product: Product | None = None,
    ) -> None:
        self._held = Batch(*(_copied(part) for part in batch))
        self._fed = [*self._held.inputs, self._held.target]
        if self._held.weight is not None:
            self._fed.append(self._held.weight)
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        state = [*model.state_dict(keep_vars=True).values(), *model.buffers()]
        kept = [value.detach().clone() for value in state]
        random = torch.get_rng_state()
        try:
            wanted = _eager(self._parameters, passes, loss, batch)
            _put_back(state, kept, random)
            graph = _traced(model, passes, loss, self._held)
            _put_back(state, kept, random)
            bound = [*(p.detach() for p in self._parameters), *_buffers(model), *self._fed]
            for own in (None, product) if product else (None,):
                self._calls, (self._loss, *self._gradients) = bind_graph(graph, bound, own)
                _put_back(state, kept, random)
                found = [self.run(batch), *self._gradients]
                _put_back(state, kept, random)
                if not _same(found, wanted, 0.0 if own is None else CLOSE):
                    raise CannotCaptureError(  # noqa: TRY301 - one place puts all back
                        "the captured passes give other numbers than the eager ones"
                    )
        except CannotCaptureError:
            raise
        except Exception as error:
            lines = str(error).splitlines()
            raise CannotCaptureError(lines[0] if lines else type(error).__name__) from error
        finally:
            _put_back(state, kept, random)

    def run(self, batch: Batch) -> Tensor:
        """The loss of a batch; its gradient is left in the parameters, until the next run."""
        with torch.no_grad():
            for place, value in zip(self._held.inputs, batch.inputs, strict=True):
                place.copy_(value)
            self._held.target.copy_(batch.target)
            if batch.weight is not None and self._held.weight is not None:
                self._held.weight.copy_(batch.weight)
            for call in self._calls:
                call()
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter.grad = gradient
        return self._loss


def shapes_of(batch: Batch) -> list[torch.Size]:
    """The shapes of a batch's parts: captured passes run on batches that have the same.

    Example:
        >>> shapes_of(Batch((torch.ones(3, 2),), torch.zeros(3)))
        [torch.Size([3, 2]), torch.Size([3])]
    """
    parts = (*batch.inputs, batch.target, batch.weight)
    return [part.shape for part in parts if part is not None]


def capture_obstacle(model: nn.Module) -> str | None:
    """Why a network's passes must not be captured; None where nothing is known against it.

    What a module does in Python beside torch's operations happens once, at capture: counting,
    drawing numbers elsewhere, hooks. So only modules that are known not to do so are captured.

    Example:
        >>> capture_obstacle(nn.Linear(1, 1)) is None
        True
    """
    if hasattr(model, "set_progress"):
        return "the network changes with the progress of training"
    for module in model.modules():
        if type(module).__module__.split(".")[0] not in ("torch", "glial"):
            return f"{type(module).__name__} may do more than torch's operations"
        if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
            return f"{type(module).__name__} has hooks"
    if any(value.device.type != "cpu" for value in model.parameters()):
        return "only processors need it"
    return None


def _copied(part: Any) -> Any:
    if isinstance(part, tuple):
        return tuple(_copied(value) for value in part)
    return None if part is None else part.clone()


def _buffers(model: nn.Module) -> list[Tensor]:
    """What a pass reads beside trainable weights: frozen weights, and buffers."""
    frozen = [p.detach() for p in model.parameters() if not p.requires_grad]
    return [*frozen, *model.buffers()]


def _put_back(state: Sequence[Tensor], kept: Sequence[Tensor], random: Tensor) -> None:
    with torch.no_grad():
        for value, old in zip(state, kept, strict=True):
            value.copy_(old)
    torch.set_rng_state(random)


def _same(found: list[Tensor], wanted: list[Tensor], tolerance: float) -> bool:
    """Whether losses and gradients agree, to a share of the loss and of the largest gradient."""
    scales = [float(value.abs().max()) for value in wanted]
    scales[1:] = [max(scales[1:])] * len(scales[1:])
    return all(
        torch.allclose(mine, other, rtol=0.0, atol=tolerance * scale)
        for mine, other, scale in zip(found, wanted, scales, strict=True)
    )


def _eager(
    parameters: list[nn.Parameter], passes: Callable[..., Tensor], loss: LossFunction, batch: Batch
) -> list[Tensor]:
    value = loss(passes(*batch.inputs), batch.target, batch.weight)
    gradients = torch.autograd.grad(value, parameters, allow_unused=True)
    if any(gradient is None for gradient in gradients):
        raise CannotCaptureError("a parameter takes no part in the loss")
    return [value.detach(), *gradients]


def _traced(
    model: nn.Module, passes: Callable[..., Tensor], loss: LossFunction, batch: Batch
) -> fx.GraphModule:
    """The graph from parameters, other state and a batch to the loss and its gradients."""
    named = dict(model.named_parameters())
    trained = [name for name, p in named.items() if p.requires_grad]
    others = [name for name in named if name not in trained]
    others += [name for name, _ in model.named_buffers()]

    class Passes(nn.Module):
        """The network under a name of its own, so that its state can be given."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *inputs: Tensor) -> Tensor:
            return passes(*inputs)

    whole = Passes()

    def step(weights: list[Tensor], state: list[Tensor], *fed: Tensor) -> list[Tensor]:
        leaves = [value.detach().requires_grad_() for value in weights]
        given = dict(zip([*trained, *others], [*leaves, *state], strict=True))
        given = {f"model.{name}": value for name, value in given.items()}
        inputs, (target, *weight) = fed[: len(batch.inputs)], fed[len(batch.inputs) :]
        outputs = torch.func.functional_call(whole, given, inputs)
        value = loss(outputs, target, weight[0] if weight else None)
        return [value.detach(), *torch.autograd.grad(value, leaves)]

    weights = [named[name].detach().clone() for name in trained]
    state = [value.clone() for value in _buffers(model)]
    fed = [*batch.inputs, batch.target, *([] if batch.weight is None else [batch.weight])]
    graph = make_fx(step, tracing_mode="real")(weights, state, *fed)
    graph.graph.eliminate_dead_code()
    return graph
