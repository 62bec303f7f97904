"""A service holds one matcher, and another one where its folder holds another."""

import json
from pathlib import Path

import pytest

from kadr.matcher import bundle
from kadr.service.shared_matcher import SharedMatcher
from libraries import colour_matcher


def test_it_is_loaded_once_for_what_its_folder_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the folder is named; the same weights with another encoder are another matcher."""
    folder = bundle.save(colour_matcher(), tmp_path / "model")
    shared = SharedMatcher()
    first = shared.load(folder)
    monkeypatch.chdir(tmp_path)
    assert shared.load(Path("model")) is first
    assert shared.load(Path("model/../model")) is first
    manifest = json.loads((folder / bundle.MANIFEST).read_text(encoding="utf-8"))
    manifest["training"] = {"precision": "fp16"}
    (folder / bundle.MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    assert shared.load(folder) is not first
