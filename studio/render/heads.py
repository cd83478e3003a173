"""Portraits whose factors are known: identity, expression, gaze, eyeglasses, hair, pose, light.

Coordinates of the head: x to the picture's right, y up, z towards the viewer; the origin is midway
between the eyes, on the plane of the lids, and a unit is 10 cm. The camera has no perspective and
is placed as CelebA aligns its photographs: whatever the pose, the eyes stand at the same two spots.
Every random choice has a stream of its own, so that a new factor leaves old pictures as they were.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor

from studio.errors import ConfigError
from studio.render import sdf, sets, tracing
from studio.render.paint import between, edge, linear, mixed, plain
from studio.render.sdf import Points, Vector
from studio.render.tracing import Camera

EXPRESSIONS = ("neutral", "smile", "scream", "surprise", "squint")
EYEGLASSES = ("none", "round", "square", "sunglasses")
HAIR_STYLES = ("bald", "buzz", "short", "quiff", "bob", "long", "curly")
HAT_STYLES = ("beanie", "cap", "brimmed")
LEFT_EYE = (50 / 128, 66 / 128)
RIGHT_EYE = (78 / 128, 66 / 128)

_IDENTITIES = 1000
_NO_CHANGES: Mapping[str, object] = MappingProxyType({})
_NO_CHOICES: Mapping[str, Sequence[object]] = MappingProxyType({})
_NEAR, _FAR = 1.1, 3.6


@dataclass(frozen=True)
class Head:
    """The true factors of one portrait.

    Attributes:
        identity: Seed of everything that belongs to the person: bones, colours, hair.
        expression: One of ``EXPRESSIONS``.
        intensity: Strength of the expression in [0, 1]; without effect on a neutral face.
        blink: 0 for open eyes, 1 for closed ones.
        mouth_open: In [0, 1], on top of what the expression opens.
        gaze_yaw: Degrees from straight ahead towards the picture's right.
        gaze_pitch: Degrees upwards.
        eyeglasses: One of ``EYEGLASSES``.
        hat: Whether a hat is worn.
        yaw: Degrees by which the head turns towards the picture's right.
        pitch: Degrees by which the head looks up.
        light_azimuth: Degrees from the viewer towards the picture's right.
        light_elevation: Degrees above the viewer.
        colour_cast: Gains of red, green and blue.
        background: Seed of the backdrop.
        style: Seed of what is worn: clothes, the hat's kind, the colour of frames.
    """

    identity: int
    expression: str = "neutral"
    intensity: float = 0.0
    blink: float = 0.0
    mouth_open: float = 0.0
    gaze_yaw: float = 0.0
    gaze_pitch: float = 0.0
    eyeglasses: str = "none"
    hat: bool = False
    yaw: float = 0.0
    pitch: float = 0.0
    light_azimuth: float = 15.0
    light_elevation: float = 25.0
    colour_cast: tuple[float, float, float] = (1.0, 1.0, 1.0)
    background: int = 0
    style: int = 0

    def __post_init__(self) -> None:
        _check_choice("expression", self.expression, EXPRESSIONS)
        _check_choice("eyeglasses", self.eyeglasses, EYEGLASSES)
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not isinstance(value, int | float) or not low <= value <= high:
                raise ConfigError(f"{name} is {value!r}; give a number from {low:g} to {high:g}.")
        if not all(0.2 <= gain <= 5 for gain in self.colour_cast):
            raise ConfigError(f"colour_cast is {self.colour_cast}; give gains from 0.2 to 5.")


_RANGES = {
    "intensity": (0.0, 1.0),
    "blink": (0.0, 1.0),
    "mouth_open": (0.0, 1.0),
    "gaze_yaw": (-40.0, 40.0),
    "gaze_pitch": (-30.0, 30.0),
    "yaw": (-50.0, 50.0),
    "pitch": (-35.0, 35.0),
    "light_azimuth": (-90.0, 90.0),
    "light_elevation": (-30.0, 80.0),
}


def _check_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ConfigError(f"{name} is {value!r}; choose one of {', '.join(allowed)}.")


_DRAWS: Mapping[str, Callable[[random.Random], object]] = {
    "identity": lambda rng: rng.randrange(_IDENTITIES),
    "expression": lambda rng: rng.choices(EXPRESSIONS, (30, 46, 8, 8, 8))[0],
    "intensity": lambda rng: rng.random(),
    "blink": lambda rng: _often_zero(rng, 0.85),
    "mouth_open": lambda rng: _often_zero(rng, 0.6),
    "gaze_yaw": lambda rng: rng.uniform(-25, 25),
    "gaze_pitch": lambda rng: rng.uniform(-12, 12),
    "eyeglasses": lambda rng: rng.choices(EYEGLASSES, (3, 1, 1, 1))[0],
    "hat": lambda rng: rng.random() < 0.12,
    "yaw": lambda rng: _clipped_normal(rng, 7, 20),
    "pitch": lambda rng: _clipped_normal(rng, 4, 10),
    "light_azimuth": lambda rng: _rather_small(rng, 70),
    "light_elevation": lambda rng: rng.uniform(5, 45),
    "colour_cast": lambda rng: tuple(1 + _clipped_normal(rng, 0.05, 0.12) for _ in range(3)),
    "background": lambda rng: rng.randrange(2**31),
    "style": lambda rng: rng.randrange(2**31),
}


def _often_zero(rng: random.Random, share: float) -> float:
    # Both numbers are always drawn: the stream's position must not depend on the outcome.
    chance, value = rng.random(), rng.random()
    return 0.0 if chance < share else 0.15 + 0.85 * value


def _clipped_normal(rng: random.Random, deviation: float, limit: float) -> float:
    return max(-limit, min(limit, rng.normalvariate(0, deviation)))


def _rather_small(rng: random.Random, limit: float) -> float:
    place = rng.uniform(-1, 1)
    return limit * place * math.sqrt(abs(place))


def sample_heads(
    count: int,
    seed: int,
    *,
    fixed: Mapping[str, object] = _NO_CHANGES,
    choices: Mapping[str, Sequence[object]] = _NO_CHOICES,
) -> list[Head]:
    """Draw heads whose factors are independent of each other.

    A larger ``count`` continues the list, and fixing a factor changes no other, with one
    exception: a neutral face has intensity 0 unless that is fixed too.

    Args:
        count: Number of heads.
        seed: Seed of all factors' streams.
        fixed: Values by factor name that every head gets instead of drawn ones.
        choices: Values by factor name that are drawn with equal chances instead of the usual ones.

    Raises:
        ConfigError: A name in ``fixed`` or ``choices`` is no factor, a value is not allowed, or
            ``count`` is negative.
    """
    unknown = sorted({*fixed, *choices} - set(_DRAWS))
    if unknown:
        raise ConfigError(f"No factor is called {unknown[0]!r}; choose among {', '.join(_DRAWS)}.")
    if count < 0:
        raise ConfigError(f"{count} heads were asked for; give 0 or more.")
    columns = {}
    for name, draw in _DRAWS.items():
        rng = sets.stream(seed, name)
        if name in fixed:
            columns[name] = [fixed[name]] * count
        elif name in choices:
            columns[name] = [rng.choice(choices[name]) for _ in range(count)]
        else:
            columns[name] = [draw(rng) for _ in range(count)]
    if "intensity" not in fixed:
        pairs = zip(columns["expression"], columns["intensity"], strict=True)
        columns["intensity"] = [0.0 if kind == "neutral" else value for kind, value in pairs]
    rows = zip(*columns.values(), strict=True)
    return [Head(**dict(zip(columns, row, strict=True))) for row in rows]


_SKIN_TONES: tuple[Vector, ...] = (
    (0.98, 0.84, 0.75),
    (0.93, 0.74, 0.61),
    (0.80, 0.59, 0.44),
    (0.60, 0.41, 0.29),
    (0.45, 0.30, 0.21),
)
_HAIR_COLOURS: tuple[Vector, ...] = (
    (0.10, 0.08, 0.08),
    (0.24, 0.15, 0.10),
    (0.42, 0.27, 0.16),
    (0.84, 0.68, 0.40),
    (0.60, 0.27, 0.12),
    (0.66, 0.65, 0.64),
)
_EYE_COLOURS: tuple[Vector, ...] = (
    (0.28, 0.17, 0.10),
    (0.40, 0.27, 0.14),
    (0.33, 0.45, 0.62),
    (0.32, 0.46, 0.34),
    (0.45, 0.50, 0.54),
)
_FRAME_COLOURS: tuple[Vector, ...] = (
    (0.05, 0.05, 0.06),
    (0.22, 0.11, 0.06),
    (0.10, 0.12, 0.28),
    (0.38, 0.05, 0.07),
)
_CLOTH_COLOURS: tuple[Vector, ...] = (
    (0.16, 0.18, 0.24),
    (0.62, 0.63, 0.66),
    (0.20, 0.33, 0.52),
    (0.52, 0.16, 0.18),
    (0.24, 0.40, 0.30),
    (0.75, 0.66, 0.48),
)


@dataclass(frozen=True)
class _Identity:
    """What belongs to a person; lengths in units of the head, colours linear in [0, 1]."""

    eye_distance: float
    skull_width: float
    skull_height: float
    jaw_width: float
    chin_drop: float
    cheekbone: float
    nose_length: float
    nose_width: float
    nose_depth: float
    mouth_width: float
    lip_fullness: float
    brow_height: float
    brow_thickness: float
    brow_tilt: float
    eye_height: float
    ear_size: float
    skin: Vector
    hair: Vector
    iris: Vector
    hair_style: str
    bangs: bool
    parting: float
    beard: float


_BONES: Mapping[str, tuple[float, float]] = {
    "eye_distance": (0.295, 0.335),
    "skull_width": (0.68, 0.77),
    "skull_height": (0.82, 0.92),
    "jaw_width": (0.34, 0.47),
    "chin_drop": (-0.06, 0.06),
    "cheekbone": (0.17, 0.22),
    "nose_length": (0.36, 0.45),
    "nose_width": (0.085, 0.125),
    "nose_depth": (0.15, 0.25),
    "mouth_width": (0.20, 0.27),
    "lip_fullness": (0.8, 1.35),
    "brow_height": (0.17, 0.23),
    "brow_thickness": (0.018, 0.036),
    "brow_tilt": (-0.12, 0.16),
    "eye_height": (0.062, 0.088),
    "ear_size": (0.85, 1.15),
}


def _identity(seed: int) -> _Identity:
    def draw(name: str) -> random.Random:
        return sets.stream(seed, f"identity/{name}")

    bones = {name: draw(name).uniform(*limits) for name, limits in _BONES.items()}
    place = draw("skin").random() * (len(_SKIN_TONES) - 1)
    tone = int(place)
    hair_weights = (28, 26, 18, 14, 8, 6) if tone < 2 else (70, 22, 4, 1, 1, 2)
    iris_weights = (25, 20, 25, 15, 15) if tone < 2 else (70, 26, 1, 2, 1)
    hair = draw("hair").choices(_HAIR_COLOURS, hair_weights)[0]
    shade = draw("hair shade").uniform(0.85, 1.15)
    style = draw("hair style").choices(HAIR_STYLES, (6, 8, 22, 14, 18, 22, 10))[0]
    bearded = style not in ("bob", "long") and draw("beard").random() < 0.3
    return _Identity(
        **bones,
        skin=linear(between(_SKIN_TONES[tone], _SKIN_TONES[tone + 1], place - tone)),
        hair=linear((hair[0] * shade, hair[1] * shade, hair[2] * shade)),
        iris=linear(draw("iris").choices(_EYE_COLOURS, iris_weights)[0]),
        hair_style=style,
        bangs=style not in ("bald", "buzz") and draw("bangs").random() < 0.4,
        parting=draw("parting").choice((-0.3, 0.0, 0.3)),
        beard=draw("beard density").uniform(0.35, 0.85) if bearded else 0.0,
    )


@dataclass(frozen=True)
class _Grimace:
    """What an expression does to the face; lengths in units of the head."""

    mouth_half_width: float
    mouth_half_height: float
    corner_lift: float
    cheek_lift: float
    upper_lid: float
    lower_lid: float
    brow_raise: float
    brow_tilt: float


def _grimace(head: Head, person: _Identity) -> _Grimace:
    def strength(kind: str) -> float:
        return head.intensity if head.expression == kind else 0.0

    smile, scream = strength("smile"), strength("scream")
    surprise, squint = strength("surprise"), strength("squint")
    opening = 0.15 * head.mouth_open + 0.045 * smile + 0.2 * scream + 0.14 * surprise
    open_eyes = person.eye_height * (1 - head.blink)
    return _Grimace(
        mouth_half_width=person.mouth_width
        * (1 + 0.42 * smile - 0.05 * scream - 0.3 * surprise - 0.08 * squint),
        mouth_half_height=min(opening, 0.24),
        corner_lift=0.16 * smile - 0.07 * scream - 0.03 * squint,
        cheek_lift=0.5 * smile + 0.15 * scream + 0.25 * squint,
        upper_lid=open_eyes * (1 - 0.12 * smile - 0.35 * scream + 0.5 * surprise - 0.62 * squint),
        lower_lid=open_eyes
        * 0.85
        * (1 - 0.35 * smile - 0.4 * scream + 0.25 * surprise - 0.7 * squint),
        brow_raise=0.12 * surprise - 0.03 * scream - 0.06 * squint,
        brow_tilt=0.35 * squint + 0.3 * scream - 0.15 * surprise,
    )


def _camera(head: Head) -> Camera:
    yaw, pitch = math.radians(head.yaw), math.radians(head.pitch)
    back = (-math.sin(yaw), -math.cos(yaw) * math.sin(pitch), math.cos(yaw) * math.cos(pitch))
    # The picture's horizontal is the line through the eyes as it is seen: alignment undoes roll.
    right = sdf.normalized((1 - back[0] ** 2, -back[0] * back[1], -back[0] * back[2]))
    return Camera(right, sdf.cross(back, right), back)


_SKIN, _EYEBALL, _TEETH, _HAIR, _HAT, _FRAME, _LENS, _CLOTH = range(8)
_EYE_RADIUS, _EYE_DEPTH = 0.17, -0.145
_FISSURE = 0.15
_TEMPLE_END = -0.72


class _Portrait:
    """The geometry of one head: signed distances to its parts."""

    def __init__(self, head: Head) -> None:
        self.head = head
        self.person = _identity(head.identity)
        self.grimace = _grimace(head, self.person)
        self.camera = _camera(head)
        self.ahead = self.camera.ahead
        # A turned head is shown larger, so that its eyes stay where they are: this is at least it.
        self.width = 2 * self.person.eye_distance / (RIGHT_EYE[0] - LEFT_EYE[0])
        self.far = _FAR
        self.gains = head.colour_cast
        wear = sets.stream(head.style, "wear")
        self.hat_style = wear.choice(HAT_STYLES)
        self.hat_colour = linear(wear.choice(_CLOTH_COLOURS))
        self.cloth_colour = linear(wear.choice(_CLOTH_COLOURS))
        self.frame_colour = linear(wear.choice(_FRAME_COLOURS))
        face, mouth = self.person, self.grimace
        self.drop = 0.95 * mouth.mouth_half_height
        self.nose_y = -face.nose_length
        self.mouth_y = -0.27 - face.nose_length - 0.6 * mouth.mouth_half_height
        self.chin_y = -0.97 + face.chin_drop - self.drop

    def rays(self, across: Tensor, down: Tensor) -> Points:
        """Return where the rays of picture fractions (N,) start, in the head's coordinates."""
        scale = 2 * self.person.eye_distance * self.camera.right[0] / (RIGHT_EYE[0] - LEFT_EYE[0])
        x = (across - (LEFT_EYE[0] + RIGHT_EYE[0]) / 2) * scale
        return self.camera.rays(x, (LEFT_EYE[1] - down) * scale, _NEAR)

    def shade(self, points: Points) -> Tensor:
        """Return the light that surface points send to the camera, (3, N) linear."""
        return _shade(self, points)

    def backdrop(self, across: Tensor, down: Tensor) -> Tensor:
        """Return the background at picture fractions (N,) in [0, 1], (3, N) linear."""
        return _backdrop(self.head, across, down)

    def distance(self, points: Points) -> Tensor:
        """Return the distance to the nearest part, (N,)."""
        nearest, *rest = self.parts(points).values()
        for other in rest:
            nearest = torch.minimum(nearest, other)
        return nearest

    def parts(self, points: Points) -> dict[int, Tensor]:
        """Return the distance to each part that this head has, (N,) by material."""
        x, y, z = points
        mirrored = (x.abs(), y, z)
        parts = {
            _SKIN: self._skin(mirrored),
            _EYEBALL: sdf.sphere(
                mirrored, (self.person.eye_distance, 0.0, _EYE_DEPTH), _EYE_RADIUS
            ),
            _CLOTH: self._cloth(points),
        }
        if self.grimace.mouth_half_height > 0.004:
            parts[_TEETH] = self._teeth(mirrored)
        if self.person.hair_style != "bald":
            parts[_HAIR] = self._hair(points, mirrored)
        if self.head.hat:
            parts[_HAT] = self._hat(mirrored)
        if self.head.eyeglasses != "none":
            parts.update(self._glasses(mirrored))
        return parts

    def _skin(self, mirrored: Points) -> Tensor:
        skin = sdf.smooth_union(self._skull(mirrored), self._jaw(mirrored), 0.25)
        skin = sdf.smooth_union(skin, self._neck(mirrored), 0.1)
        skin = self._eye_region(mirrored, skin)
        skin = sdf.smooth_union(skin, self._nose(mirrored), 0.1)
        skin = self._mouth_region(mirrored, skin)
        return sdf.smooth_union(skin, self._ear(mirrored), 0.05)

    def _skull(self, mirrored: Points) -> Tensor:
        person = self.person
        skull = sdf.ellipsoid(
            mirrored, (0.0, 0.2, -0.86), (person.skull_width, person.skull_height, 0.9)
        )
        middle = sdf.ellipsoid(mirrored, (0.0, -0.4, -0.5), (person.jaw_width + 0.14, 0.66, 0.56))
        return sdf.smooth_union(skull, middle, 0.3)

    def _jaw(self, mirrored: Points) -> Tensor:
        person, lift = self.person, self.grimace.cheek_lift
        chin = sdf.cone(
            mirrored,
            (person.jaw_width, -0.6 - 0.4 * self.drop, -0.55),
            (0.0, self.chin_y, -0.13),
            0.19,
            0.16,
        )
        cheek = sdf.sphere(
            mirrored,
            (0.4, -0.33 + 0.08 * lift, -0.2 + 0.07 * lift),
            person.cheekbone + 0.04 * lift,
        )
        muzzle = sdf.ellipsoid(
            mirrored, (0.0, self.mouth_y + 0.02, -0.12), (0.3, 0.26 + self.drop, 0.2)
        )
        return sdf.smooth_union(sdf.smooth_union(chin, cheek, 0.3), muzzle, 0.2)

    def _neck(self, mirrored: Points) -> Tensor:
        pivot = self.camera.from_scene((0.0, -0.85, -0.85))
        end = self.camera.to_scene((pivot[0], pivot[1] - 1.1, pivot[2] - 0.15))
        # The neck stays in the plane of symmetry, which leaves out a roll too small to be seen.
        return sdf.capsule(mirrored, (0.0, -0.7, -0.85), (0.0, end[1], end[2]), 0.4)

    def _eye_region(self, mirrored: Points, skin: Tensor) -> Tensor:
        x, y, z = mirrored
        e = self.person.eye_distance
        brow = 0.16 + self.person.brow_height * 0.2 + self.grimace.brow_raise * 0.4
        ridge = sdf.capsule(mirrored, (0.0, brow, -0.06), (e + 0.12, brow, -0.16), 0.1)
        skin = sdf.smooth_union(skin, ridge, 0.12)
        lids = sdf.sphere(mirrored, (e, 0.0, _EYE_DEPTH), _EYE_RADIUS + 0.025)
        skin = sdf.smooth_union(skin, lids, 0.05)
        upper, lower = self.grimace.upper_lid, self.grimace.lower_lid
        if min(upper, lower) < 0.004:
            return skin
        # The opening lies between two arcs through the corners of the eye.
        rise = (_FISSURE**2 - upper**2) / (2 * upper)
        fall = (_FISSURE**2 - lower**2) / (2 * lower)
        across = (x - e) * (x - e)
        above = (across + (y + rise) * (y + rise)).sqrt_() - (rise + upper)
        below = (across + (y - fall) * (y - fall)).sqrt_() - (fall + lower)
        opening = torch.maximum(torch.maximum(above, below), -0.15 - z)
        return sdf.smooth_difference(skin, opening, 0.015)

    def _nose(self, mirrored: Points) -> Tensor:
        person = self.person
        bridge = sdf.cone(
            mirrored, (0.0, 0.1, -0.03), (0.0, self.nose_y, person.nose_depth), 0.06, 0.09
        )
        wing = sdf.sphere(
            mirrored, (person.nose_width, self.nose_y - 0.03, person.nose_depth * 0.45), 0.07
        )
        return sdf.smooth_union(bridge, wing, 0.08)

    def _lip_frame(self, mirrored: Points) -> tuple[Tensor, Tensor, Tensor]:
        """Return height above the mouth's curve, its taper in [0, 1] and depth, (N,) each."""
        x, y, z = mirrored
        mouth = self.grimace
        share = (x * (1 / mouth.mouth_half_width)).square_().clamp_(max=1.7)
        height = y - self.mouth_y - mouth.corner_lift * (share - 0.3)
        taper = (1 - share).clamp_(min=0)
        depth = z - 0.075 + 0.9 * (x * x).clamp_(max=0.2)
        return height, taper, depth

    def lips(self, mirrored: Points) -> tuple[Tensor, Tensor]:
        """Return the distances to the lips and to the opening between them, (N,) each."""
        height, taper, depth = self._lip_frame(mirrored)
        full = self.person.lip_fullness / (1 + 1.2 * max(self.grimace.corner_lift, 0.0))
        thickness = torch.where(height > 0, 0.038 * full, 0.05 * full) * (taper + 0.12)
        opening = height.abs() - self.grimace.mouth_half_height * taper
        beside = (mirrored[0] - self.grimace.mouth_half_width).clamp_(min=0)
        off = opening - thickness
        lips = (off * off + depth * depth + beside * beside).sqrt_() - thickness
        return lips, torch.maximum(opening, beside)

    def _mouth_region(self, mirrored: Points, skin: Tensor) -> Tensor:
        lips, opening = self.lips(mirrored)
        skin = sdf.smooth_union(skin, 0.75 * lips, 0.035)
        # Even a closed mouth has a groove where the lips meet.
        groove = max(0.004, 0.012 - self.grimace.mouth_half_height)
        floor = -0.12 if self.grimace.mouth_half_height > 0.02 else 0.05
        hole = torch.maximum(0.75 * (opening - groove), floor - mirrored[2])
        return sdf.smooth_difference(skin, hole, 0.02)

    def _teeth(self, mirrored: Points) -> Tensor:
        x, _, z = mirrored
        height, _, _ = self._lip_frame(mirrored)
        arch = ((x * x + (z + 0.26) * (z + 0.26)).sqrt_() - 0.3).abs_() - 0.015
        row = (height - self.grimace.mouth_half_height + 0.03).abs_() - 0.055
        return torch.maximum(torch.maximum(arch, row), x - 0.24)

    def _ear(self, mirrored: Points) -> Tensor:
        size = self.person.ear_size
        centre = (self.person.skull_width + 0.03, -0.1, -0.8)
        ear = sdf.ellipsoid(mirrored, centre, (0.07, 0.26 * size, 0.16 * size))
        bowl = (centre[0] + 0.06, -0.08, -0.72)
        hollow = sdf.ellipsoid(mirrored, bowl, (0.05, 0.16 * size, 0.09 * size))
        return sdf.smooth_difference(ear, hollow, 0.03)

    def _cloth(self, points: Points) -> Tensor:
        pivot = self.camera.from_scene((0.0, -0.85, -0.85))
        base = (pivot[0], pivot[1] - 0.9, pivot[2] - 0.15)
        slopes = [
            sdf.cone(
                points,
                self.camera.to_scene(base),
                self.camera.to_scene((base[0] + side * 1.5, base[1] - 0.45, base[2])),
                0.47,
                0.5,
            )
            for side in (-1.0, 1.0)
        ]
        return torch.minimum(*slopes)

    def _hair_thickness(self) -> float:
        thickness = {"buzz": 0.03, "curly": 0.26, "long": 0.11, "bob": 0.13}
        chosen = thickness.get(self.person.hair_style, 0.1)
        return min(chosen, 0.1) if self.head.hat else chosen

    def _hair(self, points: Points, mirrored: Points) -> Tensor:
        person, thick = self.person, self._hair_thickness()
        hair = sdf.ellipsoid(
            mirrored,
            (0.0, 0.22, -0.89),
            (person.skull_width + thick, person.skull_height + thick, 0.9 + thick),
        )
        style = person.hair_style
        if style == "quiff" and not self.head.hat:
            tuft = sdf.ellipsoid(mirrored, (0.0, 1.0, -0.3), (0.46, 0.24, 0.34))
            hair = sdf.smooth_union(hair, tuft, 0.15)
        if style in ("bob", "long"):
            hair = sdf.smooth_union(hair, self._locks(mirrored), 0.2)
        else:
            # Above a plane from the temples to the nape: the ears and the neck stay free.
            nape = (0.1 - mirrored[1] + 0.55 * (mirrored[2] + 0.2)) * 0.85
            hair = sdf.smooth_intersection(hair, nape, 0.08)
        if style == "curly":
            hair = hair - self._curls(points)
        if self._is_parted():
            # A groove runs back from the parting.
            hair = hair + (0.05 - 0.5 * (points[0] - self.person.parting).abs_()).clamp_(min=0)
        return sdf.smooth_difference(hair, self._face_window(points), 0.06)

    def _is_parted(self) -> bool:
        return self.person.hair_style in ("bob", "long") and not self.person.bangs

    def _locks(self, mirrored: Points) -> Tensor:
        width = self.person.skull_width
        if self.person.hair_style == "bob":
            return sdf.ellipsoid(mirrored, (0.0, -0.2, -0.85), (width + 0.22, 0.85, 0.7))
        return sdf.ellipsoid(mirrored, (0.0, -0.75, -0.8), (width + 0.2, 1.35, 0.6))

    def _curls(self, points: Points) -> Tensor:
        x, y, z = points
        return 0.03 * torch.sin(13 * x) * torch.sin(13 * y + 1) * torch.sin(13 * z)

    def _face_window(self, points: Points) -> Tensor:
        x, y, z = points
        if self._is_parted():
            # The hair falls to both sides of the parting like a curtain.
            fall = y + 0.3 * (x - self.person.parting).abs_() - 0.14
            return sdf.ellipsoid((x, fall, z), (0.0, -0.27, 0.35), (0.8, 0.92, 0.9))
        if not self.person.bangs:
            return sdf.ellipsoid(points, (0.0, -0.27, 0.35), (0.8, 0.92, 0.9))
        # A fringe lowers the window's upper edge, a little more on one side.
        return sdf.ellipsoid((x, y + 0.06 * x, z), (0.0, -0.63, 0.3), (0.82, 0.9, 0.85))

    def _hat(self, mirrored: Points) -> Tensor:
        x, y, z = mirrored
        thick = 0.05 + (0.0 if self.person.hair_style == "bald" else self._hair_thickness())
        radii = (self.person.skull_width + thick, self.person.skull_height + thick, 0.9 + thick)
        crown = sdf.ellipsoid(mirrored, (0.0, 0.22, -0.89), radii)
        level = y - 0.43 - 0.25 * (z - 0.1)
        crown = sdf.smooth_intersection(crown, -level, 0.04)
        if self.hat_style == "beanie":
            shell = sdf.ellipsoid(
                mirrored, (0.0, 0.22, -0.89), (radii[0] + 0.05, radii[1], radii[2] + 0.05)
            )
            band = sdf.smooth_intersection(shell, (level - 0.1).abs_() - 0.1, 0.05)
            return torch.minimum(crown, band)
        tilted = (x, level, z)
        if self.hat_style == "cap":
            return torch.minimum(crown, self._peak(tilted))
        reach = (x * x + (z + 0.85) * (z + 0.85)).sqrt_().sub_(1.2).clamp_(min=0)
        rim = (reach * reach + level * level).sqrt_() - 0.035
        return sdf.smooth_union(crown, rim, 0.08)

    def _peak(self, tilted: Points) -> Tensor:
        x, level, z = tilted
        bent = (x, level + 0.25 * x * x, z)
        return sdf.ellipsoid(bent, (0.0, 0.05, -0.05), (0.6, 0.05, 0.62))

    def _glasses(self, mirrored: Points) -> dict[int, Tensor]:
        x, y, z = mirrored
        e = self.person.eye_distance
        across, height = x - e, y + 0.02
        depth = z - 0.17 + 0.2 * across
        outline, half_width, thickness = self._lens_outline(across, height)
        frame = (outline * outline + depth * depth).sqrt_() - thickness
        inner, outer = e - half_width, e + half_width
        bridge = sdf.capsule(
            mirrored, (0.0, 0.05, 0.2), (inner, 0.04, 0.17 + 0.2 * half_width), 0.026
        )
        hinge = (outer, 0.05, 0.17 - 0.2 * half_width)
        ear = (self.person.skull_width + 0.06, 0.03, _TEMPLE_END)
        temple = sdf.capsule(mirrored, hinge, ear, 0.028)
        parts = {_FRAME: torch.minimum(torch.minimum(frame, bridge), temple)}
        if self.head.eyeglasses == "sunglasses":
            parts[_LENS] = torch.maximum(outline, depth.abs() - 0.012)
        return parts

    def _lens_outline(self, across: Tensor, height: Tensor) -> tuple[Tensor, float, float]:
        """Return the planar distance to the lens, its half width and the frame's thickness."""
        if self.head.eyeglasses == "round":
            return (across * across + height * height).sqrt_() - 0.205, 0.205, 0.03
        if self.head.eyeglasses == "square":
            return sdf.rounded_rectangle(across, height, (0.225, 0.16), 0.04), 0.225, 0.036
        # Sunglasses taper downwards.
        width = across * (1 - 0.35 * height)
        return sdf.rounded_rectangle(width, height + 0.03, (0.235, 0.19), 0.12), 0.235, 0.026


