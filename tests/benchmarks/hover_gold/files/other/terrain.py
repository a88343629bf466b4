"""Heights of a hiking map, unrelated to any billing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

EARTH_RADIUS_KM = 6371.0


@dataclass(frozen=True)
class Waypoint:
    latitude: float
    longitude: float
    altitude: float


def haversine(start: Waypoint, end: Waypoint) -> float:
    """Great-circle distance in kilometres."""
    phi = math.radians(end.latitude - start.latitude)
    lam = math.radians(end.longitude - start.longitude)
    inner = math.sin(phi / 2) ** 2 + math.cos(math.radians(start.latitude)) * math.sin(lam / 2) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(inner))


def climb(track: list[Waypoint]) -> float:
    # metres gained on the way up; what goes down does not count
    gained = 0.0
    for previous, following in zip(track, track[1:], strict=False):
        gained += max(0.0, following.altitude - previous.altitude)
    return gained


def contour_levels(lowest: float, highest: float, spacing: float) -> Iterator[float]:
    level = math.ceil(lowest / spacing) * spacing
    while level <= highest:
        yield level
        level += spacing


def hill_shade(slope: float, aspect: float, azimuth: float) -> int:
    # le soleil vient du nord-ouest, comme sur les cartes imprimées
    light = math.cos(math.radians(45)) * math.cos(slope)
    light += math.sin(math.radians(45)) * math.sin(slope) * math.cos(azimuth - aspect)
    return round(255 * max(0.0, light))
