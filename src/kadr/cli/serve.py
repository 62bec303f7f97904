"""kadr serve: the page and the REST service."""

import os
import sys
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kadr.cli import completion
from kadr.cli.console import hint, load_policy, note, tell_unseen, warn
from kadr.cli.options import (
    LAW,
    CountryOption,
    DeviceOption,
    LibraryOption,
    grouped,
    model_folder,
)
from kadr.errors import KadrError
from kadr.service.config import LOOPBACK, Scope

if TYPE_CHECKING:
    from kadr.service.config import Service

DEFAULT_POLICY = "under-16"
"""Whoever serves others is subject to the law."""
PORT = 8427

_access = partial(typer.Option, rich_help_panel="Who may enter")
_uploads = partial(typer.Option, rich_help_panel="What may be sent")
_law = partial(typer.Option, rich_help_panel=LAW)


@grouped
def serve_command(
    *,
    library: LibraryOption = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 is every one of this machine.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port; 0 takes any that is free.")
    ] = PORT,
    browse: Annotated[bool, typer.Option("--browse", help="Open the page in the browser.")] = False,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            envvar="KADR_MODEL",
            help="A matcher's folder, or a name of kadr models. Default: the library's own.",
            callback=model_folder,
            autocompletion=completion.models,
        ),
    ] = None,
    _device: DeviceOption = None,
    anonymous: Annotated[
        tuple[Scope, ...],
        _access(
            help="What is allowed without a key; repeat it. Default: everything on this machine "
            "if there is no key and no --proxy; reading by a --proxy for a --name; else nothing."
        ),
    ] = (),
    name: Annotated[
        tuple[str, ...],
        _access(
            help="A host name that the service answers to; repeat it. Default: any where a key is "
            "needed, else this machine's names and addresses."
        ),
    ] = (),
    proxy: Annotated[
        tuple[str, ...],
        _access(
            help="Address or network of a proxy whose forwarding headers are trusted; repeat it."
        ),
    ] = (),
    root_path: Annotated[
        str,
        _access(
            help="Path below which a proxy serves this, such as /photos. Default: the "
            "X-Forwarded-Prefix of a --proxy."
        ),
    ] = "",
    rate: Annotated[
        str,
        _access(
            help="Searches and the like that one visitor may make: 600/minute, 20/second, or off."
        ),
    ] = "600/minute",
    waiting: Annotated[
        int, _access(min=1, help="Searches that may wait; any more are answered 503.")
    ] = 64,
    cache_bytes: Annotated[
        int, typer.Option(min=0, help="Most bytes of smaller copies that are kept in memory.")
    ] = 64_000_000,
    uploads: Annotated[
        Path | None, _uploads(help="Folder for added photos. Without it uploads are refused.")
    ] = None,
    max_bytes: Annotated[int, _uploads(min=1000, help="Most bytes in one request.")] = 25_000_000,
    max_pixels: Annotated[int, _uploads(min=1000, help="Most pixels in an upload.")] = 200_000_000,
    seconds: Annotated[
        float,
        _uploads(
            min=0.1, help="Seconds that an upload, its decoding, and reading an object may take."
        ),
    ] = 10.0,
    policy: Annotated[
        str | None,
        _law(
            "--policy",
            envvar="KADR_POLICY",
            help="What the law hides: none, under-16, or a policy file (TOML). Default: on this "
            "machine, where nobody needs a key, the policy that was in force in the library last; "
            f"else {DEFAULT_POLICY}.",
            autocompletion=completion.policies,
        ),
    ] = None,
    country: CountryOption = None,
    country_header: Annotated[
        str | None,
        _law(help="Header in which a --proxy names the visitor's country, such as CF-IPCountry."),
    ] = None,
    country_parameter: Annotated[
        bool,
        _law("--country-parameter", help="Trust ?country=, which any visitor can set: for tests."),
    ] = False,
    blocked_by: Annotated[
        str | None,
        _law(help="Address of whoever blocks by law, sent with each 451. Default: the service's."),
    ] = None,
    log_queries: Annotated[
        bool, typer.Option("--log-queries", help="Keep the texts of queries in the log.")
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", help="Log each request on a terminal too."),
    ] = False,
) -> None:
    """Open the library to people and programs: a page to search on, and a REST service.

        kadr serve --browse
        kadr keys add --name family
        kadr serve --host 0.0.0.0 --uploads ~/Uploads

    By default it listens only on this machine, where nobody needs a key until there is one. Any
    other address, and whoever comes by a --proxy, needs one (kadr keys add) or --anonymous. Logs
    are JSON lines on stderr, without queries; on a terminal only what goes wrong. Ctrl-C ends it
    once running requests are done. The page works without a network; the API is described at
    /api/v1/openapi.json.
    """
    from kadr.library.library import Library, resolved
    from kadr.service import forwarding, keys
    from kadr.service.config import Service
    from kadr.stores import default_spec, exists, named

    if root_path.strip("/") and not forwarding.prefix(root_path):
        raise KadrError(f"{root_path!r} isn't a path. Write one such as /photos.")
    spec = library or default_spec()
    is_there = exists(spec)
    if uploads is None and not is_there:
        raise KadrError(f"{named(spec)}: no library here. Make one: kadr index FOLDER")
    ring = keys.of(spec)
    has_keys, public = bool(keys.read(ring)), name if proxy else ()
    allowed = _anonymous(anonymous, host, is_open=not proxy or bool(public), has_keys=has_keys)
    keyed = policy
    if policy is None:
        is_home = allowed is None and not proxy and not name and not has_keys and is_there
        policy = _own_policy(spec) if is_home else DEFAULT_POLICY
        keyed = DEFAULT_POLICY
    rules = load_policy(policy, country)  # says which
    with Library.open(spec, policy=rules, create=not is_there) as opened:
        tell_unseen(opened, policy)
        if problem := opened.store.record_problem():
            warn(f"{problem} Until then searches that the law refuses and decisions fail.")
    service = Service(
        library=spec,
        model=model,
        policy=policy,
        keyed_policy=keyed,
        country=country,
        country_header=country_header,
        country_parameter=country_parameter,
        proxies=proxy,
        root_path=forwarding.prefix(root_path),
        anonymous=None if allowed is None else frozenset(allowed),
        public_names=tuple(one.lower() for one in public),
        keys=ring,
        hosts=_names(name, host, needs_key=allowed == []),
        uploads=resolved(uploads) if uploads else None,
        rate=None if rate == "off" else rate,
        most_bytes=max_bytes,
        most_pixels=max_pixels,
        seconds=seconds,
        waiting=waiting,
        cached_bytes=cache_bytes,
        blocked_by=blocked_by,
        log_queries=log_queries,
    )
    if not has_keys:
        _tell_who_enters(service, has_file=ring.exists())
    serve(service, host, port, browse=browse, verbose=verbose)


