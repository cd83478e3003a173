"""Line charts as pictures, drawn with Pillow."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from studio.images import Picture

# Told apart by those who see fewer colours, too (Okabe and Ito 2008).
COLOURS = (
    *((0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167)),
    *((86, 180, 233), (213, 94, 0), (120, 94, 240)),
)
GREY = (120, 120, 120)
RED = (200, 40, 40)

Colour = tuple[int, int, int]
Point = tuple[float, float]

# Drawn twice as large and reduced, which smooths slanted lines.
_SCALE = 2
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 30, 44
_FONT = 12
# Width of a line's sample in the legend, with its margins.
_KEY = 40
_TICKS = 6
_DASH = 7
_BAND_ALPHA = 50
_GRID: Colour = (225, 225, 225)
_INK: Colour = (50, 50, 50)


@dataclass(frozen=True)
class Line:
    """A curve.

    Attributes:
        label: In the legend; empty leaves it out.
        x: Places of the points.
        y: Their values.
        colour: RGB.
        low: Lower rim of a band around the curve, as ``y``; empty for none.
        high: Its upper rim.
        dashed: Draw it in dashes.
        dots: Mark every point.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    colour: Colour
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    dashed: bool = False
    dots: bool = False


@dataclass(frozen=True)
class Mark:
    """A named place in a chart."""

    label: str
    x: float
    y: float


@dataclass(frozen=True, eq=False)
class Chart:
    """Curves with axes.

    Attributes:
        title: Above.
        lines: The curves, later ones on top.
        x_label: Below.
        y_label: At the left, above the axis.
        marks: Named places.
        size: Width and height in pixels.
    """

    title: str
    lines: Sequence[Line]
    x_label: str = ""
    y_label: str = ""
    marks: Sequence[Mark] = field(default_factory=tuple)
    size: tuple[int, int] = (520, 300)


def draw(chart: Chart) -> Picture:
    """Draw a chart on white, (H, W, 3) uint8."""
    return np.array(_Canvas(chart).finished())


class _Canvas:
    """A chart that is being drawn."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.width, self.height = (_SCALE * side for side in chart.size)
        self.image = Image.new("RGB", (self.width, self.height), "white")
        self.pen = ImageDraw.Draw(self.image, "RGBA")
        self.font = ImageFont.load_default(_SCALE * _FONT)
        lines = chart.lines
        named = [self.font.getlength(line.label) for line in lines if line.label]
        # The legend stands beside the curves, never on them.
        self.right = self.width - _SCALE * _RIGHT - (max(named) + _KEY * _SCALE if named else 0)
        self.x_range = _limits([v for line in lines for v in line.x] + [m.x for m in chart.marks])
        self.y_range = _limits(
            [v for line in lines for v in (*line.y, *line.low, *line.high)]
            + [m.y for m in chart.marks]
        )

    def finished(self) -> Image.Image:
        """Draw everything and reduce the picture to its size."""
        self._axes()
        for line in self.chart.lines:
            self._band(line)
        for line in self.chart.lines:
            self._curve(line)
        self._marks()
        self._legend()
        return self.image.resize(self.chart.size, Image.Resampling.LANCZOS)

    def place(self, x: float, y: float) -> Point:
        """Return where on the canvas a value lies."""
        (x_low, x_high), (y_low, y_high) = self.x_range, self.y_range
        left, right = _SCALE * _LEFT, self.right
        top, bottom = _SCALE * _TOP, self.height - _SCALE * _BOTTOM
        across, up = (x - x_low) / (x_high - x_low), (y - y_low) / (y_high - y_low)
        return left + across * (right - left), bottom - up * (bottom - top)

    def _text(self, at: Point, text: str, anchor: str) -> None:
        self.pen.text(at, text, _INK, self.font, anchor=anchor)

    def _axes(self) -> None:
        (x_low, x_high), (y_low, y_high) = self.x_range, self.y_range
        gap = 4 * _SCALE
        for value in _ticks(x_low, x_high):
            foot = self.place(value, y_low)
            self.pen.line([foot, self.place(value, y_high)], _GRID, _SCALE)
            self._text((foot[0], foot[1] + gap), f"{value:g}", "ma")
        for value in _ticks(y_low, y_high):
            foot = self.place(x_low, value)
            self.pen.line([foot, self.place(x_high, value)], _GRID, _SCALE)
            self._text((foot[0] - gap, foot[1]), f"{value:g}", "rm")
        middle = (self.right + _SCALE * _LEFT) / 2
        self._text((middle, self.height - gap), self.chart.x_label, "mb")
        self._text((gap, gap), self.chart.y_label, "la")
        self._text((middle, gap), self.chart.title, "ma")

    def _band(self, line: Line) -> None:
        if line.low:
            rim = [self.place(*point) for point in zip(line.x, line.low, strict=True)]
            back = [self.place(*point) for point in zip(line.x, line.high, strict=True)]
            self.pen.polygon([*rim, *reversed(back)], (*line.colour, _BAND_ALPHA))

    def _curve(self, line: Line) -> None:
        points = [self.place(*point) for point in zip(line.x, line.y, strict=True)]
        for piece in _dashes(points) if line.dashed else [points]:
            self.pen.line(piece, line.colour, 2 * _SCALE, joint="curve")
        for x, y in points if line.dots else ():
            radius = 2.5 * _SCALE
            self.pen.ellipse([x - radius, y - radius, x + radius, y + radius], line.colour)

    def _marks(self) -> None:
        radius = 5 * _SCALE
        for mark in self.chart.marks:
            x, y = self.place(mark.x, mark.y)
            box = [x - radius, y - radius, x + radius, y + radius]
            self.pen.ellipse(box, "white", RED, 2 * _SCALE)
            self._text((x + 1.5 * radius, y), mark.label, "lm")

    def _legend(self) -> None:
        named = [line for line in self.chart.lines if line.label]
        left, high = self.right + 12 * _SCALE, _SCALE * (_FONT + 4)
        for number, line in enumerate(named):
            y = _SCALE * _TOP + (number + 0.5) * high
            ends = [(left, y), (left + 20 * _SCALE, y)]
            for piece in _dashes(ends) if line.dashed else [ends]:
                self.pen.line(piece, line.colour, 2 * _SCALE)
            self._text((left + 25 * _SCALE, y), line.label, "lm")


def _limits(values: Iterable[float]) -> tuple[float, float]:
    """Return the ends of an axis, with a little room; 0 stays an end."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    room = 0.05 * (high - low) or 0.5 * abs(high) or 1.0
    # Errors start at 0: a difference must not look larger than it is.
    return (0.0 if 0 <= low <= 0.7 * high else low - room), high + room


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two ends."""
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def _dashes(points: Sequence[Point]) -> list[list[Point]]:
    """Cut a polygon line into dashes of equal length."""
    pieces: list[list[Point]] = []
    for (x0, y0), (x1, y1) in pairwise(points):
        count = max(1, round(math.hypot(x1 - x0, y1 - y0) / (2 * _DASH * _SCALE)))
        for number in range(count):
            start, stop = number / count, (number + 0.5) / count
            pieces.append(
                [
                    (x0 + (x1 - x0) * start, y0 + (y1 - y0) * start),
                    (x0 + (x1 - x0) * stop, y0 + (y1 - y0) * stop),
                ]
            )
    return pieces
