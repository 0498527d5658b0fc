"""A local server: bound to this machine, opened by a token, ended by Ctrl-C."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from glial.core.errors import InputError
from glial.core.optional import require
from glial.serving.access import LOOPBACK, Address, App, Guard, check_access

if TYPE_CHECKING:
    from starlette.routing import Route

FIRST_PORT = 8840
PORTS_TRIED = 20
SECONDS_TO_CLOSE = 1  # streams that never end are cut after so long


def open_socket(host: str = LOOPBACK, port: int | None = None) -> socket.socket:
    """A socket that is bound, and so keeps its port until the server starts.

    Args:
        host: The host.
        port: The port, 0 for any; by default the first free one from 8840.

    Raises:
        InputError: If there is no such host, or no free port.

    Example:
        >>> with open_socket(port=0) as bound:
        ...     bound.getsockname()[0]
        '127.0.0.1'
    """
    tried = range(FIRST_PORT, FIRST_PORT + PORTS_TRIED) if port is None else (port,)
    error: OSError | None = None
    for number in tried if port is None or 0 <= port < 1 << 16 else ():
        try:
            family, kind, _, _, place = socket.getaddrinfo(
                host.strip("[]"), number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            found = socket.socket(family, kind)
            try:
                found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                found.bind(place)
            except OSError:
                found.close()
                raise
        except OSError as caught:
            error = caught
        else:
            return found
    where = str(port) if port is not None else f"{tried[0]} to {tried[-1]}"
    raise InputError(
        f"no server can listen at {host}, port {where}",
        expected="a host of this machine and a free port, 0 to 65535",
        got=str(error or where),
        do="choose another --port, or 0 for any that is free",
    )


def application(routes: Sequence[Route], address: Address, *, changes: tuple[str, ...] = ()) -> App:
    """Routes behind a guard: errors of the user's are answered with 422, unknown paths with 404.

    Args:
        routes: What is served.
        address: Where.
        changes: Beginnings of the paths where requests may change something.

    Returns:
        An ASGI application.

    Raises:
        InputError: If the extra ``serve`` is not installed.

    Example:
        >>> type(application([], Address("127.0.0.1", 8000))).__name__
        'Guard'
    """
    require("uvicorn", extra="serve", purpose="a local page")
    applications: Any = require("starlette.applications", extra="serve", purpose="a local page")
    responses: Any = require("starlette.responses", extra="serve", purpose="a local page")

    async def wrong_input(request: Any, error: Exception) -> Any:
        told = error.to_dict() if isinstance(error, InputError) else {"message": str(error)}
        return responses.JSONResponse({"error": told}, status_code=422)

    async def unknown(request: Any, error: Exception) -> Any:
        told = InputError(
            "there is nothing at this address",
            expected="a page of this server",
            got=str(request.url.path)[:100],
            do="go back to the first page",
        )
        return responses.JSONResponse({"error": told.to_dict()}, status_code=404)

    handlers = {InputError: wrong_input, 404: unknown}
    app = applications.Starlette(routes=list(routes), exception_handlers=handlers)
    return Guard(app, address, changes=changes)


def serve(
    routes: Sequence[Route],
    *,
    host: str = LOOPBACK,
    port: int | None = None,
    token: str | None = None,
    changes: tuple[str, ...] = (),
    started: Callable[[Address], None] = lambda address: None,
) -> None:
    """Serve pages until Ctrl-C.

    Args:
        routes: What is served.
        host: Where; another than this machine needs a token.
        port: The port, 0 for any; by default the first free one from 8840.
        token: What callers must show; drawn by default.
        changes: Beginnings of the paths where requests may change something.
        started: Called with the address once it can be reached.

    Raises:
        InputError: If the host needs a token, the token is weak, the port is taken, or the extra
            ``serve`` is not installed.

    Example:
        >>> serve([], host="0.0.0.0")
        Traceback (most recent call last):
        ...
        glial.core.errors.InputError: the host 0.0.0.0 opens the server to other machines...
    """
    with _server(routes, host, port, token, changes=changes) as (server, bound, address):
        told = threading.Thread(target=_tell, args=(server, started, address), daemon=True)
        told.start()
        try:
            server.run(sockets=[bound])
        except KeyboardInterrupt:
            pass
        finally:
            server.should_exit = True
            told.join()


@contextmanager
def serving(
    routes: Sequence[Route], *, port: int = 0, changes: tuple[str, ...] = ()
) -> Iterator[Address]:
    """Pages that are served on this machine while a block of code runs.

    Args:
        routes: What is served.
        port: The port, 0 for any.
        changes: Beginnings of the paths where requests may change something.

    Yields:
        Where they are.

    Example:
        >>> with serving([]) as address:
        ...     address.host
        '127.0.0.1'
    """
    with _server(routes, LOOPBACK, port, None, changes=changes) as (server, bound, address):
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        try:
            _wait(server, thread)
            yield address
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def _server(
    routes: Sequence[Route],
    host: str,
    port: int | None,
    token: str | None,
    *,
    changes: tuple[str, ...],
) -> Iterator[tuple[Any, socket.socket, Address]]:
    check_access(host, token)
    uvicorn: Any = require("uvicorn", extra="serve", purpose="a local page")
    with open_socket(host, port) as bound:
        number = bound.getsockname()[1]
        address = Address(host, number) if token is None else Address(host, number, token)
        settings = uvicorn.Config(
            application(routes, address, changes=changes),
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=SECONDS_TO_CLOSE,
        )
        yield uvicorn.Server(settings), bound, address


def _tell(server: Any, started: Callable[[Address], None], address: Address) -> None:
    while not server.started and not server.should_exit:
        time.sleep(0.01)
    if server.started:
        started(address)


def _wait(server: Any, thread: threading.Thread) -> None:
    while not server.started and thread.is_alive():
        time.sleep(0.005)
