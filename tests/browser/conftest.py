"""A real browser on a real server. Skipped where Chromium is missing; HINDCAST_CHROMIUM names another one."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, Page, expect, sync_playwright

expect.set_options(timeout=20_000)  # a busy machine is slow, which is no fault of the page

CHROMIUM = os.environ.get("HINDCAST_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or ""
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.browser)
            if not CHROMIUM:
                item.add_marker(pytest.mark.skip(reason="needs Chromium: set HINDCAST_CHROMIUM"))


@dataclass
class Visitor:
    """A tab of somebody who is signed in, with everything that the browser complained about."""

    tab: Page
    address: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        self.tab.goto(f"{self.address}{path}")
        return self.tab

    def overflow(self) -> int:
        """By how many pixels the page is wider than the screen."""
        return int(self.tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    # The browser's event loop runs in this thread, where Django would otherwise refuse to touch the database.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
    else:
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = before


@pytest.fixture
def visit(chromium: Browser, live_server: Any) -> Iterator[Callable[..., Visitor]]:
    """visit(operator, width=390, color_scheme="dark"): a tab, signed in; visit(None): not signed in."""
    contexts = []

    def start(user: User | None, *, width: int = 1280, **options: Any) -> Visitor:
        context = chromium.new_context(viewport={"width": width, "height": 800}, **options)
        context.set_default_timeout(30_000)
        contexts.append(context)
        visitor = Visitor(context.new_page(), live_server.url)
        visitor.tab.on("console", lambda said: said.type == "error" and visitor.complaints.append(said.text))
        visitor.tab.on("pageerror", lambda error: visitor.complaints.append(str(error)))
        if user is not None:
            tab = visitor.open("/login")
            tab.fill("#id_username", user.username)
            tab.fill("#id_password", "correct horse")
            tab.click("main button")
        return visitor

    yield start
    for context in contexts:
        context.close()
