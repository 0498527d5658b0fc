"""The board's back: what is read of run folders, how curves are thinned, what strangers can do."""

from __future__ import annotations

import itertools
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from glial.core.errors import InputError
from glial.core.files import folder_lock
from glial.serving.access import Address
from glial.serving.board.curves import packed, quantities, read_history, thinned, unpacked
from glial.serving.board.detail import layers_of, samples_of
from glial.serving.board.folders import find_runs, read_file, read_plan
from glial.serving.board.index import Index, run_id
from glial.serving.board.overview import overview, varied_keys
from glial.serving.board.routes import CHANGES, routes
from glial.serving.board.status import locked_inodes, status_of
from glial.serving.board.store import NAME
from glial.serving.board.texts import harmless, shown
from glial.serving.board.watch import Watch
from glial.serving.server import application

TOKEN = "a-token-that-is-long-enough"
OWN = "http://127.0.0.1:8000"
HOSTILE = '<img src=x onerror="document.title=1">'


def write_run(
    folder: Path, *, lr: float = 0.1, rows: int = 3, name: str = "mlp", live: dict | None = None
) -> Path:
    folder.mkdir(parents=True)
    told = f"data:\n  source: wine\nmodel:\n  name: {name}\ntrain:\n  lr: {lr}\n  seed: 0\n"
    (folder / "plan.yaml").write_text(told)
    lines = [f"{at},{4 * at},{1 / at},{2 / at},0.01,{0.5 * at}" for at in range(1, rows + 1)]
    head = "epoch,step,train_loss,val_loss,lr,seconds"
    (folder / "history.csv").write_text("\n".join([head, *lines]))
    if live is not None:
        (folder / "live.json").write_text(json.dumps(live))
    else:
        figures = {"metrics": {"test": {"accuracy": lr}}, "epochs": rows, "status": "finished"}
        (folder / "metrics.json").write_text(json.dumps({**figures, "seconds": 1.5}))
        (folder / "findings.json").write_text("[]")
    return folder


def asking(index: Index, *, writable: bool = False) -> TestClient:
    changes = (CHANGES,) if writable else ()
    app = application(
        routes(index, writable=writable), Address("127.0.0.1", 8000, TOKEN), changes=changes
    )
    return TestClient(app, base_url=OWN, headers={"authorization": f"Bearer {TOKEN}"})


def column(told: dict, name: str) -> dict:
    return dict(zip(told["columns"]["name"], told["columns"][name], strict=True))


# Curves


def test_thinning_keeps_every_buckets_extremes_and_both_ends():
    values = np.random.default_rng(0).normal(size=10_007)
    kept = thinned(values, 256)
    assert len(kept) <= 256
    assert kept[0] == 0
    assert kept[-1] == len(values) - 1
    assert values[kept].min() == values.min()
    assert values[kept].max() == values.max()
    edges = np.linspace(0, len(values), 128).astype(int)
    for start, end in itertools.pairwise(edges):
        assert start + values[start:end].argmin() in kept
        assert start + values[start:end].argmax() in kept


def test_thinning_keeps_gaps_and_short_curves():
    values = np.full(1000, np.nan)
    values[400] = 7.0
    kept = thinned(values, 16)
    assert 400 in kept
    assert np.isnan(values[kept]).sum() > 0
    assert thinned(np.arange(5.0), 16).tolist() == [0, 1, 2, 3, 4]


def test_a_history_is_read_whole_cut_off_or_with_words_in_it():
    history = read_history(b"epoch,step,train_loss,val_loss,lr,seconds\n1,4,1.5,inf,0.1,2\n2,8,x,")
    assert history["epoch"].tolist() == [1, 2]
    assert history["train_loss"][0] == 1.5
    assert np.isnan(history["val_loss"]).all()
    assert quantities(history) == ["val_loss", "train_loss", "lr"]
    points = unpacked(packed(history, "train_loss"))
    assert points[:, 0].tolist() == [1, 4, 2, 1.5]
    with pytest.raises(InputError, match=r"history\.csv"):
        read_history(b"")


# Text of strangers


