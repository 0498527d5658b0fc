"""The playground's addresses: a page, its parts, and one playground for each page."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib import resources
from typing import Any

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from glial.core.errors import InputError
from glial.serving.playground.asking import read_knobs, read_number
from glial.serving.playground.knobs import Knobs
from glial.serving.playground.lessons import LESSONS
from glial.serving.playground.session import Session
from glial.serving.playground.sessions import (
    FRAME_SECONDS,
    MOST_STEPS,
    MOST_WATCHERS,
    Opened,
    Sessions,
)

MOST_BYTES = 20_000
HOME = "/playground"
# What a server must let pages change, so that they may have playgrounds of their own.
CHANGES = (f"{HOME}/sessions",)
KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_NAME = re.compile(r"[a-z_]{1,40}\.(js|css)")
_NO_FILE = InputError("there is no such file")
_NO_SESSION = InputError(
    "there is no such playground", expected="one that is open", do="load the page anew"
)
Answer = Callable[[Request, Opened], Awaitable[Response]]


def routes(sessions: Sessions | None = None) -> list[Route]:
    """The playground's addresses, all under ``/playground``; those in `CHANGES` take posts.

    Args:
        sessions: The playgrounds that are open; by default none yet.

    Example:
        >>> routes()[0].path
        '/playground'
    """
    held = Sessions() if sessions is None else sessions

    async def make(request: Request) -> Response:
        values = await _read_body(request)
        knobs = read_knobs(values.get("knobs", {}))
        name = await run_in_threadpool(held.open, knobs)
        return _answer({"session": name, "knobs": knobs.model_dump()}, 201)

    def of_session(act: Answer) -> Callable[[Request], Awaitable[Response]]:
        async def answered(request: Request) -> Response:
            opened = held.get(request.path_params["name"])
            return missing(_NO_SESSION) if opened is None else await act(request, opened)

        return answered

    async def close(request: Request) -> Response:
        was_open = held.close(request.path_params["name"])
        return _answer({"closed": True}) if was_open else missing(_NO_SESSION)

    one = f"{HOME}/sessions/{{name}}"
    return [
        Route(HOME, _page, methods=["GET"]),
        Route(f"{HOME}/pages/{{file}}", _part, methods=["GET"]),
        Route(f"{HOME}/knobs", _knobs, methods=["GET"]),
        Route(f"{HOME}/sessions", make, methods=["POST"]),
        Route(one, close, methods=["DELETE"]),
        Route(f"{one}/frames", of_session(_frames), methods=["GET"]),
        Route(f"{one}/knobs", of_session(_turn), methods=["POST"]),
        Route(f"{one}/play", of_session(_play), methods=["POST"]),
        Route(f"{one}/step", of_session(_step), methods=["POST"]),
        Route(f"{one}/reset", of_session(_reset), methods=["POST"]),
        Route(f"{one}/landscape", of_session(_landscape), methods=["POST"]),
    ]


def _answer(values: dict[str, Any], status: int = 200) -> Response:
    """Plain values as JSON."""
    return JSONResponse(values, status)


def missing(error: InputError) -> Response:
    """The answer where there is nothing, in the shape that all of Glial's errors have.

    Example:
        >>> missing(InputError("there is no such file")).status_code
        404
    """
    return _answer({"error": error.to_dict()}, 404)


def _read(package: str, file: str) -> bytes:
    return (resources.files(package) / "pages" / file).read_bytes()


async def _read_body(request: Request) -> dict[str, Any]:
    """The JSON object that a request brings.

    Raises:
        InputError: If it is too long, of another type, or no JSON object.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise InputError("this is no JSON", expected="content-type: application/json", got=kind)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise InputError("this is too long", expected=f"at most {MOST_BYTES} bytes")
    try:
        values = json.loads(bytes(body) or b"{}")
    except (ValueError, RecursionError) as error:
        raise InputError("this cannot be read", expected="JSON", got=str(error)[:80]) from error
    if not isinstance(values, dict):
        raise InputError("this cannot be read", expected="an object", got=type(values).__name__)
    return values


async def _page(request: Request) -> Response:
    page = _read("glial.serving.playground", "playground.html")
    return Response(page, media_type=KINDS["html"])


async def _part(request: Request) -> Response:
    file = request.path_params["file"]
    if not _NAME.fullmatch(file):
        return missing(_NO_FILE)
    package = "glial.reports" if file == "tokens.css" else "glial.serving.playground"
    try:
        part = await run_in_threadpool(_read, package, file)
    except FileNotFoundError:
        return missing(_NO_FILE)
    return Response(part, media_type=KINDS[file.rpartition(".")[2]])


async def _knobs(request: Request) -> Response:
    lessons = [lesson.to_dict() for lesson in LESSONS]
    return _answer({"schema": Knobs.model_json_schema(), "lessons": lessons})


async def _frames(request: Request, opened: Opened) -> Response:
    return StreamingResponse(_stream(opened), media_type="text/event-stream")


async def _stream(opened: Opened) -> AsyncIterator[str]:
    """Frames, at most ten a second; the training goes on only while somebody looks."""
    if opened.watchers >= MOST_WATCHERS:
        return
    sent, data = -1, 0
    opened.watchers += 1
    try:
        while not opened.closed:
            await run_in_threadpool(opened.tick)
            if opened.version != sent:
                frame = await run_in_threadpool(opened.frame, data)
                sent, data = frame["version"], frame["data_version"]
                yield f"data: {json.dumps(frame, allow_nan=False)}\n\n"
            await anyio.sleep(FRAME_SECONDS)
    finally:
        opened.watchers -= 1


async def _turn(request: Request, opened: Opened) -> Response:
    knobs = read_knobs(await _read_body(request))
    note = await run_in_threadpool(opened.do, lambda session: session.change(knobs))
    return _answer({"knobs": knobs.model_dump(), "note": note})


async def _play(request: Request, opened: Opened) -> Response:
    values = await _read_body(request)
    steps = read_number(values, "steps", 10, MOST_STEPS)
    playing = values.get("playing", True) is True

    def play(session: Session) -> None:
        opened.playing, opened.steps = playing and not session.finished, max(1, steps)

    await run_in_threadpool(opened.do, play)
    return _answer({"playing": opened.playing})


async def _step(request: Request, opened: Opened) -> Response:
    steps = max(1, read_number(await _read_body(request), "steps", 1, MOST_STEPS))

    def step(session: Session) -> int:
        opened.playing = False
        return session.advance(steps)

    return _answer({"steps": await run_in_threadpool(opened.do, step)})


async def _reset(request: Request, opened: Opened) -> Response:
    await _read_body(request)
    await run_in_threadpool(opened.do, Session.reset)
    return _answer({"step": 0})


async def _landscape(request: Request, opened: Opened) -> Response:
    values = await _read_body(request)
    kind = values.get("kind", "random")
    if kind not in ("random", "path"):
        raise InputError("there is no such landscape", expected="random or path", got=repr(kind))
    seed = read_number(values, "seed", 0, 9999)
    return _answer(await run_in_threadpool(opened.landscape, kind, seed))
