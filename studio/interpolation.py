"""Between pictures: paths and grids of several checkpoints, how good they are, and files of them.

Beside the checkpoints stands the pixel cross-fade, the row to beat; its name is ``CROSS_FADE``.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from studio import editing, images, latents
from studio.checkpoints import ModelCache
from studio.data.folder import open_set
from studio.editing import Encoded
from studio.errors import ConfigError, UnsupportedError
from studio.evaluation import FEATURES
from studio.evaluation.bench import Reading, held_out, read
from studio.evaluation.interpolation import MOST_REAL, Judge, drawn, find_judge
from studio.images import Picture
from studio.latents import Latents
from studio.metrics import interpolation as metrics

CROSS_FADE = "cross-fade"
BILINEAR = "bilinear"
EASES = ("linear", "in-out")
FORMATS = (".png", ".gif", ".mp4")
LEAST_SIDE, MOST_SIDE = 3, 15
MOST_FRAMES = 600
MOST_PIXELS = 150_000_000
MOST_MODELS = 7
FPS = 25

# Pictures on a side or a stretch of a path that is measured.
_MEASURED = 17
# Decoded at once: what fits into the processor's cache is the fastest.
_BATCH = 32
# Side of a picture under whose name there is room for it.
_LEAST_LABELLED = 128

Place = tuple[float, float]


class Quality(NamedTuple):
    """How admissible a path is; NaN where a number cannot be had.

    Attributes:
        boundary_error: Mean absolute difference of the path's ends from the pictures, in [0, 2].
        monotonicity_violations: Share of steps that go back, in [0, 1].
        step_ratio: Longest over mean step; 1 is an even pace.
        credibility: Distance of the in-betweens' features to the nearest real picture's.
        realness: Share of the in-betweens that the realness scorer takes for real.
    """

    boundary_error: float
    monotonicity_violations: float
    step_ratio: float
    credibility: float
    realness: float

    def text(self) -> str:
        """Return the known numbers as one line."""
        known = {name: value for name, value in self._asdict().items() if not math.isnan(value)}
        return ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in known.items())

    def to_dict(self) -> dict[str, float | None]:
        """Return plain JSON values, None for NaN."""
        known = self._asdict().items()
        return {name: None if math.isnan(value) else round(value, 6) for name, value in known}


@dataclass(frozen=True)
class Style:
    """How an interpolation is written to a file.

    Attributes:
        frames: Pictures from start to end, both among them; along a side of a grid.
        path: One of ``latents.PATHS``.
        grid: Whether it is a grid of four corners, instead of a strip or a clip.
        size: Side of a picture in pixels; 0 for the checkpoint's own.
        ease: One of ``EASES``: an even pace, or slow at both ends.
        ping_pong: Whether a clip goes back again.
    """

    frames: int = 9
    path: str = "linear"
    grid: bool = False
    size: int = 0
    ease: str = "linear"
    ping_pong: bool = False

    def __post_init__(self) -> None:
        least, most = (LEAST_SIDE, MOST_SIDE) if self.grid else (2, MOST_FRAMES)
        what = "A grid has {} to {} pictures a side" if self.grid else "A path has {} to {} frames"
        if not least <= self.frames <= most:
            raise ConfigError(f"{what.format(least, most)}, not {self.frames}.")
        for kind, value, known in (
            ("path", self.path, latents.PATHS),
            ("ease", self.ease, EASES),
        ):
            if value not in known:
                raise ConfigError(f"There is no {kind} {value!r}; there are {', '.join(known)}.")
        if self.size < 0:
            raise ConfigError(f"The size of a picture is 0 or more pixels, not {self.size}.")

    def places(self) -> list[Place]:
        """Return where the pictures lie, from start to end or row by row."""
        if self.grid:
            return editing.grid_places(self.frames)
        even = np.linspace(0, 1, self.frames)
        alphas = even if self.ease == "linear" else (1 - np.cos(np.pi * even)) / 2
        return [(float(alpha), 0.0) for alpha in alphas]

    @property
    def kind(self) -> str:
        """The kind that :func:`decode` takes."""
        return BILINEAR if self.grid else self.path


def decode(
    models: ModelCache,
    checkpoint: str,
    corners: Sequence[Encoded],
    places: Sequence[Place],
    kind: str = "linear",
) -> Tensor:
    """Decode as :func:`editing.interpolate`, a batch at a time; or fade the corners' pixels.

    Args:
        models: The loaded models.
        checkpoint: Its name, or ``CROSS_FADE``.
        corners: Pictures to interpolate between.
        places: N pairs x, y in [0, 1].
        kind: One of ``latents.PATHS``, or ``BILINEAR``.

    Returns:
        (N, 3, S, S) in [-1, 1], on the CPU.

    Raises:
        UnsupportedError: As for :func:`editing.interpolate`.
    """
    batches = [places[first : first + _BATCH] for first in range(0, len(places), _BATCH)]
    if checkpoint == CROSS_FADE:
        return torch.cat([_fade(corners, some, kind) for some in batches])
    made = [editing.interpolate(models, checkpoint, corners, some, kind) for some in batches]
    return torch.cat([some.cpu() for some in made])


def _fade(corners: Sequence[Encoded], places: Sequence[Place], kind: str) -> Tensor:
    pixels = [Latents({"pixels": images.to_images(corner.crop)}) for corner in corners]
    x, y = torch.tensor(places, dtype=torch.float32).unbind(1)
    if kind != BILINEAR:
        return latents.along(pixels, x).parts["pixels"]
    repeated = [one.map(lambda p: p.expand(len(places), *p.shape[1:])) for one in pixels]
    return latents.bilinear(repeated, x, y).parts["pixels"]


@torch.inference_mode()
def measure(
    models: ModelCache,
    checkpoint: str,
    corners: Sequence[Encoded],
    kind: str = "linear",
    judge: Judge | None = None,
    real: Tensor | None = None,
) -> Quality:
    """Measure the four conditions of admissible interpolation (AEAI, section 2).

    Args:
        models: The loaded models.
        checkpoint: Its name, or ``CROSS_FADE``.
        corners: As for :func:`decode`.
        kind: As for :func:`decode`.
        judge: Who judges credibility, if anyone; from :func:`judge_of`.
        real: (M, 3, S, S) real pictures to which features are compared.

    Returns:
        Means over the stretches of a path, or over the four sides of a grid.

    Raises:
        UnsupportedError: As for :func:`decode`.
    """
    stretches = _stretches(len(corners), kind)
    places = [place for stretch in stretches for place in stretch.places]
    paths = decode(models, checkpoint, corners, places, kind).split(_MEASURED)
    ends = [images.to_images(corner.crop)[0] for corner in corners]
    found = [
        metrics.conditions(path, ends[stretch.start], ends[stretch.end])[:3]
        for path, stretch in zip(paths, stretches, strict=True)
    ]
    boundary, back, ratio = (float(number) for number in np.mean(found, axis=0))
    between = torch.cat([path[1:-1] for path in paths])
    return Quality(boundary, back, ratio, *_judged(judge, between, real))


class _Stretch(NamedTuple):
    """Places from one corner to another."""

    start: int
    end: int
    places: list[Place]


def _stretches(corners: int, kind: str) -> list[_Stretch]:
    steps = np.linspace(0, 1, _MEASURED).tolist()
    if kind == BILINEAR:
        return [
            _Stretch(0, 1, [(step, 0.0) for step in steps]),
            _Stretch(2, 3, [(step, 1.0) for step in steps]),
            _Stretch(0, 2, [(0.0, step) for step in steps]),
            _Stretch(1, 3, [(1.0, step) for step in steps]),
        ]
    parts = max(1, corners - 1)
    return [_Stretch(k, k + 1, [((k + step) / parts, 0.0) for step in steps]) for k in range(parts)]


def compare(
    models: ModelCache, rows: Mapping[str, Sequence[Encoded]], kind: str, data: Path | None = None
) -> dict[str, Quality]:
    """Measure several checkpoints and, as the last one, the cross-fade.

    Args:
        models: The loaded models.
        rows: Corners by checkpoint.
        kind: As for :func:`decode`.
        data: A data set of real pictures, for the credibility.

    Raises:
        DataError: The data set cannot be read.
        UnsupportedError: As for :func:`decode`.
    """
    found = {}
    for name, corners in rows.items():
        judge, real = judge_of(models, name), None
        if data is not None:
            real = real_pictures(data, len(corners[0].crop))
        found[name] = measure(models, name, corners, kind, judge, real)
        if name == next(iter(rows)):
            fade = measure(models, CROSS_FADE, corners, kind, judge, real)
    return {**found, CROSS_FADE: fade}


def real_pictures(folder: Path, size: int) -> Tensor:
    """Read the training pictures of a data set, (M, 3, S, S); some of very many.

    Raises:
        DataError: It cannot be read, or has too few.
    """
    pictures = held_out(open_set(folder), "train").pictures(size)
    return images.to_images(pictures[drawn(np.arange(len(pictures)), MOST_REAL, 0)])


def judge_of(models: ModelCache, checkpoint: str) -> Judge | None:
    """Load the network that judges a checkpoint's pictures, or None where there is none."""
    return find_judge(models, checkpoint, FEATURES)


