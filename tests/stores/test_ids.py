"""Ids outside: one for each number, for ever, and nothing of the number in them."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadr.errors import LibraryError
from kadr.stores import open_store
from kadr.stores.ids import BITS, IdCipher
from libraries import add, engine

NUMBERS = st.integers(1, 2**BITS)
SECRETS = st.binary(min_size=16, max_size=32)


@given(SECRETS, NUMBERS)
def test_every_number_has_an_id_and_every_id_a_number(secret: bytes, number: int) -> None:
    cipher = IdCipher(secret)
    for there, back in ((cipher.encrypt, cipher.decrypt), (cipher.decrypt, cipher.encrypt)):
        other = there(number)
        assert 1 <= other <= 2**BITS < 2**53
        assert back(other) == number


@given(SECRETS, st.integers(2**BITS + 1, 2**63) | st.integers(-(2**63), 0))
def test_what_is_no_id_is_nobodys(secret: bytes, id_: int) -> None:
    assert IdCipher(secret).decrypt(id_) == 0


@given(SECRETS)
def test_ids_follow_no_order(secret: bytes) -> None:
    ids = np.array([IdCipher(secret).encrypt(number) for number in range(1, 501)], np.float64)
    assert len(set(ids.tolist())) == 500
    assert abs(np.corrcoef(np.argsort(np.argsort(ids)), np.arange(500))[0, 1]) < 0.35
    high = (ids > 2 ** (BITS - 1)).mean()
    assert 0.3 < high < 0.7


def test_a_library_keeps_its_ids_and_another_has_others(tmp_path: Path) -> None:
    ids = []
    for name in ("one.kadr", "one.kadr", "other.kadr"):
        with closing(open_store(tmp_path / name, create=True)) as store:
            number = add(store, {"/p/1.jpg": 1})["/p/1.jpg"]
            ids.append(store.public_id(number))
            assert store.by_public_id(ids[-1]) == number == 1
    assert ids[0] == ids[1] != ids[2]


def test_without_its_secret_a_library_names_no_photo(tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "one.kadr", create=True)) as store:
        with engine(store).transaction() as run:
            run("DELETE FROM meta WHERE key = 'ids'")
        with pytest.raises(LibraryError, match="secret of ids is gone"):
            store.public_id(1)
