"""Collections: photos that a person put together under a name, kept by content.

A photo that is renamed, moved, or forgotten and indexed again is where it was. Favourites are the
collection of that name.
"""

from collections.abc import Sequence

from kadr.errors import KadrError
from kadr.library.filters import collection_name
from kadr.stores import Store, check_whole

FAVOURITES = "favourites"
"""The collection that the page's star puts photos into."""
MOST = 1000
"""Collections in a library."""


class NoCollectionError(KadrError):
    """There is no collection of that name."""


class CollectionError(KadrError):
    """There is one of that name already, or there are as many as there may be."""


def make(store: Store, name: str) -> str:
    """Make a collection where there is none of this name; the name as it is kept.

    Raises:
        KadrError: it is no name.
        CollectionError: there are as many as there may be.
    """
    name = collection_name(name)
    with store.durable():
        check_whole(store)
        known = store.collections()
        if name not in known and len(known) >= MOST:
            raise CollectionError(
                f"The library has {MOST:,} collections, and holds no more. Delete one: kadr "
                "collection delete NAME"
            )
        store.make_collection(name)
    return name


def change(store: Store, name: str, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
    """Put contents into a collection and take others out, by hex digest, all of them or none.

    Raises:
        NoCollectionError: there is none of this name.
    """
    with store.durable():
        name = known(store, name)
        store.collect(name, add, collected=True)
        store.collect(name, remove, collected=False)


def rename(store: Store, name: str, new: str) -> str:
    """Give a collection another name; the new name as it is kept.

    Raises:
        KadrError: the new one is no name.
        NoCollectionError: there is none of this name.
        CollectionError: another one has the new name.
    """
    new = collection_name(new)
    with store.durable():
        name = known(store, name)
        if new != name and new in store.collections():
            raise CollectionError(f"There is a collection {new!r} already. Choose another name.")
        store.rename_collection(name, new)
    return new


def delete(store: Store, name: str) -> None:
    """Forget a collection; its photos stay.

    Raises:
        NoCollectionError: there is none of this name.
    """
    with store.durable():
        store.drop_collection(known(store, name))


def known(store: Store, name: str) -> str:
    """The name of a collection that is there, as it is kept.

    Raises:
        KadrError: it is no name.
        NoCollectionError: there is none of this name.
    """
    check_whole(store)
    name = collection_name(name)
    if name not in store.collections():
        raise NoCollectionError(
            f"There is no collection {name!r}. kadr collection list names those there are."
        )
    return name
