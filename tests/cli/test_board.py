"""``glial board``: the address it prints, who gets in, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import httpx
import pytest

from glial.cli import main


@pytest.mark.slow
def test_a_board_tells_where_it_is_and_ends_with_ctrl_c(tmp_path):
    command = [sys.executable, "-m", "glial", "board", str(tmp_path), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        told = json.loads(server.stdout.readline())
        with httpx.Client(follow_redirects=True) as asked:
            page = asked.get(told["url"])
            assert page.status_code == 200
            assert "<title>Runs" in page.text
            assert asked.get(str(page.url) + "api/runs").json()["total"] == 0
        assert httpx.get(str(page.url)).status_code == 401
        os.kill(server.pid, signal.SIGINT)
        rest, errors = server.communicate(timeout=20)
    assert (server.returncode, rest, errors) == (0, b"", b"")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no-such-folder"], "no folder"),
        ([".", "--host", "0.0.0.0"], "other machines"),
        ([".", "--token", "short"], "guessed"),
        ([".", "--port", "99999"], "port 99999"),
    ],
)
def test_what_cannot_be_served_is_wrong_input(words, said, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.nice", lambda by: 0)
    assert main(["board", *words]) == 2
    assert said in capsys.readouterr().err
