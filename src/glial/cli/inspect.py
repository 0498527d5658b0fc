"""``glial inspect``: layers, shapes, parameters, FLOPs, memory and graph of a model."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from glial.cli.arguments import number
from glial.cli.main import print_json
from glial.core.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.add_argument("model", metavar="MODEL", help="a run's folder or the name of a model")
    parser.add_argument("--inputs", type=number(int), default=10, help="inputs of a named model")
    parser.add_argument("--outputs", type=number(int), default=1, help="outputs of a named model")
    parser.add_argument("--batch", type=number(int), default=1, help="rows of the trial batch")
    parser.add_argument("--svg", metavar="FILE", help="draw the computational graph")
    parser.add_argument("--set", action="append", default=[], metavar="a=b", help="model settings")


def run(options: argparse.Namespace) -> int:
    """Print the summary, and draw the graph where asked."""
    from glial.cli.tables import print_table
    from glial.core.files import write_atomic
    from glial.nn.graph import capture, draw_svg
    from glial.nn.summary import summarize

    if options.batch < 1:
        raise InputError("--batch is wrong", expected="at least 1 row", got=str(options.batch))
    network, inputs = _network(options)
    summary = summarize(network, inputs)
    result: dict[str, Any] = {"model": options.model, **summary.to_dict(), "svg": options.svg}
    if options.svg:
        write_atomic(Path(options.svg), draw_svg(capture(network, inputs)))
    if options.json:
        print_json(result)
        return 0
    rows = [
        [x.name, x.kind, str(x.output_shape), x.num_parameters, x.flops] for x in summary.layers
    ]
    print_table(["layer", "kind", "output shape", "parameters", "FLOPs"], rows)
    print(
        f"{summary.num_parameters:,} parameters ({summary.num_trainable:,} trainable), "
        f"{summary.flops:,} FLOPs forward, {summary.parameter_bytes:,} bytes of weights, "
        f"{summary.activation_bytes:,} bytes of activations for {options.batch} rows"
    )
    if options.svg:
        print(f"graph: {options.svg}")
    return 0


def _network(options: argparse.Namespace) -> tuple[Any, tuple[Any, ...]]:
    import torch

    from glial.core.settings import override
    from glial.models import build
    from glial.runs import load

    if (Path(options.model) / "plan.yaml").exists():
        found = load(options.model)
        sizes = found.sizes
        network: Any = found.model
    else:
        sizes = {
            "num_inputs": options.inputs,
            "num_outputs": options.outputs,
            "cardinalities": [],
        }
        pairs = [text.partition("=") for text in options.set]
        settings = override({}, {key: value for key, _, value in pairs})
        network = build(options.model, **sizes, **settings)
    numbers = torch.zeros(options.batch, int(sizes["num_inputs"]))
    cardinalities = list(sizes["cardinalities"])
    if not cardinalities:
        return network, (numbers,)
    return network, (numbers, torch.zeros(options.batch, len(cardinalities), dtype=torch.int64))