class _Paint:
    """Colours of a portrait's surfaces, linear, before light."""

    def __init__(self, portrait: _Portrait) -> None:
        self.portrait = portrait
        self.person = portrait.person

    def colours(self, points: Points, material: Tensor) -> Tensor:
        """Return (3, N) colours of surface points, given each one's material (N,)."""
        painters: Mapping[int, Callable[[Points], Tensor]] = {
            _SKIN: self._skin,
            _EYEBALL: self._eyeball,
            _TEETH: self._teeth,
            _HAIR: self._hair,
            _HAT: lambda spots: plain(self.portrait.hat_colour, len(spots[0])),
            _FRAME: lambda spots: plain(self.portrait.frame_colour, len(spots[0])),
            _LENS: lambda spots: plain((0.006, 0.006, 0.008), len(spots[0])),
            _CLOTH: lambda spots: plain(self.portrait.cloth_colour, len(spots[0])),
        }
        colours = torch.zeros(3, len(material))
        for kind, painter in painters.items():
            chosen = (material == kind).nonzero().squeeze(1)
            if len(chosen):
                colours[:, chosen] = painter(sdf.chosen(points, chosen))
        return colours

    def _skin(self, points: Points) -> Tensor:
        person = self.person
        mirrored = (points[0].abs(), points[1], points[2])
        colours = plain(person.skin, len(points[0]))
        blush = edge(sdf.sphere(mirrored, (0.42, -0.35, -0.05), 0.12), 0.35)
        red = (person.skin[0], person.skin[1] * 0.72, person.skin[2] * 0.7)
        colours = mixed(colours, red, 0.55 * blush)
        colours = self._lower_face(mirrored, colours)
        return self._lids(mirrored, colours)

    def _lower_face(self, mirrored: Points, colours: Tensor) -> Tensor:
        x, y, z = mirrored
        person = self.person
        lips, opening = self.portrait.lips(mirrored)
        if person.beard:
            window = sdf.ellipsoid(mirrored, (0.0, -0.12, 0.1), (0.5, 0.5, 0.5))
            low = edge(-window, 0.12) * edge(y + 0.33, 0.15) * edge(-z - 0.75, 0.1)
            colours = mixed(colours, person.hair, person.beard * low * edge(-y - 1.25, 0.1))
        skin = person.skin
        lip = (skin[0] * 0.80 + 0.02, skin[1] * 0.42, skin[2] * 0.45)
        colours = mixed(colours, lip, edge(lips - 0.004, 0.018) * edge(-z - 0.15, 0.05))
        hole = edge(opening, 0.02) * edge(-z - 0.3, 0.05) * edge(z - 0.055, 0.03)
        colours = mixed(colours, (0.035, 0.006, 0.006), hole)
        nostril = ((x - 0.06) * (x - 0.06) + (y - self.portrait.nose_y + 0.1).square()).sqrt_()
        dark = (skin[0] * 0.15, skin[1] * 0.1, skin[2] * 0.1)
        return mixed(colours, dark, edge(nostril - 0.03, 0.03))

    def _lids(self, mirrored: Points, colours: Tensor) -> Tensor:
        x, y, z = mirrored
        person, grimace = self.person, self.portrait.grimace
        across = x - person.eye_distance
        front = edge(-z - 0.35, 0.05)
        slope = person.brow_tilt + grimace.brow_tilt - 1.1 * across
        height = slope * across + (person.brow_height + 0.03 + grimace.brow_raise)
        taper = (1.15 - 1.6 * across).clamp(0.3, 1.4)
        brow = (y - height).abs() - person.brow_thickness * taper
        brow = torch.maximum(brow, across.abs() - 0.19)
        hair = between(person.hair, (0.02, 0.013, 0.01), 0.35)
        colours = mixed(colours, hair, 0.9 * edge(brow, 0.025) * front)
        # Lashes: a dark line along the upper lid, or where the lids meet.
        arc = grimace.upper_lid * (1 - across * across / _FISSURE**2)
        lashes = torch.maximum((y - arc).abs() - 0.014, across.abs() - _FISSURE)
        return mixed(colours, (0.02, 0.012, 0.01), 0.85 * edge(lashes, 0.014) * front)

    def _eyeball(self, points: Points) -> Tensor:
        x, y, z = points
        head = self.portrait.head
        yaw, pitch = math.radians(head.gaze_yaw), math.radians(head.gaze_pitch)
        gaze = (math.sin(yaw) * math.cos(pitch), math.sin(pitch), math.cos(yaw) * math.cos(pitch))
        side = torch.where(x < 0, -self.person.eye_distance, self.person.eye_distance)
        offset = (x - side, y, z - _EYE_DEPTH)
        along = sdf.projected(offset, gaze)
        off_axis = (sdf.length(offset).square() - along * along).clamp_(min=0).sqrt_()
        colours = plain((0.82, 0.80, 0.78), len(x))
        iris = self.person.iris
        ring = (iris[0] * 0.35, iris[1] * 0.35, iris[2] * 0.35)
        colours = mixed(colours, ring, edge(off_axis - 0.076, 0.012))
        colours = mixed(colours, iris, edge(off_axis - 0.062, 0.016))
        return mixed(colours, (0.004, 0.004, 0.004), edge(off_axis - 0.034, 0.012))

    def _teeth(self, points: Points) -> Tensor:
        colours = plain((0.78, 0.74, 0.66), len(points[0]))
        return colours * (1.15 - 2.6 * points[0].abs()).clamp(0.2, 1)

    def _hair(self, points: Points) -> Tensor:
        x, y, z = points
        # Strands fan out from the crown.
        fan = (x - self.person.parting) / (0.4 + (1.3 - y).abs())
        strands = torch.sin(45 * fan + 5 * z) + 0.7 * torch.sin(97 * fan - 8 * z + 2 * y)
        return plain(self.person.hair, len(x)) * (1 + 0.2 * strands)


