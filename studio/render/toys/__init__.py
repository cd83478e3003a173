"""Toys for the turntable: painted signed distance fields, each different from every side.

Coordinates: x and z span the table, y is up; a toy is centred on the origin and stays within about
one unit of it. Vehicles and animals look along x.
"""

from collections.abc import Mapping

from studio.render.toys.animals import DUCK, SNAIL
from studio.render.toys.buildings import HOUSE, LIGHTHOUSE
from studio.render.toys.palette import Part
from studio.render.toys.tableware import MUG, TEAPOT
from studio.render.toys.vehicles import CAR, ROCKET

TOYS: Mapping[str, tuple[Part, ...]] = {
    "car": CAR,
    "duck": DUCK,
    "house": HOUSE,
    "lighthouse": LIGHTHOUSE,
    "mug": MUG,
    "rocket": ROCKET,
    "snail": SNAIL,
    "teapot": TEAPOT,
}
