"""Faults that need a loop of their own: each is found, and not in the loop without it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from glial.core.findings import Finding, Place, is_healthy
from glial.doctor import Doctor, diagnose
from glial.doctor.comparison import score_of
from glial.doctor.evidence import (
    Evidence,
    LossSeen,
    OptimizerSeen,
    Probe,
    Series,
    TensorSeen,
)
from glial.doctor.measures import noise_scale
from glial.doctor.rules.objective import softmax_twice
from glial.doctor.rules.penalties import added_shares
from glial.doctor.watching.rounds import FEWEST_CLOSE, IDLE, Schedule

pytestmark = pytest.mark.slow


def watched(train: Callable[[], Any]) -> Doctor:
    torch.manual_seed(0)
    with Doctor.watch(budget=math.inf) as doctor:
        train()
    assert doctor.evidence is not None
    assert [note.why for note in doctor.evidence.not_checked if "failed" in note.why] == []
    return doctor


def named(findings: list[Finding], problem: str) -> list[Finding]:
    return [finding for finding in findings if finding.problem == problem]


def lines_of(function: Callable[..., Any], text: str) -> list[int]:
    """The lines of a function that hold a text."""
    import inspect

    source, first = inspect.getsourcelines(function)
    return [first + number for number, line in enumerate(source) if text in line]


def rows(count: int = 320) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(count, 6, generator=generator)
    return x, (x[:, 0] + x[:, 1] > 0).long()


def classifier() -> tuple[nn.Sequential, torch.optim.Optimizer]:
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 2))
    return model, torch.optim.Adam(model.parameters(), lr=0.01)


def train_and_keep(what: str) -> list[Any]:
    (x, y), (model, optimizer), history = rows(), classifier(), []
    total: Any = 0.0
    for _ in range(4):
        for part in torch.arange(len(x)).split(32):
            loss = F.cross_entropy(model(x[part]), y[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if what == "list":
                history.append(loss + 0.0)
            elif what == "sum":
                total = total + loss
            else:
                history.append(loss.item())
    return [history, total]


@pytest.mark.parametrize(
    ("what", "text"), [("list", "history.append(loss + 0.0)"), ("sum", "total = total + loss")]
)
def test_kept_graphs_are_named_with_the_line_that_uses_an_old_loss(what, text):
    kept: list[Any] = []
    doctor = watched(lambda: kept.append(train_and_keep(what)))
    (found,) = named(doctor.findings, "memory-growth")
    assert found.severity == "warning"
    assert found.at is not None
    assert found.at.line in lines_of(train_and_keep, text)


def test_numbers_of_losses_keep_no_graph():
    kept: list[Any] = []
    doctor = watched(lambda: kept.append(train_and_keep("numbers")))
    assert doctor.evidence is not None
    assert doctor.evidence.graphs.last <= 1  # the doctor's own tests may hold a round
    assert named(doctor.findings, "memory-growth") == []


def train_with_penalty(weight: float) -> None:
    (x, y), (model, optimizer) = rows(), classifier()
    for _ in range(8):
        for part in torch.arange(len(x)).split(32):
            loss = F.cross_entropy(model(x[part]), y[part])
            loss = loss + weight * sum(p.abs().sum() for p in model.parameters())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def test_a_penalty_that_outweighs_the_loss_is_named_with_its_line():
    first = watched(lambda: train_with_penalty(1.0)).findings[0]
    assert (first.problem, first.severity) == ("over-regularised", "error")
    assert first.at is not None
    assert first.at.line in lines_of(train_with_penalty, "weight * sum")


def test_a_small_penalty_is_none():
    doctor = watched(lambda: train_with_penalty(1e-4))
    assert is_healthy(doctor.findings), str(doctor)


def test_the_share_of_what_is_added_is_that_of_the_values():
    loss = LossSeen(
        "mse_loss", value=Series([1, 2, 3], [4.0, 2.0, 1.0]), own=Series([1, 3], [1.0, 1.0])
    )
    assert added_shares(loss) == [0.75, 0.0]


def train_with_noise(size: float) -> None:
    (x, y), (model, optimizer) = rows(), classifier()
    for _ in range(8):
        for part in torch.randperm(len(x)).split(32):
            given = x[part] + size * torch.randn_like(x[part])
            loss = F.cross_entropy(model(given), y[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def test_noise_that_drowns_the_rows_is_named_with_its_line():
    doctor = watched(lambda: train_with_noise(8.0))
    first = doctor.findings[0]
    assert first.problem == "harmful-augmentation"
    assert first.at is not None
    assert first.at.line in lines_of(train_with_noise, "size * torch.randn_like")


def test_the_share_of_noise_is_its_variance_in_the_whole():
    """Rows have a variance of 1 in each column, noise a quarter: its share is one fifth."""
    doctor = watched(lambda: train_with_noise(0.5))
    assert doctor.evidence is not None
    probe = doctor.evidence.probe("noise")
    assert probe is not None
    assert probe.numbers["share"] == pytest.approx(0.2, abs=0.05)
    assert named(doctor.findings, "harmful-augmentation") == []


def train_players(sign: float, *, cut: bool = False) -> None:
    maker = nn.Sequential(nn.Linear(3, 16), nn.LeakyReLU(0.2), nn.Linear(16, 2))
    judge = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    maker_steps = torch.optim.Adam(maker.parameters(), lr=1e-3)
    judge_steps = torch.optim.Adam(judge.parameters(), lr=2e-3)
    for _ in range(30):
        made = maker(torch.randn(32, 3)).detach()
        judge_loss = F.softplus(-judge(torch.randn(32, 2))).mean() + F.softplus(judge(made)).mean()
        judge_steps.zero_grad()
        judge_loss.backward()
        judge_steps.step()
        made = maker(torch.randn(32, 3))
        made = made.detach() if cut else made
        maker_loss = F.softplus(sign * judge(made)).mean()
        maker_steps.zero_grad()
        maker_loss.backward()
        maker_steps.step()


def test_a_maker_that_helps_its_judge_is_told_to_turn_its_sign():
    (found,) = named(watched(lambda: train_players(1.0)).findings, "gradient-ascent")
    assert found.at is not None
    assert found.at.line in lines_of(train_players, "sign * judge")
    assert named(watched(lambda: train_players(-1.0)).findings, "gradient-ascent") == []


def test_slopes_by_answers_are_those_of_the_losses():
    """At answers near 0 the slope of softplus is a half: of a mean over rows, their sum over 32."""
    doctor = watched(lambda: train_players(-1.0))
    assert doctor.evidence is not None
    judging, deceiving = doctor.evidence.losses
    assert judging.judges * 32 == pytest.approx(0.5, abs=0.1)
    assert deceiving.deceives * 32 == pytest.approx(-0.5, abs=0.1)


def test_a_maker_that_is_cut_off_is_named_with_the_line_that_cuts():
    (found,) = named(
        watched(lambda: train_players(-1.0, cut=True)).findings, "untrained-parameters"
    )
    assert found.at is not None
    assert found.at.line in lines_of(train_players, "if cut else made")


def test_the_line_that_clears_gradients_too_early_is_named():
    def train() -> None:
        (x, y), (model, optimizer) = rows(), classifier()
        for _ in range(20):
            F.cross_entropy(model(x), y).backward()
            optimizer.zero_grad()
            optimizer.step()

    first = watched(train).findings[0]
    assert first.problem == "wrong-order"
    assert first.at is not None
    assert first.at.line in lines_of(train, "zero_grad")


def train_rare(weights: torch.Tensor | None) -> None:
    generator = torch.Generator().manual_seed(1)
    y = (torch.rand(1200, generator=generator) < 0.1).long()
    x = torch.randn(1200, 6, generator=generator) + 0.8 * y[:, None]
    model, optimizer = classifier()
    criterion = nn.CrossEntropyLoss(weight=weights)
    for _ in range(3):
        for part in torch.randperm(len(x), generator=generator).split(64):
            optimizer.zero_grad()
            criterion(model(x[part]), y[part]).backward()
            optimizer.step()


def test_a_class_that_is_given_up_is_named_with_the_loss():
    doctor = watched(lambda: train_rare(None))
    (found,) = named(doctor.findings, "class-imbalance")
    assert found.severity == "warning"
    assert found.at is not None
    assert found.at.line in lines_of(train_rare, "criterion = ")
    weighed = watched(lambda: train_rare(torch.tensor([0.55, 5.0])))
    assert named(weighed.findings, "class-imbalance") == []


def test_a_rate_of_poisson_that_may_be_negative_is_named():
    def train(log_input: bool) -> Callable[[], None]:
        def run() -> None:
            x, _ = rows()
            model = nn.Linear(6, 1)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
            for _ in range(10):
                optimizer.zero_grad()
                F.poisson_nll_loss(model(x), torch.ones(len(x), 1), log_input=log_input).backward()
                optimizer.step()

        return run

    wrong = "wrong-output-activation"
    assert named(watched(train(False)).findings, wrong)
    assert named(watched(train(True)).findings, wrong) == []


def test_a_negative_variance_is_named_by_the_error():
    told = Evidence(ended="ValueError", error="var has negative entry/entries")
    assert [f.problem for f in diagnose(told)] == ["wrong-output-activation"]


def test_the_noise_scale_is_that_of_gradients_with_known_noise():
    """Gradients of a mean over n rows, of signal 1 and noise of variance s: the scale is s."""
    generator = torch.Generator().manual_seed(0)
    spread, count, size = 4.0, 16, 4000
    gradients = 1 + torch.randn(40, size, generator=generator) * math.sqrt(spread / count)
    cosines = F.cosine_similarity(gradients[:-1], gradients[1:], dim=1).tolist()
    seen = OptimizerSeen("o", "SGD", agreement=Series(list(range(39)), cosines))
    assert noise_scale(seen, count) == pytest.approx(spread, rel=0.05)


def test_gradients_of_steps_are_compared_by_their_cosine():
    """The same batch and no rate: every gradient equals the one before."""

    def train() -> None:
        x, y = rows()
        model = nn.Linear(6, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        for _ in range(4):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()

    doctor = watched(train)
    assert doctor.evidence is not None
    agreement = doctor.evidence.optimizers[0].agreement
    assert (agreement.steps, agreement.values) == ([2, 3, 4], pytest.approx([1.0, 1.0, 1.0]))


def test_predictions_have_the_entropy_of_their_softmax():
    """Logits 0 and ln 3 are shares of 1/4 and 3/4, whose entropy is 0.8113 bit."""

    def train() -> None:
        model = nn.Linear(1, 2, bias=False)
        nn.init.zeros_(model.weight)
        model.weight.data[1] = math.log(3)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(model(torch.ones(8, 1)), torch.ones(8, dtype=torch.long)).backward()
            optimizer.step()

    doctor = watched(train)
    assert doctor.evidence is not None
    (loss,) = doctor.evidence.losses
    assert loss.entropy.values == pytest.approx([0.811278] * 3, abs=1e-5)
    assert loss.hits == {"1": 1.0}


def test_generators_without_a_seed_and_steps_that_differ_are_notes():
    for evidence in (
        Evidence(unseeded=["numpy"]),
        Evidence(probes=[Probe("repeat", None, 1, {"loss": 1.0, "again": 1.0, "once_more": 1.5})]),
    ):
        found = diagnose(evidence)
        assert [(f.problem, f.severity) for f in found] == [("not-reproducible", "note")]
    same = Probe("repeat", None, 1, {"loss": 1.0, "again": 1.0, "once_more": 1.0})
    assert diagnose(Evidence(probes=[same])) == []


def test_views_that_torch_tells_nothing_of_do_no_harm():
    """One made without gradients, of what is then written to with them."""
    model, x = nn.Linear(3, 3), torch.randn(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Doctor.watch(model, optimizer) as doctor:
        for _ in range(30):
            base = torch.zeros(4, 3)
            with torch.no_grad():
                view = base[:2]
                _ = view * 2
            loss = base.add_(model(x)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert doctor.evidence is not None
    assert doctor.evidence.steps == 30
    assert not any("watching failed" in note.why for note in doctor.evidence.not_checked)


def train_distances(shift: float) -> None:
    """Pairs of which some are equal, so that their distance is 0."""
    x, y = rows()
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(4):
        for part in torch.arange(len(x)).split(32):
            left, right = model(x[part]), model(x[part.roll(1).where(part % 8 > 0, part)])
            apart = (y[part] != y[part.roll(1)]).float()
            squares = (left - right).square().sum(1)
            distance = (squares + shift).sqrt() if shift else squares.sqrt()
            loss = (apart * (1 - distance).relu() + (1 - apart) * distance).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def test_a_root_of_nought_is_named_with_its_line():
    doctor = watched(lambda: train_distances(0.0))
    found = doctor.findings[0]
    assert (found.problem, found.severity) == ("unsafe-numerics", "error")
    assert found.at is not None
    assert found.at.line in lines_of(train_distances, "squares.sqrt()")


def test_a_root_of_what_is_never_nought_is_not():
    assert named(watched(lambda: train_distances(1e-6)).findings, "unsafe-numerics") == []


def test_rare_labels_are_seen_among_few_and_nothing_is_made_of_a_handful():
    y = torch.zeros(120)
    y[:3] = 1
    x = torch.randn(120, 4, generator=torch.Generator().manual_seed(0)).numpy()
    assert math.isnan(score_of(x, y.numpy()))
    y[:40] = 1
    assert not math.isnan(score_of(x, y.numpy()))


def test_few_rows_that_are_known_by_heart_overfit():
    """24 rows, three classes, and far less of it right on others."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(324, 12, generator=generator)
    y = x[:, :3].argmax(1)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def training():
        for _ in range(30):
            loss = F.cross_entropy(model(x[:24]), y[:24])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            (model(x[24:]).argmax(1) == y[24:]).float().mean()

    assert watched(training).findings[0].problem == "overfitting"


