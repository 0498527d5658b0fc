"""What ``glial inspect`` draws of a network of images: its filters, its maps, its fields."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from glial.core.errors import InputError

DRAWN = ("filters", "maps", "fields")
PICTURE_OPTIONS = (*DRAWN, "image", "layer")


def add_picture_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be drawn of a network of images.

    Example:
        >>> parser = argparse.ArgumentParser()
        >>> add_picture_arguments(parser)
        >>> parser.parse_args(["--filters", "f.png", "--layer", "a", "--layer", "b"]).layer
        ['a', 'b']
    """
    add = parser.add_argument
    add("--filters", metavar="FILE.png", help="draw the filters of convolutions")
    add("--maps", metavar="FILE.png", help="draw what layers make of the photo of --image")
    add("--image", metavar="PHOTO", help="an image file, for --maps")
    add("--fields", metavar="FILE.png", help="draw where in an image units of each layer look")
    add(
        "--layer",
        action="append",
        metavar="NAME",
        help="a layer to draw, by a name from the table; may be repeated",
    )


def check_pictures(options: argparse.Namespace) -> None:
    """Refuse pictures that cannot be drawn, before anything is.

    Raises:
        InputError: If a file is no PNG, or an option lacks the one that it belongs to.

    Example:
        >>> parser = argparse.ArgumentParser()
        >>> add_picture_arguments(parser)
        >>> check_pictures(parser.parse_args(["--fields", "f.png"]))
    """
    for name in DRAWN:
        file = getattr(options, name)
        if file is not None and Path(file).suffix.lower() != ".png":
            raise InputError(
                f"--{name} draws a PNG file",
                expected="a name that ends with .png",
                got=repr(file),
                do=f"write --{name} {Path(file or name).with_suffix('.png')}",
            )
    if options.maps is not None and options.image is None:
        raise InputError(
            "--maps shows what layers make of an image, and there is none",
            expected="--image PHOTO",
            got="no --image",
            do="name an image file with --image",
        )
    if options.image is not None and options.maps is None:
        raise InputError(
            "--image belongs to --maps",
            expected="--maps FILE.png",
            got="no --maps",
            do="say with --maps where the picture goes, or leave --image out",
        )
    drawn = (*DRAWN, "attention")
    if options.layer and all(getattr(options, name, None) is None for name in drawn):
        raise InputError(
            "--layer says what to draw, and nothing is drawn",
            expected="--filters, --maps, --fields or --attention",
            got=f"--layer {options.layer[0]}",
            do="say what to draw, or leave --layer out",
        )


def draw_pictures(
    options: argparse.Namespace,
    network: Any,
    sizes: dict[str, Any],
    encoder: Callable[[Path], Any],
) -> dict[str, Any]:
    """Draw what was asked for.

    Args:
        options: The command's.
        network: The network.
        sizes: What it was built for.
        encoder: Gives what turns a photo into what the network takes.

    Returns:
        The file of each picture, None of those not drawn, and ``receptive_fields``.

    Raises:
        InputError: If the network has no convolutions, does not take one image, lacks a layer,
            or the photo cannot be read.
    """
    from glial.core.files import write_atomic
    from glial.nn.pictures import draw_filters, draw_maps, draw_receptive_fields
    from glial.nn.pictures.layers import check_convolves

    drawn: dict[str, Any] = {name: getattr(options, name) for name in DRAWN}
    sheets, fields = {}, []
    if any(drawn.values()):
        check_convolves(network)
    if options.filters:
        sheets["filters"] = draw_filters(network, options.layer)
    if options.maps:
        _check_one_image(sizes)
        photo = _photo(Path(options.image), encoder)
        sheets["maps"] = draw_maps(network, photo, options.layer)
    if options.fields:
        channels, height, width = _check_one_image(sizes)
        found = draw_receptive_fields(network, (channels, height, width), options.layer)
        sheets["fields"], fields = found[0], [field.to_dict() for field in found[1]]
    for name, sheet in sheets.items():
        write_atomic(Path(drawn[name]), sheet.png())
    return {**drawn, "receptive_fields": fields}


def print_pictures(told: dict[str, Any]) -> None:
    """Say what was drawn, and how far each layer sees.

    Example:
        >>> fields = [{"layer": "a", "height": 3, "width": 3, "stride": 1}]
        >>> files = {"filters": None, "maps": None, "fields": "f.png"}
        >>> print_pictures({**files, "receptive_fields": fields})  # doctest: +NORMALIZE_WHITESPACE
        layer  height  width  stride
        a      3       3      1
        fields: f.png
    """
    from glial.cli.tables import print_table

    if told["receptive_fields"]:
        columns = list(told["receptive_fields"][0])
        print_table(columns, [list(row.values()) for row in told["receptive_fields"]])
    for name in DRAWN:
        if told[name]:
            print(f"{name}: {told[name]}")


def _check_one_image(sizes: dict[str, Any]) -> list[int]:
    """The size of the one image that a network takes."""
    images = [[int(length) for length in image] for image in sizes.get("images", [])]
    others = [sizes["num_inputs"], *sizes["cardinalities"], *sizes.get("vocabularies", [])]
    if len(images) != 1 or any(others):
        raise InputError(
            "maps and fields are drawn of networks that take one image",
            expected="a row of one image and nothing else",
            got=f"{len(images)} images and other inputs",
            do="draw --filters, which need no image",
        )
    return images[0]


def _photo(path: Path, encoder: Callable[[Path], Any]) -> Any:
    """A photo as the network takes it, [channel, height, width]."""
    import polars as pl

    from glial.data.images import UnreadableImageError, read_header

    try:
        read_header(str(path))
    except UnreadableImageError as error:
        raise InputError(
            f"the image {path} cannot be read",
            expected="an image file: JPEG, PNG, GIF, BMP, TIFF or WebP",
            got=str(error),
            do="check the path given with --image",
        ) from error
    fitted = encoder(path)
    finished = fitted.finish(fitted.tensor(pl.Series("--image", [str(path)])))
    # Behind images of varied sizes there is a mask.
    pixels = finished[0] if isinstance(finished, tuple) else finished
    return pixels[0]


def encoder_of_run(run: Any) -> Any:
    """How a run's one column of images is encoded."""
    from glial.data.encoders import ImageEncoder

    encoders = run.encoding.encoders.values()
    return next(encoder for encoder in encoders if isinstance(encoder, ImageEncoder))


def encoder_of_model(kind: Any, size: list[int], path: Path) -> Any:
    """How a photo is scaled for a named model, as its weights were published for."""
    import polars as pl

    from glial.data.encoders import ImageEncoder
    from glial.data.images import ImageSettings
    from glial.data.settings import DataSettings

    channels, height, width = size
    images = ImageSettings(
        size=[height, width],
        channels="grey" if channels == 1 else "rgb",
        scaling=getattr(kind, "normalization", "standard"),
    )
    column = pl.Series("--image", [str(path)])
    return ImageEncoder.fit(column, DataSettings(images=images))
