"""The playground's addresses: what they answer, and what they refuse."""

from __future__ import annotations

import itertools
import json
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest
from starlette.testclient import TestClient

from glial.core.errors import InputError
from glial.serving.access import Address
from glial.serving.playground.knobs import Knobs
from glial.serving.playground.lessons import LESSONS
from glial.serving.playground.routes import CHANGES, _stream, routes
from glial.serving.playground.session import Session
from glial.serving.playground.sessions import Opened, Sessions
from glial.serving.server import application

CHANGE = {"x-glial": "change", "content-type": "application/json"}
pytestmark = pytest.mark.slow  # all of them together

SMALL = {"points": 20, "hidden_sizes": [2], "batches": "full"}


def run(watch):
    """What a coroutine gives, in a thread of its own: browsers' tests leave a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(anyio.run, watch).result()


@pytest.fixture(scope="module")
def client():
    address = Address("127.0.0.1", 8000, "a-token-that-is-long-enough")
    app = application(routes(), address, changes=CHANGES)
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        client.headers["authorization"] = f"Bearer {address.token}"
        yield client


@pytest.fixture(scope="module")
def name(client):
    answer = client.post("/playground/sessions", json={"knobs": SMALL}, headers=CHANGE)
    assert answer.status_code == 201
    assert answer.json()["knobs"] == Knobs(**SMALL).model_dump()
    return answer.json()["session"]


def test_page_and_parts_are_served_under_a_strict_policy(client):
    page = client.get("/playground")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    for part in ("main.js", "playground.css", "tokens.css"):
        assert client.get(f"/playground/pages/{part}").status_code == 200
        assert part in page.text


@pytest.mark.parametrize(
    "path",
    ["../routes.py", "..%2froutes.py", "playground.html", "none.js", "%2e%2e/knobs.py", "a.js%00"],
)
def test_other_files_are_not_served(client, path):
    assert client.get(f"/playground/pages/{path}").status_code == 404


def test_knobs_are_told_with_their_limits(client):
    told = client.get("/playground/knobs").json()
    assert told["schema"]["properties"]["lr"]["maximum"] == 100
    assert [lesson["name"] for lesson in told["lessons"]] == [lesson.name for lesson in LESSONS]


def test_every_lesson_is_possible():
    for lesson in LESSONS:
        first = Knobs(**lesson.knobs)
        assert Knobs(**{**lesson.knobs, **lesson.after}) != first


@pytest.mark.parametrize(
    ("knobs", "told"),
    [
        ({"lr": -1}, "Learning rate (lr) cannot be -1"),
        ({"lr": float("inf")}, "Learning rate (lr) cannot be inf"),
        ({"points": "many"}, "Points (points) cannot be 'many'"),
        ({"hidden_sizes": [4] * 11}, "Hidden layers"),
        ({"hidden_sizes": [17]}, "Hidden layers"),
        ({"features": []}, "Features"),
        ({"activation": "<img src=x>"}, "Activation"),
        ({"lrr": 0.1}, "unknown knob 'lrr'"),
        ([], "these are no knobs"),
    ],
)
def test_impossible_knobs_are_refused(client, knobs, told):
    body = json.dumps({"knobs": knobs})
    answer = client.post("/playground/sessions", content=body, headers=CHANGE)
    assert answer.status_code == 422
    assert set(answer.json()["error"]) == {"message", "expected", "got", "do"}
    assert told in answer.json()["error"]["message"]


@pytest.mark.parametrize("body", ["[1]", "{", "[" * 10_000, '{"a": "' + "x" * 30_000 + '"}'])
def test_bodies_that_are_no_objects_are_refused(client, body):
    answer = client.post("/playground/sessions", content=body, headers=CHANGE)
    assert answer.status_code == 422
    assert answer.json()["error"]["message"].startswith("this ")


def test_changes_need_the_pages_own_header(client, name):
    for headers in ({}, {"content-type": "text/plain"}, {"content-type": "application/json"}):
        answer = client.post(f"/playground/sessions/{name}/step", content="{}", headers=headers)
        assert answer.status_code == 403


def test_steps_knobs_and_landscapes(client, name):
    home = f"/playground/sessions/{name}"
    assert client.post(f"{home}/step", json={"steps": 7}, headers=CHANGE).json() == {"steps": 7}
    turned = {**SMALL, "lr": 0.7}
    answer = client.post(f"{home}/knobs", json=turned, headers=CHANGE).json()
    assert answer["knobs"]["lr"] == 0.7
    assert answer["note"]
    told = client.post(f"{home}/landscape", json={"kind": "path"}, headers=CHANGE).json()
    assert len(told["values"]) == len(told["y"])
    for wrong in ({"kind": "all"}, {"seed": -1}, {"seed": True}):
        assert client.post(f"{home}/landscape", json=wrong, headers=CHANGE).status_code == 422
    for wrong in ({"steps": 10**9}, {"steps": "x"}, {"steps": 1.5}):
        assert client.post(f"{home}/step", json=wrong, headers=CHANGE).status_code == 422
    assert client.post(f"{home}/reset", json={}, headers=CHANGE).json() == {"step": 0}


def test_unknown_and_closed_sessions_are_missing(client):
    made = client.post("/playground/sessions", json={"knobs": SMALL}, headers=CHANGE).json()
    home = f"/playground/sessions/{made['session']}"
    assert client.delete(home, headers=CHANGE).json() == {"closed": True}
    assert client.delete(home, headers=CHANGE).status_code == 404
    assert client.post(f"{home}/step", json={}, headers=CHANGE).status_code == 404
    assert client.get("/playground/sessions/none/frames").status_code == 404


def test_frames_come_while_it_plays_and_no_faster_than_ten_a_second():
    opened = Opened(Session(Knobs(**SMALL)), playing=True, steps=3)

    async def watch():
        frames = []
        stream = _stream(opened)
        begin = anyio.current_time()
        async for text in stream:
            assert opened.watchers == 1
            frames.append(json.loads(text.removeprefix("data: ")))
            if len(frames) == 4:
                break
        seconds = anyio.current_time() - begin
        await stream.aclose()
        return frames, seconds

    frames, seconds = run(watch)
    assert "points" in frames[0]
    assert "points" not in frames[1]
    assert [b["step"] > a["step"] for a, b in itertools.pairwise(frames)] == [True] * 3
    assert seconds > 0.3
    assert opened.watchers == 0


def test_a_paused_playground_sends_one_frame():
    opened = Opened(Session(Knobs(**SMALL)))

    async def watch():
        count = 0
        with anyio.move_on_after(0.4):
            async for _ in _stream(opened):
                count += 1
        return count

    assert run(watch) == 1
    assert opened.session.step == 0


def test_streams_of_a_closed_playground_end_and_are_few():
    sessions = Sessions()
    name = sessions.open(Knobs(**SMALL))
    opened = sessions.get(name)

    async def watch():
        count = 0
        async for _ in _stream(opened):
            count += 1
            sessions.close(name)
        return count

    assert run(watch) == 1
    opened.closed, opened.watchers = False, 4
    assert run(watch) == 0


def test_few_are_open_and_unwatched_ones_go():
    sessions = Sessions(most=2, idle_seconds=1000)
    first, second = sessions.open(Knobs(**SMALL)), sessions.open(Knobs(**SMALL))
    sessions.get(first).watchers = 1
    third = sessions.open(Knobs(**SMALL))
    assert sessions.get(first) is not None
    assert sessions.get(second) is None
    sessions.get(third).watchers = 1
    with pytest.raises(InputError, match="too many"):
        sessions.open(Knobs(**SMALL))
    idle = Sessions(idle_seconds=-1)
    assert idle.get(idle.open(Knobs(**SMALL))) is None