def serve(service: "Service", host: str, port: int, *, browse: bool, verbose: bool = False) -> None:
    """Serve until Ctrl-C; says where.

    Raises:
        KadrError: the address isn't available, or the library can't be read.
    """
    # Searches share the cores: several threads for one text would only wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # A search lets go of Python's lock hundreds of times. Under an overload the event loop is never
    # idle, and each time has it for so long: with the default, 5 ms, two searches a second are left
    # at 640 connections, with this 36.
    sys.setswitchinterval(2e-5)
    from kadr.stores import named

    os.umask(os.umask(0o077) | 0o077)  # library, log and uploads hold what nobody else may read
    from kadr.service import logs, server
    from kadr.service.app import create_app

    app = create_app(service)  # errors are reported before anything listens
    if service.uploads is not None:
        service.uploads.mkdir(parents=True, exist_ok=True)
    listening = server.listen(host, port)
    shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - it is compared
    address = f"http://{f'[{shown}]' if ':' in shown else shown}:{listening.getsockname()[1]}/"

    def ready() -> None:
        note(f"kadr serves {named(service.library)} at {address}")
        if shown != host and (outside := _own_address()):
            note(f"From other machines: http://{outside}:{listening.getsockname()[1]}/")
        if browse and not _show(address):
            hint("There is no browser here. Open that address in one.")

    logs.begin(requests=verbose or not sys.stderr.isatty())
    server.run(app, service, listening, ready)


def _own_address() -> str | None:
    """This machine's address as its network knows it; nothing is sent."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:  # it has no network
            return None
        return str(probe.getsockname()[0])


def _show(address: str) -> bool:
    """Open the address in a browser; whether there is one. One in the terminal is none."""
    if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        return False
    return webbrowser.open(address)


def _anonymous(
    given: Sequence[Scope], host: str, *, is_open: bool, has_keys: bool
) -> Sequence[Scope] | None:
    """What is allowed without a key; None: what `Service` allows until there is one.

    Raises:
        KadrError: other machines could enter, and nobody said how.
    """
    if given:
        return given
    if host in LOOPBACK:
        return None if is_open else []
    if has_keys:
        return []
    raise KadrError(
        f"{host} can be reached by other machines. Make a key first (kadr keys add --name NAME), "
        "or say what everybody may do: --anonymous read"
    )


def _own_policy(spec: str | Path) -> str:
    """The policy that was in force in a library last; where that is a file's, the default."""
    from kadr.law import audit
    from kadr.stores import open_store

    store = open_store(spec)
    try:
        known = audit.last_in_force(store)
    finally:
        store.close()
    if known is None:
        note("The policy that was in force last is a file's: name it with --policy.")
    return known or DEFAULT_POLICY


def _tell_who_enters(service: "Service", *, has_file: bool) -> None:
    """Say it where a service has no key and may be reached by more than this machine's users."""
    if service.anonymous:
        return
    if service.public_names and not has_file:
        note(
            f"Whoever asks for {', '.join(service.public_names)} may search and look, for there is "
            "no key. Make one: kadr keys add --name NAME"
        )
    elif has_file or service.proxies:
        note(
            "Everybody needs a key, and there is none. Make one: kadr keys add --name NAME, or say "
            "what is allowed without: --anonymous read"
        )


def _names(given: Sequence[str], host: str, *, needs_key: bool) -> tuple[str, ...] | None:
    """Host names that are answered: other sites can point names of theirs at this machine.

    Where a key is needed they gain nothing by that.
    """
    if given:
        return (*(name.lower() for name in given), *LOOPBACK)
    if needs_key:
        return None
    if host in LOOPBACK:
        return LOOPBACK
    import socket

    own = socket.gethostname()
    addresses = set[str]()
    with suppress(OSError):
        addresses = {str(info[4][0]) for info in socket.getaddrinfo(own, None)}
    return (*LOOPBACK, host, own.lower(), socket.getfqdn().lower(), *addresses)
