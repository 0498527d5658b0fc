"""Reports in a real browser: quiet, offline, accessible, and every fold can be opened."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import glial

DESKTOP, PHONE = (1280, 800), (390, 844)


def table():
    """People, a column that gives the answer away, and one that tells groups apart."""
    drawn = np.random.default_rng(0)
    y = drawn.integers(0, 2, 240)
    columns = {
        "hours": y + drawn.normal(size=240),
        "copy": y + 0.01 * drawn.normal(size=240),
        "sex": drawn.choice(["f", "m"], 240),
        "answer": np.where(y == 1, "yes", "no"),
    }
    return pl.DataFrame(columns), "answer", {"model": "mlp", "set": {"data.fairness.group": "sex"}}


def images():
    """Bright and dark squares."""
    drawn = np.random.default_rng(1)
    y = drawn.integers(0, 2, 90)
    pixels = (drawn.integers(0, 100, (90, 10, 10)) + 120 * y[:, None, None]).astype(np.uint8)
    return (pixels, y), "target", {"set": {"train.batch_size": 16}}


def texts():
    """Messages of a few words."""
    drawn = np.random.default_rng(2)
    words = {"spam": ["free", "win", "<b>now</b>"], "ham": ["hello", "lunch", "tomorrow"]}
    labels = drawn.choice(["spam", "ham"], 120)
    said = [" ".join(drawn.choice([*words[label], "you", "and"], 6)) for label in labels]
    frame = pl.DataFrame({"text": said, "label": labels})
    return frame, "label", {"set": {"data.types.text": "text"}}


def series():
    """A season and some noise."""
    noise = np.random.default_rng(3).normal(size=150) / 10
    frame = pl.DataFrame({"step": range(150), "value": np.arange(150) % 6 + noise})
    return frame, "value", {"task": "forecasting", "time": "step"}


KINDS = {"table": table, "images": images, "texts": texts, "series": series}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A report of each kind, as a file."""
    folder, made = tmp_path_factory.mktemp("reports"), {}
    for name, kind in KINDS.items():
        source, target, options = kind()
        run = glial.train(source, target, epochs=2, out=folder / name, **options)
        report = glial.report(run, source)
        assert [one.key for one in report.sections if "error" in one.data] == []
        made[name] = folder / name / "report.html"
        made[name].write_text(report.to_html(), encoding="utf-8")
        assert made[name].stat().st_size < 3_000_000
    return made


@pytest.mark.parametrize(
    ("kind", "size", "dark"),
    [
        ("table", DESKTOP, False),
        ("table", PHONE, True),
        ("images", DESKTOP, True),
        ("texts", PHONE, False),
        ("series", DESKTOP, False),
    ],
)
def test_a_report_is_quiet_offline_and_accessible(open_page, pages, kind, size, dark):
    opened = open_page(pages[kind].as_uri(), size=size, dark=dark)
    page = opened.page
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    opened.check_accessible()
    opened.check_fits()
    drawings = page.locator("svg[role=img]")
    assert drawings.count() > 2
    assert page.locator("svg:not([role])").count() == 0
    assert [url for url in opened.requests if not url.startswith("data:")] == []
    assert opened.errors == []


def test_every_link_of_the_contents_leads_somewhere(open_page, pages):
    page = open_page(pages["table"].as_uri()).page
    links = page.locator("nav.contents a")
    assert links.count() == 13
    for link in links.all():
        link.click()
        assert page.locator(f"{link.get_attribute('href')} h2").is_visible()


def test_every_fold_opens_and_closes_by_the_keyboard(open_page, pages):
    page = open_page(pages["table"].as_uri()).page
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    for fold in page.locator("summary").all()[::-1]:
        fold.press("Enter")
        assert not fold.evaluate("e => e.parentElement.open")
        fold.press("Enter")
        assert fold.evaluate("e => e.parentElement.open")


def test_the_first_stop_of_the_keyboard_leads_to_the_report(open_page, pages):
    page = open_page(pages["table"].as_uri()).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"


def test_what_the_data_says_stays_text(open_page, pages):
    page = open_page(pages["texts"].as_uri()).page
    assert page.locator("main b").count() == 0
    assert "<b>now</b>" in page.locator("#failures, #reasons, #data").first.text_content()


def test_it_prints_without_the_contents(open_page, pages):
    page = open_page(pages["table"].as_uri()).page
    page.emulate_media(media="print")
    assert not page.locator("nav.contents").is_visible()
    assert page.locator("#summary").is_visible()