def test_tasks_in_turns_are_tested_like_one():
    x, y = rows()
    body, first, second = nn.Linear(6, 8), nn.Linear(8, 2), nn.Linear(8, 1)
    one = torch.optim.Adam([*body.parameters(), *first.parameters()], lr=0.01)
    other = torch.optim.Adam(second.parameters(), lr=0.01)

    def training():
        for number, part in enumerate(torch.arange(len(x)).split(16)):
            if number % 2:
                loss, optimizer = F.mse_loss(second(body(x[part]))[:, 0], x[part, 0]), other
            else:
                loss, optimizer = F.cross_entropy(first(body(x[part])), y[part]), one
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    evidence = watched(training).evidence
    assert evidence is not None
    assert evidence.probe("repeat") is not None
    assert [note.why for note in evidence.not_checked if "could not be made" in note.why] == []


@pytest.mark.parametrize(("lines", "oscillates"), [((1, 2, 3), False), ((1,), True)])
def test_networks_one_after_the_other_do_not_oscillate(lines, oscillates):
    """Three optimisers of one line are folds; where there is one, the loss swings."""
    values = ([4.0] * 2 + [0.1] * 8) * 12
    loss = LossSeen("mse_loss", value=Series(list(range(1, 121)), values), constant=0.5)
    at = Place("train.py", 7)
    folds = [OptimizerSeen(f"opt-{n}", "SGD", steps=40, at=at) for n in lines]
    found = diagnose(Evidence(losses=[loss], optimizers=folds, steps=120))
    assert bool(named(found, "loss-oscillating")) is oscillates