def test_what_cannot_be_seen_is_spelt_out():
    assert shown("a\x00\u202eb\u2066") == "a\\u0000\\u202eb\\u2066"
    assert shown("x" * 500) == "x" * 200 + "…"
    deep: list = []
    for _ in range(50):
        deep = [deep]
    assert "…" in json.dumps(harmless(deep), ensure_ascii=False)
    assert harmless({"a": 10**400}) == {"a": None}


def test_pictures_of_other_kinds_are_left_out():
    told = [
        "data:image/svg+xml;base64,AAAA",
        "https://evil.example/a.png",
        "data:image/png;base64,AA==",
    ]
    kept = [one["image"] for one in samples_of([{"image": image} for image in told])]
    assert kept == [None, None, told[2]]
    assert samples_of("x") == []
    assert layers_of([{"name": "a", "quantities": {"b": {"steps": [1], "values": []}}}, 3]) == []


@pytest.mark.parametrize(
    "text", ["a: &b [1]\nc: *b", "!!python/object:os.system {}", "[" * 200, "- a", "\xff"]
)
def test_plans_that_are_none_are_refused(text):
    with pytest.raises(InputError, match=r"plan\.yaml"):
        read_plan(text.encode("latin-1"))


# Folders


def test_runs_are_found_below_each_other_and_links_are_left_alone(tmp_path):
    root = tmp_path / "runs"
    write_run(root / "a")
    write_run(root / "a" / "members" / "1")
    write_run(root / "sweep" / "b")
    outside = write_run(tmp_path / "secret")
    (root / "link").symlink_to(outside)
    (root / "members").mkdir()
    found, links = find_runs(str(root))
    assert [(one.path, one.parent) for one in found] == [
        ("a", None),
        ("a/members/1", "a"),
        ("sweep/b", None),
    ]
    assert links == 1


def test_files_that_are_links_pipes_or_large_are_not_read(tmp_path):
    secret = tmp_path / "secret.json"
    secret.write_text('{"metrics": {}}')
    run = write_run(tmp_path / "runs" / "a")
    (run / "metrics.json").unlink()
    (run / "metrics.json").symlink_to(secret)
    (run / "findings.json").unlink()
    os.mkfifo(run / "findings.json")
    (run / "environment.json").write_bytes(b" " * ((1 << 22) + 1))
    root = str(tmp_path / "runs")
    for name, reason in {"metrics": "link", "findings": "plain", "environment": "larger"}.items():
        with pytest.raises(InputError, match=reason):
            read_file(root, "a", f"{name}.json")
    for path, name in (("../", "plan.yaml"), ("a", "../../secret.json")):
        with pytest.raises(InputError):
            read_file(root, path, name)
    index = Index.of(Path(root))
    index.refresh()
    (row,) = index.rows.values()
    assert row.status == "damaged"
    assert set(row.parts["damage"]) == {"metrics.json", "findings.json"}


# The index


def test_only_what_changed_is_read_again(tmp_path, monkeypatch):
    for at in range(3):
        write_run(tmp_path / f"r{at}", lr=0.1 * at)
    read = []

    def counted(root, run, name):
        read.append((run, name))
        return read_file(root, run, name)

    monkeypatch.setattr("glial.serving.board.index.read_file", counted)
    index = Index.of(tmp_path)
    assert index.refresh()
    assert len(read) == 3 * 4
    read.clear()
    assert not index.refresh()
    version = index.version
    (tmp_path / "r1" / "findings.json").write_text('[{"severity": "error", "problem": "leakage"}]')
    assert index.refresh()
    assert read == [("r1", "findings.json")]
    told = overview(index, {}, version)
    assert column(told, "errors") == {"r1": 1}
    assert told["total"] == 3
    read.clear()
    again = Index.of(tmp_path)  # from what is kept beside the runs
    again.refresh()
    assert read == []
    assert column(overview(again, {}), "problems")["r1"] == "leakage"
    assert len(again.curves("val_loss", "step", 0)[0]) == 3


def test_curves_are_kept_before_their_runs_are_told(tmp_path, monkeypatch):
    write_run(tmp_path / "a")
    index = Index.of(tmp_path)
    kept = index.store.write
    seen = []

    def write(runs, gone=()):
        seen.append((len(list(runs)), len(index.rows)))
        kept(runs, gone)

    monkeypatch.setattr(index.store, "write", write)
    index.refresh()
    assert (1, 0) in seen


