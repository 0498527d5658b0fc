"""Who may use a local server: a middleware that checks token, host and site, and sets headers."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from glial.core.errors import GlialError, InputError
from glial.core.files import to_json

LOOPBACK = "127.0.0.1"
OWN_NAMES = ("127.0.0.1", "localhost", "[::1]")
SHORTEST_TOKEN = 16
SAFE = frozenset({"GET", "HEAD"})
LARGEST_BODY = 1 << 16
# Pages take scripts, styles and numbers from this server alone, and nobody may frame them.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def is_loopback(host: str) -> bool:
    """Whether a host is this machine alone.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0"), is_loopback("localhost")
        (True, False, True)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Address:
    """Where a server can be reached, and the token that opens it.

    Attributes:
        host: The host that it is bound to.
        port: Its port.
        token: What a caller must show: in the address once, then in a cookie, or as
            ``Authorization: Bearer``.

    Example:
        >>> Address("127.0.0.1", 8000, "a-long-enough-token").url("/run/1")
        'http://127.0.0.1:8000/run/1?token=a-long-enough-token'
    """

    host: str
    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @property
    def origin(self) -> str:
        """The address without a path; a server that is bound to every host is named by itself."""
        host = self.host.strip("[]")
        if host in ("0.0.0.0", "::"):
            host = socket.gethostname()
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def url(self, path: str = "/") -> str:
        """The address that opens a page in a browser.

        Args:
            path: The page.
        """
        joint = "&" if "?" in path else "?"
        return f"{self.origin}{path}{joint}{urlencode({'token': self.token})}"

    @property
    def cookie(self) -> str:
        """The cookie's name: browsers do not keep cookies of two ports apart."""
        return f"glial-{self.port}"

    @property
    def cookie_value(self) -> str:
        """What the cookie holds: it opens the pages, but does not tell the token."""
        return hmac.new(self.token.encode(), b"cookie", hashlib.sha256).hexdigest()

    def is_own_host(self, header: str) -> bool:
        """Whether a ``Host`` header names this server, and not a name that was bent to it.

        Args:
            header: The header.

        Example:
            >>> address = Address("127.0.0.1", 8000)
            >>> address.is_own_host("localhost:8000"), address.is_own_host("evil.example:8000")
            (True, False)
        """
        name, _, port = header.rpartition(":") if header[-1:].isdigit() else (header, "", "80")
        if port != str(self.port):
            return False
        name = name.lower()
        if name in OWN_NAMES:
            return True
        if is_loopback(self.host):
            return False
        # No name of another can be bent to a bare address, and the machine's own is its own.
        if name in {self.host.lower(), socket.gethostname().lower()}:
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True


def check_access(host: str, token: str | None) -> None:
    """Refuse to open a server to other machines by mistake, and tokens that can be guessed.

    Args:
        host: The host that it would be bound to.
        token: The token that was chosen; None for one that is drawn.

    Raises:
        InputError: If the host is another than this machine and no token was chosen, or if the
            token is short or cannot stand in an address.

    Example:
        >>> check_access("127.0.0.1", None)
    """
    if not is_loopback(host) and token is None:
        raise InputError(
            f"the host {host} opens the server to other machines",
            expected="--host together with a --token of your own",
            got="no token",
            do="leave --host out, or choose a token and give it as --token",
        )
    if token is not None and (len(token) < SHORTEST_TOKEN or quote(token, safe="") != token):
        raise InputError(
            "the token can be guessed, or cannot stand in an address",
            expected=f"at least {SHORTEST_TOKEN} letters, digits, '-', '_', '.' or '~'",
            got=f"{len(token)} characters",
            do="python -c 'import secrets; print(secrets.token_urlsafe(32))' draws one",
        )


