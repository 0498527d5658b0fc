"""Losses and figures of language models, by hand and by scikit-learn."""

from __future__ import annotations

import math

import polars as pl
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss

from glial.core.errors import InputError
from glial.tasks import Task, TaskSettings, fit_task, load_task
from glial.tasks.language import LanguageModelling

COUNTS = [0, 5, 2, 1]


def made(**settings) -> LanguageModelling:
    frame = pl.DataFrame({"text": COUNTS})
    return fit_task(frame, ["text"], TaskSettings(name="language-modelling", **settings))


def test_it_is_a_task_and_survives_its_file():
    task = made()
    assert isinstance(task, Task)
    again = load_task(task.state(), TaskSettings())
    assert again.state() == task.state()
    for harm in ({"counts": []}, {"counts": [-1, 2]}, {"targets": []}, {"counts": [1.5]}):
        with pytest.raises(InputError, match="damaged"):
            load_task({**task.state(), **harm}, TaskSettings())


def test_a_uniform_model_has_the_perplexity_of_the_vocabulary():
    task, right = made(), torch.tensor([[1, 2, 3, 0]])
    outputs = torch.full((1, 4, 4), 7.0)
    assert task.loss(outputs, right).item() == pytest.approx(math.log(4))
    assert task.monitor(outputs, right)["perplexity"] == pytest.approx(4)
    figures = task.figures(task.told(outputs, right).flatten(0, 1), num_characters=8)
    assert figures["perplexity"] == pytest.approx(4)
    assert figures["bits_per_character"] == pytest.approx(2 * 4 / 8)


def test_the_trivial_predictor_knows_shares_alone():
    task = made()
    right = torch.tensor([1, 1, 2, 0])
    shares = [1 / 12, 6 / 12, 3 / 12, 2 / 12]  # once more than counted
    wanted = -sum(math.log(shares[token]) for token in right) / 4
    figures = task.figures(task.trivial_told(right))
    assert figures["log_loss"] == pytest.approx(wanted)
    assert figures["accuracy"] == 0.5
    frame = pl.DataFrame({"text": right.numpy()})
    scores = task.scores(task.trivial_outputs(4), frame)
    assert scores == pytest.approx(figures, rel=1e-6)


def test_figures_are_scikit_learns():
    outputs = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    right = torch.arange(50) % 4
    frame = pl.DataFrame({"text": right.numpy()})
    scores, shares = made().scores(outputs, frame), outputs.double().softmax(1).numpy()
    assert scores["log_loss"] == pytest.approx(log_loss(right, shares), rel=1e-5)
    assert scores["accuracy"] == accuracy_score(right, shares.argmax(1))
    assert scores["perplexity"] == pytest.approx(math.exp(log_loss(right, shares)), rel=1e-5)
    assert made().decode(outputs).predictions["prediction"].tolist() == outputs.argmax(1).tolist()


def test_places_without_a_token_count_for_nothing():
    task = made()
    outputs = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1))
    right = torch.tensor([[1, 2, 3], [2, -1, -1]])
    whole = task.loss(outputs, right)
    parts = task.loss(outputs[:1], right[:1]) * 3 + task.loss(outputs[1:, :1], right[1:, :1])
    torch.testing.assert_close(whole, parts / 4)
    assert task.mass(right) == 4
    assert task.monitor(outputs, right)["loss"] == pytest.approx(whole.item())


def test_smoothing_is_learnt_with_and_not_judged_by():
    outputs, right = torch.tensor([[[9.0, 0, 0, 0]]]), torch.tensor([[0]])
    smooth = made(label_smoothing=0.4)
    assert smooth.loss(outputs, right) > made().loss(outputs, right) + 1
    assert smooth.monitor(outputs, right) == made().monitor(outputs, right)


def test_members_are_pooled_by_their_probabilities():
    one, other = torch.tensor([[0.8, 0.2]]).log(), torch.tensor([[0.4, 0.6]]).log()
    task = LanguageModelling("text", [1, 1], TaskSettings())
    members = [(task, one), (task, other)]
    torch.testing.assert_close(task.pool(members).exp(), torch.tensor([[0.6, 0.4]]))
    assert task.spread(members)["spread"] == pytest.approx([0.2 * math.sqrt(2)])


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="loss"):
        made(loss="huber")
    with pytest.raises(InputError, match="threshold"):
        made(threshold=0.3)
