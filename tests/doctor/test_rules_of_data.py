"""Rules of data, loaders, targets and evaluation: each on a training with its fault and without."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.data import DataLoader, Dataset, TensorDataset

from glial.core.findings import Finding
from glial.doctor import Doctor, diagnose
from glial.doctor.comparison import told_apart
from glial.doctor.evidence import Evidence, LossSeen, ModelSeen, Probe, RowsSeen, Series, TensorSeen
from glial.doctor.probes.padding import lengths_in
from glial.doctor.reference import examine_rows, stand_in
from glial.doctor.watching.layers import stale_share

pytestmark = pytest.mark.slow

CLASSES = 4


def groups(rows: int, seed: int, columns: int = 6) -> tuple[Any, Any]:
    """Rows of four classes that lie apart."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (rows,), generator=generator)
    centres = 2.5 * torch.eye(columns)[:CLASSES]
    return centres[labels] + torch.randn(rows, columns, generator=generator), labels


def training(
    data: tuple[Any, Any],
    test: tuple[Any, Any],
    change: Callable[[Any], Any] = lambda x: x,
    hidden: Callable[[], list[nn.Module]] = lambda: [nn.Linear(6, 24), nn.ReLU()],
    epochs: int = 6,
) -> Doctor:
    """A classifier that is healthy where its data are."""
    torch.manual_seed(0)
    (x, y), (asked, answers) = data, test
    model = nn.Sequential(*hidden(), nn.Linear(24, CLASSES))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    with Doctor.watch(model, optimizer, budget=math.inf) as doctor:
        for _ in range(epochs):
            model.train()
            for rows in torch.randperm(len(x)).split(16):
                optimizer.zero_grad()
                F.cross_entropy(model(change(x[rows])), y[rows]).backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                (model(asked).argmax(1) == answers).float().mean()
    return doctor


def alarms(findings: list[Finding]) -> list[str]:
    return [finding.problem for finding in findings if finding.severity != "note"]


def test_a_training_on_good_data_has_no_alarm():
    assert alarms(training(groups(400, 0), groups(160, 1)).findings) == []


@pytest.mark.parametrize(("wrong", "named"), [(0.0, False), (0.5, True)])
def test_a_forest_that_finds_the_task_hard_contradicts_no_labels(wrong, named):
    """Clean labels that depend on all columns, and easy ones of which half were drawn anew."""
    random = np.random.default_rng(0)
    x = random.standard_normal((1500, 54))
    first = random.standard_normal((54, 32)) / 54**0.5
    y = (np.tanh(2 * x @ first) @ random.standard_normal((32, 7))).argmax(1)
    if wrong:
        y = random.integers(0, 4, 1500)
        x += 4 * np.eye(54)[y]
    drawn = random.random(1500) < wrong
    y[drawn] = random.integers(0, 4, int(drawn.sum()))
    nothing = np.empty((0, 54))
    seen = examine_rows(x, y.astype(float), nothing, np.array([], int), nothing, None, math.nan)
    loss = LossSeen("cross_entropy")
    found = diagnose(Evidence(steps=39, losses=[loss], rows=seen))
    assert 0.2 < seen.score < 0.5, "a forest has an idea and not more"
    assert seen.surely_wrong > 0.6 * seen.missed, "and is wrong where it is surest, too"
    assert ("label-noise" in alarms(found)) is named


@pytest.mark.parametrize(("noise", "given_away"), [(0.0, False), (0.2, False), (None, True)])
def test_inputs_that_are_targets_give_nothing_away(noise: float | None, given_away: bool):
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 5))
    nothing = np.empty((0, 5))
    # An autoencoder's targets are its inputs; five targets that one column tells are not.
    y = np.repeat(x[:, :1], 5, 1) if noise is None else x + noise * random.normal(size=x.shape)
    seen = examine_rows(x, y, nothing, np.array([], int), nothing, None, math.nan)
    assert seen.score > 0.9
    assert (seen.single_score > 0.97) == given_away
    loss = LossSeen("mse_loss")
    found = alarms(diagnose(Evidence(steps=39, losses=[loss], rows=seen)))
    assert ("leakage" in found) == given_away


