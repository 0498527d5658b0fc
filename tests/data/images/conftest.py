"""Images made with Pillow, as content of files."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Packed = Callable[..., bytes]


def pack(pixels: Any, ending: str = "PNG", mode: str | None = None, **options: Any) -> bytes:
    """The content of an image file of some pixels."""
    image = Image.fromarray(np.asarray(pixels))
    file = io.BytesIO()
    (image if mode is None else image.convert(mode)).save(file, ending, **options)
    return file.getvalue()


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """Writes an image below the test's folder."""

    def write(name: str, pixels: Any, ending: str = "PNG", **options: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pixels if isinstance(pixels, bytes) else pack(pixels, ending, **options))
        return path

    return write
