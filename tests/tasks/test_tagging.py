"""The task of tagging: losses by hand and by the chain, decoding, metrics, damaged states."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
import torch
from sklearn import metrics

from glial.core.errors import InputError
from glial.functional import chain_loss, viterbi
from glial.nn import ChainScores
from glial.tasks import (
    Task,
    TaskSettings,
    fit_task,
    healthy_first_loss,
    load_task,
    trivial_scores,
)
from glial.tasks.tagging import Tagging, lengths_of, unseen_tags

FRAME = pl.DataFrame({"tags": [["O", "B-x", "I-x"], ["O"], ["B-y", "O"], []]})
# In order: B-x, B-y, I-x, O.


def tagging(frame: pl.DataFrame = FRAME, **settings: object) -> Tagging:
    return fit_task(frame, ["tags"], TaskSettings(name="tagging", **settings))


def potentials(rows: int = 4, length: int = 3) -> torch.Tensor:
    torch.manual_seed(0)
    layer = ChainScores(4)
    with torch.no_grad():
        layer.transitions.normal_()
    return layer(torch.randn(rows, length, 4), torch.tensor([3, 1, 2, 0])[:rows]).detach()


def test_it_is_a_task() -> None:
    task = tagging()
    assert isinstance(task, Task)
    assert (task.labels.names, task.scheme) == (["B-x", "B-y", "I-x", "O"], "IOB2")
    assert task.encode(FRAME).tolist() == [[3, 0, 2], [3, -1, -1], [1, 3, -1], [-1, -1, -1]]
    unseen = pl.DataFrame({"tags": ["O B-z"]})
    assert task.encode(unseen).tolist() == [[3, -2]]


def test_the_loss_is_that_of_the_chain_by_tag() -> None:
    task, pairs = tagging(), potentials()
    target, lengths = task.encode(FRAME), torch.tensor([3, 1, 2, 0])
    by_row = chain_loss(pairs, target, lengths)
    torch.testing.assert_close(task.loss(pairs, target), by_row.sum() / 6)
    weight = torch.tensor([2.0, 0.0, 1.0, 1.0])
    torch.testing.assert_close(task.loss(pairs, target, weight), (weight * by_row).sum() / 8)
    assert task.mass(target).item() == 6
    assert task.mass(target, weight).item() == 8
    wider = torch.nn.functional.pad(target, (0, 4), value=-1)
    torch.testing.assert_close(task.loss(pairs, wider), task.loss(pairs, target))


def test_of_shares_it_is_cross_entropy() -> None:
    task, scores = tagging(), torch.randn(4, 3, 4)
    target = task.encode(FRAME)
    wanted = torch.nn.functional.cross_entropy(
        scores.flatten(0, 1), target.flatten(), ignore_index=-1
    )
    torch.testing.assert_close(task.loss(scores, target), wanted)
    assert healthy_first_loss(task, target) == pytest.approx(math.log(4))


def test_parts_of_a_batch_add_up() -> None:
    task, pairs = tagging(), potentials()
    target = task.encode(FRAME)
    parts = [slice(0, 2), slice(2, 4)]
    masses = [task.mass(target[part]) for part in parts]
    losses = [task.loss(pairs[part], target[part]) for part in parts]
    whole = sum(loss * mass for loss, mass in zip(losses, masses, strict=True)) / sum(masses)
    torch.testing.assert_close(whole, task.loss(pairs, target))


def test_rows_with_unseen_tags_are_left_out_of_the_loss() -> None:
    task, pairs = tagging(), potentials(2)
    target = torch.tensor([[3, -2, 2], [3, -1, -1]])
    torch.testing.assert_close(task.loss(pairs, target), task.loss(pairs[1:], target[1:]))
    assert math.isfinite(task.monitor(pairs, target)["f1"])
    assert float(task.loss(pairs[:1], target[:1])) == 0.0


def test_decoding_keeps_the_scheme_with_and_without_a_chain() -> None:
    task = tagging()
    for outputs in (potentials(), torch.randn(4, 3, 4).log_softmax(dim=2)):
        rows = task.decode(outputs).predictions["prediction"].to_list()
        for row in rows:
            assert all(a in ("B-x", "I-x") for a, b in zip(["", *row], row) if b == "I-x")  # noqa: B905
    likely = torch.tensor([[[0.0, 0, 9, 0], [0, 0, 9, 0]]])  # I-x first, which may not be
    assert task.decode(likely).predictions["prediction"].to_list() == [["B-x", "I-x"]]


def test_lengths_stand_in_the_outputs() -> None:
    pairs = potentials()
    assert lengths_of(pairs).tolist() == [3, 1, 2, 0]
    counts = tagging().decode(pairs).predictions["prediction"].list.len()
    assert counts.to_list() == [3, 1, 2, 0]


def test_free_tags_are_the_best_of_the_chain() -> None:
    frame = pl.DataFrame({"tags": [["N", "V", "A"], ["D"], ["N", "V"], []]})
    task, pairs = tagging(frame), potentials()
    best = viterbi(pairs, torch.tensor([3, 1, 2, 0])).tags[:, 0]
    found = task.decode(pairs).predictions["prediction"].to_list()
    names = task.labels.names
    assert found == [[names[code] for code in row if code >= 0] for row in best.tolist()]
    assert task.monitored == ("loss", "accuracy")
    assert set(task.scores(pairs, frame)) == {"accuracy", "balanced_accuracy", "f1_macro"}


def certain(task: Tagging, rows: list[list[str]]) -> torch.Tensor:
    """Outputs that say these tags."""
    outputs = torch.zeros(len(rows), 3, 4)
    for row, tags in enumerate(rows):
        for place, tag in enumerate(tags):
            outputs[row, place, task.labels.names.index(tag)] = 9.0
    return outputs


def test_metrics_by_hand() -> None:
    task = tagging()
    said = certain(task, [["O", "B-x", "O"], ["O"], ["B-y", "O"], []])
    scores = task.scores(said, FRAME)
    assert scores["accuracy"] == pytest.approx(5 / 6)
    assert scores["f1"] == scores["precision"] == scores["recall"] == 0.5
    assert scores["f1_macro"] == 0.5
    assert task.monitor(said, task.encode(FRAME))["f1"] == 0.5
    details = task.details(said, FRAME)
    assert details["types"]["y"]["f1"] == 1.0
    assert details["strict"]["f1"] == 0.5
    # Words that the network never saw have the commonest tag.
    assert task.scores(said[:, :1], FRAME)["accuracy"] == pytest.approx(4 / 6)


def test_the_trivial_predictor_says_the_commonest_tag() -> None:
    scores = trivial_scores(tagging(), FRAME)
    assert scores["accuracy"] == 0.5
    assert scores["f1"] == 0.0


def test_labels_keep_their_type() -> None:
    task = tagging(pl.DataFrame({"tags": [[3, 10], [3]]}))
    outputs = torch.tensor([[[5.0, 0.0], [0.0, 5.0]]])
    assert task.decode(outputs).predictions["prediction"].to_list() == [[3, 10]]


def test_members_are_pooled_by_their_shares() -> None:
    task, other = tagging(), tagging(FRAME.head(2))
    assert other.labels.names == ["B-x", "I-x", "O"]
    chain, plain = potentials(2), torch.randn(2, 3, 3).log_softmax(dim=2)
    plain[1, 1:] = 0.0
    pooled = task.pool([(task, chain), (other, plain)])
    assert pooled.shape == (2, 3, 4)
    shares = pooled.exp()[0]
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        shares[:, 3], (task.pool([(task, chain)]).exp()[0, :, 3] + plain[0, :, 2].exp()) / 2
    )
    assert lengths_of(pooled).tolist() == [3, 1]


def test_states_survive_and_damaged_ones_are_refused() -> None:
    task = tagging()
    again = load_task(task.state(), TaskSettings(name="tagging"))
    assert isinstance(again, Tagging)
    assert again.state() == task.state()
    for change in ({"classes": ["a"]}, {"shares": [0.5]}, {"scheme": "x"}, {"more": 1}):
        with pytest.raises(InputError, match="damaged"):
            load_task({**task.state(), **change}, TaskSettings(name="tagging"))


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="at least two tags"):
        tagging(pl.DataFrame({"tags": [["O", "O"]]}))
    with pytest.raises(InputError, match="not weighed by class"):
        tagging(class_weights="balanced")
    with pytest.raises(InputError, match="does not fit the task 'tagging'"):
        tagging(loss="focal")
    with pytest.raises(InputError, match="threshold"):
        tagging(threshold=0.5)


def test_a_loss_of_ones_own() -> None:
    def own(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return outputs.mean() + target.float().mean()

    settings = TaskSettings(name="tagging", loss="custom")
    task = fit_task(FRAME, ["tags"], settings, loss=own)
    outputs, target = torch.ones(4, 2, 4), task.encode(FRAME)
    assert task.loss(outputs, target).item() == pytest.approx(
        1 + np.mean([3, 0, 3, -1, 1, 3, -1, -1])
    )


def test_positions_without_a_tag_are_neither_learnt_nor_judged() -> None:
    frame = pl.DataFrame({"tags": [["sit", None, "walk"], ["sit", "", None]]})
    task = tagging(frame)
    assert (task.labels.names, task.scheme) == (["sit", "walk"], "none")
    assert task.shares == pytest.approx([2 / 3, 1 / 3])
    target = task.encode(frame)
    assert target.tolist() == [[0, -3, 1], [0, -3, -3]]
    scores = torch.randn(2, 3, 2)
    logs = scores.log_softmax(dim=2)
    wanted = -(logs[0, 0, 0] + logs[0, 2, 1] + logs[1, 0, 0]) / 3
    torch.testing.assert_close(task.loss(scores, target), wanted)
    assert task.mass(target).item() == 3
    sits = torch.tensor([1.0, 0.0]).expand(2, 3, 2)
    assert task.scores(sits, frame)["accuracy"] == pytest.approx(2 / 3)
    assert task.monitor(sits, target)["accuracy"] == pytest.approx(2 / 3)


def test_scores_of_tags_without_entities_are_scikit_learns() -> None:
    generator = np.random.default_rng(0)
    truth = [generator.choice(["a", "b", "c"], 6, p=[0.6, 0.3, 0.1]).tolist() for _ in range(9)]
    task = tagging(pl.DataFrame({"tags": truth}))
    outputs = torch.from_numpy(generator.normal(size=(9, 6, 3)))
    flat = [tag for row in truth for tag in row]
    guesses = [task.labels.names[code] for code in outputs.argmax(dim=2).flatten().tolist()]
    found = task.scores(outputs, pl.DataFrame({"tags": truth}))
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(flat, guesses))
    assert found["balanced_accuracy"] == pytest.approx(
        metrics.balanced_accuracy_score(flat, guesses)
    )
    assert found["f1_macro"] == pytest.approx(metrics.f1_score(flat, guesses, average="macro"))


def test_unseen_tags_are_named() -> None:
    assert unseen_tags(tagging(), pl.DataFrame({"tags": [["O", None, "B-z"], []]})) == ["B-z"]