def test_labels_that_evaluation_rows_contradict():
    x, y = groups(400, 0)
    wrong = torch.rand(400, generator=torch.Generator().manual_seed(2)) < 0.4
    y = torch.where(wrong, y[torch.randperm(400)], y)
    doctor = training((x, y), groups(160, 1))
    assert alarms(doctor.findings)[:1] == ["label-noise"]
    # Of 40 % drawn anew a quarter is right by chance.
    assert doctor.evidence is not None
    assert doctor.evidence.rows.contradicted == pytest.approx(0.3, abs=0.08)


def test_noise_that_drowns_rows_and_noise_that_does_not():
    data, test = groups(400, 0), groups(160, 1)
    doctor = training(data, test, change=lambda x: x + 9 * torch.randn_like(x))
    assert alarms(doctor.findings)[:1] == ["harmful-augmentation"]
    assert "misaligned-labels" not in alarms(doctor.findings)
    mild = training(data, test, change=lambda x: x + 0.2 * torch.randn_like(x))
    assert alarms(mild.findings) == []
    assert mild.evidence is not None
    rows = mild.evidence.rows
    assert rows.plain_score == pytest.approx(rows.given_score, abs=0.1)


def test_evaluation_rows_that_were_all_trained_on():
    x, y = groups(400, 0)
    held = groups(120, 1)
    mixed = torch.cat([held[0], x[120:]]), torch.cat([held[1], y[120:]])
    assert alarms(training(mixed, held).findings) == ["leakage"]


def test_asking_for_the_training_rows_themselves_is_no_leak():
    data = groups(200, 0)
    assert alarms(training(data, data).findings) == []
    copied = data[0].clone(), data[1].clone()
    assert alarms(training(data, copied).findings) == []


def test_a_column_that_is_the_target():
    x, y = groups(400, 0)
    x[:, 5] = y
    doctor = training((x, y), groups(160, 1))
    assert "leakage" in alarms(doctor.findings)
    assert doctor.evidence is not None
    assert doctor.evidence.rows.copied


def test_a_handful_of_rows():
    x, y = groups(12, 0, columns=40)
    test = groups(160, 1, columns=40)
    doctor = training((x, y), test, hidden=lambda: [nn.Linear(40, 24), nn.ReLU()], epochs=40)
    assert alarms(doctor.findings)[:1] == ["overfitting"]


def test_rows_of_another_kind_that_are_answered_worse():
    (x, y), (asked, answers) = groups(400, 0), groups(160, 1)
    drifted = asked + torch.tensor([-2.4, 1.2, 1.2, -1.2, 0.9, 0.9])
    doctor = training((x, y), (drifted, answers))
    assert alarms(doctor.findings) == ["data-drift"]


def test_rows_of_one_kind_are_not_told_apart():
    rows = np.random.default_rng(0).normal(size=(400, 3))
    assert told_apart(rows[:200], rows[200:]) == pytest.approx(0.5, abs=0.07)


def test_statistics_that_never_move():
    data, test = groups(400, 0), groups(160, 1)
    data, test = (data[0] + 7, data[1]), (test[0] + 7, test[1])

    def normed(momentum: float) -> Callable[[], list[nn.Module]]:
        return lambda: [nn.Linear(6, 24), nn.BatchNorm1d(24, momentum=momentum), nn.ReLU()]

    assert alarms(training(data, test, hidden=normed(0.0)).findings)[:1] == ["stale-statistics"]
    assert "stale-statistics" not in alarms(training(data, test, hidden=normed(0.1)).findings)


def test_statistics_of_the_batch_itself_are_not_stale():
    layer = nn.BatchNorm1d(3, momentum=1.0)
    rows = 4 + 2 * torch.randn(64, 3)
    assert stale_share(layer, (rows,)) == 1.0
    layer(rows)
    assert stale_share(layer, (rows,)) == 0.0
    assert stale_share(layer.eval(), (rows,)) is None


