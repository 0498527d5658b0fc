"""The way in: which verb, and what every verb does alike (JSON, errors, exit statuses)."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

from glial.core.errors import GlialError, InputError, unknown_name

# Verb to its line in the help; the module glial.cli.<verb> is imported only when it is called.
VERBS = {
    "init": "draft plan.yaml for a source, with every default filled",
    "train": "train a network on a source or a plan",
    "evaluate": "metrics of a run on rows with known targets",
    "predict": "predictions of a run for the rows of a source",
    "calibrate": "fit anew what a run decides by: calibration, thresholds, coverage, refusal",
    "generate": "what a language model says after a prompt",
    "stylize": "a photograph in the style of another",
    "embed": "rows of a source as vectors; what is near what, and what is nearly the same",
    "doctor": "what is wrong with a training: a script, a module, a notebook or a run",
    "explain": "why a run says what it says, and whether the explanation can be believed",
    "report": "one page about a run: what it is, how good, what is wrong, and what to do",
    "compare": "runs side by side",
    "board": "a local page over all runs, live while they train; and a playground",
    "curve": "how good networks get with more rows, or with other settings",
    "inspect": "the quality of a source; or layers, parameters, FLOPs and graph of a model",
    "models": "the models that can be trained",
    "datasets": "the data sets that can be named as a source",
}


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are errors like all others."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print.

        Raises:
            InputError: Always.
        """
        raise InputError(message, do=f"see: {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb.

    Args:
        arguments: The words after ``glial``; by default the process's own.

    Returns:
        The exit status: 0 it worked, 1 a check failed, 2 wrong input, 3 the watched script
        failed, 4 an error of Glial's own, 130 interrupted (143 by SIGTERM).

    Example:
        >>> main(["--version"]).bit_length()
        glial 0.1.0
        0
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in _split(words)[0]
    try:
        status = _dispatch(words)
        sys.stdout.flush()
    except InputError as error:
        return _fail(error, as_json)
    except GlialError as error:
        traceback.print_exc()
        return _fail(error, as_json)
    except KeyboardInterrupt:
        return _fail(GlialError("interrupted", do="call it again"), as_json, status=130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except Exception as error:  # noqa: BLE001 - the last resort of the program
        traceback.print_exc()
        text = f"{type(error).__name__}: {error}"
        hint = "this is an error of Glial's own: please report it with the traceback"
        return _fail(GlialError(text, do=hint), as_json)
    return status


def _dispatch(words: list[str]) -> int:
    verb = words[0] if words else "--help"
    if verb in ("-h", "--help", "help"):
        print(_help())
        return 0
    if verb == "--version":
        from glial import __version__

        print(f"glial {__version__}")
        return 0
    if verb not in VERBS:
        raise unknown_name("verb", verb, VERBS)
    module = importlib.import_module(f"glial.cli.{verb}")
    parser = Parser(prog=f"glial {verb}", description=VERBS[verb], allow_abbrev=False)
    module.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a check failed")
    parser.add_argument("--quiet", action="store_true", help="no progress and no notes")
    passes_on = parser.get_default("arguments") is not None
    own, passed = _split(words) if passes_on else (words, [])
    try:
        options = parser.parse_args(own[1:])
    except SystemExit:  # --help of a verb
        return 0
    if passes_on:
        options.arguments = passed
    _show_notes(quiet=options.quiet)
    status: int = module.run(options)
    return status


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """The words before ``--``, and those after it: a verb may pass these on to a program."""
    end = words.index("--") if "--" in words else len(words)
    return words[:end], words[end + 1 :]


def _help() -> str:
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {text}" for verb, text in VERBS.items()]
    return "\n".join(
        [
            "usage: glial VERB [ARGUMENTS] [--json] [--quiet] [--strict]",
            "",
            "Glial builds, trains and diagnoses neural networks.",
            "",
            *lines,
            "",
            "glial VERB --help tells more. A start: glial train breast-cancer",
        ]
    )


class _Notes(logging.Handler):
    """Prints notices to standard error, warnings marked."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one notice, unless the verb prints what it says with its result."""
        if getattr(record, "in_result", False):
            return
        mark = "note: " if record.levelno >= logging.WARNING else ""
        print(f"{mark}{record.getMessage()}", file=sys.stderr, flush=True)


def _show_notes(*, quiet: bool) -> None:
    logger = logging.getLogger("glial")
    for handler in list(logger.handlers):
        if isinstance(handler, _Notes):
            logger.removeHandler(handler)
    logger.addHandler(_Notes())
    logger.propagate = False
    logger.setLevel(logging.ERROR if quiet else logging.INFO)


def _fail(error: GlialError, as_json: bool, status: int | None = None) -> int:
    print(f"glial: {error}", file=sys.stderr)
    if as_json:
        print(json.dumps({"error": error.to_dict()}, ensure_ascii=False))
    return error.exit_status if status is None else status


def print_json(value: Any) -> None:
    """Print one JSON object on standard output.

    Example:
        >>> print_json({"loss": float("nan")})
        {"loss": null}
    """
    from glial.core.files import to_json

    print(to_json(value, indent=None))
