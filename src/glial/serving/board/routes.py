"""The board's addresses: its pages, the table, curves, one run, marks, and news of changes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path
from typing import Any

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from glial.core.errors import InputError
from glial.serving.board.curves import AXES
from glial.serving.board.detail import detail
from glial.serving.board.folders import REPORT, read_file
from glial.serving.board.index import Index
from glial.serving.board.marks import Marks
from glial.serving.board.overview import as_json, overview
from glial.serving.board.texts import shown
from glial.serving.board.watch import Watch

CHANGES = "/api/marks/"
KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
PAGES = {"/": "overview.html", "/run/{id}": "run.html", "/compare": "compare.html"}
# A report is a stranger's page: nothing in it may run, ask, or reach the board.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
NEWS_SECONDS, QUIET_ROUNDS, MOST_LISTENERS = 0.5, 30, 32


def page_files() -> dict[str, tuple[bytes, str]]:
    """All files of the pages, by name, with their kinds; nothing else can be asked for.

    Example:
        >>> page_files()["tokens.css"][1]
        'text/css'
    """
    found = {}
    # By their place in Glial: naming the package of reports would load all of torch.
    for place in ("reports/pages", "serving/board/pages"):
        for file in resources.files("glial").joinpath(place).iterdir():
            kind = KINDS.get(file.name.rpartition(".")[2])
            if kind and file.is_file():
                found[file.name] = (file.read_bytes(), kind)
    return found


def routes(index: Index, marks: Marks | None = None, *, writable: bool = False) -> list[Route]:
    """The board's addresses.

    Args:
        index: The runs.
        marks: What the user wrote to runs; by default what lies beside them.
        writable: Whether that may be changed.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> routes(Index.of(Path(tempfile.mkdtemp())))[0].path
        '/'
    """
    board = _Board(index, marks or Marks(Path(index.root)), writable)
    pages = [Route(path, board.page(name)) for path, name in PAGES.items()]
    return [
        *pages,
        Route("/static/{name}", board.static),
        Route("/favicon.ico", board.icon),
        Route("/api/runs", board.runs),
        Route("/api/curves", board.curves),
        Route("/api/news", board.news),
        Route("/api/runs/{id}", board.run),
        Route("/api/runs/{id}/curve", board.curve),
        Route("/runs/{id}/report", board.report),
        Route(CHANGES + "{id}", board.mark, methods=["PUT"]),
    ]


class _Board:
    """What the addresses do."""

    def __init__(self, index: Index, marks: Marks, writable: bool) -> None:
        self.index, self.marks, self.files = index, marks, page_files()
        self.writable = writable
        self.watch = Watch(index)
        self.watch.seen()  # the runs are read while the first page is on its way
        self.listeners = 0

    def page(self, name: str) -> Any:
        async def answer(request: Request) -> Response:
            return Response(self.files[name][0], media_type="text/html")

        return answer

    async def static(self, request: Request) -> Response:
        content, kind = self.files.get(request.path_params["name"], (b"", ""))
        return Response(content, media_type=kind) if kind else Response(status_code=404)

    async def icon(self, request: Request) -> Response:
        return Response(self.files["icon.svg"][0], media_type="image/svg+xml")

    async def runs(self, request: Request) -> Response:
        since = _whole(request, "since")
        self.watch.seen()
        told = await run_in_threadpool(overview, self.index, self.marks.by_path, since)
        return _json({**told, "changes": self.writable})

    async def curves(self, request: Request) -> Response:
        quantity, axis = request.query_params.get("quantity", ""), _axis(request)
        since = _whole(request, "since")
        heads, body = await run_in_threadpool(self.index.curves, quantity, axis, since)
        head = as_json(heads)
        head += b" " * (-(len(head) + 4) % 4)  # numbers begin at a multiple of their size
        content = len(head).to_bytes(4, "little") + head + body
        return Response(content, media_type="application/octet-stream")

    async def run(self, request: Request) -> Response:
        self.watch.seen()
        row = self.index.row(request.path_params["id"])
        told = await run_in_threadpool(detail, self.index, row)
        mark = self.marks.by_path.get(row.found.path, {})
        return _json({**told, "mark": mark, "changes": self.writable})

    async def curve(self, request: Request) -> Response:
        asked = request.query_params
        low, high = _number(request, "low", -1e30), _number(request, "high", 1e30)
        points = _whole(request, "points") or 1000
        places, values = await run_in_threadpool(
            self.index.curve,
            request.path_params["id"],
            asked.get("quantity", ""),
            _axis(request),
            low,
            high,
            points,
        )
        return _json({"x": places, "y": values})

    async def report(self, request: Request) -> Response:
        row = self.index.row(request.path_params["id"])
        content = await run_in_threadpool(read_file, self.index.root, row.found.path, REPORT)
        headers = {"content-security-policy": REPORT_POLICY}
        return Response(content, media_type="text/html", headers=headers)

    async def mark(self, request: Request) -> Response:
        if not self.writable:
            return Response(status_code=405)
        row = self.index.row(request.path_params["id"])
        try:
            told = json.loads(await request.body())
        except (ValueError, RecursionError) as error:
            raise InputError("this is no JSON", got=shown(error)) from error
        return _json(await run_in_threadpool(self.marks.write, row.found.path, told))

    async def news(self, request: Request) -> Response:
        if self.listeners >= MOST_LISTENERS:
            return Response(status_code=503)
        since = _whole(request, "since")
        headers = {"x-accel-buffering": "no"}
        return StreamingResponse(self._news(since), media_type="text/event-stream", headers=headers)

    async def _news(self, since: int) -> AsyncIterator[str]:
        self.listeners += 1
        told: tuple[int, tuple[int, int] | None] = (since, None)
        quiet = 0
        try:
            yield ": here\n\n"
            while True:
                self.watch.seen()
                now = (self.index.version, self.index.reading)
                if now != told:
                    told, quiet = now, 0
                    yield f"data: {json.dumps({'version': now[0], 'reading': now[1]})}\n\n"
                elif quiet >= QUIET_ROUNDS:
                    quiet = 0
                    yield ": nothing new\n\n"
                quiet += 1
                await anyio.sleep(NEWS_SECONDS)
        finally:
            self.listeners -= 1


def _json(value: Any) -> Response:
    return Response(as_json(value), media_type="application/json")


def _axis(request: Request) -> str:
    axis = request.query_params.get("axis", "epoch")
    if axis not in AXES:
        raise InputError("there is no such axis", expected=", ".join(AXES), got=shown(axis))
    return axis


def _whole(request: Request, name: str) -> int:
    return int(max(0.0, min(_number(request, name, 0.0), 1e15)))


def _number(request: Request, name: str, default: float) -> float:
    text = request.query_params.get(name)
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = float("nan")
    if value != value:
        raise InputError(f"{name} is no number", expected="a number", got=shown(text))
    return value