class Noisy(Dataset[Any]):
    """Digits of a hand-made generator on top of fixed rows."""

    def __init__(self) -> None:
        self.x, self.y = groups(128, 0)
        self.random = np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, row: int) -> Any:
        noise = torch.tensor(self.random.normal(0, 0.1, 6), dtype=torch.float32)
        return self.x[row] + noise, self.y[row]


def reseed(worker: int) -> None:
    information = torch.utils.data.get_worker_info()
    assert information is not None
    information.dataset.random = np.random.default_rng(information.seed)


@pytest.mark.parametrize("begins", [None, reseed], ids=["copied", "own"])
def test_workers_that_draw_the_same(begins, capfd):
    loader = DataLoader(Noisy(), 16, num_workers=2, worker_init_fn=begins, shuffle=True)
    model = nn.Linear(6, CLASSES)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Doctor.watch(model, optimizer) as doctor:
        for x, y in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    assert doctor.evidence is not None
    assert doctor.evidence.loaders[0].equal_workers is (begins is None)
    assert ("identical-workers" in alarms(doctor.findings)) is (begins is None)
    assert capfd.readouterr() == ("", "")


def test_workers_of_rows_that_nothing_is_drawn_for_are_not_compared():
    loader = DataLoader(TensorDataset(*groups(32, 0)), 16, num_workers=2)
    with Doctor.watch() as doctor:
        list(loader)
    assert doctor.evidence is not None
    assert doctor.evidence.loaders[0].equal_workers is None


class Reader(nn.Module):
    """Reads tokens one by one; 0 is padding."""

    def __init__(self, packs: bool) -> None:
        super().__init__()
        self.packs = packs
        self.embed, self.gru = nn.Embedding(9, 8), nn.GRU(8, 12, batch_first=True)
        self.head = nn.Linear(12, 2)

    def forward(self, tokens: Any, lengths: Any) -> Any:
        given = self.embed(tokens)
        if self.packs:
            given = pack_padded_sequence(given, lengths, batch_first=True, enforce_sorted=False)
        return self.head(self.gru(given)[1][0])


@pytest.mark.parametrize("packs", [False, True], ids=["read", "packed"])
def test_padding_that_is_read(packs):
    torch.manual_seed(0)
    lengths = torch.randint(2, 11, (96,))
    tokens = torch.randint(1, 9, (96, 10)) * (torch.arange(10) < lengths[:, None])
    labels = (tokens[:, 0] > 4).long()
    model = Reader(packs)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    with Doctor.watch(model, optimizer, budget=math.inf) as doctor:
        for _ in range(3):
            for rows in torch.randperm(96).split(24):
                optimizer.zero_grad()
                F.cross_entropy(model(tokens[rows], lengths[rows]), labels[rows]).backward()
                optimizer.step()
    assert doctor.evidence is not None
    probe = doctor.evidence.probe("padding")
    assert probe is not None
    assert (probe.numbers["size"] > 0.1) is not packs
    assert packs is (probe.numbers["size"] < 1e-5)
    assert ("unmasked-padding" in alarms(doctor.findings)) is not packs


def test_what_is_padding_and_what_is_data():
    rows = torch.tensor([[1.0, 2, 3], [4, 0, 0], [5, 6, 0], [7, 0, 0]])
    assert lengths_in(rows, 4) is not None
    assert lengths_in(rows.flip(1), 4) is None  # the last place holds data
    assert lengths_in(torch.where(torch.eye(4, 3) > 0, 0.0, rows), 4) is None  # 0 within rows
    assert lengths_in([torch.ones(3), torch.ones(1), torch.ones(2)], 3) is not None


