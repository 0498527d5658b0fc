"""The board in a browser: every control, keys, live news, hostile runs, phone and dark."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from glial.serving.access import Address
from glial.serving.board.index import Index, run_id
from glial.serving.board.routes import CHANGES, routes
from glial.serving.server import serving

PHONE = (390, 844)
HOSTILE = "<img src=x onerror=document.title=1>"
LAYERS = ["stem", "middle", "head"]
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9"
    "awAAAABJRU5ErkJggg=="
)


def series(start: float) -> dict:
    return {"steps": list(range(1, 41)), "values": [start / (1 + at / 9) for at in range(40)]}


def live(status: str, epoch: int) -> dict:
    layers = [
        {
            "name": name,
            "kind": "Linear",
            "quantities": {
                "gradient_rms": series(10.0 ** (at - 2)),
                "dead_share": series(0.2 * at),
            },
        }
        for at, name in enumerate(LAYERS)
    ]
    finding = {
        "problem": "vanishing-gradients",
        "severity": "warning",
        "where": HOSTILE,
        "evidence": {"share": 0.001},
        "means": "Gradients of the first layers are a thousandth of the last's.",
        "do": "Add skip connections.",
        "since_step": 12,
    }
    loads = [float(at) for at in range(20)]
    return {
        "format": 1,
        "status": status,
        "pid": os.getpid(),
        "epoch": epoch,
        "epochs": 40,
        "step": 4 * epoch,
        "fraction": epoch / 40,
        "seconds": 0.3 * epoch,
        "best_epoch": epoch,
        "updated": time.time(),
        "findings": [finding],
        "layers": layers,
        "samples": [
            {"input": HOSTILE, "image": None, "truth": "5", "prediction": "6", "right": False},
            {"input": None, "image": PIXEL, "truth": "3", "prediction": "3", "right": True},
        ],
        "hardware": {
            "cpu_percent": 99.0,
            "memory_bytes": 1 << 28,
            "threads": 1,
            "series": {"seconds": loads, "cpu_percent": loads, "memory_bytes": loads},
        },
    }


def write_run(folder: Path, at: int, *, training: bool = False, epochs: int = 40) -> Path:
    folder.mkdir(exist_ok=True)
    lr = round(0.001 * 1.5**at, 5)
    plan = {
        "data": {"source": "wine"},
        "task": {"name": "classification"},
        "model": {"name": ["mlp", "linear"][at % 2], "note": HOSTILE if at == 1 else "plain"},
        "train": {"lr": lr, "batch_size": 16 * 2 ** (at % 4), "seed": at, "epochs": 40},
    }
    (folder / "plan.yaml").write_text(json.dumps(plan))
    lines = ["epoch,step,train_loss,val_loss,val_accuracy,lr,seconds"]
    for one in range(1, epochs + 1):
        loss = 2.0 / (1 + (0.2 + 0.03 * at) * one)
        loss += 0.03 * ((one * (at + 3)) % 7) / 7
        seconds = 0.3 * one
        rate = lr * (1 - one / 41)
        lines.append(f"{one},{4 * one},{loss},{1.1 * loss},{1 - loss / 3},{rate},{seconds}")
    (folder / "history.csv").write_text("\n".join(lines))
    (folder / "live.json").write_text(
        json.dumps(live("training" if training else "finished", epochs))
    )
    if not training:
        figures = {"test": {"accuracy": 0.6 + 0.03 * at, "log_loss": 0.9 - 0.05 * at}}
        told = {"metrics": figures, "epochs": epochs, "seconds": 12.0 + at, "status": "finished"}
        (folder / "metrics.json").write_text(json.dumps(told))
        found = [] if at % 3 else live("finished", 1)["findings"]
        (folder / "findings.json").write_text(json.dumps(found))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("board")
    for at in range(12):
        write_run(root / f"search-{at}", at)
    write_run(root / HOSTILE, 1)
    damaged = write_run(root / ("very-long-" * 20 + "\u202e"), 2)
    (damaged / "metrics.json").write_text("{")
    (root / "search-3" / "report.html").write_text(
        "<!doctype html><title>report</title><script>document.title='ran'</script><p>the report"
    )
    return root


@pytest.fixture(scope="module")
def board(folder) -> Iterator[Address]:
    index = Index.of(folder)
    index.refresh()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glial.serving.board.watch.EVERY_SECONDS", 0.1)
        patch.setattr("glial.serving.board.watch.SHARE", 0.5)
        with serving(routes(index, writable=True), changes=(CHANGES,)) as address:
            yield address


def opened_at(open_page, board: Address, path: str = "/", **options):
    opened = open_page(board.url(path), **options)
    opened.page.wait_for_selector("[data-drawn]")
    return opened


def names(page) -> list[str]:
    return page.locator(".runs td.name").all_inner_texts()


def drawn(page) -> int:
    return int(page.evaluate("document.documentElement.dataset.drawn"))


def test_the_first_page_filters_sorts_picks_and_draws(open_page, board):
    opened = opened_at(open_page, board)
    page = opened.page
    assert "token" not in page.url
    assert page.title() == "Runs · Glial board"
    assert len(names(page)) == 14
    # filters
    page.fill("#search", "search-1")
    page.wait_for_selector('[data-drawn="3"]')
    assert set(names(page)) == {"search-1", "search-10", "search-11"}
    page.click("#clear")
    for control, value, count in (
        ("#filter-model", "linear", 7),
        ("#filter-status", "damaged", 1),
        ("#filter-task", "classification", 14),
        ("#filter-source", "wine", 14),
    ):
        page.select_option(control, value)
        assert len(names(page)) == count
        page.click("#clear")
    page.select_option("#filter-metric", "figure.test.accuracy")
    page.fill("#filter-low", "0.7")
    page.fill("#filter-high", "0.85")
    assert page.inner_text("#count").startswith("5 of")  # 0.6 + 0.03 at for at from 4 to 8
    page.check("#starred")
    assert names(page) == []
    page.click("#clear")
    page.check("#members")
    page.uncheck("#members")
    # sorting
    for _ in range(2):
        page.click('.runs button[data-column="figure.test.accuracy"]')
    column = page.get_by_role("columnheader", name="test accuracy")
    assert column.get_attribute("aria-sort") == "ascending"
    assert names(page)[0] == "search-0"
    # columns
    page.click("details:has(#columns) summary")
    page.locator("#columns").get_by_label("train.batch_size").check()
    assert page.get_by_role("columnheader", name="train.batch_size").count() == 1
    # keys of the table
    page.locator('.runs tr[tabindex="0"]').focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    assert page.locator("#legend li").count() == 2
    assert "search-0" in page.inner_text("#legend")
    page.keyboard.press("End")
    page.keyboard.press("Home")
    assert page.evaluate("document.activeElement.getAttribute('aria-rowindex')") == "2"
    # curves
    page.select_option("#whose", "picked")
    page.wait_for_selector('[data-drawn="2"]')
    for axis in ("step", "seconds", "epoch"):
        page.select_option("#axis", axis)
    page.select_option("#quantity", "train_loss")
    page.check("#log")
    page.fill("#smooth", "0.5")
    page.click("#curve-details summary")
    page.wait_for_selector("#curve-table td")
    assert page.locator("#curve-table tbody tr").count() == 2
    chart = page.locator("#curves canvas")
    chart.focus()
    page.keyboard.press("ArrowRight")
    assert "train loss" in page.inner_text("#curves .reading")
    page.keyboard.press("+")
    assert page.is_enabled("#unzoom")
    page.click("#unzoom")
    assert page.is_disabled("#unzoom")
    box = chart.bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 400, box["y"] + 100)
    page.mouse.up()
    assert page.is_enabled("#unzoom")
    page.keyboard.press("Escape")
    # parallel coordinates and scatter
    page.click("details:has(#ranges) summary")
    low = page.get_by_label("test accuracy at least")
    low.fill("0.8")
    low.blur()
    assert page.inner_text("#count").startswith("5 of")  # 0.81 to 0.93
    page.click("#clear")
    page.click("details:has(#axes) summary")
    page.locator("#axes").get_by_label("seconds", exact=True).uncheck()
    page.select_option("#scatter-x", "plan.train.lr")
    page.select_option("#scatter-y", "figure.test.log_loss")
    page.check("#scatter-log-x")
    page.check("#scatter-log-y")
    label = page.get_attribute("#scatter canvas", "aria-label")
    assert "correlation" in label
    assert "12 runs" in label or "13 runs" in label
    page.click("details:has(#scatter-table) summary")
    page.locator("#scatter-table tbody tr").nth(11).wait_for()
    opened.check_accessible()
    page.click("#unpick")
    page.click("#best")
    assert page.locator("#legend li").count() == 8
    page.select_option("#look", "dark")
    assert page.get_attribute("html", "data-theme") == "dark"
    page.select_option("#look", "auto")
    page.click("#compare")
    page.wait_for_selector("[data-drawn]")
    assert "8 runs" in page.inner_text("#status")
    assert opened.errors == []
    assert all(request.startswith(board.origin) for request in opened.requests)


def test_what_runs_say_is_only_ever_text(open_page, board):
    opened = opened_at(open_page, board)
    assert opened.page.title() == "Runs · Glial board"
    assert opened.page.get_by_text(HOSTILE).count() >= 1
    opened.page.goto(f"{board.origin}/run/{run_id(HOSTILE)}")
    opened.page.wait_for_selector("[data-drawn]")
    assert opened.page.inner_text("h1") == HOSTILE
    assert opened.page.locator("img[src='x']").count() == 0
    assert opened.errors == []


def test_the_page_of_a_run_shows_all_of_it_and_keeps_marks(open_page, board):
    opened = opened_at(open_page, board, f"/run/{run_id('search-3')}")
    page = opened.page
    assert "vanishing-gradients" in page.inner_text("#findings")
    assert "6" in page.inner_text("#samples")
    assert page.locator("#samples img").evaluate("(image) => image.naturalWidth") == 1
    assert "256 MiB" in page.inner_text("#hardware")
    assert "0.69" in page.inner_text("#metrics")
    page.select_option("#health", "dead_share")
    assert "head" in page.get_attribute("#layers canvas", "aria-label")
    page.click("details:has(#layer-table) summary")
    assert page.locator("#layer-table tbody tr").count() == 3
    page.fill("#plan-search", "lr")
    assert page.locator("#plan tbody tr").count() == 1
    for axis in ("step", "seconds"):
        page.select_option("#axis", axis)
    page.check("#log")
    page.fill("#smooth", "0.6")
    page.fill("#label", "the best")
    page.fill("#tags", "one, two")
    page.fill("#note", "look again")
    page.check("#star")
    page.get_by_role("button", name="Keep").click()
    page.get_by_role("heading", name="the best").wait_for()
    opened.check_accessible()
    assert opened.errors == []
    page.goto(f"{board.origin}/runs/{run_id('search-3')}/report")
    assert page.title() == "report"  # its script did not run


@pytest.mark.parametrize("dark", [False, True])
def test_pages_fit_a_phone(open_page, board, dark):
    several = ",".join(run_id(f"search-{at}") for at in (4, 8, 11))
    for path in ("/", f"/run/{run_id('search-6')}", f"/compare?runs={several}"):
        opened = opened_at(open_page, board, path, size=PHONE, dark=dark)
        opened.check_fits()
        opened.check_accessible()
        assert opened.errors == []


def test_few_curves_are_told_apart_without_being_picked(open_page, board):
    page = opened_at(open_page, board).page
    looks = page.locator("#legend li")
    assert looks.count() == 0
    page.fill("#search", "search-1")  # and search-10 and search-11
    page.wait_for_selector('[data-drawn="3"]')
    assert looks.locator("a").all_inner_texts() == ["search-1", "search-10", "search-11"]
    swatches = looks.locator(".swatch")
    assert len(set(swatches.evaluate_all("all => all.map(e => e.style.borderColor)"))) == 3
    assert looks.locator("button").count() == 0
    assert looks.all_inner_texts() == ["1\nsearch-1", "2\nsearch-10", "3\nsearch-11"]
    page.click('.runs tbody tr:has-text("search-11") input')
    assert looks.locator("a").all_inner_texts() == ["search-11"]


def test_runs_that_train_are_shown_live(open_page, folder, board):
    opened = opened_at(open_page, board)
    page = opened.page
    before = drawn(page)
    write_run(folder / "now", 5, training=True, epochs=10)
    page.get_by_text("training 25 %").wait_for()
    page.wait_for_selector(f'[data-drawn="{before + 1}"]')
    write_run(folder / "now", 5, training=True, epochs=20)
    page.get_by_text("training 50 %").wait_for()
    page.goto(f"{board.origin}/run/{run_id('now')}")
    page.wait_for_selector("[data-drawn]")
    assert page.get_attribute("#progress", "value") == "0.5"
    write_run(folder / "now", 5, epochs=40)
    page.locator("#status").get_by_text("finished").wait_for()
    assert opened.errors == []


def test_pictures_for_the_documents(open_page, board):
    for name, options in (("board", {}), ("board-phone", {"size": PHONE, "dark": True})):
        opened = opened_at(open_page, board, **options)
        page = opened.page
        page.fill("#search", "search-")
        page.click('.runs button[data-column="figure.test.accuracy"]')
        page.click("#best")
        page.locator("#legend li").nth(7).wait_for()
        page.evaluate("scrollTo(0, 0)")
        opened.shot(name)
        if name == "board":
            page.locator("#parallel-title").evaluate("(title) => title.scrollIntoView()")
            opened.shot("board-search")
        assert opened.errors == []
