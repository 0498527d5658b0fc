"""The network of mixed rows: its parts, their order, and what each is worth."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor, nn

import glial
from glial.core.errors import InputError
from glial.models import MODELS, ModelSettings, build
from glial.models.mixed import MixedSettings

NUMBERS = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
CODES = torch.tensor([[0], [1], [2]])
IMAGES = torch.rand(3, 3, 4, 4, generator=torch.Generator().manual_seed(1))
TOKENS = torch.tensor([[2, 3, 0], [4, 0, 0], [5, 2, 3]])
SIZES: dict[str, dict[str, Any]] = {
    "numbers": {"num_inputs": 2},
    "categories": {"cardinalities": [3]},
    "image": {"images": [[3, 4, 4]]},
    "text": {"vocabularies": [9]},
}
PARTS = {"numbers": NUMBERS, "categories": CODES, "image": IMAGES, "text": TOKENS}


class Means(nn.Module):
    """The least that a network of images is."""

    num_features = 3

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 1)

    def embed(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3))


class MeansSettings(ModelSettings):
    takes_numbers: ClassVar[bool] = False
    takes_images: ClassVar[bool] = True
    name: Literal["means"] = "means"

    def for_data(self, num_rows, num_inputs, num_outputs, task="classification", images=()):
        return self.model_copy()

    def build(self, num_inputs, num_outputs, cardinalities=(), images=()):
        return Means()


@pytest.fixture(autouse=True)
def means(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS._own, "means", f"{__name__}:MeansSettings")


def network_of(*kinds: str, **settings: Any) -> tuple[nn.Module, list[Tensor]]:
    torch.manual_seed(0)
    sizes = {key: value for kind in kinds for key, value in SIZES[kind].items()}
    network = build("mixed", num_outputs=2, image="means", width=6, **sizes, **settings)
    inputs = [PARTS[kind] for kind in kinds]
    if kinds[0] == "categories":
        inputs = [torch.zeros(3, 0), *inputs]
    return network.eval(), inputs


@pytest.mark.parametrize(
    "kinds",
    [
        ("numbers", "categories", "image", "text"),
        ("numbers", "text"),
        ("categories", "text"),
        ("image", "text"),
        ("image",),
        ("numbers", "categories"),
    ],
    ids="-".join,
)
def test_every_part_of_a_row_counts(kinds: tuple[str, ...]) -> None:
    network, inputs = network_of(*kinds)
    before = network(*inputs)
    assert before.shape == (3, 2)
    for place, part in enumerate(inputs):
        if part.numel():
            changed = [p.flip(0) if i == place else p for i, p in enumerate(inputs)]
            assert (network(*changed)[0] - before[0]).abs().max() > 1e-6


def test_two_texts_have_networks_of_their_own() -> None:
    network = build("mixed", num_outputs=1, vocabularies=[9, 30], text="text_cnn")
    assert [len(b.network.embedding.weight) for b in network.branches] == [9, 30]
    assert not [name for name, _ in network.named_parameters() if "network.head" in name]


def test_a_part_has_settings_of_its_own() -> None:
    text = {"name": "text_cnn", "size": 5, "widths": [2]}
    chosen = MixedSettings(text=text, image="means").for_data(1000, 2, 1, images=[[3, 4, 4]])
    assert chosen.text["size"] == 5
    assert chosen.image["name"] == "means"
    network = chosen.build(2, 1, vocabularies=[9])
    assert network.branches[0].network.embedding.embedding_dim == 5
    with pytest.raises(InputError, match=r"unknown key 'model\.text\.sizee'"):
        MixedSettings(text={"name": "text_cnn", "sizee": 5}).build(0, 1, vocabularies=[9])


@pytest.mark.parametrize("name", ["tabular", "mixed", "means"])
def test_a_network_that_reads_no_text_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot read the texts"):
        build("mixed", num_outputs=1, vocabularies=[9], text=name)


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(InputError, match="text_cnm"):
        build("mixed", num_outputs=1, vocabularies=[9], text="text_cnm")


def table(rows: int = 900) -> pl.DataFrame:
    """A sum of what a number, a category and a text each say, and a little noise."""
    generator = np.random.default_rng(0)
    number = generator.normal(size=rows)
    colour = generator.integers(0, 12, rows)
    mood = generator.integers(0, 2, rows)
    fillers = generator.choice(["the", "film", "was", "seen", "in", "town"], (rows, 5))
    words = [("dull", "grand")[m] for m in mood]
    texts = [f"{' '.join(some)} {word}" for some, word in zip(fillers, words, strict=True)]
    total = number + generator.permutation(np.linspace(-1.7, 1.7, 12))[colour] + (2.0 * mood - 1)
    return pl.DataFrame(
        {
            "number": number,
            "colour": [f"colour {c}" for c in colour],
            "text": texts,
            "total": total + 0.1 * generator.normal(size=rows),
        }
    )


@pytest.mark.slow
def test_each_part_holds_part_of_the_answer(tmp_path) -> None:
    types = {"number": "number", "colour": "category", "text": "text"}

    def r2(without: str | None) -> float:
        kinds = {**types, **({without: "identifier"} if without else {})}
        run = glial.train(
            table(),
            "total",
            model="mixed",
            epochs=15,
            out=False,
            set={"data.types": kinds},
        )
        return run.metrics["test"]["r2"]

    assert r2(None) > 0.95
    for part in types:
        assert r2(part) < 0.8


@pytest.mark.slow
def test_a_mixed_run_predicts_from_its_folder(tmp_path) -> None:
    frame = table(300)
    run = glial.train(
        frame,
        "total",
        epochs=2,
        out=tmp_path / "run",
        set={"data.types.text": "text", "model.text": {"name": "text_gru", "size": 8}},
    )
    assert run.plan.model["name"] == "mixed"
    assert run.plan.model["text"]["num_units"] is None
    again = glial.predict(glial.load(tmp_path / "run"), frame)
    assert again.equals(glial.predict(run, frame))