@pytest.mark.parametrize(
    ("ahead", "expected"), [(1, []), (2, ["wrong-target"]), (-1, ["wrong-target"])]
)
def test_targets_that_are_off(ahead, expected):
    torch.manual_seed(0)
    text = torch.randint(0, 7, (4000,))
    embed = nn.Embedding(7, 16)
    model = nn.Sequential(embed, nn.Linear(16, 7))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    with Doctor.watch(model, optimizer, budget=math.inf) as doctor:
        for _ in range(6):
            begins = torch.randint(1, 3900, (16, 1)) + torch.arange(12)
            loss = F.cross_entropy(
                model(text[begins]).flatten(0, 1), text[begins + ahead].flatten()
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    found = [problem for problem in alarms(doctor.findings) if problem == "wrong-target"]
    assert found == expected


@pytest.mark.parametrize("stops", [True, False])
def test_values_that_go_on_past_the_end(stops):
    torch.manual_seed(0)
    values = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(values.parameters(), lr=0.05)
    with Doctor.watch(values, optimizer, budget=math.inf) as doctor:
        for _ in range(6):
            states, after = torch.randn(16, 4), torch.randn(16, 4)
            rewards, done = torch.rand(16), torch.tensor([number % 5 == 0 for number in range(16)])
            with torch.no_grad():
                ahead = values(after)[:, 0] * (1 - done.float() if stops else 1.0)
                target = rewards + 0.9 * ahead
            optimizer.zero_grad()
            F.mse_loss(values(states)[:, 0], target).backward()
            optimizer.step()
    assert ("wrong-target" in alarms(doctor.findings)) is not stops


@pytest.mark.parametrize("dim", [0, 1])
def test_embeddings_normalised_over_rows(dim):
    torch.manual_seed(0)
    model = nn.Linear(6, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Doctor.watch(model, optimizer) as doctor:
        for step in range(6):
            x, _ = groups(32, step)
            one, other = (F.normalize(model(x + torch.randn_like(x)), dim=dim) for _ in range(2))
            optimizer.zero_grad()
            F.cross_entropy(one @ other.T, torch.arange(32)).backward()
            optimizer.step()
    assert ("wrong-axis" in alarms(doctor.findings)) is (dim == 0)


class LastStep(nn.Module):
    """Classes from the last of twelve steps; who made it may have forgotten which axis is time."""

    def __init__(self, *, batch_first: bool, turns: bool = False) -> None:
        super().__init__()
        self.rnn = nn.GRU(6, 8, batch_first=batch_first)
        self.head = nn.Linear(8, CLASSES)
        self.turns = turns

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.turns:
            return self.head(self.rnn(x.transpose(0, 1))[0][-1])
        return self.head(self.rnn(x)[0][:, -1])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ({"batch_first": False}, ["rnn"]),
        ({"batch_first": True}, []),
        ({"batch_first": False, "turns": True}, []),
    ],
)
def test_rows_taken_for_steps(kind, expected):
    torch.manual_seed(0)
    model = LastStep(**kind)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    with Doctor.watch(model, optimizer) as doctor:
        for step in range(8):
            x, y = groups(32 - step % 2, step)
            optimizer.zero_grad()
            F.cross_entropy(model(x[:, None].repeat(1, 12, 1)), y).backward()
            optimizer.step()
    found = [one for one in doctor.findings if one.problem == "wrong-axis"]
    assert [one.where for one in found] == expected
    assert all(one.evidence["rows"] == 12 for one in found)


def classified(**changes: Any) -> LossSeen:
    values = Series(list(range(1, 40)), [2.0 / step for step in range(1, 40)])
    counts = {"0": 100, "1": 104, "2": 95, "3": 101}
    target = TensorSeen([50], "int64", 8, 400, min=0.0, max=3.0, whole=True, counts=counts)
    outputs = TensorSeen([50, 4], "float32", 8, 1600)
    settings = {"value": values, "target": target, "outputs": outputs, **changes}
    return LossSeen("cross_entropy", **settings)