@dataclass(frozen=True)
class Guard:
    """Lets through who shows the token from the server's own pages, and writes safe headers.

    Refused are: another ``Host`` than the server's own (a name that was bent to this machine),
    requests that another site's page sent (``Origin``, ``Sec-Fetch-Site``), a missing or wrong
    token, web sockets, bodies over 64 KiB, and everything but reading where nothing may be
    changed.

    Attributes:
        app: What it guards, an ASGI application.
        address: Where the server is.
        changes: Beginnings of the paths where requests may change something; these must come as
            JSON with the header ``X-Glial: change``, which no form of another page can send.

    Example:
        >>> Guard(lambda scope, receive, send: None, Address("127.0.0.1", 8000)).changes
        ()
    """

    app: App
    address: Address
    changes: tuple[str, ...] = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = _headers(scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _answer(send, *refusal)
        elif self._token_in_query(scope):
            await self._exchange(scope, send)
        else:
            await self.app(scope, _bounded(receive), _with_headers(send))

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, GlialError] | None:
        if not self.address.is_own_host(headers.get("host", "")):
            return 421, _error(
                "this is not the server's own name",
                self.address.origin,
                headers.get("host", "no name")[:100],
                "use the address that was printed when the server started",
            )
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        own = f"http://{headers['host']}".lower()
        if (origin is not None and origin.lower() != own) or site not in ("none", "same-origin"):
            return 403, _error(
                "another page sent this request",
                "a request from the server's own pages, or an address that you typed",
                (origin or site)[:100],
                "copy the printed address into the address bar",
            )
        if not self._knows_token(scope, headers):
            return 401, _error(
                "the token is missing or wrong",
                "the address with its token, as it was printed when the server started",
                "no token" if not self._shown(scope, headers) else "another token",
                "open the printed address again; each start draws a new token",
            )
        if scope["method"] not in SAFE:
            return self._change_refusal(str(scope["path"]), headers)
        return None

    def _change_refusal(self, path: str, headers: dict[str, str]) -> tuple[int, GlialError] | None:
        if not path.startswith(self.changes):
            return 405, _error(
                "nothing can be changed here",
                "reading",
                "a change",
                "start the server with --allow-changes",
            )
        kind = headers.get("content-type", "").partition(";")[0].strip()
        if kind != "application/json" or headers.get("x-glial") != "change":
            return 403, _error(
                "this is not how changes are sent",
                "JSON, with the header X-Glial: change",
                kind[:100] or "no content type",
                "send it as the server's own pages do",
            )
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            return 413, _error(
                "this is too long", f"at most {LARGEST_BODY:,} bytes", "more", "make it shorter"
            )
        return None

    def _shown(self, scope: Scope, headers: dict[str, str]) -> list[tuple[str, str]]:
        """What a request shows, each beside what it should be."""
        address, shown = self.address, []
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            shown.append((bearer.strip(), address.token))
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(address.cookie)
        except CookieError:
            cookie = None
        if cookie is not None:
            shown.append((cookie.value, address.cookie_value))
        query = _query(scope).get("token")
        return [(query, address.token)] if query is not None else shown

    def _knows_token(self, scope: Scope, headers: dict[str, str]) -> bool:
        return any(
            hmac.compare_digest(one.encode(errors="replace"), right.encode())
            for one, right in self._shown(scope, headers)
        )

    def _token_in_query(self, scope: Scope) -> bool:
        return "token" in _query(scope)

    async def _exchange(self, scope: Scope, send: Send) -> None:
        """Give the cookie for the token, and take the token out of the address bar."""
        rest = {name: value for name, value in _query(scope).items() if name != "token"}
        path = "/" + quote(str(scope["path"]).lstrip("/\\"))  # never another host's "//name"
        place = f"{path}?{urlencode(rest)}" if rest else path
        cookie = (
            f"{self.address.cookie}={self.address.cookie_value}; HttpOnly; SameSite=Strict; Path=/"
        )
        headers = {**HEADERS, "location": place, "set-cookie": cookie, "content-length": "0"}
        await send({"type": "http.response.start", "status": 303, "headers": _encoded(headers)})
        await send({"type": "http.response.body", "body": b""})


def _error(message: str, expected: str, got: str, do: str) -> GlialError:
    return GlialError(message, expected=expected, got=got, do=do)


def _headers(scope: Scope) -> dict[str, str]:
    """Headers by name; one that stands twice is joined, so that it fits nothing."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        joint = "; " if key == "cookie" else ", "
        found[key] = f"{found[key]}{joint}{text}" if key in found else text
    return found


def _query(scope: Scope) -> dict[str, str]:
    return dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


async def _answer(send: Send, status: int, error: GlialError) -> None:
    """A refusal: the error as everywhere in Glial, as JSON."""
    body = to_json({"error": error.to_dict()}).encode()
    headers = {**HEADERS, "content-type": "application/json", "content-length": str(len(body))}
    await send({"type": "http.response.start", "status": status, "headers": _encoded(headers)})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Send) -> Send:
    """A sender that adds the safe headers that an answer does not set itself."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given: Iterable[tuple[bytes, bytes]] = message.get("headers", ())
            names = {name.lower() for name, _ in given}
            missing = [pair for pair in _encoded(HEADERS) if pair[0] not in names]
            message = {**message, "headers": [*given, *missing]}
        await send(message)

    return sending


def _bounded(receive: Receive) -> Receive:
    """A receiver that cuts off bodies that are longer than they said or may be."""
    seen = 0

    async def receiving() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        return {"type": "http.disconnect"} if seen > LARGEST_BODY else message

    return receiving
