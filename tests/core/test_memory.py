"""Memory that is freed and taken again, as a training step does."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
from glial.core.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(64 << 18)  # 64 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

usual = faults()
print(keep_freed_memory())
faults()
print(usual, faults())
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_blocks_that_are_kept_are_not_asked_for_again():
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True
    )
    told, counts = done.stdout.splitlines()
    usual, kept = map(int, counts.split())
    assert told == "True"
    assert usual >= 10 * 32  # 32 pages of 2 MiB, or 16,384 of 4 KiB, each time
    assert kept < usual / 20
