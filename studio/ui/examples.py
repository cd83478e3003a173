"""Examples that work with one click: rendered heads, nobody's faces, a public-domain portrait.

``python -m studio.ui.examples`` renders the heads in ``assets/examples`` anew;
``benchmarks/example_faces.py`` makes the ``mean_*`` faces, each a decoded mean of many latents.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from studio import images, paths
from studio.faces.align import Alignment
from studio.images import Picture
from studio.render.heads import Head, render
from studio.ui import bench
from studio.ui.context import Context
from studio.ui.draft import DONOR, EXEMPLARS, RECEIVER, Draft, Mode, Seat

SIDE = 640
ASTRONAUT = "astronaut"

HEADS: Mapping[str, Head] = {
    "anna": Head(identity=850, light_azimuth=-20, background=12, style=3),
    "ben": Head(identity=801, eyeglasses="round", light_azimuth=20, background=4, style=8),
    "carla": Head(identity=23, expression="smile", intensity=0.9, background=23, style=2),
    "david": Head(identity=610, eyeglasses="sunglasses", yaw=4, background=31, style=14),
    "edith": Head(identity=444, eyeglasses="square", background=42, style=21, pitch=2),
    "felix": Head(identity=666, light_azimuth=75, light_elevation=12, background=7, style=30),
    "gina": Head(identity=745, eyeglasses="round", light_azimuth=-30, background=50, style=33),
}


@dataclass(frozen=True)
class Example:
    """A finished setting.

    Attributes:
        label: For the thumbnail.
        seats: Picture by role.
        checkpoints: Those that suit it, the best first.
        mode: As in the draft.
        child: As in the draft.
    """

    label: str
    seats: Mapping[str, str]
    checkpoints: tuple[str, ...]
    mode: Mode = "swap"
    child: str = "receives"


EXAMPLES = (
    Example(
        "Glasses, photo",
        {RECEIVER: ASTRONAUT, DONOR: "mean_glasses"},
        ("genegan.eyeglasses-64",),
    ),
    Example(
        "Glasses",
        {RECEIVER: "anna", DONOR: "ben"},
        ("genegan.heads-eyeglasses-64", "genegan.eyeglasses-64"),
    ),
    Example(
        "No smile, photo",
        {RECEIVER: ASTRONAUT, DONOR: "carla"},
        ("genegan.smiling-64",),
        child="without",
    ),
    Example(
        "Bangs, photo",
        {RECEIVER: ASTRONAUT, DONOR: "mean_bangs"},
        ("genegan.bangs-64",),
    ),
    Example(
        "Smile",
        {RECEIVER: "anna", DONOR: "carla"},
        ("genegan.heads-smiling-64", "genegan.smiling-64"),
    ),
    Example(
        "Side light",
        {RECEIVER: "anna", DONOR: "felix"},
        ("genegan.heads-light-64",),
    ),
    Example(
        "Four glasses",
        {RECEIVER: "anna", **dict(zip(EXEMPLARS, ("ben", "david", "edith", "gina"), strict=True))},
        ("genegan.heads-eyeglasses-64", "genegan.eyeglasses-64"),
        mode="blend",
    ),
)


def available(names: list[str]) -> list[Example]:
    """List the examples for which a checkpoint is there."""
    return [one for one in EXAMPLES if any(name in names for name in one.checkpoints)]


def draft(context: Context, example: Example) -> Draft:
    """Set an example up.

    Raises:
        ImageError: A picture of it is missing.
    """
    names = context.swappers()
    checkpoint = next((name for name in example.checkpoints if name in names), "")
    return Draft(
        seats={role: seat(context, name) for role, name in example.seats.items()},
        checkpoint=checkpoint or context.first_swapper(),
        mode=example.mode,
        child=example.child,
    )


def seat(context: Context, name: str) -> Seat:
    """Seat an example picture; rendered heads are aligned by construction."""
    path = picture_path(name)
    if name == ASTRONAUT:
        return bench.seat_photo(context, str(path), images.read_photo(path))
    height, width = bench.preview(context, str(path)).pixels.shape[:2]
    whole = Alignment.whole(width, height)
    return Seat(str(path), name, width, height, whole, detected=False)


def picture_path(name: str) -> Path:
    """Return the file of an example picture."""
    if name == ASTRONAUT:
        # Public domain (NASA); found without importing the package, which takes a second.
        return Path(str(files("skimage") / "data" / "astronaut.png"))
    return paths.ASSETS / "examples" / f"{name}.png"


def face(context: Context, name: str, side: int = 112) -> Picture:
    """Cut the face out of an example picture."""
    one = seat(context, name)
    return bench.face_crop(bench.ground(context, Draft(seats={RECEIVER: one}), RECEIVER), side)


def title(name: str) -> str:
    """Name an example picture for a person."""
    return name.replace("mean_", "face with ").replace("_", " ").capitalize()


def thumbnail(context: Context, example: Example, side: int = 112) -> Picture:
    """Return the receiver's left half beside the donor's right half."""
    halves = []
    for role in (RECEIVER, DONOR):
        one = seat(context, example.seats[role])
        place = bench.ground(context, Draft(seats={role: one}), role)
        halves.append(bench.face_crop(place, side))
    joined = halves[0].copy()
    joined[:, side // 2 :] = halves[1][:, side // 2 :]
    joined[:, side // 2 - 1 : side // 2 + 1] = 255
    return joined


def main() -> None:
    """Render the heads of the examples."""
    folder = paths.ASSETS / "examples"
    folder.mkdir(parents=True, exist_ok=True)
    for name, head in HEADS.items():
        picture = images.to_pictures(render([head], SIDE))[0]
        images.save_png(folder / f"{name}.png", picture)


if __name__ == "__main__":
    main()