def test_a_class_that_went_into_another():
    good = Evidence(steps=39, losses=[classified()])
    assert diagnose(good) == []
    counts = {"0": 204, "2": 95, "3": 101}
    target = TensorSeen([50], "int64", 8, 400, min=0.0, max=3.0, whole=True, counts=counts)
    found = diagnose(Evidence(steps=39, losses=[classified(target=target)]))
    assert alarms(found) == ["label-noise"]
    assert found[0].evidence["class_without_rows"] == 1
    few = {kind: count // 10 for kind, count in counts.items()}
    target = TensorSeen([40], "int64", 3, 39, min=0.0, max=3.0, whole=True, counts=few)
    assert diagnose(Evidence(steps=39, losses=[classified(target=target)])) == []


def test_cross_entropy_of_one_output():
    flat = Series(list(range(1, 40)), [0.0] * 39)
    target = TensorSeen([50, 1], "float32", 8, 400, min=-2.0, max=2.0)
    outputs = TensorSeen([50, 1], "float32", 8, 400)
    loss = classified(value=flat, target=target, outputs=outputs)
    assert alarms(diagnose(Evidence(steps=39, losses=[loss])))[:1] == ["wrong-output-width"]


def test_padding_that_moves_little_is_a_note():
    loss = classified()
    numbers = {"rows": 1.0, "size": 0.05, "others": 0.0, "padded": 0.6}
    evidence = Evidence(steps=39, losses=[loss], probes=[Probe("padding", None, 2, numbers)])
    assert [(f.problem, f.severity) for f in diagnose(evidence)] == [("unmasked-padding", "note")]


def test_drift_that_costs_nothing_is_a_note():
    rows = RowsSeen(train=400, evaluated=100, told_apart=0.99, score=0.9, eval_accuracy=0.95)
    evidence = Evidence(steps=39, losses=[classified()], rows=rows)
    assert [(f.problem, f.severity) for f in diagnose(evidence)] == [("data-drift", "note")]


def test_mixed_rows_and_rebuilt_rows_are_not_held_against_those_before():
    """Mixing pairs with both their labels, and rebuilding a row from a noisy one, are meant so."""
    x, y = groups(400, 0)
    model, rebuilder = nn.Linear(6, CLASSES), nn.Linear(6, 6)
    for network in (model, rebuilder):
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
        with Doctor.watch(network, optimizer) as doctor:
            for rows in torch.randperm(400).split(16):
                other, share = torch.randperm(len(rows)), torch.rand(len(rows), 1)
                mixed = share * x[rows] + (1 - share) * x[rows][other]
                noisy = x[rows] + 3 * torch.randn(len(rows), 6)
                optimizer.zero_grad()
                if network is model:
                    one, two = y[rows], y[rows][other]
                    answers = model(mixed)
                    losses = [F.cross_entropy(answers, at, reduction="none") for at in (one, two)]
                    (share[:, 0] * losses[0] + (1 - share[:, 0]) * losses[1]).mean().backward()
                else:
                    F.mse_loss(rebuilder(noisy), x[rows]).backward()
                optimizer.step()
        assert "harmful-augmentation" not in alarms(doctor.findings)


@pytest.mark.parametrize(("accuracy", "severity"), [(0.95, "note"), (0.7, "warning")])
def test_copies_are_as_severe_as_what_they_cost(accuracy, severity):
    rows = RowsSeen(
        train=400, evaluated=100, distinct=100, repeated=300, own_score=0.9, eval_accuracy=accuracy
    )
    found = diagnose(Evidence(steps=39, losses=[classified()], rows=rows))
    assert [(f.problem, f.severity) for f in found] == [("duplicate-samples", severity)]


def test_a_class_number_as_an_amount_of_a_network_that_answers_by_class():
    loss = classified(model="net", outputs=TensorSeen([50], "float32", 8, 400))
    assert loss.target is not None
    loss.name, loss.target.dtype = "mse_loss", "float32"
    network = ModelSeen("net", "Sequential", outputs={"train": TensorSeen([50, 4])})
    found = diagnose(Evidence(steps=39, losses=[loss], models=[network]))
    assert alarms(found) == ["wrong-loss"]
    network.outputs["train"] = TensorSeen([50, 1])
    assert alarms(diagnose(Evidence(steps=39, losses=[loss], models=[network]))) == []


@pytest.mark.parametrize(("share", "told"), [(0.1, ["missing-values"]), (0.0, [])])
def test_a_number_that_stands_for_what_is_missing(share, told):
    x, y = groups(400, 0)
    gone = torch.rand(400, 6, generator=torch.Generator().manual_seed(4)) < share
    x[gone] = -999.0
    found = training((x, y), groups(160, 1)).findings
    assert [f.problem for f in found if f.problem == "missing-values"] == told
    if told:
        (finding,) = [f for f in found if f.problem == "missing-values"]
        assert finding.severity == "warning"
        assert finding.evidence["stand_in"] == -999.0
        assert finding.evidence["share"] == pytest.approx(float(gone.float().mean()), abs=0.02)


@pytest.mark.parametrize(
    "rows",
    [
        np.random.default_rng(0).standard_normal((200, 3)),
        np.random.default_rng(0).exponential(1.0, (200, 3)) ** 3,
        np.random.default_rng(0).integers(0, 3, (200, 3)).astype(float),
        np.maximum(0.0, np.random.default_rng(0).standard_normal((200, 3))),
    ],
    ids=["normal", "heavy tails", "few kinds", "rectified"],
)
def test_no_number_stands_for_missing_ones(rows):
    assert math.isnan(stand_in(rows)[0])


def test_labels_of_one_class_alone():
    x, y = groups(400, 0)
    one = y == 2
    doctor = training((x[one], y[one]), groups(160, 1), epochs=20)
    (found,) = [finding for finding in doctor.findings if finding.problem == "bad-split"]
    assert (found.severity, found.evidence["classes"]) == ("error", 1)


@pytest.mark.parametrize("factor", [255.0, 1.0])
def test_an_evaluation_that_leaves_gradients_on(factor):
    (x, y), (asked, answers) = groups(400, 0), groups(160, 1)
    model = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Dropout(0.1), nn.Linear(24, CLASSES))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    with Doctor.watch(model, optimizer, budget=math.inf) as doctor:
        for _ in range(4):
            model.train()
            for rows in torch.randperm(len(x)).split(40):
                optimizer.zero_grad()
                F.cross_entropy(model(x[rows]), y[rows]).backward()
                optimizer.step()
            model.eval()
            (model(factor * asked).argmax(1) == answers).float().mean()
    assert doctor.evidence is not None
    (seen,) = doctor.evidence.models
    assert seen.calls["eval"] == 4
    assert seen.inputs["train"][0].max < 20
    assert seen.eval_mode_training == 0
    expected = ["preprocessing-mismatch"] if factor > 1 else []
    assert alarms(doctor.findings)[:1] == expected