def _judged(judge: Judge | None, between: Tensor, real: Tensor | None) -> tuple[float, float]:
    """Return credibility and realness of in-betweens."""
    far = share = math.nan
    if judge is not None and real is not None:
        known, made = (_read(judge, judge.features, one) for one in (real, between))
        far = float(metrics.credibility(made, known).mean())
    if judge is not None and judge.score is not None:
        share = float((_read(judge, judge.score, between) > 0).float().mean())
    return far, share


def _read(judge: Judge, reading: Reading, shown: Tensor) -> Tensor:
    return torch.from_numpy(read(reading, shown, judge.size, judge.device))


def write(
    models: ModelCache, rows: Mapping[str, Sequence[Encoded]], style: Style, target: Path
) -> None:
    """Write an interpolation: a strip or grid as PNG, a path as GIF or MP4.

    Args:
        models: The loaded models.
        rows: Corners by checkpoint, in the order of the rows; ``CROSS_FADE`` may be among them.
        style: How.
        target: Its suffix says the format; the folder is made.

    Raises:
        ConfigError: The format, the number of rows or the size do not suit.
        UnsupportedError: The corners do not suit, or a checkpoint cannot interpolate.
    """
    side = check(models, list(rows), min(map(len, rows.values()), default=0), style, target)
    decoded = {
        name: images.to_pictures(decode(models, name, corners, style.places(), style.kind))
        for name, corners in rows.items()
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix.lower() == ".png":
        images.save_png(target, _sheet(decoded, style, side))
        return
    frames = _film(decoded, side)
    if style.ping_pong:
        frames += frames[-2:0:-1]
    save = images.save_gif if target.suffix.lower() == ".gif" else images.save_mp4
    save(target, frames, fps=FPS)


def check(
    models: ModelCache, names: Sequence[str], pictures: int, style: Style, target: Path
) -> int:
    """Refuse what cannot be written, before anything is encoded.

    Args:
        models: The loaded models.
        names: Of the rows.
        pictures: Their number.
        style: As for :func:`write`.
        target: As for :func:`write`.

    Returns:
        The side of a written picture in pixels.

    Raises:
        ConfigError: An unknown format, too many rows, a grid as a clip or of several models, or
            a result that would not fit into memory.
        UnsupportedError: A checkpoint cannot interpolate, or the number of pictures does not suit.
    """
    if target.suffix.lower() not in FORMATS:
        raise ConfigError(f"The result is a .png, .gif or .mp4 file, not {target.name!r}.")
    checkpoints = [name for name in names if name != CROSS_FADE]
    if not 1 <= len(checkpoints) <= MOST_MODELS:
        raise ConfigError(f"Name 1 to {MOST_MODELS} models to compare, not {len(checkpoints)}.")
    if style.grid:
        _check_grid(len(names), pictures, target.suffix.lower())
    elif pictures < 2:
        raise UnsupportedError("A path leads from one picture to another: give two or more.")
    sizes = [editing.interpolator(models, name).card.spec.size for name in checkpoints]
    side = style.size or max(sizes)
    check_size(style.frames**2 if style.grid else style.frames, len(names), side)
    return side


def _check_grid(rows: int, pictures: int, suffix: str) -> None:
    if suffix != ".png":
        raise ConfigError(f"A grid is one picture: name a .png, or make a strip for a {suffix}.")
    check_corners(pictures)
    if rows > 1:
        raise ConfigError(f"A grid shows one model, not {rows}; compare them in a strip.")


def check_corners(count: int) -> None:
    """Refuse a grid of other than four pictures.

    Raises:
        UnsupportedError: There are more or fewer.
    """
    if count != 4:
        raise UnsupportedError(
            f"A grid lies between 4 pictures, not {count}; give four, or make a strip of them."
        )


def check_size(frames: int, rows: int, side: int) -> None:
    """Refuse results that do not fit into memory.

    Raises:
        ConfigError: They have too many pixels; the message says the limit.
    """
    pixels = frames * rows * side * side
    if pixels > MOST_PIXELS:
        most = int((MOST_PIXELS / (frames * rows)) ** 0.5)
        models = f" for {rows} rows" if rows > 1 else ""
        raise ConfigError(
            f"{frames} pictures of {side} x {side} pixels{models} are {pixels / 1e6:,.0f} "
            f"megapixels, more than {MOST_PIXELS / 1e6:.0f}; take fewer, or at most {most} pixels "
            "a side."
        )


def _sheet(decoded: Mapping[str, Picture], style: Style, side: int) -> Picture:
    rows = [[images.resize(one, side) for one in row] for row in decoded.values()]
    if style.grid:
        cells, count = rows[0], style.frames
        return images.sheet([cells[first : first + count] for first in range(0, count**2, count)])
    return images.sheet(rows, row_labels=_labels(decoded) if len(rows) > 1 else None)


def _film(decoded: Mapping[str, Picture], side: int) -> list[Picture]:
    """Return frames in which the rows stand beside each other, with their names above."""
    if len(decoded) > 1:
        side = max(side, _LEAST_LABELLED)
    columns = zip(*decoded.values(), strict=True)
    frames = [[images.resize(one, side) for one in column] for column in columns]
    if len(decoded) == 1:
        return [frame[0] for frame in frames]
    return [images.sheet([frame], column_labels=_labels(decoded)) for frame in frames]


def _labels(names: Iterable[str]) -> list[str]:
    """Name rows by their methods alone, where that tells them apart."""
    whole = list(names)
    methods = [name.partition(".")[0] for name in whole]
    return methods if len(set(methods)) == len(methods) else whole
