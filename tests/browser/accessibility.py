"""axe-core's judgement of a page as it stands."""

from functools import lru_cache
from pathlib import Path

from playwright.sync_api import Page

AXE = Path(__file__).resolve().parents[2] / "deploy" / "console" / "node_modules" / "axe-core" / "axe.min.js"
GRAVE = ("serious", "critical")


def serious_findings(page: Page) -> list[str]:
    """What axe calls serious or critical: rule, and the elements it found."""
    # As the developer tools would: the page's own policy lets no script in but its own.
    page.evaluate(_source())
    found = page.evaluate("async () => (await axe.run(document, { resultTypes: ['violations'] })).violations")
    return [
        f"{page.url}: {one['id']} ({one['impact']}): {one['help']}: "
        + " | ".join(node["html"][:200] for node in one["nodes"][:5])
        for one in found
        if one["impact"] in GRAVE
    ]


@lru_cache(maxsize=1)
def _source() -> str:
    return AXE.read_text(encoding="utf-8")
