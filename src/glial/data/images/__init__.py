"""Images: found in folders, archives and arrays, and decoded to pixels of 8 bits."""

from glial.data.images.columns import (
    Decoded,
    Scan,
    choose_form,
    decode_images,
    scan_images,
)
from glial.data.images.decoding import (
    Header,
    ImageForm,
    UnreadableImageError,
    decode,
    decode_file,
    fit_pixels,
    read_header,
    to_bytes,
)
from glial.data.images.settings import ImageSettings

__all__ = [
    "Decoded",
    "Header",
    "ImageForm",
    "ImageSettings",
    "Scan",
    "UnreadableImageError",
    "choose_form",
    "decode",
    "decode_file",
    "decode_images",
    "fit_pixels",
    "read_header",
    "scan_images",
    "to_bytes",
]
