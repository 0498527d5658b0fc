"""Begins to watch whatever script ``glial doctor`` runs, as soon as that imports torch.

Python imports a module of this name at its start, before anything of the script's. This folder is
on the path for that alone, so the script itself is run unchanged; it may be another Python's
child, where Glial is not installed, and then nothing happens.
"""

import contextlib
import importlib
import os
import sys
import traceback
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

FOLDER = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100,PTH120 - pathlib is slow here
# As they are now: the script may change its environment before it imports torch.
VARIABLES = {name: os.environ[name] for name in os.environ if name.startswith("GLIAL_DOCTOR_")}


class Finder:
    """Finds modules as Python would, and has something be done once each is there."""

    def __init__(self, acts: "dict[str, Callable[[], None]]") -> None:
        self.acts = acts

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> "ModuleSpec | None":
        """A module's own specification, with a loader that tells when it is done."""
        if name not in self.acts:
            return None
        for finder in sys.meta_path:
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    if spec.loader is not None:
                        spec.loader = Loader(spec.loader, self.acts[name])  # type: ignore[assignment]
                    return spec
        return None


class Loader:
    """A module's own loader, which takes its place again before it begins."""

    def __init__(self, loader: Any, act: "Callable[[], None]") -> None:
        self.loader, self.act = loader, act

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def create_module(self, spec: ModuleSpec) -> Any:
        """What the module's own loader makes."""
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Load the module, and do what is to be done then."""
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        attempt(self.act)


def attempt(act: "Callable[[], None]") -> None:
    """Do something; what goes wrong is left for the parent to read, the script goes on."""
    try:
        act()
    except Exception:  # noqa: BLE001 - somebody else's script must run, whatever fails here
        folder = f"{VARIABLES['GLIAL_DOCTOR_FOLDER']}/process-{os.getpid()}"
        with contextlib.suppress(OSError):
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103
            with open(f"{folder}/failure.txt", "w", encoding="utf-8") as file:  # noqa: PTH123
                traceback.print_exc(file=file)


def begin() -> None:
    """Watch this process."""
    importlib.import_module("glial.doctor.child").begin_child(VARIABLES)


def put_patches() -> None:
    """Have some files run with another text, where that was asked for."""
    path = VARIABLES.get("GLIAL_DOCTOR_PATCHES")
    if path is not None:
        importlib.import_module("glial.doctor.patches").Patches.read(path).put()


def put_seeds(acts: "dict[str, Callable[[], None]]") -> None:
    """Move the script's seeds as its generators are there, where that was asked for."""
    shift = VARIABLES.get("GLIAL_DOCTOR_SHIFT")
    if shift is None:
        return
    seeding = importlib.import_module("glial.doctor.seeding").Seeding(int(shift))
    seeding.put_in_python()

    def begin_with_seeds() -> None:
        seeding.put_in_torch()
        begin()

    acts.update({"numpy.random": seeding.put_in_numpy, "torch": begin_with_seeds})


def find_glial() -> bool:
    """Load the Glial that runs the doctor, so that no folder of the script's can hide it."""
    home = FOLDER
    for _ in range(3):
        home = os.path.dirname(home)  # noqa: PTH120
    sys.path.insert(0, home)
    try:
        importlib.import_module("glial")
    except Exception:  # noqa: BLE001 - another Python, too old for it
        return False
    finally:
        sys.path.remove(home)
    return True


if __name__ == "sitecustomize":
    sys.path[:] = [place for place in sys.path if place != FOLDER]
    if "GLIAL_DOCTOR_FOLDER" in VARIABLES and find_glial():
        attempt(put_patches)
        acts = {"torch": begin}
        attempt(lambda: put_seeds(acts))
        for name in [name for name in acts if name in sys.modules]:
            attempt(acts.pop(name))
        if acts:
            sys.meta_path.insert(0, Finder(acts))
    # The environment's own module of this name; where there is none, this raises what Python
    # expects to be raised then.
    del sys.modules["sitecustomize"]
    importlib.import_module("sitecustomize")
