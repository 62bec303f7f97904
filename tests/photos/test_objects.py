"""Objects' URLs as paths: written as they are, whatever is done to them."""

import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadr.photos import object_store
from kadr.photos.objects import ObjectPath, is_object, located
from kadr.stores.columns import below, path_of

NAMES = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/"), min_size=1, max_size=20
).filter(lambda name: name not in {".", ".."})


@given(st.sampled_from(["s3", "gs", "az"]), st.lists(NAMES, min_size=1, max_size=5))
def test_a_url_is_written_as_it_was(scheme: str, names: list[str]) -> None:
    url = f"{scheme}://{'/'.join(names)}"
    path = located(url)
    assert is_object(path)
    assert str(path) == os.fspath(path) == url
    assert path_of(os.fsencode(path)) == path
    assert located(Path(url)) == path  # as the command line has it, with one slash
    assert pickle.loads(pickle.dumps(path)) == path
    assert str(path / "more.jpg") == f"{url}/more.jpg"
    assert path.name == names[-1]
    assert hash(path) == hash(located(url))


def test_folders_of_objects_hold_them() -> None:
    root, photo = located("s3://bucket/our kids"), located("s3://bucket/our kids/2024/a.jpg")
    assert photo.is_relative_to(root)
    assert not photo.is_relative_to(located("s3://bucket/our"))
    assert not photo.is_relative_to(Path("/bucket"))
    assert not Path("/s3:/bucket/our kids/a.jpg").is_relative_to(root)
    assert [str(one) for one in photo.parents][:3] == [
        "s3://bucket/our kids/2024", "s3://bucket/our kids", "s3://bucket",
    ]  # fmt: skip
    assert str(photo.relative_to(root)) == "2024/a.jpg"
    assert below(root) == (b"s3://bucket/our kids/", b"s3://bucket/our kids0")
    assert photo.resolve() == photo.absolute() == photo
    assert isinstance(photo.parent, ObjectPath)


@pytest.mark.parametrize("name", ["/s3:/a", "a/s3://b", "s3", "s3:", "s3://", "http://a/b", "s3:a"])
def test_other_names_are_files(name: str) -> None:
    assert type(located(name)) is type(Path())


@pytest.mark.parametrize(
    ("other", "is_same"),
    [((5, 7_300_000_000), True), ((5, 8_000_000_000), False), ((6, 7_000_000_000), False)],
)
def test_a_state_is_of_whole_seconds(other: tuple[int, int], is_same: bool) -> None:
    """Listings of some stores tell more than answers about one object."""
    assert object_store.is_same((5, 7_000_000_000), other) is is_same
    assert not object_store.is_same((5, 7_000_000_000), None)


def test_what_an_error_says_signs_nothing() -> None:
    error = OSError("GET https://a.example/b/c.jpg?sig=SECRET&se=1 failed\nmore")
    assert object_store.line(error) == "GET https://a.example/b/c.jpg failed"
