"""Routes of the map: photos by where they were taken, and the land they lie on."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request, Response

from kadr.library.library import Library
from kadr.photos import gazetteer
from kadr.service import problems
from kadr.service.dependencies import TheFilters, ThePolicy, chosen, json, renderer, resources
from kadr.service.shapes import LandShape, MapShape
from kadr.service.visitors import needs

router = APIRouter(tags=["photos"])
READ = [needs("read")]
Longitude = Annotated[float, Query(ge=-180, le=180, description="Degrees, an edge of the part.")]
Latitude = Annotated[float, Query(ge=-90, le=90, description="Degrees, an edge of the part.")]


@router.get(
    "/map",
    summary="Photos on a part of the map, as clusters",
    dependencies=READ,
    responses=problems.documented(),
    response_model=MapShape,
)
async def part(
    request: Request,
    law: ThePolicy,
    which: TheFilters,
    zoom: Annotated[
        int, Query(ge=0, le=20, description="0 shows the world on 256 pixels, 1 on 512.")
    ] = 0,
    west: Longitude = -180,
    south: Latitude = -90,
    east: Longitude = 180,
    north: Latitude = 90,
) -> Response:
    """Clusters are the cells of a grid of 64 pixels, Web Mercator; at most 1,000, else coarser.

    What the law hides isn't counted. Across the date line, `east` is less than `west`.
    """

    def work(library: Library) -> Response:
        found = library.catalogue.map((west, south, east, north), zoom, chosen(library, which))
        return json(renderer(request, library).map(*found))

    return await resources(request).working.do(law.policy, work)


@router.get(
    "/map/land",
    summary="Where land is, drawn by the towns on it",
    dependencies=READ,
    responses=problems.documented(),
    response_model=LandShape,
)
async def land(request: Request, law: ThePolicy) -> Response:
    """It says nothing of the library."""

    def work(_library: Library) -> Response:
        answer = json(LandShape(cells=_cells()))
        answer.headers["cache-control"] = "private, max-age=86400"
        return answer

    return await resources(request).working.do(law.policy, work)


def _cells() -> list[int]:
    if gazetteer.version() is None:
        return []
    row, column = np.floor((gazetteer.towns() + np.array((90, 180))) * 2).astype(np.int64).T
    cells = np.unique(np.clip(row, 0, 359) * 720 + np.clip(column, 0, 719))
    return [int(step) for step in np.diff(cells, prepend=0)]
