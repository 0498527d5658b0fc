"""Reports of four real runs: how large they are, how long making and opening them takes.

    python benchmarks/reports.py [--data ../shared/data] [--runs FOLDER] [--only REGEX] [--times 5]

A table (adult, sex being a sensitive column), images (MNIST, 6,000 of the training images and the
first 1,000 of the test), texts (SMS spam) and a series (half-hourly taxi rides in New York, of the
Numenta Anomaly Benchmark) are learnt from, each for at most so many seconds, and reported by their
own test rows. Runs that are there already are reported again. Chromium then opens each file in a
fresh context, several times: the time until everything is loaded and the time until the first words
are painted, and whatever the page says on the console or asks the network for.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import shutil
import statistics
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from playwright.sync_api import sync_playwright

import glial

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TAXI = "data/realKnownCause/nyc_taxi.csv"
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def adult(data: Path, folder: Path) -> dict[str, Any]:
    """A table of people, in which groups are compared."""
    return {"source": data / "adult.csv.gz", "set": {"data.fairness.group": "sex"}}


def mnist(data: Path, folder: Path) -> dict[str, Any]:
    """Some of the images of handwritten digits."""
    with np.load(data / "mnist.npz") as arrays:
        few = {
            f"{split}_{part}": arrays[f"{split}_{part}"][:count]
            for split, count in (("train", 6000), ("test", 1000))
            for part in ("x", "y")
        }
    path = folder / "mnist-small.npz"
    np.savez_compressed(path, **few)
    return {"source": path}


def spam(data: Path, folder: Path) -> dict[str, Any]:
    """Short messages."""
    return {"source": data / "sms-spam.csv.gz"}


def taxi(data: Path, folder: Path) -> dict[str, Any]:
    """One series of half-hours."""
    with zipfile.ZipFile(data / "nab.zip") as archive:
        table = pl.read_csv(io.BytesIO(archive.read(TAXI)))
    path = folder / "nyc-taxi.csv"
    table.write_csv(path)
    return {
        "source": path,
        "target": "value",
        "task": "forecasting",
        "time": "timestamp",
        "set": {"task.horizon": 48},
    }


SETS = {"adult": adult, "mnist": mnist, "sms-spam": spam, "nyc-taxi": taxi}
TARGETS = {"adult": ("income", "income-per-year", "class"), "sms-spam": ("label", "class")}


def trained(name: str, data: Path, folder: Path, seconds: float) -> Path:
    """The folder of a run, which is trained where it is not there yet."""
    path = folder / name
    if (path / "metrics.json").exists():
        return path
    asked = SETS[name](data, folder)
    source = asked.pop("source")
    if name in TARGETS:
        columns = glial.data.read(source).columns
        asked["target"] = next(c for c in (*TARGETS[name], columns[-1]) if c in columns)
    glial.train(source, out=path, time_limit=seconds, **asked)
    return path


def opened(page_file: Path, times: int) -> dict[str, Any]:
    """What Chromium says of a page."""
    loads, paints, errors, requests = [], [], [], []
    with sync_playwright() as playwright:
        found = next(path for name in BROWSERS if (path := shutil.which(name)))
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        for _ in range(times):
            context = browser.new_context(viewport={"width": 1280, "height": 800})
            page = context.new_page()
            page.on("console", lambda said: errors.append(said.text))
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("request", lambda asked: requests.append(asked.url))
            begun = time.perf_counter()
            page.goto(page_file.as_uri())
            loads.append(time.perf_counter() - begun)
            painted = None
            while painted is None:  # the page's policy allows no function that waits in it
                page.wait_for_timeout(50)
                painted = page.evaluate(PAINTED)
            paints.append(painted / 1000)
            context.close()
        browser.close()
    asked = [url for url in requests if not url.startswith(("data:", page_file.as_uri()))]
    return {
        "load_seconds": statistics.median(loads),
        "paint_seconds": statistics.median(paints),
        "console": errors,
        "requests": asked,
    }


def main() -> None:
    """Train, report, open, and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--runs", type=Path, default=Path("runs/reports"))
    parser.add_argument("--only", default="")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60.0, help="of training, each")
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    for name in [name for name in SETS if re.search(options.only, name)]:
        run = trained(name, options.data, options.runs, options.seconds)
        begun = time.perf_counter()
        made = glial.report(run)
        text = made.to_html()
        spent = time.perf_counter() - begun
        file = run / "report.html"
        file.write_text(text, encoding="utf-8")
        (run / "report.md").write_text(made.to_markdown(), encoding="utf-8")
        failed = [one.key for one in made.sections if "error" in one.data]
        slowest = max(made.sections, key=lambda one: one.seconds)
        told = {
            "run": name,
            "bytes": len(text.encode()),
            "making_seconds": round(spent, 2),
            "slowest": f"{slowest.key} {slowest.seconds:.1f} s",
            "failed": failed,
            **opened(file.resolve(), options.times),
        }
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