def test_runs_that_go_are_told(tmp_path):
    write_run(tmp_path / "a")
    gone = write_run(tmp_path / "b")
    index = Index.of(tmp_path)
    index.refresh()
    version = index.version
    for path in gone.iterdir():
        path.unlink()
    index.refresh()
    told = overview(index, {}, version)
    assert told["removed"] == [run_id("b")]
    assert told["total"] == 1


@pytest.mark.parametrize("content", [b"not a database", b"", "other"])
def test_an_index_that_is_not_the_boards_own_is_made_anew(tmp_path, content):
    write_run(tmp_path / "a")
    if content == "other":
        with sqlite3.connect(tmp_path / NAME) as other:
            other.execute("CREATE TABLE runs (path TEXT)")
        other.close()
    else:
        (tmp_path / NAME).write_bytes(content)
    index = Index.of(tmp_path)
    index.refresh()
    assert index.store.path == tmp_path / NAME
    assert len(index.curves("val_loss", "epoch", 0)[0]) == 1


def test_an_index_is_never_written_through_a_link(tmp_path, monkeypatch):
    monkeypatch.setenv("GLIAL_CACHE", str(tmp_path / "cache"))
    target = tmp_path / "target"
    target.write_text("mine")
    folder = tmp_path / "runs"
    write_run(folder / "a")
    (folder / NAME).symlink_to(target)
    index = Index.of(folder)
    index.refresh()
    assert target.read_text() == "mine"
    assert index.store.path is not None
    assert index.store.path.is_relative_to(tmp_path / "cache")


def test_curves_are_those_of_the_file(tmp_path):
    write_run(tmp_path / "a", rows=1000)
    index = Index.of(tmp_path)
    index.refresh()
    heads, body = index.curves("val_loss", "step", 0)
    numbers = np.frombuffer(body, "<f4")
    count = heads[0][1]
    assert len(numbers) == 2 * count
    np.testing.assert_allclose(numbers[count:], 2 / (numbers[:count] / 4), rtol=1e-6)
    places, values = index.curve(run_id("a"), "val_loss", "epoch", 10, 12, 100)
    assert places == [9, 10, 11, 12, 13]
    assert values == pytest.approx([2 / place for place in places])


def test_a_run_trains_while_it_is_locked_or_lives(tmp_path):
    now = {"status": "training", "pid": os.getpid(), "updated": time.time()}
    assert status_of({"live.json": now}, 1, set()) == "training"
    assert status_of({"live.json": {**now, "pid": 1 << 22}}, 1, set()) == "killed"
    assert status_of({"live.json": {**now, "updated": 0}}, 1, {1}) == "training"
    assert status_of({"metrics.json": {"status": "finished"}}, 1, set()) == "finished"
    assert status_of({}, 1, None) == "unfinished"
    with folder_lock(tmp_path):
        held = locked_inodes()
        assert held is None or tmp_path.stat().st_ino in held


def test_only_keys_that_differ_are_columns():
    plans = [{"a": 1, "b": [1], "train.lr": 1}, {"a": 1, "b": [2], "train.lr": 1, "c": 3}, {"c": 4}]
    assert varied_keys(plans) == ["train.lr", "b", "c"]


# What can be asked


def test_hostile_names_and_texts_come_as_plain_text(tmp_path):
    folder = tmp_path / HOSTILE
    write_run(folder, name=HOSTILE.replace(":", ""))
    (folder / "findings.json").write_text(
        json.dumps(
            [{"severity": "error", "problem": HOSTILE, "means": "\u202e" + HOSTILE, "do": 3}]
        )
    )
    odd = tmp_path / os.fsdecode(b"bad-\xff-\n-name")
    odd.mkdir()
    (odd / "plan.yaml").write_text("a: 1")
    index = Index.of(tmp_path)
    index.refresh()
    asked = asking(index)
    told = asked.get("/api/runs").json()
    assert set(told["columns"]["name"]) == {HOSTILE, "bad-\\udcff- -name"}
    answer = asked.get(f"/api/runs/{run_id(HOSTILE)}")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["findings"][0]["means"] == "\\u202e" + HOSTILE
    assert HOSTILE not in asked.get(f"/run/{run_id(HOSTILE)}").text


