"""What is selected, as SQL conditions on photos `p`: filters, and what the law shows."""

import math
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from kadr.stores import Selection, Shown
from kadr.stores.columns import below, folded, place_begins
from kadr.stores.postgres.texts import to_text
from kadr.types import Filters

EARTH = 6371.0
"""Mean radius in kilometres."""
START = 1000
"""Bytes of a path that are indexed in their order."""
MODIFIED = "(SELECT min(f.modified) FROM files f WHERE f.photo = p.id AND NOT f.missing)"
"""When a photo's file was changed, in ns: a photo that tells no date has that."""
_BELOW = (
    f"(substr(f.path, 1, {START}) >= %s AND substr(f.path, 1, {START}) <= %s"
    " AND f.path >= %s AND f.path < %s)"
)
_NEAR = (
    "p.latitude IS NOT NULL AND p.longitude IS NOT NULL AND"
    f" 2 * {EARTH} * asin(sqrt(least(1, power(sin(radians(p.latitude - %s) / 2), 2)"
    " + cos(radians(p.latitude)) * cos(radians(%s))"
    " * power(sin(radians(p.longitude - %s) / 2), 2)))) <= %s"
)
"""Great-circle distance (haversine formula)."""


def selected(selection: Selection, *, fence: str = "") -> tuple[str, list[Any]]:
    """SQL for what photos `p` must be.

    With `fence`, "OFFSET 0", each photo is looked at by itself: what a graph gives photo by photo
    mustn't begin by reading all records.
    """
    where, values = conditions(selection.filters, fence=fence)
    if selection.shown is not None:
        where += f" AND {shown(selection.shown, fence=fence)}"
    return where, values


def conditions(filters: Filters, *, fence: str = "") -> tuple[str, list[Any]]:
    """SQL for the filters alone."""
    clauses: list[tuple[str, Sequence[Any]]] = [("p.encoded", ())]
    for bound, operator in ((filters.after, ">="), (filters.before, "<")):
        if bound is not None:
            when = f"(p.taken {operator} %s OR p.taken IS NULL AND {MODIFIED} {operator} %s)"
            clauses.append((when, (bound, nanoseconds(bound))))
    wanted = (() if filters.folder is None else (filters.folder,)), filters.folders
    clauses += [_lies_below_one(folders, fence) for folders in wanted if folders]
    if filters.camera is not None:
        camera = to_text(folded(filters.camera))
        clauses.append(("strpos(p.camera_folded, %s) > 0", (camera,)))
    clauses += _where(filters)
    if filters.kind is not None:
        clauses.append(("p.kind = %s", (to_text(filters.kind),)))
    if filters.min_width:
        clauses.append(("p.width >= %s", (filters.min_width,)))
    if filters.min_height:
        clauses.append(("p.height >= %s", (filters.min_height,)))
    if filters.collection is not None:
        held = "SELECT 1 FROM collected h JOIN collections k ON k.id = h.collection"
        inside = f"EXISTS ({held} WHERE h.digest = p.digest AND k.name = %s {fence})"
        clauses.append((inside, (to_text(filters.collection),)))
    return " AND ".join(text for text, _ in clauses), [v for _, vs in clauses for v in vs]


def _where(filters: Filters) -> list[tuple[str, Sequence[Any]]]:
    """SQL for where photos were taken."""
    clauses: list[tuple[str, Sequence[Any]]] = []
    if filters.place is not None:
        begins = to_text(place_begins(filters.place))
        clauses.append(("strpos(p.place_folded, %s) > 0", (begins,)))
    if filters.box is not None:
        west, south, east, north = filters.box
        across = "AND" if west <= east else "OR"
        clauses.append(("p.latitude BETWEEN %s AND %s", (south, north)))
        clauses.append((f"(p.longitude >= %s {across} p.longitude <= %s)", (west, east)))
    if filters.near is not None:
        latitude, longitude, kilometres = filters.near
        degrees = math.degrees(kilometres / EARTH) + 1e-6
        clauses.append(("p.latitude BETWEEN %s AND %s", (latitude - degrees, latitude + degrees)))
        clauses.append((_NEAR, (latitude, latitude, longitude, kilometres)))
    return clauses


