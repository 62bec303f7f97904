"""Names of uploads: as like what was sent as is safe, and one file for each photo."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadr.errors import KadrError
from kadr.photos.folders import SUFFIXES as SCANNED
from kadr.photos.kinds import FILM_SUFFIXES, RAW_SUFFIXES
from kadr.service.file_names import LONGEST, SUFFIXES, keep, safe_name, sent_name

KINDS = st.sampled_from(sorted(SUFFIXES))
NASTY = st.text(
    st.sampled_from([*'aé.ж \\/:*?"<>|~-_', "\0", "\n", "\x1b", "\u202e", "\u200b", "\u0301", "😀"])
    | st.characters()
)


@pytest.mark.parametrize(
    ("sent", "kind", "kept"),
    [
        ("Grandma 1985.JPG", "jpeg", "Grandma 1985.JPG"),
        ("бабушка.jpeg", "jpeg", "бабушка.jpeg"),
        ("e\u0301te\u0301.png", "png", "été.png"),
        ("photo.png", "jpeg", "photo.jpg"),
        ("report.pdf", "jpeg", "report.pdf.jpg"),
        ("no suffix", "webp", "no suffix.webp"),
        ("v1.2 final", "png", "v1.2 final.png"),
        ("../../evil.jpg", "jpeg", "evil.jpg"),
        ("..\\..\\evil.jpg", "jpeg", "evil.jpg"),
        ("/etc/passwd", "jpeg", "passwd.jpg"),
        ("C:\\photos\\a.jpg", "jpeg", "a.jpg"),
        ("..", "jpeg", "photo.jpg"),
        ("", "jpeg", "photo.jpg"),
        (".jpg", "jpeg", "jpg.jpg"),
        (".kadrignore", "png", "kadrignore.png"),
        ("._IMG.jpg", "jpeg", "_IMG.jpg"),
        ("a\0b\r\n\x1b[31mc\x9b.jpg", "jpeg", "ab[31mc.jpg"),
        ("gpj.\u202efoto.jpg", "jpeg", "gpj.foto.jpg"),
        ('a"b<c>d|e?f*g:h.jpg', "jpeg", "a_b_c_d_e_f_g_h.jpg"),
        ("CON.jpg", "jpeg", "_CON.jpg"),
        ("nul.tar.jpg", "jpeg", "_nul.tar.jpg"),
        ("lpt1 .jpg", "jpeg", "_lpt1.jpg"),
        ("concert.jpg", "jpeg", "concert.jpg"),
        ("name. . .jpg", "jpeg", "name.jpg"),
        ("  spaces  .jpg  ", "jpeg", "spaces.jpg"),
        ("я" * 200 + ".jpg", "jpeg", "я" * (LONGEST // 2) + ".jpg"),
    ],
)
def test_names(sent: str, kind: str, kept: str) -> None:
    assert safe_name(sent, kind) == kept


@given(NASTY, KINDS)
def test_any_name_becomes_one_of_a_photo_in_its_folder(sent: str, kind: str) -> None:
    name = safe_name(sent, kind)
    assert Path(name).name == name
    assert not name.startswith((".", " "))
    assert not set(name) & set('<>:"/\\|?*')
    assert not any(unicodedata.category(sign) in {"Cc", "Cf", "Cs"} for sign in name)
    assert unicodedata.is_normalized("NFC", name)
    stem, suffix = Path(name).stem, Path(name).suffix
    assert stem
    assert not stem.endswith((".", " "))
    assert suffix.lower() in SUFFIXES[kind]
    assert len(name.encode()) <= LONGEST + 6
    assert safe_name(name, kind) == name


def test_photos_of_every_kind_are_met_when_a_folder_is_indexed() -> None:
    kept = {suffix for suffixes in SUFFIXES.values() for suffix in suffixes}
    assert kept <= SCANNED | set(RAW_SUFFIXES) | set(FILM_SUFFIXES)


@pytest.mark.parametrize(
    ("disposition", "plain", "name"),
    [
        (b'form-data; name="photos"; filename="a.jpg"', "a.jpg", "a.jpg"),
        (b"form-data; name=\"photos\"; filename*=UTF-8''%D0%B1.jpg", None, "б.jpg"),
        (b"form-data; filename=\"b.jpg\"; filename*=utf-8'ru'%D0%B1.jpg", "b.jpg", "б.jpg"),
        (b"form-data; filename*=ISO-8859-1''%E9t%E9.jpg", None, "été.jpg"),
        (b"form-data; FILENAME* = \"UTF-8''a%20b.jpg\"", None, "a b.jpg"),
        (b"form-data; filename*=UTF-8''%FF%FE.jpg", None, "\ufffd\ufffd.jpg"),
        (b"form-data; filename*=UTF-8''..%2F..%2Fevil.jpg", None, "../../evil.jpg"),
        (b"form-data", "=?utf-8?B?0LEuanBn?=", "б.jpg"),
        (b"form-data", "=?utf-8?Q?=D0=B1.jpg?=", "б.jpg"),
        (b"form-data", "=?nonsense?B?0LEuanBn?=", ""),
        (b"form-data", None, ""),
    ],
)
def test_a_name_is_read_in_every_form_that_clients_send(
    disposition: bytes, plain: str | None, name: str
) -> None:
    assert sent_name(disposition, plain) == name


def test_a_taken_name_gets_a_number(tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    contents = [b"one", b"two", b"three"]
    paths = [keep(folder, "a.jpg", content) for content in contents]
    assert [path.name for path in paths] == ["a.jpg", "a (2).jpg", "a (3).jpg"]
    assert [path.read_bytes() for path in paths] == contents
    assert keep(folder, "a.jpg", b"two") == paths[1]
    assert len(list(folder.iterdir())) == 3


def test_what_else_is_there_is_never_written_over(tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_bytes(b"precious")
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "a.jpg").symlink_to(outside)
    (folder / "a (2).jpg").mkdir()
    (folder / "a (3).jpg").symlink_to(tmp_path / "nothing there")
    assert keep(folder, "a.jpg", b"new").name == "a (4).jpg"
    assert outside.read_bytes() == b"precious"
    assert not (tmp_path / "nothing there").exists()


def test_a_file_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path, _data: bytes) -> Path:
        raise OSError("No space left on device")

    monkeypatch.setattr("kadr.photos.files.save", full)
    with pytest.raises(KadrError, match="No space"):
        keep(tmp_path, "a.jpg", b"new")
    assert list(tmp_path.iterdir()) == []
