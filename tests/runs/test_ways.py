"""Every way of preparing and judging data is there, and is chosen by source and task."""

import torch
from torch import nn

from glial.runs.loaders import LOADER_WAY
from glial.runs.plan import Plan
from glial.runs.prediction import TABLE_WAY
from glial.runs.request import Request
from glial.runs.ways import WAYS, Way, way_name


def test_every_entry_is_a_way():
    assert all(isinstance(WAYS.resolve(name), Way) for name in WAYS)


def test_the_source_decides_before_the_task():
    loader = [(torch.zeros(2, 1), torch.zeros(2, 1))]
    asked = Request(Plan(), source=iter(loader), model=nn.Linear(1, 1))
    assert WAYS.resolve(way_name(asked, asked.plan)) is LOADER_WAY
    assert WAYS.resolve(way_name(Request(Plan()), Plan())) is TABLE_WAY
