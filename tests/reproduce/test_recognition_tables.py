"""Whether augmentation pays, on the smallest of budgets."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from studio.checkpoints import CheckpointStore
from studio.data.folder import open_set
from studio.errors import ConfigError
from studio.methods import METHODS
from studio.reproduce import TABLES, ReproduceOptions, attributes, recognition

TINY = {name: METHODS[name].tiny.to_dict() for name in ("attribute-mapping", "dcgan", "stargan")}


def small(variant):
    own = {key: variant.fields[key] for key in variant.fields if key.endswith(("share", "weight"))}
    return replace(variant, fields={**TINY[variant.method], **own})


@pytest.fixture
def options(tmp_path, models, monkeypatch, heads_folder):
    ours, ablation, dcgan, stargan = map(small, attributes.VARIANTS)
    monkeypatch.setattr(recognition, "OURS", ours)
    monkeypatch.setattr(recognition, "ABLATION", ablation)
    monkeypatch.setattr(recognition, "RECOGNIZER", {"width": 4})
    regimes = [
        recognition.Regime("StarGAN, doubling", {}, stargan, "doubling"),
        recognition.Regime("DCGAN, balancing", {}, dcgan),
        recognition.Regime("Without perceptual loss, balancing", {}, ablation),
        recognition.Regime("Attribute mapping, balancing", {}, ours),
    ]
    monkeypatch.setattr(recognition, "MADE", tuple(regimes))
    monkeypatch.setattr(recognition, "AMOUNTS", (0.5,))
    monkeypatch.setattr(recognition, "RECURSIONS", 2)
    monkeypatch.setattr(recognition, "THIRTEEN", ("Smiling", "Eyeglasses", "Mustache"))
    monkeypatch.setattr(recognition.generation, "OURS", ours)
    return ReproduceOptions(tmp_path / "out", heads_folder, models, 12, 1, 32, lambda line: None)


def read(options, name):
    with (options.output / f"{name}.csv").open() as file:
        table = list(csv.DictReader(file))
    return table, json.loads((options.output / f"{name}.json").read_text())["summary"]


def cards(options):
    store = CheckpointStore(options.output / "checkpoints")
    return {card.name: card for card in store.cards()}


def test_recognizers_with_and_without_what_was_made(options):
    TABLES["attributes-augmentation"](options)
    table, summary = read(options, "attributes-augmentation")
    labels = [row["method"] for row in table]
    assert labels[:5] == [
        *("Without augmentation", "Random flipping", "Random cropping", "Random erasing"),
        "Trained properly",
    ]
    assert len(labels) == 9
    assert all(0 <= float(row["balanced_accuracy"]) <= 1 for row in table)
    assert summary["means"]["Trained properly"]["gain"] == 0
    own = {name: card for name, card in cards(options).items() if card.method == "attributes"}
    assert len(own) == 9
    plain = next(card for name, card in own.items() if "without-augmentation" in name)
    assert (plain.config["spoil"], plain.config["flip"]) == ("", False)
    added = next(card for name, card in own.items() if "attribute-mapping-balancing" in name)
    assert " with attribute-mapping.full" in added.data_set
    # Nothing is trained twice.
    before = {name: card.hashes for name, card in cards(options).items()}
    TABLES["attributes-augmentation"](options)
    assert {name: card.hashes for name, card in cards(options).items()} == before


def test_the_scores_are_those_of_held_out_photographs(options, models):
    trials = recognition.Trials(options, attributes.open_faces(options))
    loaded = trials.models.get(trials.recognizer(recognition.WITHOUT, 0))
    scores = trials.test(loaded, "test")
    data = trials.faces.test
    pictures = recognition.to_device(data.pictures(32), options.models.device)
    guesses = loaded.model(pictures).detach().numpy() > 0
    labels = data.attribute_matrix(loaded.card.spec.attributes)
    for column, name in enumerate(loaded.card.spec.attributes):
        known = labels[:, column] >= 0
        expected = (guesses[known, column] == (labels[known, column] == 1)).mean()
        assert scores.accuracy[column] == pytest.approx(expected), name
    assert scores.numbers()["accuracy"] == pytest.approx(np.nanmean(scores.accuracy))


def test_thirteen_attributes_are_learnt_alone(options):
    TABLES["attributes-13"](options)
    (narrowed,) = [folder for folder in options.output.glob("heads-2") if folder.is_dir()]
    assert list(open_set(narrowed).attributes) == ["Smiling", "Eyeglasses"]
    specs = {tuple(card.spec.attributes) for card in cards(options).values()}
    assert specs == {("Smiling", "Eyeglasses")}


def test_a_set_without_any_of_the_thirteen_is_refused(options, monkeypatch):
    monkeypatch.setattr(recognition, "THIRTEEN", ("Mustache",))
    with pytest.raises(ConfigError, match="has none of Mustache"):
        TABLES["attributes-13"](options)


def test_the_classifier_is_trained_again_on_what_it_helped_to_make(options):
    TABLES["attributes-recursion"](options)
    table, _ = read(options, "attributes-recursion")
    assert [row["method"] for row in table] == ["1 times", "2 times"]
    again = cards(options)["attribute-mapping.turn2-32-12"]
    assert again.parent.startswith("attribute-mapping.full")
    assert " with attribute-mapping.full" in again.data_set


def test_every_attribute_has_its_own_score(options):
    TABLES["attributes-per-class"](options)
    table, _ = read(options, "attributes-per-class")
    names = next(iter(cards(options).values())).spec.attributes
    assert [row["attribute"] for row in table[: len(names)]] == list(names)
    assert len(table) == 4 * len(names)


def test_the_amount_is_chosen_by_the_validation_part(options):
    TABLES["attributes-size"](options)
    table, summary = read(options, "attributes-size")
    assert [float(row["amount"]) for row in table] == [0.0, 0.5]
    best = max(table, key=lambda row: float(row["validation_accuracy"]))
    assert summary["chosen_by_validation"] == float(best["amount"])