# By material, in the order of their numbers: strength and narrowness of the mirrored light.
_SHINE = (0.10, 0.9, 0.3, 0.14, 0.02, 0.2, 0.05, 0.0)
_GLOSS = (12.0, 60.0, 30.0, 14.0, 6.0, 24.0, 30.0, 4.0)


def _shade(portrait: _Portrait, points: Points) -> Tensor:
    """Return the light that surface points send to the camera, (3, N) linear."""
    parts = portrait.parts(points)
    kinds = torch.tensor(list(parts))
    material = kinds[torch.stack(list(parts.values())).argmin(0)]
    normal = sdf.normals(portrait.distance, points)
    colours = _Paint(portrait).colours(points, material)
    camera, head = portrait.camera, portrait.head
    azimuth, elevation = math.radians(head.light_azimuth), math.radians(head.light_elevation)
    light = camera.to_scene(
        (
            math.sin(azimuth) * math.cos(elevation),
            math.sin(elevation),
            math.cos(azimuth) * math.cos(elevation),
        )
    )
    facing = sdf.projected(normal, light)
    above = sdf.moved(points, normal, 0.02)
    key = facing.clamp(min=0)
    bright = (facing > 0).nonzero().squeeze(1)
    key[bright] *= sdf.soft_shadow(portrait.distance, sdf.chosen(above, bright), light)
    open_sky = (portrait.distance(sdf.moved(points, normal, 0.12)) * (1 / 0.12)).clamp_(0.2, 1)
    ambient = (0.19 + 0.05 * sdf.projected(normal, camera.up)) * open_sky
    fill = 0.13 * sdf.projected(normal, camera.back).clamp(min=0) * (0.4 + 0.6 * open_sky)
    warm = torch.tensor([1.04, 0.99, 0.93]).unsqueeze(1)
    lit = colours * (0.92 * key * warm + ambient + fill)
    return lit + _highlights(portrait, normal, light, key, material)


