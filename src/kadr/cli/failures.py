"""What went wrong, in one line that says what to do."""

import errno
import sqlite3

from kadr.errors import KadrError

TRACEBACK = "KADR_TRACEBACK"
"""Environment variable that shows where an unexpected error came from."""

_ADVICE: tuple[tuple[type[Exception], str], ...] = (
    (
        MemoryError,
        "there isn't enough memory. Close other programs, or take smaller or fewer files.",
    ),
    (RecursionError, "an input is nested too deeply. Check the files that the command names."),
    (UnicodeError, "a text or a name isn't valid Unicode ({}). Save or name it as UTF-8."),
    (sqlite3.Error, "a database can't be used ({}). Check the library and the file of --cache."),
)
_STUDY = {"krippendorff", "lightgbm", "matplotlib", "scipy", "sklearn"}
"""What the extra `study` brings."""
_FULL = {errno.ENOSPC, errno.EDQUOT}
_TOO_MANY = {errno.EMFILE, errno.ENFILE}


def explained(error: Exception) -> str:
    """An error in one line; what derives from KadrError says it itself."""
    if isinstance(error, KadrError):
        return str(error)
    if isinstance(error, OSError):
        return _system(error)
    if _lacks_study(error):
        return f"this needs the extra `study` ({error}). Install it: pip install 'kadr[study]'"
    return _advice(error, str(error).strip().partition("\n")[0])


def _advice(error: Exception, text: str) -> str:
    for kind, advice in _ADVICE:
        if isinstance(error, kind):
            return advice.format(text)
    if text.startswith("Symlink loop"):  # a RuntimeError of pathlib, up to Python 3.12
        return f"{text}. Name the file itself."
    if type(error).__module__.startswith("onnxruntime"):
        return f"a network can't be run ({text}). Check the matcher's folder, or get it again."
    return (
        f"unexpected {type(error).__name__}: {text}. This is a mistake in kadr: please report it "
        f"with what {TRACEBACK}=1 shows."
    )


def _lacks_study(error: Exception) -> bool:
    """Whether a package can't be imported that the extra `study` brings."""
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    return (name or "").partition(".")[0] in _STUDY


def _system(error: OSError) -> str:
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    where = f"{' and '.join(names)}: " if names else ""
    if error.errno in _FULL:
        return f"{where}the disk is full. Make room and run it again."
    if error.errno in _TOO_MANY:
        return f"{where}too many files are open. Allow more: ulimit -n 4096"
    return f"{where}{error.strerror or error}. Check the path, its permissions and the disk."
