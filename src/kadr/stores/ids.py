"""Ids by which photos are named outside: they tell nothing of the library's own numbers."""

import hashlib

BITS = 52
"""Of an id: JSON's readers agree on whole numbers below 2^53."""
_HALF = BITS // 2
_MASK = (1 << _HALF) - 1
_ROUNDS = 8


class IdCipher:
    """A permutation of the numbers from 1 to 2^52, by a secret: one id for each number, for ever.

    A Feistel network of 8 rounds, whose functions are keyed BLAKE2b (Luby and Rackoff 1988: four
    rounds of random functions can't be told from a random permutation).
    """

    def __init__(self, secret: bytes) -> None:
        """Take a secret of at least 16 bytes."""
        self._hashes = [
            hashlib.blake2b(digest_size=4, key=secret, salt=bytes([number]))
            for number in range(_ROUNDS)
        ]

    def encrypt(self, number: int) -> int:
        """The id of a number, both in [1, 2^52]."""
        left, right = divmod(number - 1, 1 << _HALF)
        for place in range(_ROUNDS):
            left, right = right, left ^ self._round(place, right)
        return (left << _HALF | right) + 1

    def decrypt(self, id_: int) -> int:
        """The number of an id, both in [1, 2^52]; 0, which no photo has, for what is no id."""
        if not 1 <= id_ <= 1 << BITS:
            return 0
        left, right = divmod(id_ - 1, 1 << _HALF)
        for place in reversed(range(_ROUNDS)):
            left, right = right ^ self._round(place, left), left
        return (left << _HALF | right) + 1

    def _round(self, place: int, half: int) -> int:
        state = self._hashes[place].copy()
        state.update(half.to_bytes(4))
        return int.from_bytes(state.digest()) & _MASK