def test_paths_are_never_taken_from_an_address(tmp_path):
    index = Index.of(write_run(tmp_path / "runs" / "a").parent)
    index.refresh()
    asked = asking(index)
    for path in ("..", "%2e%2e%2f", "a", "a/../../x", run_id("../secret")):
        assert asked.get(f"/api/runs/{path}").status_code in (404, 422)
        if ".." not in path and "%2e" not in path:  # the client itself cuts these short
            assert asked.get(f"/static/{path}").status_code == 404
    assert asked.get("/static/%2e%2e%2frouting.py").status_code == 404
    assert asked.get("/api/curves?quantity=val_loss&axis=path").status_code == 422
    assert asked.get("/api/runs?since=x").status_code == 422
    assert asked.get("/api/runs?since=nan").status_code == 422


def test_a_report_cannot_reach_the_board(tmp_path):
    folder = write_run(tmp_path / "a")
    (folder / "report.html").write_text("<script>alert(1)</script>")
    index = Index.of(tmp_path)
    index.refresh()
    answer = asking(index).get(f"/runs/{run_id('a')}/report")
    policy = answer.headers["content-security-policy"]
    assert "sandbox" in policy
    assert "default-src 'none'" in policy
    assert "allow-scripts" not in policy


def test_marks_are_written_only_where_that_is_allowed(tmp_path):
    folder = write_run(tmp_path / "a")
    before = sorted(path.name for path in folder.iterdir())
    index = Index.of(tmp_path)
    index.refresh()
    change = {"x-glial": "change"}
    place = f"{CHANGES}{run_id('a')}"
    assert asking(index).put(place, json={"star": True}, headers=change).status_code == 405
    asked = asking(index, writable=True)
    assert asked.put(place, json={"star": True, "tags": ["x", "x", " "]}, headers=change).json()[
        "tags"
    ] == ["x"]
    assert asked.put(place, json={"note": "\u202eb"}, headers=change).json()["star"] is True
    for wrong in ({"path": "/etc"}, {"star": 3}, [1], {"note": "x" * 3000}):
        assert asked.put(place, json=wrong, headers=change).status_code == 422
    assert asked.put(f"{CHANGES}nobody", json={}, headers=change).status_code == 422
    assert column(asking(index).get("/api/runs").json(), "note") == {"a": "\\u202eb"}
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.slow
def test_the_board_starts_without_torch(tmp_path):
    script = (
        "import sys; from pathlib import Path; from glial.serving.board.index import Index; "
        "from glial.serving.board.routes import routes; "
        f"routes(Index.of(Path({str(tmp_path)!r}))); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_folder_that_is_none_is_said(tmp_path):
    with pytest.raises(InputError, match="no folder"):
        Index.of(tmp_path / "none")


def test_no_thread_is_left_when_nobody_looks_and_one_begins_when_somebody_does(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("glial.serving.board.watch.EVERY_SECONDS", 0.01)
    monkeypatch.setattr("glial.serving.board.watch.SHARE", 1.0)
    monkeypatch.setattr("glial.serving.board.watch.UNSEEN_SECONDS", 0.05)
    index = Index.of(tmp_path)
    before = set(threading.enumerate())
    watch = Watch(index)
    for at in range(2):
        write_run(tmp_path / f"run-{at}")
        watch.seen()
        (thread,) = set(threading.enumerate()) - before
        thread.join(10)
        assert not thread.is_alive()
        assert len(index.rows) == at + 1


def test_where_a_run_was_started_stays_on_this_machine(tmp_path):
    told = {"torch": "2.13.0", "started_in": str(tmp_path)}
    (write_run(tmp_path / "one") / "environment.json").write_text(json.dumps(told))
    index = Index.of(tmp_path)
    index.refresh()
    answer = asking(index).get(f"/api/runs/{run_id('one')}")
    assert answer.json()["environment"] == {"torch": "2.13.0"}
    assert str(tmp_path) not in answer.text
