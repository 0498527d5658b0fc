"""A traced graph as a list of calls on memory that is made once.

Each node is bound to what it reads and to the place that it writes to, in place where torch has a
variant that does so. Constants are folded, views stay what they are.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx

Call = Callable[[], object]
# product(a, b, bias, relu, gate): where relu(a @ b + bias), zero where the gate is not above 0,
# lies and what puts it there, or None.
Product = Callable[[Tensor, Tensor, Tensor | None, bool, Tensor | None], tuple[Tensor, Call] | None]
Calls = list[Call]

_aten = torch.ops.aten
_CONSTANTS = {
    _aten.arange.default,
    _aten.full.default,
    _aten.full_like.default,
    _aten.ones.default,
    _aten.ones_like.default,
    _aten.scalar_tensor.default,
    _aten.zeros.default,
    _aten.zeros_like.default,
}
_PRODUCTS = {_aten.addmm.default, _aten.mm.default}


def bind_graph(
    graph: fx.GraphModule, given: Sequence[Tensor], product: Product | None
) -> tuple[Calls, list[Tensor]]:
    """Calls that compute a graph on fixed memory, and where its results lie.

    Every node runs once here, so what the graph changes has to be put back afterwards.

    Args:
        graph: A graph of torch's own operations, without autograd.
        given: What it reads, in the order of its placeholders.
        product: Who computes the matrix products that it does not leave to torch.

    Returns:
        The calls, in their order, and the graph's results, anew after each round of calls.

    Example:
        >>> from torch.fx.experimental.proxy_tensor import make_fx
        >>> place = torch.ones(2)
        >>> calls, results = bind_graph(make_fx(lambda x: [x * 3])(place), [place], None)
        >>> place.fill_(5) is place, [call() for call in calls] and results
        (True, [tensor([15., 15.])])
    """
    values: dict[fx.Node, Any] = {}
    calls: Calls = []
    constants: set[fx.Node] = set()
    places = iter(given)
    with torch.no_grad():
        for node in graph.graph.nodes:
            if node.op == "placeholder":
                values[node] = next(places)
            elif node.op == "get_attr":
                values[node] = getattr(graph, node.target)
            elif node.op == "output":
                results = [values[result] for result in node.args[0]]
            elif product is None or not _bind_product(node, values, calls, product):
                _bind(node, values, calls, constants)
    likes = [results[0], *given]  # a gradient lies as its parameter does
    return calls, [_own(r, like, calls, given) for r, like in zip(results, likes, strict=False)]


def _bind_product(
    node: fx.Node, values: dict[fx.Node, Any], calls: Calls, product: Product
) -> bool:
    """Whether a node is a product that is computed by ``product``, or a ReLU that one did.

    What follows a product and nothing else sees it before is done with it: ReLU, or its slope.
    """
    if node in values:
        return True
    if node.target not in _PRODUCTS or node.kwargs:
        return False
    args: Any = fx.map_arg(node.args, values.__getitem__)
    *bias, a, b = args
    after = next(iter(node.users)) if len(node.users) == 1 else None
    relu = after is not None and after.target is _aten.relu.default
    gate = _gate(after, node, values)
    made = product(a, b, bias[0] if bias else None, relu, gate)
    if made is None:
        return False
    values[node], call = made
    if after is not None and (relu or gate is not None):
        values[after] = values[node]
    call()
    calls.append(call)
    return True


def _gate(after: fx.Node | None, product: fx.Node, values: dict[fx.Node, Any]) -> Tensor | None:
    """What a ReLU's gradient is let through by, if that is all that is done with a product."""
    if after is None or after.target is not _aten.threshold_backward.default:
        return None
    gradient, result, threshold = after.args
    while isinstance(result, fx.Node) and result.target is _aten.detach.default:
        result = result.args[0]
    known = gradient is product and threshold == 0 and isinstance(result, fx.Node)
    return values.get(result) if known else None  # type: ignore[arg-type]


