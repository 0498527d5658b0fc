"""The playground in a browser: it trains, every knob reaches the network, everybody can use it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from glial.serving.playground.knobs import Knobs
from glial.serving.playground.lessons import LESSONS
from glial.serving.playground.routes import CHANGES, HOME, routes
from glial.serving.playground.sessions import Sessions
from glial.serving.server import serving

SCHEMA = Knobs.model_json_schema()["properties"]
DESKTOP, PHONE = (1280, 800), (390, 844)
PICTURES = ("boundary", "network", "curves", "flow", "outputs", "landscape")
STILL = "() => document.getElementById('play').textContent === 'Play'"


class Ground:
    """A served playground, and what it holds."""

    def __init__(self, address, sessions):
        self.address, self.sessions = address, sessions

    def url(self, setting=""):
        return self.address.url(HOME) + setting

    @property
    def session(self):
        """The one that was opened last."""
        return list(self.sessions._opened.values())[-1].session


@pytest.fixture(scope="module")
def ground():
    sessions = Sessions(most=20)
    with serving(routes(sessions), changes=CHANGES) as address:
        yield Ground(address, sessions)


@pytest.fixture
def open_ground(open_page, ground):
    def opened(setting="", **options):
        found = open_page(ground.url(setting), **options)
        expect(found.page.locator("#play")).to_be_enabled()
        return found

    return opened


def painted(page, name):
    """How many colours a picture has."""
    return page.evaluate(
        """(name) => { const canvas = document.getElementById(name);
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return new Set(new Uint32Array(data.buffer)).size; }""",
        name,
    )


def until(page, test, message):
    for _ in range(400):
        if test():
            return
        page.wait_for_timeout(50)
    raise AssertionError(message)


@pytest.mark.parametrize(
    ("name", "size", "dark", "lesson"),
    [
        ("desktop", DESKTOP, False, None),
        ("dark", DESKTOP, True, "vanishing"),
        ("phone", PHONE, False, "overfit"),
        ("phone-dark", PHONE, True, "three"),
    ],
)
def test_it_draws_and_everybody_can_use_it(open_ground, ground, name, size, dark, lesson):
    setting = {"three": "#dataset=three&points=60", None: "#optimizer=adam&lr=0.03"}.get(lesson, "")
    opened = open_ground(setting, size=size, dark=dark)
    page = opened.page
    if lesson in (None, "three"):
        page.click("#play")
    else:
        page.select_option("#lesson", lesson)
    until(page, lambda: ground.session.step > (200 if lesson is None else 60), "it does not train")
    page.click("#play")
    page.wait_for_function(STILL)
    if name == "dark":
        expect(page.locator("#flow-words")).to_contain_text("vanish")
    page.click("#survey")
    expect(page.locator("#landscape-words")).to_contain_text("The loss goes from")
    for picture in PICTURES:
        assert painted(page, picture) > 5, picture
        text = page.locator(f"#{picture}-words").inner_text()
        assert len(text) > 20
    assert re.fullmatch(r"\d+", page.inner_text("#steps"))
    page.evaluate("scrollTo(0, 0)")
    opened.shot(f"playground-{name}")
    if name == "desktop":
        page.evaluate("document.getElementById('curves').closest('figure').scrollIntoView()")
        page.evaluate("scrollBy(0, -100)")
        opened.shot("playground-pictures")
    if name in ("desktop", "phone-dark"):  # the others differ in size or colours alone
        opened.check_accessible()
    opened.check_fits()
    assert opened.errors == []
    own = urlsplit(ground.url()).netloc
    assert {urlsplit(asked).netloc for asked in opened.requests} <= {own, ""}


@pytest.fixture(scope="module")
def knobs_page(browser, ground):
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.goto(ground.url())
    expect(page.locator("#play")).to_be_enabled()
    yield page, ground.session
    context.close()


def other_value(name):
    """A value that a knob does not have at first, and how it is given to the page."""
    schema = SCHEMA[name]
    if "enum" in schema:
        return next(value for value in schema["enum"] if value != schema["default"])
    if schema["type"] == "boolean":
        return not schema["default"]
    low, high = schema["minimum"], schema["maximum"]
    return low if schema["default"] == high else round((low + high) / 2, 3)


@pytest.mark.parametrize("name", SCHEMA)
def test_every_knob_reaches_the_network(knobs_page, name):
    page, session = knobs_page
    schema = SCHEMA[name]
    before = getattr(session.knobs, name)

    def arrives(value):
        def has_arrived():
            return getattr(session.knobs, name) == value

        until(page, has_arrived, f"{name}: {getattr(session.knobs, name)} is not {value}")

    if name == "number_loss":
        page.select_option("#dataset", "plane")
        until(page, lambda: session.knobs.dataset == "plane", "no heights")
    expect(page.locator(f"[data-knob={name}]")).to_be_visible()
    if name == "features":
        page.locator("#features-x1_x2").focus()
        page.keyboard.press("Space")
        arrives(["x1", "x2", "x1_x2"])
    elif name == "hidden_sizes":
        page.click("#hidden_sizes-more")
        arrives([*before, before[-1]])
        expect(page.locator("#hidden_sizes-more")).to_be_focused()
        page.get_by_label("Units of hidden layer 1").fill("3")
        page.keyboard.press("Tab")
        arrives([3, *before[1:], before[-1]])
        page.click("#hidden_sizes-fewer")
        arrives([3, *before[1:]])
    elif "enum" in schema:
        page.locator(f"#{name}").focus()
        page.select_option(f"#{name}", other_value(name))
        arrives(other_value(name))
    elif schema["type"] == "boolean":
        page.locator(f"#{name}").focus()
        page.keyboard.press("Space")
        arrives(other_value(name))
    else:
        value = int(other_value(name)) if schema["type"] == "integer" else other_value(name)
        page.locator(f"#{name}").fill(str(value))
        page.locator(f"#{name}").press("Enter")
        arrives(value)
        page.locator(f"#{name}-slider").press("Home")
        arrives(schema["minimum"])
    assert page.inner_text("#help").startswith(schema["title"])
    described = page.locator(f"#{name}-help").text_content()
    assert described == schema["description"]
    assert page.inner_text("#error") == ""
    if name == "number_loss":
        page.select_option("#dataset", "circles")
        until(page, lambda: session.knobs.dataset == "circles", "no classes")


def test_transport_by_keyboard(open_ground, ground):
    page = open_ground("#points=40&batches=full&epochs=60").page
    session = ground.session
    assert (session.knobs.points, session.knobs.batches) == (40, "full")
    page.select_option("#speed", "1")
    page.locator("#step").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#steps")).to_have_text("1")
    page.locator("#play").focus()
    page.keyboard.press("Space")
    expect(page.locator("#play")).to_have_text("Pause")
    until(page, lambda: session.step > 2, "it does not play")
    page.keyboard.press("Space")
    expect(page.locator("#play")).to_have_text("Play")
    stood = session.step
    page.wait_for_timeout(250)
    assert session.step == stood
    page.select_option("#speed", "1000")
    page.locator("#play").press("Enter")
    expect(page.locator("#note")).to_contain_text("All 60 epochs are done")
    assert session.step == 60
    expect(page.locator("#play")).to_be_disabled()
    page.select_option("#directions", "random")
    page.fill("#landscape-seed", "7")
    page.locator("#survey").press("Enter")
    expect(page.locator("#landscape-words")).to_contain_text("two random directions")
    page.locator("#reset").press("Enter")
    expect(page.locator("#steps")).to_have_text("0")
    expect(page.locator("#landscape-words")).to_contain_text("Not drawn yet")
    expect(page.locator("#play")).to_be_enabled()


def test_lessons_set_the_knobs_and_their_second_half(open_ground, ground):
    page = open_ground().page
    session = ground.session
    assert page.locator("#lesson option").count() == len(LESSONS) + 1
    for lesson in (LESSONS[0], LESSONS[5]):
        page.select_option("#lesson", lesson.name)
        expect(page.locator("#look")).to_have_text(lesson.look)
        until(page, lambda wanted=lesson: session.knobs == Knobs(**wanted.knobs), "not set")
        page.click("#then")
        after = Knobs(**{**lesson.knobs, **lesson.after})
        until(page, lambda wanted=after: session.knobs == wanted, "not set again")
    assert (
        page.locator("#link").get_attribute("href") == urlsplit(page.url).fragment.join("#_")[:-1]
    )


def test_the_address_holds_the_setting(open_ground, ground):
    page = open_ground("#seed=3&points=30").page
    session = ground.session
    assert (session.knobs.seed, session.knobs.points) == (3, 30)
    page.evaluate("location.hash = 'hidden_sizes=2.2&skip=true&features=x1.x2_squared'")
    wanted = Knobs(hidden_sizes=[2, 2], skip=True, features=["x1", "x2_squared"])
    until(page, lambda: session.knobs == wanted, "the address was not read")
    expect(page.get_by_label("Units of hidden layer 2")).to_have_value("2")

    def is_told() -> bool:
        page.locator("#link").press("Enter")  # other news may take the note's place
        return "it holds this setting" in page.locator("#note").inner_text()

    until(page, is_told, "the address was not offered")


def test_a_finding_offers_its_remedy(open_ground, ground):
    page = open_ground("#lr=50&batches=full&points=60").page
    page.click("#play")
    until(page, lambda: ground.session.findings, "nothing was found")
    button = page.locator("#findings li.error button, #findings li.warning button").first
    expect(button).to_contain_text("Learning rate")
    button.click()
    until(page, lambda: ground.session.knobs.lr < 50, "the remedy was not taken")


def test_what_is_not_possible_is_said(open_ground, ground):
    opened = open_ground("#lr=-3&constructor=1")
    page = opened.page
    expect(page.locator("#error")).to_contain_text("not possible")
    assert ground.session.knobs == Knobs()
    page.fill("#lr", "5000")
    page.press("#lr", "Enter")
    expect(page.locator("#error")).to_contain_text("Learning rate (lr) cannot be 5000")
    expect(page.locator("#lr")).to_have_attribute("aria-invalid", "true")
    page.fill("#lr", "0.2")
    page.press("#lr", "Enter")
    expect(page.locator("#error")).to_be_hidden()
    assert page.locator("#lr").get_attribute("aria-invalid") is None


def test_a_closed_playground_is_opened_again(open_ground, ground):
    page = open_ground("#seed=5").page
    name = list(ground.sessions._opened)[-1]
    ground.sessions.close(name)
    page.click("#step")
    expect(page.locator("#error")).to_contain_text("no such playground")
