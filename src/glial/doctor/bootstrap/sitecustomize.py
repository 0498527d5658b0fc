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
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

FOLDER = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100,PTH120 - pathlib is slow here
# As they are now: the script may change its environment before it imports torch.
VARIABLES = {name: os.environ[name] for name in os.environ if name.startswith("GLIAL_DOCTOR_")}


class TorchFinder:
    """Finds torch as Python would, and has it watched once it is there."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> "ModuleSpec | None":
        """Torch's own specification, with a loader that tells when it is done."""
        if name != "torch":
            return None
        for finder in sys.meta_path:
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    if spec.loader is not None:
                        spec.loader = TorchLoader(spec.loader)  # type: ignore[assignment]
                    return spec
        return None


class TorchLoader:
    """Torch's own loader, which takes its place again before it begins."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def create_module(self, spec: ModuleSpec) -> Any:
        """What torch's own loader makes."""
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Load torch, and begin to watch."""
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        begin()


def begin() -> None:
    """Watch this process; what goes wrong is left for the parent to read, the script goes on."""
    try:
        importlib.import_module("glial.doctor.child").begin_child(VARIABLES)
    except Exception:  # noqa: BLE001 - somebody else's script must run, whatever fails here
        folder = f"{VARIABLES['GLIAL_DOCTOR_FOLDER']}/process-{os.getpid()}"
        with contextlib.suppress(OSError):
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103
            with open(f"{folder}/failure.txt", "w", encoding="utf-8") as file:  # noqa: PTH123
                traceback.print_exc(file=file)


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
        if "torch" in sys.modules:
            begin()
        else:
            sys.meta_path.insert(0, TorchFinder())
    # The environment's own module of this name; where there is none, this raises what Python
    # expects to be raised then.
    del sys.modules["sitecustomize"]
    importlib.import_module("sitecustomize")