def _highlights(
    portrait: _Portrait, normal: Points, light: Vector, key: Tensor, material: Tensor
) -> Tensor:
    """Return the mirror-like part of the key light, (N,)."""
    back = portrait.camera.back
    half = sdf.normalized((light[0] + back[0], light[1] + back[1], light[2] + back[2]))
    shine, gloss = torch.tensor(_SHINE)[material], torch.tensor(_GLOSS)[material]
    return shine * sdf.projected(normal, half).clamp(min=0) ** gloss * (key > 0.02)


def _backdrop(head: Head, across: Tensor, down: Tensor) -> Tensor:
    """Return the background at picture fractions (N,) in [0, 1], as (3, N) linear colours."""
    rng = sets.stream(head.background, "background")
    hue, saturation, value = rng.random(), rng.uniform(0.0, 0.35), rng.uniform(0.25, 0.9)
    turn = [0.5 + 0.5 * math.cos(2 * math.pi * (hue - third / 3)) for third in range(3)]
    base = [value * (1 - saturation * (1 - part)) for part in turn]
    angle, slope = rng.uniform(0, 2 * math.pi), rng.uniform(0.0, 0.5)
    lean = (across - 0.5) * math.cos(angle) + (down - 0.5) * math.sin(angle)
    glow_x, glow_y = rng.uniform(0, 1), rng.uniform(0, 0.7)
    glow = ((across - glow_x).square() + (down - glow_y).square()).mul_(-3).exp_()
    gain = 0.8 + slope * lean + 0.3 * glow
    return torch.stack([(part * gain).clamp(0, 1) ** 2.2 for part in base])


