"""Who a local server lets through, and whom it refuses."""

from __future__ import annotations

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from glial.core.errors import InputError
from glial.serving.access import LARGEST_BODY, Address, check_access
from glial.serving.server import application, open_socket, serving

TOKEN = "a-token-that-is-long-enough"
PORT = 8000
OWN = f"http://127.0.0.1:{PORT}"
CHANGE = {"x-glial": "change", "content-type": "application/json"}


async def home(request: Request) -> PlainTextResponse:
    body = await request.body()
    return PlainTextResponse(f"{request.method} {request.url.path} {len(body)}")


async def framed(request: Request) -> PlainTextResponse:
    return PlainTextResponse("own", headers={"content-security-policy": "sandbox"})


async def wrong(request: Request) -> PlainTextResponse:
    raise InputError("a bad value", got="3")


ROUTES = [
    Route("/", home),
    Route("/own", framed),
    Route("/wrong", wrong),
    Route("/change/it", home, methods=["PUT", "GET"]),
    Route("/other", home, methods=["PUT"]),
]


def client(host: str = "127.0.0.1", **options) -> TestClient:
    app = application(ROUTES, Address(host, PORT, TOKEN), changes=("/change",))
    return TestClient(app, base_url=OWN, **options)


def bearer(**more: str) -> dict[str, str]:
    return {"authorization": f"Bearer {TOKEN}", **more}


def test_a_token_in_the_address_becomes_a_cookie_and_leaves_the_address():
    browser = client(follow_redirects=False)
    answer = browser.get(f"/?token={TOKEN}&tab=2")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?tab=2")
    cookie = answer.headers["set-cookie"]
    assert TOKEN not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert browser.get("/").text == "GET / 0"


def test_a_redirect_never_leaves_the_server():
    answer = client(follow_redirects=False).get(f"{OWN}//evil.example/a?token={TOKEN}")
    assert answer.headers["location"] == "/evil.example/a"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"Basic {TOKEN}"},
        {"cookie": f"glial-{PORT}={TOKEN}"},
        {"cookie": "glial-8000=\u00e9"},
        {"cookie": "=;;,glial"},
    ],
)
def test_no_token_and_wrong_tokens_are_refused(headers):
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = client().get("/", headers=encoded)
    assert answer.status_code == 401
    assert "token" in answer.json()["error"]["message"]


def test_a_wrong_token_in_the_address_counts_even_beside_a_right_cookie():
    browser = client()
    browser.get(f"/?token={TOKEN}")
    assert browser.get("/").status_code == 200
    assert browser.get("/?token=other").status_code == 401


@pytest.mark.parametrize(
    "host", ["evil.example:8000", "127.0.0.1:8001", "localhost", "localhost.evil.example:8000", ""]
)
def test_names_that_were_bent_to_this_machine_are_refused(host):
    assert client().get("/", headers=bearer(host=host)).status_code == 421


@pytest.mark.parametrize("host", ["localhost:8000", "[::1]:8000", "LOCALHOST:8000"])
def test_names_of_this_machine_are_taken(host):
    assert client().get("/", headers=bearer(host=host)).status_code == 200


@pytest.mark.parametrize(
    "more",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:8000"},  # the page's own origin is 127.0.0.1
        {"origin": "https://127.0.0.1:8000"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_requests_of_other_pages_are_refused(more):
    assert client().get("/", headers=bearer(**more)).status_code == 403


def test_own_pages_may_ask():
    more = {"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-origin"}
    assert client().get("/", headers=bearer(**more)).status_code == 200


def test_only_named_paths_may_be_changed_and_only_as_the_own_pages_do_it():
    asked = client()
    assert asked.put("/change/it", content=b"{}", headers=bearer(**CHANGE)).text.startswith("PUT")
    assert asked.put("/other", content=b"{}", headers=bearer(**CHANGE)).status_code == 405
    assert asked.put("/change/it", content=b"{}", headers=bearer()).status_code == 403
    form = {"content-type": "text/plain", "x-glial": "change"}
    assert asked.put("/change/it", content=b"{}", headers=bearer(**form)).status_code == 403
    long = b"x" * (LARGEST_BODY + 1)
    assert asked.put("/change/it", content=long, headers=bearer(**CHANGE)).status_code == 413


def test_headers_are_safe_and_an_answer_may_be_stricter():
    answer = client().get("/", headers=bearer())
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert client().get("/own", headers=bearer()).headers["content-security-policy"] == "sandbox"


def test_errors_of_the_users_have_the_shape_of_all_errors():
    answer = client().get("/wrong", headers=bearer())
    assert (answer.status_code, answer.json()["error"]["got"]) == (422, "3")
    missing = client().get("/none", headers=bearer())
    assert (missing.status_code, missing.json()["error"]["got"]) == (404, "/none")


def test_web_sockets_are_refused():
    with pytest.raises(WebSocketDisconnect), client().websocket_connect("/", headers=bearer()):
        pytest.fail("it was let through")


def test_other_machines_need_a_token_of_the_users():
    check_access("0.0.0.0", TOKEN)
    with pytest.raises(InputError, match="other machines"):
        check_access("0.0.0.0", None)
    with pytest.raises(InputError, match="guessed"):
        check_access("127.0.0.1", "secret")
    open_to_all = Address("0.0.0.0", PORT, TOKEN)
    assert open_to_all.is_own_host("192.168.1.7:8000")
    assert not open_to_all.is_own_host("evil.example:8000")


def test_a_port_that_is_taken_is_said():
    with open_socket(port=0) as bound:
        port = bound.getsockname()[1]
        bound.listen()
        with pytest.raises(InputError, match=str(port)):
            open_socket(port=port)
    with pytest.raises(InputError, match="port 99999"):
        open_socket(port=99999)


def test_a_server_really_listens_on_this_machine_alone():
    with serving(ROUTES) as address, httpx.Client(follow_redirects=True) as asked:
        assert asked.get(address.url()).text == "GET / 0"
        assert httpx.get(address.origin).status_code == 401
