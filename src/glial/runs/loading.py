"""A run opened from its folder: every file checked, and nothing in it is code."""

from __future__ import annotations

import copy
import csv
import math
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.core.files import read_json
from glial.core.findings import Finding
from glial.data import Encoding
from glial.models import MODELS
from glial.runs.folder import asked_before
from glial.runs.plan import Plan
from glial.runs.run import HEALING, LOADER, MEMBERS, Run
from glial.tasks import load_task
from glial.training.checkpoints import load_checkpoint


def read_history(path: Path) -> list[dict[str, float | int]]:
    """The rows of ``history.csv``; none where the file is missing.

    Raises:
        InputError: If the file is damaged.

    Example:
        >>> read_history(Path("no such file"))
        []
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [
                {key: float(value) for key, value in row.items() if value}
                for row in csv.DictReader(file)
            ]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, AttributeError, csv.Error) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path} is damaged",
        expected="a file as Glial wrote it",
        got=f"{type(error).__name__}: {error}",
        do="the file was changed or cut short: restore it, or train again",
    )


def check_run_folder(path: Path) -> None:
    """Refuse a folder that is not a run with a usable network.

    Raises:
        InputError: If the folder is missing, is no run, or its training has not yet ended.
    """
    if not path.is_dir():
        raise InputError(
            f"there is no run at {path}",
            expected="the folder of a run",
            got="a file" if path.exists() else "nothing",
            do="give the folder that glial train printed",
        )
    if not (path / "plan.yaml").exists():
        raise InputError(
            f"{path} is not a run",
            expected="a folder that glial train wrote",
            got="no plan.yaml in it",
            do="give the folder that glial train printed",
        )
    trained = (path / "model.safetensors").exists() or (path / MEMBERS).is_dir()
    if not trained or not (path / "metrics.json").exists():
        raise InputError(
            f"the run {path} has not finished",
            expected="a run with a trained network",
            got="training was cut off before its end",
            do=f"go on with: glial train {path} --resume",
        )


def load(path: str | Path, *, model: nn.Module | None = None) -> Run:
    """Open a run.

    Nothing in a run is code, so opening a stranger's is safe.

    Args:
        path: The run's folder.
        model: The network, for a run of the user's own module: its weights are loaded into it
            (into a copy for each network of several).

    Returns:
        The run, ready to predict.

    Raises:
        InputError: If the folder is no finished run, or was damaged.

    Example:
        >>> load("runs/no-such-run")
        Traceback (most recent call last):
        ...
        glial.core.errors.InputError: there is no run at runs/no-such-run. ...
    """
    folder = Path(path)
    check_run_folder(folder)
    figures = read_json(folder / "metrics.json")
    told = figures.get(MEMBERS) if isinstance(figures, dict) else None
    if not told:
        return _load_single(folder, model)
    if not isinstance(told, list):
        raise _damaged(folder / "metrics.json", TypeError("members is no list"))
    places = [folder / MEMBERS / str(number) for number in range(1, len(told) + 1)]
    for place in places:
        check_run_folder(place)
    members = [_load_single(place, copy.deepcopy(model)) for place in places]
    networks = nn.ModuleList([member.model for member in members])
    run = _assembled(folder, networks, members[0].encoding, members=members)
    _check_members(run)
    return run


def _load_single(folder: Path, model: nn.Module | None) -> Run:
    """The run of one network."""
    sizes = read_json(folder / "model.json")
    network = model if model is not None else _built(folder, sizes)
    weights, _ = load_checkpoint(folder / "model.safetensors")
    _load_weights(network, weights, folder)
    network.eval()
    sizes = {key: value for key, value in sizes.items() if key != "format"}
    history = read_history(folder / "history.csv")
    reads_none = sizes.get("source") == LOADER or ("windows" in sizes and not sizes["num_inputs"])
    encoding = Encoding({}) if reads_none else Encoding.load(folder)
    return _assembled(folder, network, encoding, sizes=sizes, history=history)


def _assembled(folder: Path, network: nn.Module, encoding: Encoding, **parts: Any) -> Run:
    """A run of these parts, with the plan, decoding and figures of its folder."""
    plan = Plan.from_file(folder / "plan.yaml")
    if plan.model["name"] == "auto":
        raise _damaged(folder / "plan.yaml", ValueError("the model is not named"))
    decoder = load_task(read_json(folder / "decoding.json"), plan.task)
    figures = read_json(folder / "metrics.json")
    try:
        told = _with_numbers(read_json(folder / "findings.json"))
        findings = TypeAdapter(list[Finding]).validate_python(told)
    except ValidationError as error:
        raise _damaged(folder / "findings.json", error) from error
    try:
        return Run(
            folder,
            plan,
            network,
            encoding,
            decoder,
            metrics=dict(figures["metrics"]),
            findings=findings,
            status=figures["status"],
            ended_by=figures["ended_by"],
            epochs=figures["epochs"],
            seconds=figures["seconds"],
            samples_per_second=figures["samples_per_second"],
            asked=_asked(folder, plan),
            healing=read_json(folder / HEALING) if (folder / HEALING).exists() else None,
            **parts,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(folder / "metrics.json", error) from error


def _asked(folder: Path, plan: Plan) -> Plan:
    asked = asked_before(folder)
    return plan if asked is None else Plan.from_values(asked)


def _with_numbers(findings: Any) -> Any:
    """Findings from JSON, which writes null for evidence that is not finite."""
    for finding in findings if isinstance(findings, list) else ():
        evidence = finding.get("evidence") if isinstance(finding, dict) else None
        if isinstance(evidence, dict):
            finding["evidence"] = {k: math.nan if v is None else v for k, v in evidence.items()}
    return findings


def _check_members(run: Run) -> None:
    """Refuse members that were not trained for the run's own task."""
    wanted = (run.task, run.decoder.targets)
    for member in run.members:
        if (member.task, member.decoder.targets) != wanted:
            raise InputError(
                f"{member.path} does not belong to the run {run.path}",
                expected=f"a network for the task {run.task} of {', '.join(run.decoder.targets)}",
                got=f"{member.task} of {', '.join(member.decoder.targets)}",
                do="a file was changed: restore it, or train again",
            )