def render(heads: Sequence[Head], size: int = 64) -> Tensor:
    """Render portraits.

    Args:
        heads: The factors of each portrait.
        size: Height and width in pixels, at least 8.

    Returns:
        (B, 3, size, size) in [-1, 1].

    Raises:
        ConfigError: The size is too small.
    """
    return tracing.pictures([_Portrait(head) for head in heads], size)


def eye_positions(heads: Sequence[Head], size: int) -> Tensor:
    """Return where the lids' openings are centred.

    Args:
        heads: The factors of each portrait.
        size: Height and width of the pictures in pixels.

    Returns:
        (B, 2, 2) pixels from the upper left corner of the picture: the eye on the picture's left,
        then the other; x, then y. The centre of the first pixel is (0.5, 0.5).
    """
    return torch.tensor([LEFT_EYE, RIGHT_EYE]).mul(size).expand(len(heads), 2, 2).clone()


def partition(identity: int) -> int:
    """Return 0 (train), 1 (validation) or 2 (test) for everything that shows an identity."""
    place = sets.stream(identity, "partition").random()
    return 0 if place < 0.8 else 1 if place < 0.9 else 2


def _side_light(azimuth: float) -> int | str:
    if abs(azimuth) > 35:
        return 1
    return 0 if abs(azimuth) < 15 else ""


