"""Expected errors. Every message says what is wrong, where, and what to do about it."""


class KadrError(Exception):
    """Base of every error that an interface translates into one line."""


class DataError(KadrError):
    """The annotated archive on disk is missing, broken or contradicts itself."""


class ImageError(KadrError):
    """A photo can't be read."""


class OcrError(KadrError):
    """Text can't be read in a picture."""


class BundleError(KadrError):
    """A matcher on disk is missing, broken, or doesn't fit its encoders."""


class LibraryError(KadrError):
    """A library's file is missing, broken, or doesn't fit the matcher."""


class ReadOnlyError(LibraryError):
    """A library was to be changed that may only be read."""


class AuditKeyError(LibraryError):
    """Nothing can be put on record: the key of the audit log isn't on this machine."""


class LibraryUnavailableError(LibraryError):
    """A library's server can't be reached at the moment."""


class MissingExtraError(KadrError):
    """An optional dependency isn't installed; the message holds the pip command."""


class PolicyError(KadrError):
    """A policy's name or file is unknown or broken."""