def _built(folder: Path, sizes: Any) -> nn.Module:
    """The network that ``model.json`` describes: a name of the table, and sizes."""
    if isinstance(sizes, dict) and sizes.get("name") == "custom":
        raise InputError(
            f"{folder} holds weights of a network that is not Glial's",
            expected="the network, given in Python: glial.load(path, model=network)",
            got="no network",
            do="open this run from Python with its model",
        )
    try:
        settings = MODELS.resolve(sizes["name"]).read(sizes["settings"], where="model.json")
        network: nn.Module = settings.build(
            int(sizes["num_inputs"]),
            int(sizes["num_outputs"]),
            [int(c) for c in sizes["cardinalities"]],
            **_other_inputs(sizes),
        )
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise _damaged(folder / "model.json", error) from error
    return network


def _other_inputs(sizes: dict[str, Any]) -> dict[str, Any]:
    """The sizes of images, sequences, texts and words, for a network that has any."""
    found: dict[str, Any] = {}
    if "images" in sizes:
        found["images"] = [[int(length) for length in image] for image in sizes["images"]]
    if "sequences" in sizes:
        found["sequences"] = [[int(length) for length in one] for one in sizes["sequences"]]
    if "words" in sizes:
        found["words"] = [[int(count) for count in column] for column in sizes["words"]]
    if "windows" in sizes:
        found["windows"] = {name: int(count) for name, count in sizes["windows"].items()}
    if "vocabularies" in sizes:
        found["vocabularies"] = [int(count) for count in sizes["vocabularies"]]
    return found


def _load_weights(network: nn.Module, weights: dict[str, Tensor], folder: Path) -> None:
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(
            f"the weights of {folder} do not fit its model",
            expected="the weights that belong to model.json",
            got=" ".join(str(error).split())[:300],
            do="one of the two files was changed: restore it, or train again",
        ) from error
