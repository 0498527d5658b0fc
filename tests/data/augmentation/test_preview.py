"""A look at augmentation: the pixels on the sheet, and the words under them."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image

from glial.data import Batch
from glial.data.augmentation import Augmentation, AugmentSettings, Preview
from glial.data.augmentation.preview import GAP, LINE, SIDE


def opened(preview):
    return np.array(Image.open(io.BytesIO(preview.png())))


def test_the_sheet_shows_each_row_beside_its_versions():
    images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    images[0, 0], images[1, 2] = 255, 102
    rows = Batch((images,), torch.tensor([0, 1]))
    preview = Preview.of(rows, ["a", "b"], ["image"], None, versions=3)
    sheet = opened(preview)
    for line, colour in enumerate(([255, 0, 0], [0, 0, 102])):
        top = GAP + LINE + line * (SIDE + LINE + GAP)
        for column in range(4):
            left = GAP + column * (SIDE + GAP) + (2 * GAP if column else 0)
            place = sheet[top : top + SIDE, left : left + SIDE]
            assert place.shape == (SIDE, SIDE, 3)
            assert (place == colour).all()
    assert (sheet[:GAP] == 255).all()


def test_pixels_are_enlarged_unblurred_and_floats_are_shown_as_bytes_are():
    images = torch.arange(16, dtype=torch.uint8).reshape(1, 1, 4, 4) * 16
    rows = Batch((images,), torch.zeros(1))
    held = opened(Preview.of(rows, ["x"], ["image"], None, versions=1))
    floats = Batch((images.float() / 255,), torch.zeros(1))
    assert np.array_equal(held, opened(Preview.of(floats, ["x"], ["image"], None, versions=1)))
    pixels = held[GAP + LINE : GAP + LINE + SIDE, GAP : GAP + SIDE, 0]
    assert np.array_equal(pixels, np.kron(images[0, 0].numpy(), np.ones((24, 24), np.uint8)))


def test_large_images_are_made_smaller():
    rows = Batch((torch.full((1, 1, 480, 960), 7, dtype=torch.uint8),), torch.zeros(1))
    sheet = opened(Preview.of(rows, ["wide"], ["image"], None, versions=2))
    assert sheet.shape[0] < 100
    assert (sheet[GAP + LINE : GAP + LINE + SIDE // 2, GAP : GAP + SIDE] == 7).all()


def test_a_mixed_row_is_told_with_both_of_its_labels_and_their_shares():
    rows = Batch((torch.rand(3, 2),), torch.tensor([[0.5], [1.5], [2.5]]))
    augmentation = Augmentation(AugmentSettings(mixup=1.0), ["number"], rows)
    preview = Preview.of(rows, ["a", "b", "c"], ["number"], augmentation, versions=1)
    version = preview.versions[0]
    assert preview.png() is None
    for row, line in enumerate(preview.table()):
        share = float(version.weight[row])
        other = "abc"[int(version.other[row, 0])]
        assert line["label"] == f"{share:.0%} {'abc'[row]}, {1 - share:.0%} {other}"
        assert line["original"] == rows.inputs[0][row].tolist()
        assert line["changed"] == version.inputs[0][row].tolist()


def test_tokens_are_in_the_table_and_images_are_not():
    rows = Batch((torch.rand(2, 1, 4, 4), torch.tensor([[5, 6, 7], [8, 9, 0]])), torch.zeros(2))
    modalities = ["image", "text"]
    augmentation = Augmentation(AugmentSettings(token_dropout=0.5), modalities)
    table = Preview.of(rows, ["a", "b"], modalities, augmentation).table()
    assert [line["holds"] for line in table] == ["text", "text"]
    assert table[0]["original"] == [5, 6, 7]
    assert set(table[1]["changed"]) <= {8, 9, 1, 0}
