"""The table of problems: complete, and consistent with what findings already name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import glial.data.quality.findings
from glial.doctor import PROBLEMS, THEMES

# Names and kinds are a contract with whoever reads findings: they may be added, never changed.
FROZEN = Path(__file__).with_name("problem_names.txt").read_text(encoding="utf-8").splitlines()


def test_names_and_kinds_are_the_frozen_ones():
    assert sorted(f"{name} {problem.kind}" for name, problem in PROBLEMS.items()) == FROZEN


def test_collapse_of_networks_to_come_is_for_later():
    later = {name for name, problem in PROBLEMS.items() if problem.later}
    assert later == {"entropy-collapse"}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_is_described(name):
    problem = PROBLEMS[name]
    assert problem.name == name
    assert problem.theme in THEMES
    assert problem.title[0].islower()
    assert len(problem.title) <= 60
    assert re.fullmatch(r"[A-Z][^.]*\.", problem.means), "one sentence"


def test_titles_and_meanings_differ():
    for values in ([p.title for p in PROBLEMS.values()], [p.means for p in PROBLEMS.values()]):
        assert len(set(values)) == len(values)


def test_every_theme_has_problems_and_holds_together():
    themes = [problem.theme for problem in PROBLEMS.values()]
    assert list(dict.fromkeys(themes)) == [*THEMES]
    assert themes == sorted(themes, key=[*THEMES].index)


def test_findings_about_data_name_known_problems():
    source = Path(glial.data.quality.findings.__file__).read_text(encoding="utf-8")
    named = set(re.findall(r'Finding\(\s*"([a-z-]+)"', source))
    assert named
    assert named <= set(PROBLEMS)
