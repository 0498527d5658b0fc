"""``glial board``: a local page over all runs of a folder, live while they train."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path
from typing import Any

from glial.cli.arguments import number
from glial.cli.main import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    add = parser.add_argument
    add("folder", nargs="?", metavar="DIR", help="a folder that holds runs (runs)")
    add("--playground", action="store_true", help="a small network on toy data, every knob live")
    add("--port", type=number(int), metavar="N", help="port; 0 is any (the first free from 8840)")
    add("--host", metavar="H", default="127.0.0.1", help="open it to other machines: with --token")
    add("--token", metavar="T", help="what callers must show (drawn anew at every start)")
    add("--open", action="store_true", help="open it in the browser")
    add("--no-browser", dest="open", action="store_false", help="only print the address (default)")
    add("--allow-changes", action="store_true", help="names, tags, notes and stars may be written")


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C, which is how it ends: exit status 0."""
    from glial.core.optional import require
    from glial.serving.access import Address, is_loopback

    require("starlette", extra="serve", purpose="the board")
    from glial.serving.server import serve

    routes, changes, first = _served(options)

    def started(address: Address) -> None:
        told = address.url(first)
        if options.json:
            print_json({"url": told, "token": address.token, "folder": options.folder or "runs"})
        else:
            print(f"{told}\nCtrl-C ends it", flush=True)
        sys.stdout.flush()
        if not is_loopback(address.host):
            print(
                "WARNING: other machines can reach this board, and the connection is not "
                "encrypted: whoever reads it has the token",
                file=sys.stderr,
                flush=True,
            )
        if options.open:
            import webbrowser

            webbrowser.open(told)

    with contextlib.suppress(OSError):
        os.nice(5)  # whoever watches a training must not slow it
    serve(
        routes,
        host=options.host,
        port=options.port,
        token=options.token,
        changes=changes,
        started=started,
    )
    return 0


def _served(options: argparse.Namespace) -> tuple[list[Any], tuple[str, ...], str]:
    """Routes, the paths where something may be changed, and the first page."""
    from glial.serving.board.index import Index
    from glial.serving.board.marks import Marks
    from glial.serving.board.routes import CHANGES
    from glial.serving.board.routes import routes as board_routes

    found: list[Any] = []
    changes: tuple[str, ...] = ()
    folder = Path(options.folder or "runs")
    if not options.playground or options.folder or folder.is_dir():
        index = Index.of(folder)
        marks = Marks(Path(index.root))
        found += board_routes(index, marks, writable=options.allow_changes)
        changes += (CHANGES,) if options.allow_changes else ()
    if options.playground:
        from glial.serving.playground.routes import HOME
        from glial.serving.playground.routes import routes as playground_routes

        found += playground_routes()
        changes += (HOME,)
    return found, changes, HOME if options.playground else "/"
