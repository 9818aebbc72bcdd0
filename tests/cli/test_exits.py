"""A process that used the Temporal client ends cleanly, always.

Without `os._exit` about one such process in twelve crashes or hangs in the interpreter's take-down: 30 of them
would end well once in fourteen times, 100 once in six thousand.
"""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cli.conftest import Run

AT_ONCE = 4


@pytest.mark.parametrize("runs", [30, pytest.param(100, marks=pytest.mark.long)])
def test_a_short_command_ends_cleanly_however_often_it_is_run(labelbridge: Run, runs: int) -> None:
    def once(_: int) -> tuple[int, bool, str]:
        done = labelbridge("status", "--output", "json")
        return done.returncode, isinstance(json.loads(done.stdout), list), done.stderr

    with ThreadPoolExecutor(AT_ONCE) as pool:
        ends = Counter(pool.map(once, range(runs)))
    assert ends == {(0, True, ""): runs}


def test_an_unreachable_temporal_exits_with_7_and_says_where_it_looked(
    free_port: int, labelbridge: Run
) -> None:
    done = labelbridge("status", "-o", "json", LABELBRIDGE_TEMPORAL__ADDRESS=f"127.0.0.1:{free_port}")
    assert done.returncode == 7, done.stderr
    assert json.loads(done.stdout)["error"]["code"] == "temporal_unreachable"
    assert str(free_port) in done.stderr
