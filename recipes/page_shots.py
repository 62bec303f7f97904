"""Takes the pictures of the page that the documentation shows, of drawn scenes.

Usage: python recipes/page_shots.py [--browser /usr/bin/chromium]

Writes docs/images/*.webp. Scenes whose captions name no child are allowed, as in `kadr demo`.
"""

import argparse
import io
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from kadr.cli.demo import review_by_captions
from kadr.data import dataset
from kadr.data import drawn as scenes
from kadr.library.library import Library

OUT = Path(__file__).parents[1] / "docs" / "images"
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
SIZE = (1280, 800)
QUALITY = 88


def main() -> None:
    """Write all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--browser", default="/usr/bin/chromium")
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        library = gallery(Path(scratch))
        with serving(library) as address, sync_playwright() as player:
            browser = player.chromium.launch(executable_path=options.browser, args=OPTIONS)
            take(browser, address, "page", "?q=a car on the street")
            take(browser, address, "page-ru", "?q=машина на улице", "ru-RU", dark=True)
            take(browser, address, "why", "?q=a boat on the sea", key="e")
            take(browser, address, "review", "?view=review")
            browser.close()


def gallery(folder: Path) -> Path:
    """A library of drawn scenes, most of them reviewed."""
    scenes.generate(folder / "drawn", images=160, seed=11)
    archive, path = dataset.load(folder / "drawn"), folder / "library.kadr"
    named = {**archive.train_images, **archive.test_images}
    with Library.open(path, policy="under-16") as library:
        library.index([folder / "drawn"])
        some = [name for number, name in enumerate(sorted(named)) if number % 12]
        review_by_captions(library, archive, {name: named[name] for name in some})
    return path


@contextmanager
def serving(library: Path) -> Iterator[str]:
    """The address of a service."""
    command = [sys.executable, "-m", "kadr.cli.main", "serve", "--port", "0"]
    command += ["--anonymous", "read", "--anonymous", "review"]  # to whom no path is told
    process = subprocess.Popen(
        [*command, "--library", str(library)], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(r" at (http://\S+)", line):
                # Its log is read on: a full pipe would stop it.
                threading.Thread(target=process.stderr.read, daemon=True).start()
                yield found[1]
                return
        raise SystemExit("The service didn't begin.")
    finally:
        process.terminate()
        process.wait()


def take(  # noqa: PLR0913 - all that a picture needs
    browser: Browser,
    address: str,
    name: str,
    state: str,
    language: str = "en-GB",
    *,
    dark: bool = False,
    key: str | None = None,
) -> None:
    """One picture; with `key`, of the best photo as large as it gets, after that key."""
    page = browser.new_page(
        viewport={"width": SIZE[0], "height": SIZE[1]},
        locale=language,
        color_scheme="dark" if dark else "light",
    )
    page.goto(address + state)
    settle(page)
    if key is not None:
        page.locator("a.photo").first.click()
        page.keyboard.press(key)
        page.locator("#viewer .why-words").wait_for()
        settle(page)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.save(OUT / f"{name}.webp", quality=QUALITY, method=6)
    page.close()


def settle(page: Page) -> None:
    """Wait until nothing is loaded any more."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1500)


if __name__ == "__main__":
    main()
