"""A browser, the page in it, and what the page is seen to do that it must not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

from retentiond.verify.webpage import build

PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
# Root has no sandbox of its own to give, and what is shown is our own page.
ARGUMENTS = ["--no-sandbox"]
# Heard before anything of the page runs.
LISTEN = """
window.refused = [];
addEventListener("securitypolicyviolation", (event) => window.refused.push(event.violatedDirective));
"""


@dataclass
class Visitor:
    """Somebody with the page open: what was asked of the network, and what was said to be wrong."""

    page: Page
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The verdict in large letters."""
        self.page.wait_for_selector("#result:not([hidden]) #verdict")
        return self.page.inner_text("#verdict")

    @property
    def said(self) -> str:
        """Everything that stands under the form."""
        self.page.wait_for_selector("#result:not([hidden])")
        return self.page.inner_text("#result")

    def give(self, receipt: Path | dict[str, object]) -> None:
        """Choose the receipt, which is looked at at once where there are keys."""
        self.page.set_input_files("#receipt", receipt if isinstance(receipt, Path) else [receipt])  # type: ignore[list-item]

    def refused(self) -> list[str]:
        """What the page's own policy forbade it."""
        found: list[str] = self.page.evaluate("window.refused")
        return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, as the machine has it."""
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
    assert program, "no Chromium was found: apt-get install chromium, or CHROMIUM=/path/to/one"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def visitor(browser: Browser, tmp_path: Path) -> Iterator[Visitor]:
    """The page, opened from its file without keys; afterwards it has asked nobody for anything."""
    file = tmp_path / "retentiond-verify.html"
    build(file)
    with browser.new_context(reduced_motion="reduce") as context:
        visitor = Visitor(context.new_page())

        def note(route: Route) -> None:
            visitor.asked.append(route.request.url)
            route.continue_()

        context.route("**/*", note)
        visitor.page.add_init_script(LISTEN)
        visitor.page.on("console", lambda message: visitor.complaints.append(message.text))
        visitor.page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
        visitor.page.on("dialog", lambda dialog: visitor.complaints.append(dialog.message))
        visitor.page.goto(file.as_uri())
        yield visitor
        assert visitor.asked == [file.as_uri()]
        assert visitor.complaints == []
        assert visitor.refused() == []
