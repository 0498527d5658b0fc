"""What is drawn: maps, weights and landscapes as the network has them, and words that fit."""

import base64
import json

import pytest
import torch

from glial.core.errors import InputError
from glial.nn.landscape import weights_of
from glial.serving.playground.frames import GRID, frame_of, histogram_of, landscape_of
from glial.serving.playground.history import Thinned
from glial.serving.playground.knobs import Knobs
from glial.serving.playground.network import loss_of
from glial.serving.playground.session import Session
from glial.serving.playground.toys import features_of, grid_of
from glial.serving.playground.words import flow_words

pytestmark = pytest.mark.slow  # all of them together: each is a short training

SMALL = {"points": 40, "hidden_sizes": [3, 2], "batches": "full"}


def byte_values(text):
    return torch.tensor(list(base64.b64decode(text)))


@pytest.fixture(scope="module")
def session():
    session = Session(Knobs(**SMALL, lr=0.5))
    session.advance(20)
    return session


def test_boundary_is_what_the_network_says(session):
    frame = frame_of(session)
    with torch.no_grad():
        scores = session.network(features_of(grid_of(GRID), ["x1", "x2"]))[:, 0]
    said, sure = (byte_values(frame["boundary"][name]) for name in ("said", "sure"))
    assert torch.equal(said, (scores > 0).long())
    wanted = 255 * torch.maximum(scores.sigmoid(), 1 - scores.sigmoid())
    assert float((sure - wanted).abs().max()) <= 0.51


def test_maps_of_units_are_what_they_say(session):
    unit = byte_values(frame_of(session)["layers"][0]["units"][1]).float()
    with torch.no_grad():
        values = session.network.blocks[0](features_of(grid_of(25), ["x1", "x2"]))[:, 1]
    share = (values - values.min()) / (values.max() - values.min())
    assert float((unit - 255 * share).abs().max()) <= 0.51
    equal = Session(Knobs(**SMALL, initialization="zero", activation="sigmoid"))
    assert set(byte_values(frame_of(equal)["layers"][0]["units"][0]).tolist()) == {128}


def test_frame_tells_weights_and_scores(session):
    frame = frame_of(session)
    head = session.network.head.weight.detach()
    assert frame["layers"][-1]["weights"][0] == pytest.approx(head[0].tolist(), rel=1e-3)
    assert [len(layer["units"]) for layer in frame["layers"]] == [3, 2, 1]
    right = sum(
        int((session.network(inputs)[:, 0] > 0) == bool(target))
        for inputs, target in zip(
            session.test_rows.inputs[0].split(1), session.test_rows.target, strict=True
        )
    )
    assert frame["test"]["score"] == pytest.approx(right / len(session.test_rows.target))
    assert len(frame["points"]["x"]) == 40
    assert "points" not in frame_of(session, data=False)
    json.dumps(frame, allow_nan=False)


def test_every_toy_and_broken_numbers_can_be_told():
    for knobs in ({"dataset": "three"}, {"dataset": "bumps"}, {"hidden_sizes": [], "norm": "none"}):
        json.dumps(frame_of(Session(Knobs(**(SMALL | knobs)))), allow_nan=False)
    broken = Session(Knobs(**SMALL | {"dataset": "plane", "activation": "relu", "lr": 100.0}))
    broken.advance(100)
    frame = json.loads(json.dumps(frame_of(broken), allow_nan=False))
    assert frame["train"]["loss"] is None
    assert landscape_of(broken, "random")["kind"] == "random"


def test_copies_and_silent_units_are_counted():
    session = Session(Knobs(**SMALL, initialization="constant"))
    session.advance(3)
    words = frame_of(session)["words"]["network"]
    assert words == "Hidden layers of 3, 2 units. Of 5 hidden units 3 are copies of others."
    session = Session(Knobs(**SMALL, initialization="zero"))
    assert "5 units say the same whatever the point" in frame_of(session)["words"]["network"]


def test_random_landscape_has_the_loss_at_its_middle(session):
    before = weights_of(session.network)
    told = landscape_of(session, "random", seed=2)
    middle = told["values"][15][15]
    rows = session.train_rows
    with torch.no_grad():
        loss = loss_of(session.knobs)(session.network(*rows.inputs), rows.target, None)
    assert middle == pytest.approx(float(loss), rel=1e-5)
    assert torch.equal(weights_of(session.network), before)
    other = landscape_of(session, "random", seed=3)
    assert other["values"] != told["values"]


def test_path_landscape_goes_from_start_to_here(session):
    told = landscape_of(session, "path")
    assert told["path"][-1] == pytest.approx([0.0, 0.0], abs=1e-6)
    assert told["path"][0] != pytest.approx([0.0, 0.0], abs=1e-3)
    assert 0.9 < sum(told["shares"]) <= 1.0001
    assert all(told["x"][0] <= x <= told["x"][-1] for x, _ in told["path"])


def test_no_path_before_training():
    with pytest.raises(InputError, match="no path"):
        landscape_of(Session(Knobs(**SMALL)), "path")


def test_histogram_counts_everything():
    values = torch.randn(500)
    told = histogram_of(values)
    assert sum(told["counts"]) == 500
    assert (told["low"], told["high"]) == (float(values.min()), float(values.max()))
    assert histogram_of(torch.tensor([torch.nan]))["counts"] == []


def test_thinned_keeps_first_and_last():
    for length in range(1, 70):
        kept = Thinned(most=8)
        for number in range(length):
            kept.add(number)
        assert (kept.entries[0], kept.entries[-1]) == (0, length - 1)
        assert len(kept.entries) <= 9
        gaps = {b - a for a, b in zip(kept.entries[:-2], kept.entries[1:-1], strict=True)}
        assert len(gaps) <= 1


@pytest.mark.parametrize(
    ("gradients", "words"),
    [
        ([1e-9, 1.0], "vanish"),
        ([1e5, 1.0], "explode"),
        ([0.5, 1.0], "reach every layer"),
        ([0.0, 0.0], "nothing is learnt"),
        ([0.0, 1.0], "learns nothing"),
        ([None, 1.0], "no numbers"),
        ([0.5], "0.5"),
    ],
)
def test_flow_in_words(gradients, words):
    assert words in flow_words(gradients)