def labels(head: Head) -> dict[str, object]:
    """Return what is known about a portrait, in the columns of a data set.

    Attributes are 0 or 1, or empty where light is neither frontal nor from the side; classes are
    names; ``factor_*`` are the true factors, ``factor_hair_*`` in linear light.
    """
    person = _identity(head.identity)
    smile = head.intensity if head.expression == "smile" else 0.0
    attributes = {
        "Eyeglasses": int(head.eyeglasses != "none"),
        "Sunglasses": int(head.eyeglasses == "sunglasses"),
        "Smiling": int(smile > 0.3),
        "Bangs": int(person.bangs),
        "Wearing_Hat": int(head.hat),
        "Mouth_Open": int(_grimace(head, person).mouth_half_height > 0.05),
        "Side_Light": _side_light(head.light_azimuth),
        "Bald": int(person.hair_style == "bald"),
    }
    classes = {
        "identity": head.identity,
        "expression": head.expression,
        "eyeglasses_kind": head.eyeglasses,
        "hair_style": person.hair_style,
    }
    factors = {
        "smile": smile,
        "intensity": head.intensity,
        "blink": head.blink,
        "mouth_open": head.mouth_open,
        "gaze_yaw": head.gaze_yaw,
        "gaze_pitch": head.gaze_pitch,
        "yaw": head.yaw,
        "pitch": head.pitch,
        "light_azimuth": head.light_azimuth,
        "light_elevation": head.light_elevation,
        "glasses_kind": float(EYEGLASSES.index(head.eyeglasses)),
        **dict(zip(("colour_r", "colour_g", "colour_b"), head.colour_cast, strict=True)),
        **dict(zip(("hair_r", "hair_g", "hair_b"), person.hair, strict=True)),
    }
    named = {f"factor_{name}": float(value) for name, value in factors.items()}
    return {"partition": partition(head.identity), **attributes, **classes, **named}


