"""A recorded round made again: what is computed anew, and what stays as it was."""

from __future__ import annotations

import torch
from torch import nn

from glial.doctor.watching.tape import MOST_ENTRIES, Entry, Tape


class Counted:
    """A function that counts its calls."""

    def __init__(self, name, function):
        self.__name__, self.function, self.calls = name, function, 0

    def __call__(self, *args):
        self.calls += 1
        return self.function(*args)


def record(tape, function, *args):
    result = function(*args)
    tape.add(Entry(function, args, {}, result, None))
    return result


def test_data_are_not_made_anew_and_what_comes_of_weights_is():
    loads, weighs = Counted("div", torch.div), Counted("sub", torch.sub)
    tape, model, twin = Tape(), nn.Linear(2, 1, bias=False), nn.Linear(2, 1, bias=False)
    batch = record(tape, loads, torch.full((3, 2), 8.0), 2.0)
    loss = record(tape, weighs, record(tape, model, batch), 1.0)
    again = tape.replay([loss], {id(model): twin})[0]
    assert torch.equal(again, twin(torch.full((3, 2), 4.0)) - 1.0)
    assert (loads.calls, weighs.calls) == (1, 2)


def test_what_was_overwritten_after_it_was_read_is_made_anew():
    """A target that is filled anew for the second player must not reach the first one's loss."""
    tape, model = Tape(), nn.Linear(2, 1)
    outputs = record(tape, model, torch.ones(3, 2))
    target = record(tape, torch.full, (3, 1), 5.0)
    loss = record(tape, torch.sub, outputs, target)
    was = loss.detach().clone()
    record(tape, torch.Tensor.fill_, target, 0.0)
    assert torch.equal(tape.replay([loss], {id(model): model})[0], was)


def test_many_calls_that_make_data_leave_room_for_the_network():
    tape, model = Tape(), nn.Linear(2, 1)
    for _ in range(MOST_ENTRIES):
        batch = record(tape, torch.neg, torch.ones(3, 2))
    outputs = record(tape, model, batch)
    assert tape.is_whole
    assert tape.maker(outputs).function is model
    assert torch.equal(tape.replay([outputs], {id(model): model})[0], outputs)


def test_a_round_of_too_many_calls_to_learn_from_is_cut_short():
    tape, weight = Tape(), torch.ones(1, requires_grad=True)
    for _ in range(MOST_ENTRIES + 1):
        record(tape, torch.neg, weight)
    assert not tape.is_whole
