"""What is explored, and what must break when one protection is left out.

Prevents a model that would pass whatever the protocol did.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TextIO

from tests.model.explore import Finding, explore, starts
from tests.model.programs import ALL, Protections
from tests.model.state import Budget

WHOLE: tuple[Budget, ...] = (
    Budget(requests=1, writes=1, cancel=1, unanswered=2),
    Budget(requests=1, writes=1, cancel=1, terminate=1, touch=1, unanswered=1),
    Budget(requests=1, writes=1, terminate=1, resume=1, unanswered=1),
    Budget(requests=1, writes=1, terminate=1, unanswered=2),
    Budget(requests=2, writes=1, cancel=1, unanswered=1),
    Budget(requests=2, writes=1, terminate=1, unanswered=1),
    Budget(requests=2, writes=1, resume=1),
)
"""What may happen at most, in one run each: together, all that one model of this size can hold in a minute."""
SHORT: tuple[Budget, ...] = (
    Budget(requests=1, writes=1, cancel=1, terminate=1, unanswered=1),
    Budget(requests=1, writes=1, resume=1, touch=1),
)


@dataclass(frozen=True)
class RedProof:
    """One protection that is left out, and what happens then."""

    name: str
    without: Protections
    budget: Budget
    violated: str
    """Invariant that must be found broken."""


MOST_RED = 400_000
"""States after which a red proof is given up: each is far below."""
RED: tuple[RedProof, ...] = (
    RedProof("drain", ALL._replace(drain=False), Budget(1, 1, unanswered=1), "I"),
    RedProof("read-back", ALL._replace(read_back=False, still_shut=False), Budget(1, 1, unanswered=1), "I"),
    RedProof(
        "a look at the source after the drain",
        ALL._replace(still_shut=False),
        Budget(2, 1, cancel=1, unanswered=1),
        "I",
    ),
    RedProof("compare-and-swap", ALL._replace(cas=False), Budget(1, 0, terminate=1, unanswered=1), "I"),
    RedProof("look again", ALL._replace(look_again=False, reconcile=False), Budget(1, 0, unanswered=1), "I3"),
    RedProof("reconciler", ALL._replace(reconcile=False), Budget(1, 0, resume=1), "I3"),
    RedProof("order: open after the commit", ALL._replace(order=False), Budget(1, 1, cancel=1), "I"),
    RedProof(
        "wait for a second import",
        ALL._replace(wait_for_second_import=False),
        Budget(1, 1, unanswered=1),
        "I",
    ),
    RedProof(
        "wait for a late labeling job",
        ALL._replace(retire_late=False),
        Budget(1, 0, cancel=1, unanswered=1),
        "I1",
    ),
    RedProof(
        "recovery reads after it waited",
        ALL._replace(recover_late=False),
        Budget(1, 0, terminate=1, unanswered=1),
        "I3",
    ),
    RedProof(
        "know one's own commit",
        ALL._replace(know_own_commit=False),
        Budget(1, 0, touch=1, unanswered=1),
        "I3",
    ),
)


def explored(budgets: Iterable[Budget]) -> Iterable[tuple[Budget, Finding]]:
    """Explore the whole protocol within each budget, from every start at once."""
    for budget in budgets:
        yield budget, explore(starts(budget), ALL)


def broken(proof: RedProof) -> Finding:
    """Explore the protocol without one protection; its finding has the trace."""
    return explore(starts(proof.budget), proof.without, most=MOST_RED)


def prove(out: TextIO) -> bool:
    """Everything, told as it goes; True if nothing is violated and every red proof is red."""
    began, states, transitions, good = time.monotonic(), 0, 0, True
    for budget, finding in explored(WHOLE):
        states, transitions = states + finding.states, transitions + finding.transitions
        allowed = ", ".join(f"{name} {count}" for name, count in budget._asdict().items() if count)
        what = finding.violated or f"{finding.ends} ends, nothing violated"
        out.write(f"{finding.states:8} states {finding.transitions:9} transitions: {what} ({allowed})\n")
        out.writelines(f"    {line}\n" for line in finding.trace)
        out.flush()
        good = good and finding.violated is None
    for proof in RED:
        finding = broken(proof)
        red = (finding.violated or "").startswith(proof.violated)
        out.write(f"\nwithout {proof.name}: {finding.violated or 'NOTHING BREAKS'}\n")
        out.writelines(f"    {line}\n" for line in finding.trace)
        good = good and red
    out.write(f"\n{states} states, {transitions} transitions in {time.monotonic() - began:.0f} s\n")
    return good