@pytest.mark.parametrize("seed", [50, 65, 75])
def test_what_is_not_finite_out_of_nowhere_is_not_the_rates_nor_the_batches(seed):
    """Few rows a batch: the losses before it differ by chance, up to fourfold at these seeds."""
    torch.manual_seed(seed)
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Doctor.watch(budget=math.inf) as doctor:
        for step in range(6):
            scale = math.nan if step == 3 else 1.0
            loss = nn.MSELoss()(model(torch.randn(8, 2)) * scale, torch.zeros(8, 1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert [found.problem for found in doctor.findings] == ["loss-not-finite"]


def train_teacher_and_student(last: nn.Module, *, uphill: bool = False) -> None:
    """Both optimisers live to the end; the first is idle while the second steps."""
    x, y = rows(640)
    teacher, _ = classifier()
    student = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2), last)
    first = torch.optim.Adam(teacher.parameters(), lr=0.01)
    second = torch.optim.Adam(student.parameters(), lr=0.01, maximize=uphill)
    for _ in range(3):
        for part in torch.arange(len(x)).split(32):
            first.zero_grad()
            F.cross_entropy(teacher(x[part]), y[part]).backward()
            first.step()
    for _ in range(3):
        for part in torch.arange(len(x)).split(32):
            with torch.no_grad():
                soft = teacher(x[part]).softmax(1)
            answers = student(x[part])
            apart = F.kl_div(F.log_softmax(answers, 1), soft, reduction="batchmean")
            loss = 0.5 * apart + F.cross_entropy(answers, y[part])
            second.zero_grad()
            loss.backward()
            second.step()


