"""The page in Firefox too: it opens, searches, and shows a photo."""

from pathlib import Path

import firefoxes
from services import FAKES, paint_library, serving


def test_the_page_works_in_firefox(tmp_path: Path) -> None:
    (tmp_path / "firefox").mkdir()
    firefoxes.firefox()
    library, model = paint_library(tmp_path)
    with (
        serving(library, "--model", model, environment=FAKES) as running,
        firefoxes.opened(tmp_path / "firefox") as tab,
    ):
        tab.open(running.address)
        tab.until("document.querySelectorAll('#grid a.photo img.loaded').length > 2")
        tab.run("document.getElementById('q').focus()")
        tab.type("a red dog and a blue car")
        tab.until("new URLSearchParams(location.search).get('q') === 'a red dog and a blue car'")
        tab.until("document.querySelectorAll('#grid .bar').length > 0")
        tab.run("document.querySelector('#grid a.photo').click()")
        tab.until("document.getElementById('viewer').open")
        tab.until("[...document.querySelectorAll('#viewer img')].some(one => one.naturalWidth > 1)")
        tab.open(f"{running.address}/?view=map")
        tab.until("document.querySelector('#map .count').textContent !== ''")
        assert tab.run("document.querySelector('#map .map').offsetHeight") > 200
