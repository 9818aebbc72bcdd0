"""Every protection is needed: with it taken out, the checker (or the exactly-once check) turns red.

The situations in which all is well because nothing was taken out are in `make crashes`.
"""

import asyncio

from tests.faults.lives import Setting
from tests.faults.scenarios import PROOFS


async def test_a_product_without_one_of_its_protections_violates_an_invariant(setting: Setting) -> None:
    unmissed = list(QUICK)
    for _ in range(TRIES):
        found = await asyncio.gather(*(PROOFS[name].ill(setting) for name in unmissed))
        unmissed = [name for name, violations in zip(unmissed, found, strict=True) if not violations]
        if not unmissed:
            break
    assert not unmissed, "nobody missed: " + ", ".join(unmissed)


TRIES = 3
"""What a missing protection lets happen is a race; it need not be lost each time to be shown."""
QUICK = (
    "settle wait",
    "etag",
    "read-back",
    "claim",
    "epoch check",
    "gate on continue-as-new",
    "ledger",
)
"""Those whose situation comes about in one or two operations, however busy the machine is: where two must come
together, requests are held until they have. The two zombies are in `make crashes`."""
