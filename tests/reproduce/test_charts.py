import numpy as np
import pytest

from studio.reproduce import charts
from studio.reproduce.charts import Chart, Line, Mark

BLUE = charts.COLOURS[0]


def near(picture, colour):
    """Say which pixels are about of a colour."""
    return np.abs(picture.astype(int) - colour).max(axis=2) < 40


def test_a_curve_goes_from_corner_to_corner():
    line = Line("", (0, 1), (0, 1), BLUE)
    rows, columns = np.nonzero(near(charts.draw(Chart("Title", [line])), BLUE))
    # Up and to the right, straight.
    assert np.corrcoef(rows, columns)[0, 1] < -0.999
    assert np.ptp(columns) > 300
    assert np.ptp(rows) > 180


def test_bands_dashes_marks_and_legend_leave_ink():
    x, y = (0.0, 0.5, 1.0), (1.0, 2.0, 1.0)
    plain = charts.draw(Chart("", [Line("", x, y, BLUE)]))
    banded = charts.draw(Chart("", [Line("", x, y, BLUE, (1, 1, 1), (1, 3, 1))]))
    dashed = charts.draw(Chart("", [Line("", x, y, BLUE, dashed=True)]))
    named = charts.draw(Chart("", [Line("AEAI", x, y, BLUE)]))
    marked = charts.draw(Chart("", [Line("", x, y, BLUE)], marks=[Mark("A", 0.5, 1.5)]))
    assert plain.shape == banded.shape == (300, 520, 3)
    assert (banded < 250).any(axis=2).sum() > (plain < 250).any(axis=2).sum() + 1000
    assert near(dashed, BLUE).sum() < 0.7 * near(plain, BLUE).sum()
    # The legend takes its room from the curves.
    assert near(named, BLUE)[:, 430:].sum() < near(plain, BLUE)[:, 430:].sum()
    assert near(marked, charts.RED).sum() > 20
    assert near(plain, charts.RED).sum() == 0


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 0.0119, [0, 0.002, 0.004, 0.006, 0.008, 0.01]),
        (-30, 31, [-20, 0, 20]),
    ],
)
def test_ticks_are_round_numbers(low, high, ticks):
    assert charts._ticks(low, high) == pytest.approx(ticks)


def test_axes_start_at_nothing_where_values_are_large_beside_their_differences():
    assert charts._limits([0.2, 1.0])[0] == 0
    assert charts._limits([0.9, 1.0])[0] == pytest.approx(0.895)
    assert charts._limits([-1.0, 1.0]) == pytest.approx((-1.1, 1.1))
    assert charts._limits([]) == pytest.approx((0, 1.05))
    assert charts._limits([0.0, 0.0]) == (0, 1)
