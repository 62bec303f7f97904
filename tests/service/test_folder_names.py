"""Names of folders: what visitors are told, and what they may ask for."""

from pathlib import Path
from unicodedata import normalize

import pytest

from kadr.library.named_folders import NOWHERE
from kadr.service.folder_names import FolderNames

NFC, NFD = (normalize(form, "Été") for form in ("NFC", "NFD"))


def test_a_folder_is_named_from_the_indexed_one() -> None:
    names = FolderNames([Path("/home/anna/Photos"), Path("/mnt/disk/Photos")])
    assert names.name(Path("/home/anna/Photos")) == "Photos"
    assert names.name(Path("/mnt/disk/Photos/2024")) == "Photos (2)/2024"
    assert names.folder("Photos (2)/2024") == Path("/mnt/disk/Photos/2024")


@pytest.mark.parametrize(
    "name", ["", "..", "Photos/..", "Photos//x", "Photos/./x", "/", "/etc", "Photos/\0", "Else"]
)
def test_other_names_lead_nowhere(name: str) -> None:
    names = FolderNames([Path("/home/anna/Photos")])
    assert names.folder(name) == NOWHERE
    assert not NOWHERE.exists()


@pytest.mark.parametrize("disk", [NFC, NFD])
@pytest.mark.parametrize("asked", [NFC, NFD])
def test_letters_with_marks_are_the_same_in_every_form(disk: str, asked: str) -> None:
    roots = [Path("/a", disk), Path("/b", disk)]
    names = FolderNames(roots)
    assert names.folder(asked) == roots[0]
    assert names.folder(f"{asked} (2)") == roots[1]
