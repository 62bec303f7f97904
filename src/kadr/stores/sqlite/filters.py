"""Filters as SQL conditions, and what SQL doesn't count: distances on Earth."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kadr.stores.columns import below, folded, place_begins
from kadr.types import Filters, Floats

EARTH = 6371.0
"""Mean radius in kilometres."""
WHEN = (
    "coalesce(p.taken, (SELECT strftime('%Y-%m-%dT%H:%M:%S', min(modified) / 1000000000,"
    " 'unixepoch', 'localtime') FROM files WHERE photo = p.id AND NOT missing))"
)


def conditions(filters: Filters) -> tuple[str, list[Any]]:
    """SQL for what photos `p` must be."""
    clauses: list[tuple[str, Sequence[Any]]] = [("p.encoded", ())]
    if filters.after is not None:
        clauses.append((f"{WHEN} >= ?", (filters.after,)))
    if filters.before is not None:
        clauses.append((f"{WHEN} < ?", (filters.before,)))
    wanted = (() if filters.folder is None else (filters.folder,)), filters.folders
    clauses += [_lies_below_one(folders) for folders in wanted if folders]
    if filters.camera is not None:
        clauses.append(("instr(folded(p.camera), ?)", (folded(filters.camera),)))
    clauses += _where(filters)
    if filters.kind is not None:
        clauses.append(("p.kind = ?", (filters.kind,)))
    if filters.min_width:
        clauses.append(("p.width >= ?", (filters.min_width,)))
    if filters.min_height:
        clauses.append(("p.height >= ?", (filters.min_height,)))
    if filters.collection is not None:
        held = "SELECT digest FROM collected WHERE collection ="
        named = "(SELECT id FROM collections WHERE name = ?)"
        clauses.append((f"p.digest IN ({held} {named})", (filters.collection,)))
    return " AND ".join(text for text, _ in clauses), [v for _, vs in clauses for v in vs]


def _where(filters: Filters) -> list[tuple[str, Sequence[Any]]]:
    """SQL for where photos were taken, but for distances."""
    clauses: list[tuple[str, Sequence[Any]]] = []
    if filters.place is not None:
        clauses.append(("instr(p.place_folded, ?)", (place_begins(filters.place),)))
    if filters.box is not None:
        west, south, east, north = filters.box
        across = "AND" if west <= east else "OR"
        clauses.append(("p.latitude BETWEEN ? AND ?", (south, north)))
        clauses.append((f"(p.longitude >= ? {across} p.longitude <= ?)", (west, east)))
    if filters.near is not None:
        clauses.append(("p.latitude IS NOT NULL AND p.longitude IS NOT NULL", ()))
    return clauses


def _lies_below_one(folders: Sequence[Path]) -> tuple[str, list[bytes]]:
    """SQL for a photo `p` that has a file below one of these folders."""
    among = " OR ".join(["path >= ? AND path < ?"] * len(folders))
    inside = f"SELECT photo FROM files WHERE ({among}) AND NOT missing"
    return f"p.id IN ({inside})", [end for folder in folders for end in below(folder)]


def distance(places: Floats, latitude: float, longitude: float) -> Floats:
    """Great-circle distance in km from places [n, 2] in degrees (haversine formula)."""
    there, here = np.radians(places), np.radians([latitude, longitude])
    half = np.sin((there - here) / 2) ** 2
    chord = half[:, 0] + np.cos(here[0]) * np.cos(there[:, 0]) * half[:, 1]
    return np.asarray(2 * EARTH * np.arcsin(np.sqrt(np.clip(chord, 0, 1))))
