"""The errors users see: each says what was expected, what came, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GlialError(Exception):
    """An error of Glial's own.

    Args:
        message: One sentence that says what happened.
        expected: What would have been right.
        got: What was found instead.
        do: What the reader should do next.

    Example:
        >>> str(GlialError("the run is damaged", do="train it again"))
        'the run is damaged. Do: train it again'
    """

    exit_status = 4

    def __init__(
        self,
        message: str,
        *,
        expected: str | None = None,
        got: str | None = None,
        do: str | None = None,
    ) -> None:
        self.message = message
        self.expected = expected
        self.got = got
        self.do = do
        parts = [("Expected", expected), ("Got", got), ("Do", do)]
        text = "".join(f". {label}: {part}" for label, part in parts if part)
        super().__init__(f"{message}{text}")

    def to_dict(self) -> dict[str, str | None]:
        """The error as the JSON that the command line prints.

        Example:
            >>> InputError("no such file", got="a.csv").to_dict()["got"]
            'a.csv'
        """
        return {
            "message": self.message,
            "expected": self.expected,
            "got": self.got,
            "do": self.do,
        }


class InputError(GlialError):
    """What the user gave is wrong; nothing was changed, and exit status 2 says so.

    Example:
        >>> InputError("bad").exit_status
        2
    """

    exit_status = 2


def suggest(name: str, known: Iterable[str]) -> str | None:
    """The known name nearest to a mistyped one, or None when none is near.

    Example:
        >>> suggest("epoch", ["epochs", "seed"])
        'epochs'
        >>> suggest("zebra", ["epochs", "seed"]) is None
        True
    """
    by_folded = {candidate.casefold(): candidate for candidate in known}
    near = difflib.get_close_matches(name.casefold(), list(by_folded), n=1, cutoff=0.6)
    return by_folded[near[0]] if near else None


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name that is not in a list: it names the nearest one.

    Example:
        >>> print(unknown_name("model", "mpl", ["mlp", "linear"]))
        unknown model 'mpl'. Expected: one of linear, mlp. Got: 'mpl'. Do: did you mean 'mlp'?
    """
    names = sorted(known)
    near = suggest(name, names)
    shown = ", ".join(names[:30]) + (f", and {len(names) - 30} more" if len(names) > 30 else "")
    return InputError(
        f"unknown {kind} {name!r}",
        expected=f"one of {shown}" if names else "nothing: there are none",
        got=repr(name),
        do=f"did you mean {near!r}?" if near else f"choose a {kind} from the list",
    )