def test_a_second_training_is_looked_at_like_the_first():
    doctor = watched(lambda: train_teacher_and_student(nn.Softmax(1)))
    assert doctor.evidence is not None
    taught = {loss.model: len(loss.value) for loss in doctor.evidence.losses}
    assert taught["student"] >= 40
    assert named(doctor.findings, "softmax-twice")
    assert doctor.evidence.optimizers[1].model == "student"
    early = [probe.step for probe in doctor.evidence.probes if probe.name == "repeat"]
    assert len(early) == 2, "what is tested early is tested at the start of each"
    plain = watched(lambda: train_teacher_and_student(nn.Identity()))
    assert not named(plain.findings, "softmax-twice")


def test_softmax_twice_is_seen_where_classes_stand_on_the_second_axis() -> None:
    outputs = TensorSeen(shape=[8, 5, 7], batches=5, min=0.0, max=0.9, rows_sum_to_one=0.0)
    loss = LossSeen("cross_entropy", outputs=outputs, output_function="softmax")
    assert [f.problem for f in softmax_twice(Evidence(losses=[loss]), 1.0)] == ["softmax-twice"]
    loss.output_function = "linear"
    assert not list(softmax_twice(Evidence(losses=[loss]), 1.0))


def test_the_rounds_of_closures_are_made_again():
    """The first evaluation of a step is at the weights that the round began with."""
    (x, y), (model, _) = rows(), classifier()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=5)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return loss

    doctor = watched(lambda: [optimizer.step(closure) for _ in range(12)])
    assert doctor.evidence is not None
    repeat = doctor.evidence.probe("repeat")
    assert repeat is not None
    assert repeat.numbers["again"] == pytest.approx(repeat.numbers["loss"], rel=1e-5)
    assert doctor.evidence.probe("one_batch") is not None
    assert all(probe.after <= probe.before for probe in doctor.evidence.optimizers[0].line)
    assert doctor.evidence.not_checked == []


