"""kadr ocr: reads the text in photos."""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from kadr.cli.console import hint, print_json, progress, say, warn
from kadr.cli.options import JsonFlag, LibraryOption

if TYPE_CHECKING:
    from kadr.library.transcribe import Transcribed


def ocr_command(
    library: LibraryOption = None,
    engine: Annotated[
        str, typer.Option(help="What reads it; plugins may bring others.")
    ] = "rapidocr",
    retry: Annotated[
        bool, typer.Option("--retry", help="Try again where text couldn't be read.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Read the text in the library's photos, so that searches find its words, as on signs.

    One to four seconds of work a photo; each is read once, wherever it is moved. Stopped by
    Ctrl-C, it goes on where it was; after kadr index it reads what is new. Needs kadr[ocr], which
    reads Latin and Chinese script, but no Cyrillic. Photos never leave this machine.
    """
    from kadr.library.library import Library

    started = time.monotonic()
    with Library.open(library, create=False) as opened, progress() as report:

        def advance(done: int, total: int) -> None:
            rate = done / max(time.monotonic() - started, 1e-3)
            report("photos", done, total, f"{rate:.1f}/s")

        result = opened.read_texts(retry=retry, engine=engine, progress=advance)
        name = opened.name
    seconds = time.monotonic() - started
    if as_json:
        print_json({"library": name, **asdict(result), "seconds": round(seconds, 3)})
    else:
        _print(name, result, seconds)


def _print(library: str, result: "Transcribed", seconds: float) -> None:
    if not any((result.read, result.failed, result.unreachable)):
        say(f"{library}: the text of all photos has been read.")
        return
    say(f"{library}: {result.read:,} read, {result.with_text:,} with text; {seconds:.1f} s")
    if result.failed:
        hint(f"{result.failed:,} can't be read; once more: kadr ocr --retry")
    if result.unreachable:
        warn(
            f"{result.unreachable:,} aren't there, as on a disk that is unplugged, or have changed:"
            " kadr index, then kadr ocr"
        )
