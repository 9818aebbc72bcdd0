"""People at browsers: each has one of their own, signed in by the local Entra as anybody would be."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from labelbridge.local.stack import Stack

PATIENCE = 120_000
"""Milliseconds until something awaited is taken for missing: the machine may have two busy cores."""
expect.set_options(timeout=PATIENCE)


@dataclass
class People:
    """Everybody in one test."""

    browser: Browser
    stack: Stack
    artefacts: Path
    complaints: list[str] = field(default_factory=list)
    """Script errors and refused loads (Content Security Policy) of all pages."""
    _contexts: dict[str, BrowserContext] = field(default_factory=dict)

    def open(self, name: str, url: str, **options: Any) -> Page:
        """A new page of that person at `url`; signs in if the page asks for it."""
        context = self._contexts.get(name)
        if context is None:
            context = self.browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
            context.set_default_timeout(PATIENCE)
            self._contexts[name] = context
        page = context.new_page()
        page.on("console", lambda message: self._heard(name, message))
        page.on("pageerror", lambda error: self.complaints.append(f"{name}: {error}"))
        page.goto(url)
        if "/entra/" in page.url:
            page.get_by_role("button", name=name.capitalize()).click()
            page.wait_for_url(lambda there: "/entra/" not in there)
        return page

    def picture(self, page: Page, name: str, *, whole: bool = True) -> Path:
        """A picture of the page among the artefacts."""
        file = self.artefacts / f"{name}.png"
        page.screenshot(path=file, full_page=whole)
        return file

    def picture_all(self, name: str) -> None:
        """A picture of every page that is open."""
        for person, context in self._contexts.items():
            for number, page in enumerate(context.pages, 1):
                self.picture(page, f"failed-{name}-{person}-{number}")

    def leave(self) -> None:
        """Everybody closes their browser."""
        for context in self._contexts.values():
            context.close()

    def _heard(self, name: str, message: ConsoleMessage) -> None:
        # Chromium also reports each 4xx answer as an error; refusals are part of the story.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(f"{name}: {message.text}")
