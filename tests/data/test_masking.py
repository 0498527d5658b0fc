"""Hidden tokens: how many, what stands in their place, and that nothing else changes."""

from __future__ import annotations

import pytest
import torch

from glial.data.masking import Masked, mask_tokens

VOCABULARY = 50


def texts(rows: int, length: int) -> torch.Tensor:
    """Rows of a start, tokens, an end and padding, each of another length."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(5, VOCABULARY, (rows, length), generator=generator)
    ends = 2 + torch.arange(rows) % (length - 2)
    place = torch.arange(length)
    tokens = tokens.where(place < ends[:, None], 0).scatter(1, ends[:, None], 3)
    tokens[:, 0] = 2
    return tokens


def masked(tokens: torch.Tensor, seed: int = 0, share: float = 0.15) -> Masked:
    generator = torch.Generator().manual_seed(seed)
    return mask_tokens(
        tokens,
        mask=4,
        specials=[0, 2, 3, 4],
        vocabulary=VOCABULARY,
        generator=generator,
        share=share,
    )


@pytest.mark.parametrize("share", [0.15, 0.5, 1.0])
def test_what_is_hidden_by_the_law(share: float) -> None:
    tokens = texts(40, 30)
    found = masked(tokens, share=share)
    counts = (tokens >= 5).sum(dim=1)
    valid = found.target >= 0
    assert valid.sum(dim=1).tolist() == [max(1, round(share * int(n))) for n in counts]
    rows = torch.arange(40)[:, None].expand_as(found.places)[valid]
    places = found.places[valid]
    assert torch.equal(tokens[rows, places], found.target[valid])
    assert (found.target[valid] >= 5).all()
    assert len({*zip(rows.tolist(), places.tolist(), strict=True)}) == len(places)  # none twice
    untouched = torch.ones_like(tokens, dtype=torch.bool)
    untouched[rows, places] = False
    assert torch.equal(found.tokens[untouched], tokens[untouched])
    assert (found.places[~valid] == 0).all()


def test_eight_of_ten_are_hidden_one_is_another_and_one_stays() -> None:
    tokens = texts(2000, 60)
    found = masked(tokens)
    valid = found.target >= 0
    now = found.tokens.gather(1, found.places)[valid]
    was = found.target[valid]
    drawn = (now != was) & (now != 4)
    shares = [float(part.float().mean()) for part in (now == 4, drawn, now == was)]
    # Of those drawn anew, one in 46 (46 tokens are not special) is the same.
    assert shares == pytest.approx([0.8, 0.1 * 45 / 46, 0.1 + 0.1 / 46], abs=0.015)
    assert not {0, 2, 3, 4} & set(now[drawn].tolist())
    assert {1} <= set(now[drawn].tolist())


def test_seeds_decide() -> None:
    tokens = texts(20, 20)
    assert torch.equal(masked(tokens).tokens, masked(tokens).tokens)
    assert not torch.equal(masked(tokens).places, masked(tokens, seed=1).places)


def test_a_text_of_nothing_has_nothing_to_hide() -> None:
    tokens = torch.tensor([[2, 3, 0], [2, 9, 3]])
    found = masked(tokens)
    assert found.target.tolist() == [[-1], [9]]
    assert found.tokens[0].tolist() == [2, 3, 0]