def lies_below(folder: Path | None) -> tuple[str, tuple[bytes, ...]]:
    """SQL for a file `f` below a folder, or anywhere."""
    if folder is None:
        return "true", ()
    low, high = below(folder)
    return _BELOW, (low[:START], high[:START], low, high)


def _lies_below_one(folders: Sequence[Path], fence: str) -> tuple[str, list[bytes]]:
    """SQL for a photo `p` that has a file below one of these folders."""
    spans = [lies_below(folder) for folder in folders]
    inside = " OR ".join(f"({span})" for span, _ in spans)
    there = f"SELECT 1 FROM files f WHERE f.photo = p.id AND NOT f.missing AND ({inside}) {fence}"
    return f"EXISTS ({there})", [end for _, ends in spans for end in ends]


def shown(shown: Shown, *, fence: str = "") -> str:
    """SQL for what the law shows: see `Shown`."""
    limit, looked = repr(float(shown.below)), "AND a.faces IS NOT NULL" if shown.faces else ""
    disputed = "SELECT 1 FROM requests q WHERE q.kind = 'disputed' AND q.digest ="
    ruled = "SELECT 1 FROM decisions r WHERE r.digest = p.digest AND r.verdict ="
    return (
        f"(NOT EXISTS ({disputed} p.digest {fence}) AND (EXISTS ({ruled} 'allow' {fence}) OR"
        " (EXISTS (SELECT 1 FROM sound_assessments a WHERE a.photo = p.id"
        f" AND a.probability < {limit} AND a.version <> '' AND a.failed = '[]' {looked} {fence})"
        f" AND NOT EXISTS ({ruled} 'hide' {fence}) AND NOT EXISTS (SELECT 1 FROM copies c"
        " LEFT JOIN decisions r ON r.digest = c.digest WHERE c.photo = p.id"
        f" AND (coalesce(r.verdict = 'hide', c.probability >= {limit})"
        f" OR EXISTS ({disputed} c.digest)) {fence}))))"
    )


def shown_of_all(shown: Shown) -> str:
    """The same for statements that look at all photos: each record is read once, into a set.

    Asked photo by photo, all of them together take twice as long, and a hundred times as long where
    the server doesn't know yet how many rulings there are.
    """
    limit, looked = repr(float(shown.below)), "AND faces IS NOT NULL" if shown.faces else ""
    disputed = "(SELECT digest FROM requests WHERE kind = 'disputed')"
    allowed, hidden = (f"(SELECT digest FROM decisions WHERE verdict = '{one}')"
                       for one in ("allow", "hide"))  # fmt: skip
    sound = (
        f"(SELECT photo FROM sound_assessments WHERE probability < {limit} AND version <> ''"
        f" AND failed = '[]' {looked})"
    )
    copies = (
        f"(SELECT photo FROM copies WHERE digest IN {hidden} OR digest IN {disputed}"
        f" OR probability >= {limit} AND digest NOT IN (SELECT digest FROM decisions))"
    )
    return (
        f"(p.digest NOT IN {disputed} AND (p.digest IN {allowed} OR p.id IN {sound}"
        f" AND p.digest NOT IN {hidden} AND p.id NOT IN {copies}))"
    )


def nanoseconds(when: str) -> int:
    """A moment of this process's time zone, `YYYY-MM-DDTHH:MM:SS`, in ns since 1970."""
    try:
        seconds = int(datetime.fromisoformat(when).timestamp())
    except (ValueError, OverflowError, OSError):  # years that no file has
        return (1 << 63) - 1 if when > "2000" else -(1 << 63)
    return max(min(seconds * 10**9, (1 << 63) - 1), -(1 << 63))


def local(modified: int | None) -> str:
    """The other way round; empty where there is no file."""
    if modified is None:
        return ""
    seconds = abs(modified) // 10**9 * (1 if modified >= 0 else -1)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))
