"""A short run of each fuzz target: with atheris, which watches the branches taken, and with hypothesis."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.targets import SEEDS, TARGETS

RUNS = 3000


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this platform"
)
@pytest.mark.parametrize("name", TARGETS)
def test_guided_bytes_bring_only_typed_errors(name: str, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    command = [sys.executable, "-m", "tests.fuzz.run", name, f"-runs={RUNS}", "-seed=1", str(corpus)]
    done = subprocess.run(
        [*command, f"-artifact_prefix={tmp_path}/"], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


@given(st.sampled_from(sorted(TARGETS)), st.data())
def test_mutated_seeds_bring_only_typed_errors(name: str, data: st.DataObject) -> None:
    seed = bytearray(data.draw(st.sampled_from(SEEDS[name])))
    for _ in range(data.draw(st.integers(0, 4))):
        where = data.draw(st.integers(0, len(seed)))
        cut = data.draw(st.integers(0, 3))
        seed[where : where + cut] = data.draw(st.binary(max_size=4))
    TARGETS[name](bytes(seed))
