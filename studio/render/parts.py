"""Portraits whose parts combine freely: who it is, expression, light, gaze and colour.

Every person is seen with every expression, and each picture draws light, gaze and colour on its
own, so that what belongs to one part says nothing about another. Ten persons are only in the test
part, as in Oldfield et al., and four only in the validation part.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from studio.errors import ConfigError
from studio.render import heads, sets
from studio.render.heads import Head

EXPRESSIONS = ("neutral", "scream", "squint", "surprise")
# Degrees of azimuth and elevation, by name.
LIGHTS: Mapping[str, tuple[float, float]] = {
    "far-left": (-70.0, 15.0),
    "left": (-40.0, 15.0),
    "front": (0.0, 15.0),
    "right": (40.0, 15.0),
    "far-right": (70.0, 15.0),
    "high-left": (-45.0, 60.0),
    "high": (0.0, 65.0),
    "high-right": (45.0, 60.0),
    "below": (0.0, -25.0),
}
# Degrees of yaw and pitch, by name.
GAZES: Mapping[str, tuple[float, float]] = {
    "left": (-30.0, 0.0),
    "straight": (0.0, 0.0),
    "right": (30.0, 0.0),
    "up": (0.0, 20.0),
}
# Gains of red, green and blue, by name.
COLOURS: Mapping[str, tuple[float, float, float]] = {
    "plain": (1.0, 1.0, 1.0),
    "warm": (1.25, 1.0, 0.75),
    "cool": (0.75, 1.0, 1.25),
    "green": (0.85, 1.15, 0.85),
}
# The weakest expression that still is one.
_LEAST_INTENSITY = 0.3
TEST_PERSONS, VALIDATION_PERSONS = 10, 4
_TURN, _TILT = 5.0, 3.0


def sample_portraits(
    count: int, seed: int, persons: int = 74
) -> tuple[list[Head], list[dict[str, str]]]:
    """Draw portraits with the classes of their parts.

    Args:
        count: Number of portraits; a multiple of four times ``persons`` shows every person with
            every expression equally often.
        seed: Of all draws.
        persons: Different identities; the first ten are tested on, four more are looked at while
            training.

    Returns:
        The heads, and for each the class of every part by name.

    Raises:
        ConfigError: There are too few persons to hold some out.
    """
    if persons < TEST_PERSONS + VALIDATION_PERSONS + 2:
        raise ConfigError(f"{persons} persons are too few: ten are held out, and four watched.")
    plain = heads.sample_heads(count, seed, fixed={"eyeglasses": "none", "hat": False})
    portraits, classes = [], []
    for number, head in enumerate(plain):
        rng = sets.stream(seed, f"parts/{number}")
        identity = number % persons
        expression = EXPRESSIONS[number // persons % len(EXPRESSIONS)]
        light, gaze, colour = (rng.choice(list(one)) for one in (LIGHTS, GAZES, COLOURS))
        strength = _LEAST_INTENSITY + (1 - _LEAST_INTENSITY) * rng.random()
        azimuth, elevation = LIGHTS[light]
        gaze_yaw, gaze_pitch = GAZES[gaze]
        portraits.append(
            replace(
                head,
                identity=identity,
                expression=expression,
                intensity=0.0 if expression == "neutral" else strength,
                blink=0.0,
                mouth_open=0.0,
                light_azimuth=azimuth,
                light_elevation=elevation,
                gaze_yaw=gaze_yaw,
                gaze_pitch=gaze_pitch,
                colour_cast=COLOURS[colour],
                yaw=rng.uniform(-_TURN, _TURN),
                pitch=rng.uniform(-_TILT, _TILT),
            )
        )
        classes.append({"light": light, "gaze": gaze, "colour": colour})
    return portraits, classes


def partition(identity: int) -> int:
    """Return 0 (train), 1 (validation) or 2 (test) for everything that shows a person."""
    if identity < TEST_PERSONS:
        return 2
    return 1 if identity < TEST_PERSONS + VALIDATION_PERSONS else 0


def write_set(
    folder: Path,
    count: int,
    size: int,
    seed: int,
    *,
    persons: int = 74,
    progress: sets.Progress | None = None,
) -> int:
    """Write such portraits as a data set with a class of every part and the true factors.

    Args:
        folder: Where to write; created if missing.
        count: Number of pictures.
        size: Height and width of the pictures in pixels.
        seed: Of all draws.
        persons: Different identities.
        progress: Called with the pictures done and their number, now and then.

    Returns:
        The number of pictures.

    Raises:
        ConfigError: The folder has a data set already, or there are too few persons.
    """
    sets.check_free(folder)
    portraits, classes = sample_portraits(count, seed, persons)
    kept = ("identity", "expression")
    rows = []
    for number, (head, parts) in enumerate(zip(portraits, classes, strict=True)):
        known = heads.labels(head)
        factors = {name: value for name, value in known.items() if name.startswith("factor_")}
        named = {name: known[name] for name in kept}
        rows.append(
            {
                "file": f"{number:06d}.png",
                "partition": partition(head.identity),
                **named,
                **parts,
                **factors,
                **heads.eye_columns(size),
            }
        )
    sets.write_set(folder, rows, lambda part: heads.render(portraits[part], size), progress)
    return count
