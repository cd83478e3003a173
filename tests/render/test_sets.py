import pytest
import torch

from studio.errors import ConfigError
from studio.render import sets


def test_streams_repeat_and_depend_on_seed_and_name():
    draws = [
        sets.stream(seed, name).random() for seed, name in ((1, "a"), (1, "a"), (2, "a"), (1, "b"))
    ]
    assert draws[0] == draws[1]
    assert len(set(draws)) == 3


@pytest.mark.parametrize(("count", "tests"), [(576, 115), (72, 14), (10, 2), (2, 0), (0, 0)])
def test_a_fifth_is_held_out(count, tests):
    parts = sets.held_out(count, 0, "views")
    assert len(parts) == count
    assert parts.count(sets.TEST) == tests
    assert parts.count(sets.TRAIN) == count - tests
    assert parts == sets.held_out(count, 0, "views")


def test_the_table_is_written_last_and_never_twice(tmp_path):
    rows = [{"file": f"{number}.png"} for number in range(70)]
    seen = []

    def draw(part):
        assert not (tmp_path / "attributes.csv").exists()
        return torch.zeros(part.stop - part.start, 3, 8, 8)

    sets.write_set(tmp_path, rows, draw, lambda done, count: seen.append((done, count)))
    assert seen == [(64, 70), (70, 70)]
    assert len(list(tmp_path.glob("*.png"))) == 70
    with pytest.raises(ConfigError, match="has a data set already"):
        sets.write_set(tmp_path, rows, draw)
