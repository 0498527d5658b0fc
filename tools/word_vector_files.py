"""Write the small files of word vectors that tests read, by gensim, and hashes of parts of words.

    python tools/word_vector_files.py tests/data/word_vectors

Run it where gensim is installed (4.4 wrote what is committed); nothing else needs it. The tests ask
Glial to read each file as gensim wrote it, and to write it again byte for byte, so that each reads
what the other writes.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import numpy as np
from gensim.models import KeyedVectors
from gensim.models.fasttext_inner import compute_ngrams, ft_hash_bytes

WORDS = ["the", "köning", "queen", "日本", "e=mc²", "don't"]


def main(folder: Path) -> None:
    """Write the files.

    Args:
        folder: Where they go.
    """
    rows = np.random.default_rng(0).normal(size=(len(WORDS), 3)).astype(np.float32)
    rows[1, 1] = np.float32(1e-30)
    vectors = KeyedVectors(3)
    vectors.add_vectors(WORDS, rows)
    vectors.save_word2vec_format(str(folder / "word2vec.txt"), binary=False, write_header=True)
    vectors.save_word2vec_format(str(folder / "word2vec.bin"), binary=True)
    vectors.save_word2vec_format(str(folder / "glove.txt"), binary=False, write_header=False)
    packed = gzip.compress((folder / "word2vec.txt").read_bytes(), mtime=0)
    (folder / "word2vec.txt.gz").write_bytes(packed)
    told = {
        "words": WORDS,
        "vectors": [row.tolist() for row in rows],
        "subwords": {word: compute_ngrams(word, 3, 6) for word in WORDS},
        "hashes": {word: int(ft_hash_bytes(word.encode())) for word in WORDS},
    }
    text = json.dumps(told, ensure_ascii=False, indent=1)
    (folder / "told.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
