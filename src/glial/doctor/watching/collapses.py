"""Networks that learn without labels, and what they can collapse to."""

from __future__ import annotations

import torch
from torch import Tensor

from glial.doctor.evidence import Evidence
from glial.doctor.watching.codes import CodesWatch
from glial.doctor.watching.networks import Networks, NetworkWatch
from glial.doctor.watching.players import PlayersWatch
from glial.doctor.watching.tape import Entry, Tape
from glial.doctor.watching.views import ViewsWatch


class Collapses:
    """Looks at players, codes and embeddings in the rounds that are looked at.

    Args:
        networks: The networks that are known.

    Example:
        >>> evidence = Evidence()
        >>> Collapses(Networks()).tell(evidence)
        >>> evidence.players, evidence.codes, evidence.embeddings
        ([], [], [])
    """

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._players, self._codes, self._views = PlayersWatch(), CodesWatch(), ViewsWatch()
        self._tape: Tape | None = None

    def function(self, entry: Entry, tape: Tape, network: NetworkWatch | None, step: int) -> None:
        """One of torch's functions was called, within or after a call of a network."""
        if tape is not self._tape:
            self._tape = tape
            self._codes.begin_round()
        self._codes.function(entry, network.seen.name if network else None, step)

    def note(self, tape: Tape, root: Tensor, step: int) -> None:
        """Gradients of a number are about to be taken."""
        entries = tape.slice_to(root)
        calls = [entry for entry in entries if entry.is_model]
        with torch.no_grad():
            for call in calls:
                self._codes.answered(call.result, self._networks.name(call.function), step)
            self._players.note(tape, calls, self._networks, step)
            self._views.note(tape, entries, calls, self._networks, step)

    def tell(self, evidence: Evidence) -> None:
        """Put what was seen so far into the evidence."""
        evidence.players = self._players.seen()
        evidence.codes = self._codes.seen()
        evidence.embeddings = self._views.seen()
