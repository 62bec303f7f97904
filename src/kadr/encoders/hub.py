"""The model hub of Hugging Face.

What is already here is used as it is, and one question finds out whether the hub answers. The
libraries themselves go on asking for 20 to 50 seconds.
"""

from collections.abc import Sequence
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from kadr.errors import KadrError

PATIENCE = 10
"""Seconds to wait for the hub's first answer."""


def file(repository: str, names: Sequence[str]) -> Path:
    """The first of these files that a repository has, downloaded once.

    Raises:
        KadrError: the hub can't be reached, or has no such file.
    """
    for name in names:
        try:
            return Path(huggingface_hub.hf_hub_download(repository, name, local_files_only=True))
        except LocalEntryNotFoundError:
            continue
        except Exception as error:  # a name that is none, a cache that can't be read
            raise KadrError(f"{repository}: no name of a model ({_line(error)}).") from error
    reach(repository)
    for name in names:
        try:
            return Path(huggingface_hub.hf_hub_download(repository, name))
        except EntryNotFoundError:
            continue
        except Exception as error:  # connections break in many ways
            raise unavailable(repository, error) from error
    raise KadrError(f"{repository}: the hub has none of {', '.join(names)} there.")


def reach(repository: str) -> None:
    """Ask the hub once.

    Raises:
        KadrError: it doesn't answer.
    """
    try:
        huggingface_hub.get_session().head(huggingface_hub.constants.ENDPOINT, timeout=PATIENCE)
    except Exception as error:  # each version brings another HTTP client, with its own errors
        raise unavailable(repository, error) from error


def unavailable(repository: str, error: Exception) -> KadrError:
    """The one line to say where a model can't be had."""
    return KadrError(
        f"the weights of {repository!r} are neither on this computer nor to be had from the model "
        f"hub ({_line(error)}). Go online once, or name a file or folder that holds them."
    )


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
