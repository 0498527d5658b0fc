"""``glial inspect``: the quality of a source, or what a model is made of."""

from __future__ import annotations

import argparse
import glob
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from glial.cli.alignments import add_attention_arguments, check_attention, draw_attention
from glial.cli.arguments import add_data_arguments, experiment_changes, number
from glial.cli.cells import add_cells_argument, check_cells, draw_map
from glial.cli.main import print_json
from glial.cli.pictures import (
    PICTURE_OPTIONS,
    add_picture_arguments,
    check_pictures,
    draw_pictures,
    encoder_of_model,
    encoder_of_run,
    print_pictures,
)
from glial.core.errors import InputError, unknown_name

MODEL_OPTIONS = ("inputs", "outputs", "batch", "svg", *PICTURE_OPTIONS, "attention", "out", "cells")
SOURCE_OPTIONS = (
    *("target", "task", "val", "test", "group", "time", "weight", "seed", "augment", "against"),
)
VOCABULARY, TOKENS, LETTERS = 1000, 16, 10  # of a trial text
IMAGE = (3, 32, 32)  # of a model that was published for no size

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.add_argument(
        "subject",
        metavar="SOURCE_OR_MODEL",
        help="file, glob pattern or data set; or a run's folder, or the name of a model",
    )
    add_data_arguments(parser)
    parser.add_argument(
        "--against", metavar="OTHER", help="tell how the source differs from these rows"
    )
    parser.add_argument(
        "--augment",
        metavar="FILE.png",
        help="draw training images beside versions that augmentation makes of them",
    )
    parser.add_argument(
        "--inputs", type=number(int), help="inputs of a named model (10), or its tokens (1000)"
    )
    parser.add_argument(
        "--outputs", type=number(int), help="outputs of a named model (as published, or 1)"
    )
    parser.add_argument("--batch", type=number(int), help="rows of the trial batch (1)")
    parser.add_argument("--svg", metavar="FILE", help="draw the computational graph")
    add_picture_arguments(parser)
    add_attention_arguments(parser)
    add_cells_argument(parser)
    parser.add_argument(
        "--set", action="append", default=[], metavar="a=b", help="any key of the plan or model"
    )


def run(options: argparse.Namespace) -> int:
    """Look at the source, or at the model."""
    from glial.models import MODELS

    name = options.subject
    if (Path(name) / "plan.yaml").exists() or name in MODELS:
        _refuse(options, SOURCE_OPTIONS, "a source of data", f"the model {name}")
        return _inspect_model(options)
    if not options.target:
        _check_is_source(name, MODELS)
    _refuse(options, MODEL_OPTIONS, "a model", f"the source {name}")
    if options.against is not None:
        return _inspect_against(options)
    return _inspect_source(options) if options.augment is None else _inspect_augment(options)


def _refuse(options: argparse.Namespace, names: Sequence[str], wanted: str, got: str) -> None:
    """Refuse options that say something of the other kind of subject."""
    for name in names:
        if getattr(options, name) is not None:
            raise InputError(
                f"--{name} does not go with {got}",
                expected=f"{wanted}",
                got=options.subject,
                do=f"leave --{name} out, or name {wanted}",
            )


def _check_is_source(name: str, models: Any) -> None:
    """Refuse a bare word that is no file, data set or model, and name the nearest of all."""
    from glial.data import DATASETS

    if name not in DATASETS and not (glob.has_magic(name) or Path(name).suffix):
        try:
            is_there = Path(name).exists()
        except OSError:
            is_there = False
        if not is_there:
            raise unknown_name("file, data set or model", name, [*DATASETS, *models])


def _inspect_source(options: argparse.Namespace) -> int:
    from glial.cli.quality import print_quality
    from glial.runs import inspect

    report = inspect(options.subject, set=experiment_changes(options))
    if options.json:
        print_json({"source": options.subject, **report.to_dict()})
    else:
        print_quality(report)
    return 1 if options.strict and not report.healthy else 0


def _inspect_against(options: argparse.Namespace) -> int:
    """Tell how the source differs from other rows."""
    from glial.cli.drifts import print_drift
    from glial.evaluation import source_drift

    for name in ("target", "task", "val", "test", "group", "time", "weight", "folds", "augment"):
        if getattr(options, name) is not None:
            raise InputError(
                f"--{name} does not go with --against",
                expected="two sources, --seed, and --set data.types.COLUMN=KIND",
                got=f"--{name}",
                do=f"leave --{name} out: all columns are compared",
            )
    found = source_drift(options.subject, options.against, set=experiment_changes(options))
    result = found.to_dict()
    if options.json:
        print_json({"source": options.subject, "against": options.against, **result})
    else:
        print_drift(result)
    return 1 if options.strict and found.matters else 0


def _inspect_augment(options: argparse.Namespace) -> int:
    """Show what augmentation makes of a few training rows."""
    from glial.cli.tables import print_table
    from glial.core.files import write_atomic
    from glial.runs import preview_augmentation
    from glial.runs.augmentation import told_settings

    path = Path(options.augment)
    if path.suffix.lower() != ".png":
        raise InputError(
            "--augment draws a PNG file",
            expected="a name that ends with .png",
            got=str(path),
            do=f"write --augment {path.with_suffix('.png')}",
        )
    plan, preview = preview_augmentation(options.subject, set=experiment_changes(options))
    picture, rows = preview.png(), preview.table()
    if picture is not None:
        write_atomic(path, picture)
    augment = plan.to_values()["data"]["augment"]
    drawn = None if picture is None else str(path)
    if options.json:
        print_json({"source": options.subject, "augment": augment, "sheet": drawn, "rows": rows})
        return 0
    if rows:
        print_table(
            ["label", "holds", "original", "changed"],
            [
                [row["label"], row["holds"], _told(row, "original"), _told(row, "changed")]
                for row in rows
            ],
        )
    print(f"data.augment: {told_settings(plan.data.augment)}")
    if drawn:
        print(f"sheet: {drawn}")
    return 0


