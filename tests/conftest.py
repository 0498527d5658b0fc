"""What all tests share: a thread, fixed examples and draws, the real data sets, a quiet logger."""

from __future__ import annotations

import gc
import hashlib
import logging
import random
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

torch.set_num_threads(1)
# The same examples on every machine, however slow it is: a failure can be met again.
hypothesis.settings.register_profile("glial", deadline=None, derandomize=True)
hypothesis.settings.register_profile(
    "quick", hypothesis.settings.get_profile("glial"), max_examples=20
)
hypothesis.settings.load_profile("glial")

# Folders, here and beside the code, whose tests put the parts together and train them.
SLOW = {"browser", "charts", "conformance", "integration", "runs", "serving"}
# Folders beside the code whose examples train what they are about.
SLOW_EXAMPLES = {
    "evaluation",
    "explanation",
    "healing",
    "imputers",
    "reports",
    "serving",
    "testing",
}
# Folders of trainings that are about something else than what the doctor says of them; a module
# there that is about that too says WATCHED = True.
UNWATCHED = {"evaluation", "explanation", "runs", "sklearn"}
SHARED_DATA = Path(__file__).parents[1].parent / "shared" / "data"


@pytest.hookimpl(tryfirst=True)  # before marks are looked at
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow as a whole; skip, with a reason, what this machine cannot run."""
    no_data = pytest.mark.skip(reason=f"the real data sets are not at {SHARED_DATA}")
    no_gpu = pytest.mark.skip(reason="no accelerator was found")
    for item in items:
        parts = item.path.relative_to(item.config.rootpath).parts
        if SLOW.intersection(parts) or (parts[0] == "src" and SLOW_EXAMPLES.intersection(parts)):
            item.add_marker(pytest.mark.slow)
        if parts[1:2] == ("browser",):
            item.add_marker(pytest.mark.browser)
        if item.get_closest_marker("shared_data") and not SHARED_DATA.is_dir():
            item.add_marker(no_data)
        if item.get_closest_marker("gpu") and not torch.accelerator.is_available():
            item.add_marker(no_gpu)


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(
    file_path: Path,
) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Look for examples in the code alone, not in the tests as well."""
    found = yield
    return [collector for collector in found if type(collector) is pytest.Module]


@pytest.hookimpl(tryfirst=True)  # before a test's fixtures
def pytest_runtest_setup() -> None:
    """Draw the same numbers in a test, whichever tests came before it."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 what libraries fall back on
    torch.manual_seed(0)


def pytest_collection_finish() -> None:
    """Keep what was collected out of the garbage collector's rounds: it stays to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets beside the repository; the test is skipped without it."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the real data sets are not at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session", autouse=True)
def remembered_forests() -> Iterator[None]:
    """What the doctor's forests say of rows is kept: trainings on the same rows ask the same."""
    from glial.doctor import forests, reference  # not before shapes are checked

    known: dict[tuple[Any, ...], NDArray[Any]] = {}

    def remembered(x: NDArray[Any], y: NDArray[Any], *, labels: bool) -> NDArray[Any]:
        rows = (hashlib.sha256(part.tobytes()).digest() for part in (x, y))
        key = (x.shape, x.dtype, y.dtype, labels, *rows)
        if key not in known:
            known[key] = forests.votes(x, y, labels=labels)
        return known[key].copy()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "votes", remembered)
        yield


@pytest.fixture(scope="module", autouse=True)
def unwatched(request: pytest.FixtureRequest) -> Iterator[None]:
    """Train without the doctor's looks, half the time of a short training, where none is needed."""
    folder = request.path.relative_to(request.config.rootpath).parts[1]
    watched = folder not in UNWATCHED or getattr(request.module, "WATCHED", False)
    with pytest.MonkeyPatch.context() as patch:
        if not watched:
            patch.setattr("glial.runs.watching.Watchable", ())  # nothing is one
        yield


@pytest.fixture(autouse=True)
def quiet_logger() -> Iterator[None]:
    """Glial's logger as it is at first, whatever a test, a fixture or a command line did to it."""
    _calm_logger()
    yield
    _calm_logger()


def _calm_logger() -> None:
    logger = logging.getLogger("glial")
    logger.setLevel(logging.NOTSET)
    logger.handlers.clear()
    logger.propagate, logger.disabled = True, False
