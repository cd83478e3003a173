from dataclasses import replace

import numpy as np
import pytest

from studio.errors import ConfigError
from studio.explore import labels
from studio.explore.labels import column

SCORES = np.concatenate([np.zeros((20, 3)), np.full((20, 3), 9.0)]).astype(np.float32)


def test_a_set_offers_what_it_knows(heads_set):
    known = dict(labels.choices(heads_set))
    assert known["attribute:Eyeglasses"] == "Eyeglasses"
    assert "factor:factor_yaw" in known
    assert "class:expression" in known
    # Where the eyes are is the same in all pictures.
    assert "factor:left_eye_x" not in known
    assert labels.first(heads_set) == "attribute:Eyeglasses"
    assert labels.first(heads_set, "class:expression") == "class:expression"
    assert labels.first(heads_set, "class:nothing") == "attribute:Eyeglasses"


def test_missing_labels_are_unknown(heads_set):
    values = heads_set.attributes["Smiling"].copy()
    values[:4] = -1
    data = replace(heads_set, attributes={"Smiling": values})
    found = column(data, "attribute:Smiling", SCORES)
    assert found.values == ("Without", "With")
    assert found.unknown == 4
    np.testing.assert_array_equal(found.codes, values)


def test_many_classes_share_a_colour(heads_set):
    names = np.array([f"p{number % 15:02d}" for number in range(40)])
    names[:3] = ""
    found = column(replace(heads_set, classes={"who": names}), "class:who", SCORES)
    assert len(found.values) == labels.MOST_CLASSES + 1
    assert found.values[-1] == labels.OTHERS
    assert list(found.values[:-1]) == sorted(found.values[:-1])
    assert found.unknown == 3
    for row in range(3, 40):
        own = found.values[found.codes[row]]
        assert own in (names[row], labels.OTHERS)


def test_numbers_as_classes_stand_in_their_order(heads_set):
    names = np.array([str(number % 4 * 5) for number in range(40)])
    found = column(replace(heads_set, classes={"step": names}), "class:step", SCORES)
    assert found.values == ("0", "5", "10", "15")


def test_a_factor_is_cut_into_equally_full_ranges(heads_set):
    values = np.arange(40.0) ** 2
    values[7] = np.nan
    data = replace(heads_set, factors={"factor_a": values, "factor_b": np.arange(40.0) % 3})
    found = column(data, "factor:factor_a", SCORES)
    assert found.ordered
    assert len(found.values) == labels.BINS
    assert found.codes[7] == -1
    counts = np.bincount(found.codes[found.codes >= 0])
    assert counts.max() - counts.min() <= 1
    assert (np.diff(found.codes[found.codes >= 0]) >= 0).all()
    assert column(data, "factor:factor_b", SCORES).values == ("0", "1", "2")


def test_clusters_are_those_of_the_latents(heads_set):
    found = column(heads_set, "cluster:", SCORES)
    assert found.values == ("Cluster 1", "Cluster 2")
    assert len(set(found.codes[:20].tolist())) == 1
    assert found.codes[0] != found.codes[20]
    alike = column(heads_set, "cluster:", np.zeros((40, 3), np.float32))
    assert alike.values == ("All",)


def test_an_unknown_label_is_refused_with_those_there_are(heads_set):
    with pytest.raises(ConfigError, match="cannot be coloured by 'attribute:Beard'; it has attrib"):
        column(heads_set, "attribute:Beard", SCORES)


def test_a_picture_is_told_by_what_is_known_of_it(heads_set):
    row = int(np.flatnonzero(heads_set.attributes["Eyeglasses"] == 1)[0])
    told = labels.told(heads_set, row)
    assert "Eyeglasses" in told
    assert any(line.startswith("Expression: ") for line in told)
    assert any(line.startswith("Yaw: ") for line in told)
