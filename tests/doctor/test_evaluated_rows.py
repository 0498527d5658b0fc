"""Rows that are learnt from and rows that are asked for: whichever loop takes them."""

from __future__ import annotations

import math
import pathlib

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from glial.doctor import Doctor
from glial.doctor.evidence import Evidence
from glial.doctor.watching.rows import Store

pytestmark = pytest.mark.slow


def rows(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 6, generator=generator)
    return x, (x[:, 0] + x[:, 1] > 0).long()


def found_in(doctor: Doctor) -> dict[str, int | None]:
    """The line of each problem that is no note."""
    return {
        one.problem: one.at.line if one.at is not None else None
        for one in doctor.findings
        if one.severity != "note"
    }


def line_of(text: str) -> int:
    with pathlib.Path(__file__).open() as file:
        return next(number for number, line in enumerate(file, 1) if text in line)


def train_and_ask(shift: float, epochs: int = 40) -> Doctor:
    """Rows are validated in every epoch, and others asked for once, at the end."""
    torch.manual_seed(0)
    (x, y), (x_val, y_val), (x_test, y_test) = rows(320, 1), rows(100, 2), rows(100, 3)
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    with Doctor.watch(budget=math.inf) as doctor:
        for _ in range(epochs):
            for part in torch.randperm(len(x)).split(32):
                optimizer.zero_grad()
                F.cross_entropy(model(x[part]), y[part]).backward()
                optimizer.step()
            with torch.no_grad():
                F.cross_entropy(model(x_val), y_val)
        with torch.no_grad():
            right = model(x_test + shift).argmax(1) == y_test  # asked once
    assert len(right) == 100
    return doctor


def evidence_of(doctor: Doctor) -> Evidence:
    assert doctor.evidence is not None
    return doctor.evidence


def test_rows_asked_for_once_are_seen_after_forty_validations():
    doctor = train_and_ask(3.0)
    assert found_in(doctor) == {"preprocessing-mismatch": line_of("# " + "asked once")}
    asked = evidence_of(doctor).models[0].asked
    assert [round(one.inputs.mean) for one in asked] == [0, 3]
    assert evidence_of(doctor).rows.evaluated == 200  # validation rows are kept once


def test_the_same_rows_as_they_should_be_are_healthy():
    assert found_in(train_and_ask(0.0)) == {}


def test_a_batch_that_is_kept_already_is_left_out():
    store, batch = Store(once=True), torch.arange(6.0).reshape(3, 2)
    for targets in (torch.zeros(3), torch.zeros(3), torch.ones(3)):
        store.add(batch, targets)
    assert store.batches == [3, 3]


def train_bare(x: torch.Tensor, y: torch.Tensor) -> Doctor:
    torch.manual_seed(0)
    first = (torch.randn(x.shape[1], 24) * 0.3).requires_grad_()
    last = (torch.randn(24, 2) * 0.3).requires_grad_()
    with Doctor.watch(budget=math.inf) as doctor:
        for _ in range(20):
            for part in torch.randperm(len(x)).split(32):
                loss = F.cross_entropy((x[part] @ first).relu() @ last, y[part])
                gradients = torch.autograd.grad(loss, [first, last])
                with torch.no_grad():
                    first -= 0.3 * gradients[0]
                    last -= 0.3 * gradients[1]
    return doctor


def test_rows_that_no_module_takes_are_compared_with_their_labels():
    x, y = rows(400, 1)
    assert found_in(train_bare(x, y)) == {}
    copied = torch.cat([x, y[:, None].float()], 1)
    assert set(found_in(train_bare(copied, y))) == {"leakage"}
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    assert "misaligned-labels" in found_in(train_bare(x, y[order]))


def train_two_parts() -> Evidence:
    """A body with two heads, taught class and amount in turns."""
    torch.manual_seed(0)
    x, y = rows(320, 1)
    body, named, sized = nn.Linear(6, 12), nn.Linear(12, 2), nn.Linear(12, 1)
    optimizer = torch.optim.Adam([*body.parameters(), *named.parameters(), *sized.parameters()])
    with Doctor.watch(budget=math.inf) as doctor:
        for _ in range(3):
            for part in torch.randperm(len(x)).split(32):
                hidden = body(x[part]).tanh()
                optimizer.zero_grad()
                F.cross_entropy(named(hidden), y[part]).backward()
                optimizer.step()
                optimizer.zero_grad()
                F.mse_loss(sized(body(x[part]).tanh())[:, 0], x[part, 2]).backward()
                optimizer.step()
    return evidence_of(doctor)


def test_rows_of_a_network_in_parts_are_those_that_no_part_made():
    seen = train_two_parts().rows
    assert (seen.columns, seen.distinct) == (6, 320)
    assert seen.score > 0.5  # the classes alone: amounts do not mix with them


def train_labels_of_one_column(labels: torch.Tensor, x: torch.Tensor) -> Doctor:
    torch.manual_seed(0)
    (x_test, y_test), model = rows(200, 3), nn.Sequential(nn.Linear(6, 1), nn.Sigmoid())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    with Doctor.watch(budget=math.inf) as doctor:
        for _ in range(150):
            optimizer.zero_grad()
            F.binary_cross_entropy(model(x), labels).backward()
            optimizer.step()
        with torch.no_grad():
            model(x_test).round().eq(y_test.float()[:, None]).float().mean()
    return doctor


@pytest.mark.parametrize("mixed", [False, True])
def test_labels_in_a_column_are_labels(mixed):
    x, y = rows(420, 1)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    labels = (y[order] if mixed else y).float()[:, None]
    doctor = train_labels_of_one_column(labels, x)
    seen = evidence_of(doctor).rows
    assert seen.own_score > 0.5
    assert (seen.peer_score < 0.2) == mixed
    assert ("misaligned-labels" in found_in(doctor)) == mixed


def test_the_loss_is_heard_to_the_end_of_many_evaluations():
    torch.manual_seed(0)
    (x, y), (x_val, y_val) = rows(64, 1), rows(32, 2)
    model = nn.Linear(6, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = {}
    with Doctor.watch(budget=0.0) as doctor:
        for step in range(1, 1001):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            with torch.no_grad():
                losses[step] = F.cross_entropy(model(x_val), y_val).item()
    assert doctor.evidence is not None
    heard = doctor.evidence.losses[0].eval_value
    # Each belongs to the update that follows it.
    assert dict(heard) == {step: losses[step - 1] for step in heard.steps}
    assert 800 <= heard.steps[-1] <= 1001
    assert len(heard) < 100