def test_rows_that_are_told_from_each_other_have_no_classes():
    """The last batch is smaller, and so are its targets' and its outputs' numbers."""
    target = TensorSeen([40], "int64", 8, 400, min=0.0, max=49.0, whole=True, counts={"1": 8})
    square = TensorSeen([40, 40], "float32", 8, 400)
    apart = classified(target=target, outputs=square, batch_sizes=[40, 50])
    found = diagnose(Evidence(steps=39, losses=[apart]))
    assert "wrong-output-width" not in [finding.problem for finding in found]
    few = classified(target=target, outputs=TensorSeen([40, 39], "float32", 8, 400))
    found = diagnose(Evidence(steps=39, losses=[few]))
    assert alarms(found)[:1] == ["wrong-output-width"]


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("everywhere", [True, False])
def test_evaluation_rows_that_hold_no_numbers_are_left_out_of_the_comparison(number, everywhere):
    x = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    asked, answers = x[200:].copy(), y[200:].copy()
    asked[: None if everywhere else 5] = number
    answers[3] = 7  # a class that no training row has, and of which no row can be read
    seen = examine_rows(x[:200], y[:200], asked, np.array([100]), asked, answers, 0.5, whole=True)
    assert seen.unseen_classes == ["7"]
    assert math.isnan(seen.eval_score) if everywhere else seen.eval_score > 0.8