def _told(row: dict[str, Any], key: str) -> str:
    return " ".join(f"{value:.4g}" for value in row[key])


def _inspect_model(options: argparse.Namespace) -> int:
    """Print the summary, and draw the graph where asked."""
    from glial.cli.tables import print_table
    from glial.core.files import write_atomic
    from glial.nn.graph import capture, draw_svg
    from glial.nn.summary import summarize

    batch = 1 if options.batch is None else options.batch
    if batch < 1:
        raise InputError("--batch is wrong", expected="at least 1 row", got=str(batch))
    check_pictures(options)
    check_attention(options)
    check_cells(options)
    network, sizes, encoder = _network(options)
    inputs = _trial(sizes, batch)
    if hasattr(network, "draw"):
        inputs = _drawn(network, sizes, inputs)
    summary = summarize(network, inputs)
    result: dict[str, Any] = {"model": options.subject, **summary.to_dict(), "svg": options.svg}
    if options.svg:
        write_atomic(Path(options.svg), draw_svg(capture(network, inputs)))
    pictures = draw_pictures(options, network, sizes, encoder)
    result |= pictures | draw_attention(options) | draw_map(options)
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
        f"{summary.activation_bytes:,} bytes of activations for {batch} rows"
    )
    if options.svg:
        print(f"graph: {options.svg}")
    print_pictures(pictures)
    if options.attention is not None:
        print(f"attention: {options.out}")
    if options.cells is not None:
        print(f"cells: {options.cells}")
    return 0


def _network(options: argparse.Namespace) -> tuple[Any, dict[str, Any], Callable[[Path], Any]]:
    """The network, what it was built for, and what turns a photo into what it takes."""
    from glial.core.settings import override
    from glial.models import MODELS, build
    from glial.runs import load

    if (Path(options.subject) / "plan.yaml").exists():
        run = load(options.subject)
        found = (run.members or [run])[0]
        if run.members:
            logger.info("the first of %d networks", len(run.members))
        return found.model, found.sizes, lambda path: encoder_of_run(found)
    kind = MODELS.resolve(options.subject)
    outputs = getattr(kind, "num_classes", 1) if options.outputs is None else options.outputs
    sizes: dict[str, Any] = {
        "num_inputs": 10 if options.inputs is None else options.inputs,
        "num_outputs": outputs,
        "cardinalities": [],
    }
    if not kind.takes_numbers:
        sizes["num_inputs"] = 0
    if kind.takes_images and not kind.takes_numbers:
        sizes["images"] = [list(getattr(kind, "input_size", IMAGE))]
    if kind.takes_sequences and not kind.takes_numbers:
        sizes["sequences"] = [[options.inputs or 1]]
    if kind.takes_texts and not kind.takes_numbers:
        sizes["vocabularies"] = [options.inputs or VOCABULARY]
    if kind.takes_words:
        sizes["words"] = [[options.inputs or VOCABULARY] * 2]
        sizes["num_outputs"] = max(2, outputs)
    pairs = [text.partition("=") for text in options.set]
    settings = override({}, {key: value for key, _, value in pairs})
    network = build(options.subject, **sizes, **settings)
    return network, sizes, lambda path: encoder_of_model(kind, sizes["images"][0], path)


def _trial(sizes: dict[str, Any], batch: int) -> tuple[Any, ...]:
    """Rows that hold nothing, of the sizes that a network was built for."""
    import torch

    cardinalities, texts = sizes["cardinalities"], sizes.get("vocabularies", [])
    inputs = [torch.ones(batch, TOKENS, dtype=torch.int64) for _ in texts]
    steps = [torch.zeros(batch, TOKENS, *size) for size in sizes.get("sequences", [])]
    images = [torch.zeros(batch, *size) for size in sizes.get("images", [])]
    words = [
        torch.ones(batch, TOKENS, len(counts) + LETTERS, dtype=torch.int64)
        for counts in sizes.get("words", [])
    ]
    inputs = [*images, *steps, *inputs, *words]
    if cardinalities:
        inputs = [torch.zeros(batch, len(cardinalities), dtype=torch.int64), *inputs]
    if sizes["num_inputs"] or cardinalities or not inputs:
        inputs = [torch.zeros(batch, int(sizes["num_inputs"])), *inputs]
    return tuple(inputs)


def _drawn(network: Any, sizes: dict[str, Any], inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a network that learns from rows alone is called with: rows, and what it draws."""
    import torch

    from glial.core.seeds import torch_generator

    rows = list(inputs)
    if sizes.get("sequences"):
        rows.append(torch.full((len(inputs[0]),), TOKENS))
    if sizes.get("num_outputs"):
        rows.append(torch.zeros(len(inputs[0]), dtype=torch.int64))
    drawn: tuple[Any, ...] = network.draw(*rows, generator=torch_generator(0, "trial")).inputs
    return drawn