def write_set(
    folder: Path,
    count: int,
    size: int,
    seed: int,
    *,
    fixed: Mapping[str, object] = _NO_CHANGES,
    choices: Mapping[str, Sequence[object]] = _NO_CHOICES,
    progress: sets.Progress | None = None,
) -> None:
    """Write a data set of portraits: PNG files and ``attributes.csv``.

    The table is written last, so that a folder with one is complete.

    Args:
        folder: Where to write; created if missing.
        count: Number of pictures.
        size: Height and width of the pictures in pixels.
        seed: Seed of the factors.
        fixed: As for ``sample_heads``.
        choices: As for ``sample_heads``.
        progress: Called with the pictures done and their number, now and then.

    Raises:
        ConfigError: The folder has a data set already, or a value is not allowed.
    """
    sets.check_free(folder)
    heads = sample_heads(count, seed, fixed=fixed, choices=choices)
    rows = [
        {"file": f"{number:06d}.png", **labels(head), **eye_columns(size)}
        for number, head in enumerate(heads)
    ]
    sets.write_set(folder, rows, lambda part: render(heads[part], size), progress)


_EYES = ("left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y")


def eye_columns(size: int) -> dict[str, float]:
    """Say where the eyes are in every picture of a size, in the columns of a data set."""
    places = (size * place for place in (*LEFT_EYE, *RIGHT_EYE))
    return {"size": size, **dict(zip(_EYES, places, strict=True))}
