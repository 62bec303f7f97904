"""What a running service holds: its worker pools, its decoder, and the matcher they share."""

import os

import numpy as np
from cachetools import LRUCache

from kadr.law import scene
from kadr.law.policy import Policy
from kadr.library.library import Library
from kadr.service.config import Service
from kadr.service.decoder import Decoder
from kadr.service.objects import ObjectReader
from kadr.service.shared_matcher import SharedMatcher
from kadr.service.upload_form import Budget
from kadr.service.worker_pool import WorkerPool
from kadr.types import Picture

CACHED_DIGESTS = 100_000
"""Files whose digest is remembered by their state, so that they are hashed once."""
UPLOADS = 10
"""Uploads of the greatest size that memory is held for at the same time."""
SEARCHERS = min(2, os.cpu_count() or 1)
"""Threads that search. The model releases Python's lock, the rest of a search doesn't."""
EXPLANATIONS = 16
"""How many may wait; each may take seconds."""


class Resources:
    """Worker pools by how long their work takes, so that the short never waits for the long.

    `searching` finds by queries; `explaining` explains and scores, an encoding for each word or
    text; `looking` finds photos by number; `working` is for what takes long: listing, counting,
    adding, deleting, reviewing.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._matchers = SharedMatcher()
        self.searching = WorkerPool("searching", self._open, service.waiting, SEARCHERS)
        self.explaining = WorkerPool("explaining", self._open, EXPLANATIONS)
        self.looking = WorkerPool("looking", self._open, 4 * service.waiting)
        self.working = WorkerPool("working", self._open, service.waiting)
        self.decoder = Decoder(service)
        self.objects = ObjectReader(service.seconds)
        self.thumbnails: LRUCache[tuple[str, int], bytes] = LRUCache(
            service.cached_bytes, getsizeof=len
        )
        self.digests: LRUCache[tuple[int, ...], str] = LRUCache(CACHED_DIGESTS)
        self.uploads = Budget(UPLOADS * service.most_bytes)
        self.ready = False

    async def open(self, policy: Policy) -> None:
        """Load the matcher, and warm it up: a first search is slow.

        Raises:
            KadrError: library or matcher can't be read.
        """
        for pool in self._pools:
            pool.start()
        await self.searching.do(policy, _warm)
        self.ready = True

    def close(self) -> None:
        """Finish what waits, and stop."""
        self.ready = False
        for pool in self._pools:
            pool.stop()
        self.decoder.stop()

    @property
    def size(self) -> int:
        """Pixels a side of a visitor's picture that the matcher, or the law's classifier, needs."""
        return max(self._matchers.size, scene.SIDE)

    @property
    def _pools(self) -> tuple[WorkerPool, ...]:
        return self.searching, self.explaining, self.looking, self.working

    def _open(self, policy: Policy) -> Library:
        return Library.open(
            self._service.library,
            model=self._service.model,
            policy=policy,
            create=False,
            read=self.decoder.read,
            load=self._matchers.load,
        )


def _warm(library: Library) -> None:
    for query in ("a photo", "снимок"):
        library.search(query, 1)
    library.score(Picture("", np.zeros((64, 64, 3), np.uint8)), ["a photo"])
