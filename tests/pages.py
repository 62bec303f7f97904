"""A real browser that looks at the page of `kadr serve`, and notes whatever goes wrong there."""

import base64
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)

PATIENCE_MS = 15_000
PHONE: dict[str, Any] = {
    "viewport": {"width": 360, "height": 740},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium() -> str:
    """Where a browser is; without one the test is skipped."""
    named = os.environ.get("KADR_CHROMIUM")
    for name in (named,) if named else ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("No Chromium or Chrome here: install one, or name it in KADR_CHROMIUM")


@contextmanager
def launched() -> Iterator[Browser]:
    path = chromium()
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@dataclass
class Visitor:
    """Opens pages of one service. `problems` is what no page may have done."""

    browser: Browser
    address: str
    tolerated: str | None = None
    """A pattern of problems that a test provokes."""
    problems: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    responses: list[Response] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    def page(self, **options: Any) -> Page:
        """A page of a fresh profile: no cookie, nothing kept."""
        settings = {"locale": "en-US", "viewport": {"width": 1280, "height": 800}} | options
        context = self.browser.new_context(**settings)
        context.set_default_timeout(PATIENCE_MS)
        self.contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: self._note(said.type, said.text))
        page.on("pageerror", lambda error: self._note("error", str(error)))
        page.on("request", self._asked)
        page.on("response", self._answered)
        return page

    def open(self, path: str = "/", **options: Any) -> Page:
        """A fresh page at a path, its photos there."""
        page = self.page(**options)
        page.goto(self.address + path)
        page.wait_for_selector("#grid[aria-busy=false], #review .reasons > *", state="attached")
        return page

    def asked(self, part: str) -> list[Request]:
        """Requests so far whose address holds this."""
        return [one for one in self.requests if part in one.url]

    def close(self) -> None:
        for context in self.contexts:
            context.close()

    def _note(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"} and not (
            self.tolerated and re.search(self.tolerated, text)
        ):
            self.problems.append(f"{kind}: {text}")

    def _answered(self, response: Response) -> None:
        self.responses.append(response)  # a bound method of list can't be given to playwright

    def _asked(self, request: Request) -> None:
        self.requests.append(request)
        if not request.url.startswith((self.address + "/", "blob:", "data:")):
            self.problems.append(f"request to another host: {request.url}")


def until(is_so: Callable[[], bool], seconds: float = PATIENCE_MS / 1000) -> None:
    """Wait for what only Python can tell; the page's CSP lets playwright evaluate nothing in it."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "It didn't come to be"
        time.sleep(0.02)


def query(address: str) -> dict[str, str]:
    """What the address says after its question mark."""
    return dict(parse_qsl(urlsplit(address).query))


def shown(page: Page) -> list[int]:
    """Numbers of the photos that are drawn, in the order of the document."""
    links = page.locator("#grid a.photo").evaluate_all("links => links.map(link => link.href)")
    return [int(query(link)["photo"]) for link in links]


def note_parts(page: Page) -> None:
    """From now on `parts` tells what is searched by; the browser doesn't tell it of files."""
    page.evaluate(
        """() => {
            const real = window.fetch;
            window.searched = [];
            window.fetch = (address, options) => {
                if (options?.body instanceof FormData) window.searched.push(options.body.get("query"));
                return real(address, options);
            };
        }"""
    )


def parts(page: Page) -> list[dict[str, Any]]:
    """What the last search by several things asked for."""
    asked = page.evaluate("window.searched")
    found: list[dict[str, Any]] = json.loads(asked[-1])["parts"] if asked else []
    return found


def transfer(page: Page, file: Path, kind: str = "image/jpeg") -> Any:
    """A file as the page gets it when somebody drops or pastes it."""
    content = base64.b64encode(file.read_bytes()).decode()
    return page.evaluate_handle(
        """([content, name, type]) => {
            const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name, { type }));
            return transfer;
        }""",
        [content, file.name, kind],
    )


def violations(page: Page) -> list[str]:
    """What axe finds on the page as it is, once nothing moves any more."""
    page.evaluate("Promise.all(document.getAnimations().map(one => one.finished.catch(() => 0)))")
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['target']} {node['failureSummary']}"
            for one in found for node in one["nodes"]]  # fmt: skip
