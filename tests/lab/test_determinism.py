"""The same seed does the same, byte for byte, in every process."""

import os
import subprocess
import sys

import pytest

from pimd.lab.scenario import play
from pimd.lab.script import script_of

SEEDS = (3, 5, 11)
"""Without liars, with one that floods, and in between."""


def digest_in_a_process_of_its_own(seed: int, hash_seed: str) -> str:
    code = (
        "from pimd.lab.scenario import play; from pimd.lab.script import script_of;"
        f"verdict = play(script_of({seed}, count=7)); print(verdict.digest, verdict.virtual_s, len(verdict.log))"
    )
    environ = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, "-c", code], env=environ, check=True, capture_output=True, text=True).stdout


@pytest.mark.slow
@pytest.mark.parametrize("seed", [SEEDS[0], *(pytest.param(seed, marks=pytest.mark.slow) for seed in SEEDS[1:])])
def test_two_processes_with_different_hashes_send_the_same_bytes_at_the_same_times(seed: int) -> None:
    assert digest_in_a_process_of_its_own(seed, "1") == digest_in_a_process_of_its_own(seed, "4711")


@pytest.mark.slow
def test_other_seeds_do_something_else_and_runs_do_not_disturb_each_other() -> None:
    first = play(script_of(3, count=5)).digest
    assert play(script_of(4, count=5)).digest != first
    assert play(script_of(3, count=5)).digest == first
