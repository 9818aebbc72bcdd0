"""The protocol as a small model: nothing is violated, and each protection that is left out is missed.

The whole exploration runs with `make model`; here runs a short one, and every red proof.
"""

import pytest

from tests.model.explore import explore, starts
from tests.model.programs import ALL
from tests.model.proofs import RED, SHORT, RedProof, broken
from tests.model.state import Budget


@pytest.mark.parametrize("budget", SHORT, ids=str)
def test_no_invariant_is_violated_in_any_reachable_state_and_every_path_ends(budget: Budget) -> None:
    finding = explore(starts(budget), ALL)
    assert finding.violated is None, "\n".join(finding.trace)
    assert finding.states > 1_000, "a model that hardly moves proves nothing"


@pytest.mark.parametrize("proof", RED, ids=lambda proof: proof.name)
def test_a_protection_that_is_left_out_is_missed(proof: RedProof) -> None:
    finding = broken(proof)
    assert (finding.violated or "").startswith(proof.violated)
    assert finding.trace[0].startswith("to begin with")


def test_without_faults_every_kind_of_request_is_reached_and_ends_as_the_table_says() -> None:
    begun = starts(Budget(requests=2, writes=0))
    finding = explore(begun, ALL)
    assert finding.violated is None, "\n".join(finding.trace)
    assert finding.ends >= 5