def test_optimisers_that_take_turns_begin_once_each():
    """Looks would never grow rare where each turn were a training of its own."""
    schedule = Schedule(rounds=1000, due=5000)
    first, second = (classifier()[1] for _ in range(2))
    schedule.follow(first)
    assert not schedule.ends_with(second, IDLE)
    assert schedule.ends_with(second, IDLE + 1)
    assert (schedule.is_due, schedule.close) == (True, 1000 + FEWEST_CLOSE)
    assert schedule.ends_with(first, IDLE + 1)
    schedule.rounds, schedule.due = 2000, 9000
    assert schedule.ends_with(second, IDLE + 1)
    assert not schedule.is_due


@pytest.mark.parametrize("taking_turns", [False, True])
def test_of_many_short_rounds_most_are_only_counted(taking_turns):
    """The numbers of steps are exact; losses are kept of some, and looks come when they are due."""
    (x, y), (model, optimizer) = rows(64), classifier()
    second = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    losses: list[float] = []

    def train() -> None:
        for _ in range(1500):
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if taking_turns:
                second.step()

    doctor = watched(train)
    evidence = doctor.evidence
    assert evidence is not None
    assert [seen.steps for seen in evidence.optimizers] == [1500] * (1 + taking_turns)
    assert evidence.steps == 1500 * (1 + taking_turns)
    (value,) = [loss.value for loss in evidence.losses]
    assert 200 < len(value) < 1000
    each = 1 + taking_turns
    for step, kept in value:
        assert kept == pytest.approx(losses[(step - 1) // each], rel=1e-5)
    (changes,) = [m.parameters[0].update.steps for m in evidence.models]
    assert max(changes) > 1000 * each, "it is still looked at closely now and then"


def test_an_evaluation_ends_the_doze():
    (x, y), (model, optimizer) = rows(64), classifier()

    def train() -> None:
        for step in range(600):
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % 97 == 96:
                with torch.no_grad():
                    model(x + 1)

    doctor = watched(train)
    assert doctor.evidence is not None
    assert len(doctor.evidence.models[0].asked) == 1
    assert doctor.evidence.models[0].asked[0].inputs.batches == 6


def test_a_loss_that_is_lost_while_steps_are_only_counted():
    (x, y), (model, optimizer) = rows(64), classifier()

    def train() -> None:
        for step in range(1200):
            loss = F.cross_entropy(model(x), y) * (math.nan if step >= 1000 else 1.0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    doctor = watched(train)
    (found,) = named(doctor.findings, "loss-not-finite")
    assert found.severity == "error"
    assert found.since_step is not None
    assert 1001 <= found.since_step <= 1011


def test_a_second_training_may_go_uphill():
    doctor = watched(lambda: train_teacher_and_student(nn.Identity(), uphill=True))
    (found,) = named(doctor.findings, "gradient-ascent")
    (line,) = lines_of(train_teacher_and_student, "maximize=")
    assert (found.severity, found.at and found.at.line) == ("error", line)


def test_rectified_outputs_before_a_loss_of_classes_are_named():
    def train(last: nn.Module) -> None:
        (x, y), model = rows(), nn.Sequential(nn.Linear(6, 2), last)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for part in torch.arange(len(x)).split(16):
            # Several passes for a step: what made the outputs is known of each.
            for few in part.split(4):
                (F.cross_entropy(model(x[few]), y[few]) / 4).backward()
            optimizer.step()
            optimizer.zero_grad()

    assert named(watched(lambda: train(nn.ReLU())).findings, "wrong-output-activation")
    assert not named(watched(lambda: train(nn.Identity())).findings, "wrong-output-activation")


@pytest.mark.parametrize(("scale", "expected"), [(1.0, []), (1e-4, ["constant-input"])])
def test_rows_that_are_answered_alike_suffer_whatever_the_loss(scale, expected):
    """The best constant of a loss by hand is not known, and the loss may fall without the rows."""

    def train() -> None:
        x, _ = rows()
        target = x[:, 0] + x[:, 1] + 2
        model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(20):
            for part in torch.arange(len(x)).split(32):
                missed = target[part] - model(x[part] * scale)[:, 0]
                loss = torch.maximum(0.5 * missed, -0.5 * missed).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    told = [one.problem for one in watched(train).findings if one.severity != "note"]
    assert told[:1] == expected


class Closed(torch.nn.Module):
    """Keeps a function of its own parts, as minGPT's blocks do; drops some of what comes out."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = torch.nn.ModuleDict(
            {"one": torch.nn.Linear(6, 8), "two": torch.nn.Linear(8, 3)}
        )
        parts = self.parts
        self.both = lambda x: parts["two"](torch.tanh(parts["one"](x)))
        self.drop = torch.nn.Dropout(0.3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.drop(self.both(x))


@pytest.mark.parametrize(("drawn_after", "step"), [((), 2), ((1,), 3), ((1, 2, 3), None)])
def test_rounds_of_closed_functions_and_of_numbers_drawn_between_are_made_again(drawn_after, step):
    """What an evaluation draws within one round does not keep the next from being tested."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(40, 6, generator=generator), torch.arange(40) % 3
    model = Closed()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)

    @torch.no_grad()
    def evaluate() -> None:
        model(x)  # in training mode, so that it drops

    def train() -> None:
        for made in range(12):
            if made in drawn_after:
                evaluate()
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    doctor = watched(train)
    assert doctor.evidence is not None
    found = doctor.evidence.probe("repeat")
    assert found is not None
    told = [note.why for note in doctor.evidence.not_checked]
    if step is None:
        assert told == ["the round gives another loss when it is made again"]
    else:
        assert (found.step, told) == (step, [])
        assert found.numbers["again"] == pytest.approx(found.numbers["loss"], rel=1e-6)
