"""Every problem has its page, every page its sections, and its picture what its example measured.

That the examples run, and that what they claim holds, is tested with all documents.
"""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from xml.etree import ElementTree

import pytest

from glial.doctor import PROBLEMS, THEMES

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "problems"
SECTIONS = [
    "What you see",
    "What it means",
    "Why it happens",
    "How the doctor knows",
    "What to do",
    "When it is fine",
    "Example",
    "Sources",
]
LARGEST = 15_000
TOOL = runpy.run_path(str(ROOT / "tools" / "problem_pictures.py"))
PICTURES = TOOL["read_pictures"]()


def section(page, name):
    return page.split(f"\n## {name}\n")[1].split("\n## ")[0].strip()


@pytest.fixture(params=PROBLEMS)
def problem(request):
    return PROBLEMS[request.param]


@pytest.fixture
def page(problem):
    return (ROOT / problem.page).read_text(encoding="utf-8")


def test_pages_and_pictures_are_those_of_the_problems():
    assert {path.stem for path in PAGES.glob("*.md")} == {*PROBLEMS, "index"}
    assert {path.stem for path in (PAGES / "pictures").iterdir()} == {*PROBLEMS} == {*PICTURES}


def test_a_page_has_its_heading_and_sections(problem, page):
    title = problem.title[0].upper() + problem.title[1:]
    assert page.startswith(f"# {title}\n\n`{problem.name}`, a {problem.kind}. ")
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == SECTIONS
    assert all(section(page, name) for name in SECTIONS)


def test_a_page_is_short(page):
    words = re.sub(r"```.*?```", "", page, flags=re.DOTALL).split()
    assert 100 <= len(words) <= 340


def test_a_page_has_one_example_with_a_claim(page):
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert {"faulty", "fixed"} <= {*re.findall(r"\w+", block)}
    assert re.search(r"^assert ", block, re.MULTILINE)
    assert len(block.splitlines()) <= 40
    assert max(map(len, block.splitlines())) <= 100


def test_remedies_are_in_an_order_and_sources_have_a_year(page):
    assert section(page, "What to do").startswith("1. ")
    for source in re.split(r"^- ", section(page, "Sources"), flags=re.MULTILINE)[1:]:
        assert re.search(r"\((19|20)\d\d\)|documentation", source), source


def test_a_page_shows_its_picture(problem, page):
    (text, file) = re.findall(r"!\[(.*?)\]\((.*?)\)", page)[0]
    assert file == f"pictures/{problem.name}.svg"
    assert len(text) > 40
    svg = (PAGES / file).read_bytes()
    assert len(svg) < LARGEST
    words = {node.text for node in ElementTree.fromstring(svg).iter() if node.text}
    picture = PICTURES[problem.name]
    assert {picture.x, picture.y, *picture.names, *picture.labels} <= words


def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+\.md)\)", page):
        assert (PAGES / target).is_file(), target


def test_the_index_lists_every_problem_under_its_theme():
    index = (PAGES / "index.md").read_text(encoding="utf-8")
    for theme, title in THEMES.items():
        rows = section(index, title).splitlines()[2:]
        listed = [problem for problem in PROBLEMS.values() if problem.theme == theme]
        assert len(rows) == len(listed)
        for row, problem in zip(rows, listed, strict=True):
            mark = " *(symptom)*" * (problem.kind == "symptom") + " *(later)*" * problem.later
            assert row == f"| [{problem.name}]({problem.name}.md){mark} | {problem.means} |"


def test_the_diagram_is_that_of_the_table():
    drawn = runpy.run_path(str(ROOT / "tools" / "problem_diagram.py"))["draw"]()
    assert drawn == (PAGES / "causes.svg").read_text(encoding="utf-8"), (
        "run: python tools/problem_diagram.py"
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["memory-growth", "wrong-target", "out-of-memory"])
def test_pictures_are_drawn_from_what_the_example_measures(name):
    drawn = TOOL["draw"](PICTURES[name], *TOOL["measure"](name))
    assert drawn == (PAGES / "pictures" / f"{name}.svg").read_text(encoding="utf-8"), (
        f"run: python tools/problem_pictures.py {name}"
    )


def drawn_as(kind, faulty, fixed, **others):
    picture = TOOL["Picture"](kind, "across", "up", ("faulty", "fixed"), **others)
    return ElementTree.fromstring(TOOL["draw"](picture, faulty, fixed))


def shapes(svg, tag):
    return [node.attrib for node in svg.iter() if node.tag.endswith(tag)]


def test_a_curve_goes_from_its_lowest_to_its_highest_place():
    svg = drawn_as("curve", [0.0, 5.0, 10.0], [10.0, 5.0, 0.0])
    down, up = (line["points"] for line in shapes(svg, "polyline"))
    assert down == "56.0,34.0 259.0,120.0 462.0,206.0"
    assert up == "56.0,206.0 259.0,120.0 462.0,34.0"


def test_a_curve_ends_where_it_is_not_finite():
    svg = drawn_as("curve", [1.0, 2.0, float("nan"), 3.0], [1.0, 1.0, 1.0, 1.0])
    assert len(shapes(svg, "polyline")[1]["points"].split()) == 2
    assert any("not finite" in (node.text or "") for node in svg.iter())


def test_logarithmic_heights_have_equal_steps():
    svg = drawn_as("curve", [1.0, 10.0, 100.0], [1.0, 1.0, 1.0], log=True)
    places = [point.split(",")[1] for point in shapes(svg, "polyline")[1]["points"].split()]
    assert places == ["206.0", "120.0", "34.0"]


def test_bars_are_as_high_as_their_values():
    svg = drawn_as("bars", [1.0, 2.0], [0.5, 4.0], labels=("a", "b"))
    heights = [float(bar["height"]) for bar in shapes(svg, "rect")[1:] if bar["height"] != "8"]
    assert heights == [43.0, 86.0, 21.5, 172.0]


def test_a_histogram_shows_shares():
    svg = drawn_as("histogram", [0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 1.0])
    outlines = [path["d"] for path in shapes(svg, "path") if path["d"].endswith("Z")]
    tops = [re.findall(r"V([\d.]+)h", outline) for outline in outlines]
    assert [(column[0], column[-1]) for column in tops] == [("34.0", "148.7"), ("148.7", "34.0")]


def test_long_curves_are_thinned_and_keep_their_end():
    svg = drawn_as("curve", [float(at) for at in range(1001)], [0.0] * 1001)
    points = shapes(svg, "polyline")[1]["points"].split()
    assert len(points) <= 130
    assert points[-1] == "462.0,34.0"