def _own(result: Tensor, like: Tensor, calls: Calls, given: Sequence[Tensor]) -> Tensor:
    """A result in memory of its own, in the layout that fused optimisers read it in."""
    shared = any(result.data_ptr() == value.data_ptr() for value in given)
    if result.stride() == like.stride() and not shared:
        return result
    place = torch.empty_like(like)
    calls.append(partial(place.copy_, result))
    return place


def _bind(node: fx.Node, values: dict[fx.Node, Any], calls: Calls, constants: set[fx.Node]) -> None:
    args: Any = fx.map_arg(node.args, values.__getitem__)
    kwargs: Any = fx.map_arg(node.kwargs, values.__getitem__)
    call: Any = node.target
    if call is operator.getitem:
        values[node] = call(*args)
        return
    value = call(*args, **kwargs)
    if _is_constant(node, constants):
        constants.add(node)
        values[node] = value
    elif call is _aten.detach.default or call.is_view:
        values[node] = value  # the same memory each time
    elif call._schema.is_mutable and not call._schema.returns[1:]:
        values[node] = value
        calls.append(partial(call, *args, **kwargs))
    else:
        values[node], fast = _writing(call, args, kwargs, value)
        calls.append(fast)


def _is_constant(node: fx.Node, constants: set[fx.Node]) -> bool:
    """Whether a node makes the same numbers each time, and nobody writes into them."""
    call: Any = node.target
    read = node.all_input_nodes
    same = bool(read) and constants.issuperset(read)
    drawn = torch.Tag.nondeterministic_seeded in call.tags
    if not (call in _CONSTANTS or (same and not drawn)) or call._schema.is_mutable:
        return False
    return not any(
        isinstance(user.target, torch._ops.OpOverload) and user.target._schema.is_mutable
        for user in node.users
    )


def _writing(call: Any, args: Any, kwargs: Any, value: Any) -> tuple[Any, Callable[[], Any]]:
    """Where an operation's results lie from now on, and the call that puts them there."""
    many = isinstance(value, (tuple, list))
    results = value if many else (value,)
    places: Any = tuple(None if result is None else result.clone() for result in results)
    for write in _writers(call, args, kwargs, places):
        if _works(write, places):
            return (places if many else places[0]), write

    def compute_and_copy() -> None:
        found = call(*args, **kwargs)
        for place, result in zip(places, found if many else (found,), strict=True):
            if place is not None:
                place.copy_(result)

    return (places if many else places[0]), compute_and_copy


def _writers(call: Any, args: Any, kwargs: Any, places: tuple[Any, ...]) -> list[Call]:
    """Calls that may write an operation's results into places that are given; fast ones first."""
    if any(place is None for place in places):
        return []
    writers: list[Call] = []
    # torch.mm(..., out=place) costs half of what the same call by torch.ops does.
    quick = getattr(torch, call._schema.name.removeprefix("aten::"), None)
    if quick is not None and len(places) == 1:
        writers.append(partial(quick, *args, **kwargs, out=places[0]))
    read = [argument.name for argument in call._schema.arguments]
    for name in call.overloadpacket.overloads():
        variant = getattr(call.overloadpacket, name)
        names = [argument.name for argument in variant._schema.arguments]
        outs = [argument.name for argument in variant._schema.arguments if argument.is_out]
        if names == [*read, *outs] and len(outs) == len(places):
            given = dict(zip(outs, places, strict=True))
            writers.append(partial(variant, *args, **kwargs, **given))
    return writers


def _works(write: Call, places: tuple[Tensor, ...]) -> bool:
    """Whether a call writes into its places what they already hold."""
    wanted, pointers = [place.clone() for place in places], [p.data_ptr() for p in places]
    random = torch.get_rng_state()
    for place in places:
        place.fill_(0)
    try:
        write()
        same = pointers == [place.data_ptr() for place in places]
        return same and all(map(torch.equal, places, wanted))
    except (RuntimeError, TypeError):
        return False
    finally:
        torch.set_rng_state(random)
        for place, value in zip(places, wanted, strict=True):
            place.copy_(value)
