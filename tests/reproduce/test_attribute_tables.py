"""The tables of faces from attributes, on the smallest of budgets."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from studio.checkpoints import CheckpointStore
from studio.errors import ConfigError
from studio.images import read_photo
from studio.methods import METHODS
from studio.reproduce import TABLES, ReproduceOptions, attributes

TINY = {
    "attribute-mapping": {**METHODS["attribute-mapping"].tiny.to_dict()},
    "dcgan": METHODS["dcgan"].tiny.to_dict(),
    "stargan": METHODS["stargan"].tiny.to_dict(),
}


def small(variant):
    own = {key: variant.fields[key] for key in variant.fields if key.endswith(("share", "weight"))}
    return replace(variant, fields={**TINY[variant.method], **own})


@pytest.fixture
def options(tmp_path, models, make_checkpoint, monkeypatch, heads_folder):
    make_checkpoint("attributes", "celeba-64")
    make_checkpoint("identity", "celeba-64")
    monkeypatch.setattr(attributes, "VARIANTS", tuple(map(small, attributes.VARIANTS)))
    monkeypatch.setattr(attributes.sliders, "FACES", 4)
    return ReproduceOptions(tmp_path / "out", heads_folder, models, 12, 1, 32, lambda line: None)


def read(options, name):
    with (options.output / f"{name}.csv").open() as file:
        table = list(csv.DictReader(file))
    values = json.loads((options.output / f"{name}.json").read_text())
    return table, values, read_photo(options.output / f"{name}.png")


def test_the_distance_of_generated_faces_beside_the_rivals(options):
    TABLES["attributes-fid"](options)
    table, values, figure = read(options, "attributes-fid")
    labels = ["Attribute mapping", "Without perceptual loss", "DCGAN", "StarGAN"]
    assert [row["method"] for row in table] == labels
    assert all(float(row["frechet"]) > 0 for row in table)
    assert [row["shown"] == "nan" for row in table] == [False, False, False, True]
    assert list(values["summary"]) == labels
    assert figure.pixels.std() > 0


def test_the_ablation_keeps_the_full_methods_autoencoder(options):
    TABLES["attributes-fid"](options)
    store = CheckpointStore(options.output / "checkpoints")
    names = [f"attribute-mapping.{tag}-32-12-seed0" for tag in ("full", "no-perceptual")]
    full, ablation = (store.load(name)[0].state_dict() for name in names)
    changed = {key.split(".")[0] for key in full if not np.array_equal(full[key], ablation[key])}
    assert "mapping" in changed
    assert not changed & {"encoder", "decoder", "classifier"}
    assert store.card(names[1]).parent == names[0]
    assert store.card(names[1]).config["perceptual_weight"] == 0


def test_edits_of_held_out_people_beside_the_rivals(options):
    TABLES["attributes-edits"](options)
    table, _, _ = read(options, "attributes-edits")
    assert {row["edit"] for row in table} == {"Smiling 1", "Eyeglasses 1"}
    assert len(table) == 4 * 2
    assert all(-1 <= float(row["towards"]) <= 1 for row in table)
    assert all(0 <= float(row["elsewhere"]) <= 1 for row in table)


def test_a_set_without_attributes_makes_no_faces(options, tmp_path, heads_folder):
    bare = tmp_path / "bare"
    bare.mkdir()
    for number in range(4):
        shutil.copy(heads_folder / f"{number:06d}.png", bare / f"{number}.png")
    rows = "".join(f"{number}.png,{number % 2 * 2}\n" for number in range(4))
    (bare / "attributes.csv").write_text("file,partition\n" + rows)
    with pytest.raises(ConfigError, match="no attributes to make faces from"):
        TABLES["attributes-fid"](replace(options, data=bare))
