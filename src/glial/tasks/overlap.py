"""How much of what texts should say is said: overlaps of runs of words and of characters."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

WORDS_OF_RUN, CHARACTERS_OF_RUN = 4, 6
RECALL_COUNTS = 2.0
_ENTITIES = {"&quot;": '"', "&amp;": "&", "&lt;": "<", "&gt;": ">"}
_CUTS = [
    (re.compile(r"([{-~[-` -&(-+:-@/])"), r" \1 "),
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
]


def bleu(texts: Sequence[str], references: Sequence[str]) -> float:
    """BLEU of a corpus, from 0 to 100: how many runs of one to four words stand in the references.

    The four shares are multiplied and their fourth root is taken; what is shorter than the
    references is marked down. Where no run of a length is right, half a run counts as right, of the
    next such length a quarter, and so on. Words are those of `words_13a`.

    Args:
        texts: What was said.
        references: What should be said, one each.

    Source:
        Papineni et al. (2002), "BLEU: a method for automatic evaluation of machine translation",
        doi:10.3115/1073083.1073135; Post (2018), "A call for clarity in reporting BLEU scores",
        arXiv 1804.08771 (words, smoothing and the corpus's sums, as in sacrebleu's defaults).

    Example:
        >>> round(bleu(["the cat sat on the mat"], ["the cat sat on the mat"]), 6)
        100.0
        >>> round(bleu(["the cat sat on a mat"], ["the cat sat on the mat"]), 1)
        53.7
    """
    said = wanted = 0
    right, all_runs = [0] * WORDS_OF_RUN, [0] * WORDS_OF_RUN
    for text, reference in zip(texts, references, strict=True):
        words, others = words_13a(text), words_13a(reference)
        said, wanted = said + len(words), wanted + len(others)
        for number in range(WORDS_OF_RUN):
            found, known = (_runs(part, number + 1) for part in (words, others))
            right[number] += (found & known).total()
            all_runs[number] += found.total()
    if not any(right) or not all(all_runs):
        return 0.0
    logarithms, smoothing = 0.0, 1.0
    for hits, count in zip(right, all_runs, strict=True):
        if hits == 0:
            smoothing *= 2
        logarithms += math.log(100 * hits / count if hits else 100 / (smoothing * count))
    brevity = min(0.0, 1 - wanted / said)
    return math.exp(brevity + logarithms / WORDS_OF_RUN)


def chrf(texts: Sequence[str], references: Sequence[str]) -> float:
    """chrF2 of a corpus, from 0 to 100: runs of one to six characters, blanks left out.

    The mean precision and the mean recall of the six lengths, and their F-measure in which recall
    counts twice as much.

    Args:
        texts: What was said.
        references: What should be said, one each.

    Source:
        Popović (2015), "chrF: character n-gram F-score for automatic MT evaluation",
        doi:10.18653/v1/W15-3049; sums over the corpus as in sacrebleu's defaults.

    Example:
        >>> chrf(["a b"], ["ab"]), round(chrf(["ab"], ["abc"]), 2)
        (100.0, 63.64)
    """
    sums = [[0, 0, 0] for _ in range(CHARACTERS_OF_RUN)]
    for text, reference in zip(texts, references, strict=True):
        said, wanted = "".join(text.split()), "".join(reference.split())
        for number, counts in enumerate(sums):
            found, known = (_runs(part, number + 1) for part in (said, wanted))
            counts[0] += found.total() if known else 0
            counts[1] += known.total()
            counts[2] += (found & known).total()
    shares = [(hits / said, hits / wanted) for said, wanted, hits in sums if said and wanted]
    if not shares:
        return 0.0
    precision = sum(share for share, _ in shares) / len(shares)
    recall = sum(share for _, share in shares) / len(shares)
    if precision + recall == 0:
        return 0.0
    factor = RECALL_COUNTS * RECALL_COUNTS
    return 100 * (1 + factor) * precision * recall / (factor * precision + recall)


def words_13a(text: str) -> list[str]:
    """The words of a text as the script mteval-v13a cuts them, by which BLEU is compared.

    Example:
        >>> words_13a("It's 3.5, isn't it? (yes)")
        ["It's", '3.5', ',', "isn't", 'it', '?', '(', 'yes', ')']
    """
    plain = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, character in _ENTITIES.items():
        plain = plain.replace(entity, character)
    plain = f" {plain} "
    for pattern, apart in _CUTS:
        plain = pattern.sub(apart, plain)
    return plain.split()


def _runs(parts: Sequence[str], length: int) -> Counter[Iterable[str]]:
    return Counter(
        parts[start : start + length]
        if isinstance(parts, str)
        else tuple(parts[start : start + length])
        for start in range(len(parts) - length + 1)
    )
