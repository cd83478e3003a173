import math
from dataclasses import replace

import numpy as np
import pytest

from studio.explore import labels, measures
from studio.explore.measures import measure


@pytest.fixture
def numbers(draw):
    def make(found=None, key="attribute:Eyeglasses", **request):
        found = found or draw(**request)
        column = labels.column(found.codes.data, key, found.scores)
        return {one.key: one for one in measure(found, column)}

    return make


def test_every_number_says_how_to_read_it(numbers):
    found = numbers(method="tsne")
    assert set(found) == {
        *("explained_variance", "hopkins", "trustworthiness", "divergence", "silhouette"),
        *("purity", "mig", "dci_disentanglement", "dci_completeness", "dci_informativeness", "sap"),
    }
    for one in found.values():
        assert one.reading.endswith(".")
        assert not math.isnan(one.value)
    assert dict(found["purity"].beside)["chance"] == pytest.approx(0.5, abs=0.1)
    assert "Gaussian" in dict(found["hopkins"].beside)


def test_the_first_components_of_all_the_variance(draw, numbers):
    found = draw()
    own = numbers(found)["explained_variance"]
    whole = np.asarray(found.codes.matrix, np.float64).var(axis=0, ddof=1).sum()
    assert own.value == pytest.approx(found.points.var(axis=0, ddof=1).sum() / whole, rel=1e-3)
    shares = [share for _, share in own.beside]
    assert shares == sorted(shares)


def test_a_label_that_the_map_is_made_of_is_found_in_it(draw, numbers):
    found = draw()
    left = (found.points[:, 0] > np.median(found.points[:, 0])).astype(np.int8)
    rng = np.random.default_rng(0)
    data = replace(
        found.codes.data, attributes={"Left": left, "Any": rng.integers(0, 2, 40).astype(np.int8)}
    )
    known = replace(found, codes=replace(found.codes, data=data))
    own, chance = (numbers(known, f"attribute:{name}") for name in ("Left", "Any"))
    assert own["purity"].value > chance["purity"].value + 0.15
    assert own["silhouette"].value > chance["silhouette"].value


def test_without_factors_and_labels_only_the_map_is_measured(draw, numbers):
    found = draw()
    bare = replace(found.codes.data, factors={}, attributes={}, classes={})
    plain = replace(found, codes=replace(found.codes, data=bare))
    assert set(numbers(plain, "none:")) == {"explained_variance", "hopkins", "trustworthiness"}


def test_missing_labels_are_counted(draw, numbers):
    found = draw()
    values = found.codes.data.attributes["Eyeglasses"].copy()
    values[:15] = -1
    data = replace(found.codes.data, attributes={"Eyeglasses": values})
    own = numbers(replace(found, codes=replace(found.codes, data=data)))
    assert "25 pictures are labelled" in own["purity"].reading


def test_large_sets_are_sampled_where_forests_grow(draw, numbers, monkeypatch):
    seen = []
    plain = measures.disentanglement.dci

    def watched(space, values):
        seen.append(len(space))
        return plain(space, values)

    monkeypatch.setattr(measures, "MOST_ROWS", 30)
    monkeypatch.setattr(measures.disentanglement, "dci", watched)
    numbers()
    assert seen == [30]


def test_numbers_become_plain_json_values(numbers):
    one = next(iter(numbers().values()))
    assert replace(one, value=math.nan).to_dict()["value"] is None
    assert one.to_dict()["beside"] == dict(one.beside)
