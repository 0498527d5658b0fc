"""``glial stylize``: a photograph in the style of another."""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from glial.cli.arguments import number
from glial.cli.main import print_json
from glial.core.errors import InputError

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
QUALITY = 92  # of JPEG


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    add = parser.add_argument
    whole, real = number(int), number(float)
    add("content", metavar="CONTENT", help="the image whose content is kept")
    add("style", metavar="STYLE", help="the image whose style it gets")
    add("--out", metavar="FILE", required=True, help="a .png or .jpg file")
    add("--network", metavar="RUN", default="imagenet", help="a run of images (imagenet)")
    add("--steps", type=whole, default=150, metavar="N", help="steps of the optimiser (150)")
    add("--size", type=whole, default=256, metavar="S", help="pixels of the longer side (256)")
    add("--strength", type=real, default=1.0, metavar="X", help="how much the style counts (1)")
    add("--smoothness", type=real, default=0.3, metavar="X", help="weight of variation (0.3)")
    add("--layer", action="append", metavar="NAME", help="a layer of the style; may be repeated")
    add("--content-layer", action="append", metavar="NAME", help="a layer of the content")
    add("--start", choices=["content", "noise"], default="content", help="(content)")
    add("--seed", type=whole, default=0, metavar="S", help="seed of --start noise (0)")


def run(options: argparse.Namespace) -> int:
    """Paint the image, and write it whole or not at all."""
    out = Path(options.out)
    if out.suffix.lower() not in FORMATS:
        raise InputError(
            f"the ending of {out} is not known",
            expected=f"one of {', '.join(FORMATS)}",
            got=repr(out.suffix),
            do=f"write --out {out.with_suffix('.png')}",
        )
    if not out.parent.is_dir():
        raise InputError(
            f"there is no folder {out.parent}",
            expected="an existing folder for the image",
            got=str(out),
            do="make the folder, or choose another",
        )
    from glial.core.files import write_atomic
    from glial.data.images.decoding import pillow_image
    from glial.runs import stylize

    painted = stylize(
        options.content,
        options.style,
        network=options.network,
        content_layers=options.content_layer,
        style_layers=options.layer,
        steps=options.steps,
        size=options.size,
        strength=options.strength,
        smoothness=options.smoothness,
        start=options.start,
        seed=options.seed,
    )
    file = io.BytesIO()
    image = pillow_image().fromarray(painted.pixels)
    image.save(file, FORMATS[out.suffix.lower()], quality=QUALITY)
    write_atomic(out, file.getvalue())
    first, last = painted.history[0], painted.history[-1]
    if options.json:
        layers = {"layers": painted.style_layers, "content_layers": painted.content_layers}
        print_json({"out": str(out), "first": first, "last": last, **layers})
    else:
        height, width = painted.pixels.shape[:2]
        print(f"wrote {width} x {height} pixels to {out}")
        print(f"style {first['style']:.4f} -> {last['style']:.4f}, content {last['content']:.4f}")
    return 0
