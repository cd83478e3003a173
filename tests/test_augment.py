import csv
import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from studio import augment as module
from studio import keeping
from studio.augment import (
    MANIFEST,
    AugmentReport,
    AugmentRequest,
    Balance,
    Spread,
    augment,
    class_counts,
    dynamic_balancing,
    joint_counts,
    random_doubling,
)
from studio.data.folder import PARTITIONS, TABLE, FolderSource, open_set
from studio.errors import ConfigError, DataError, UnsupportedError
from studio.images import save_png, to_images, to_pictures
from studio.methods.attribute_mapping import as_inputs
from studio.metrics.reconstruction import ssim

MAPPING = "attribute-mapping.tiny"
STARGAN = "stargan.tiny"
CLASSIFIER = "attributes.tiny"
KNOWN = ("Eyeglasses", "Smiling")


def set_batch(monkeypatch, size):
    for user in (module.part, module.work):
        monkeypatch.setattr(user, "BATCH", size)


PLAIN = AugmentRequest(MAPPING, strategy="balancing", most=1)


LABELS = st.tuples(st.integers(1, 12), st.integers(2, 6)).flatmap(
    lambda shape: arrays(np.int8, shape, elements=st.sampled_from([-1, 0, 1]))
)


def long_tail(count=2000, attributes=40, seed=0):
    """Return labels whose attributes are there in 2 to 80 percent of the pictures."""
    shares = np.geomspace(0.8, 0.02, attributes)
    return (np.random.default_rng(seed).random((count, attributes)) < shares).astype(np.int8)


# Plans.


@given(LABELS)
def test_counts_are_those_of_single_attributes_and_of_pairs(labels):
    pairs = joint_counts(labels)
    for one in range(labels.shape[1]):
        assert class_counts(labels)[one] == sum(row[one] == 1 for row in labels)
        for other in range(labels.shape[1]):
            expected = sum(row[one] == 1 and row[other] == 1 for row in labels)
            assert pairs[one, other] == expected


def test_spread_and_balance_say_how_unequal_counts_are():
    labels = np.array([[1, 0, 0], [1, 1, -1]], np.int8)
    balance = Balance.of(("A", "B", "C"), labels, np.array([[0, 1, 1]], np.int8))
    assert balance.counts_before == (2, 1, 0)
    assert balance.counts_after == (2, 2, 1)
    assert (balance.pictures_before, balance.pictures_after) == (2, 3)
    assert balance.before == Spread(pytest.approx(np.sqrt(2 / 3)), 0, 2)
    assert balance.after == Spread(pytest.approx(np.sqrt(2) / 3), 1, 2)
    assert balance.to_dict()["attributes"]["C"] == {"before": 0, "after": 1}
    assert balance.to_dict()["spread"]["after"]["most"] == 2


@given(LABELS, st.integers(0, 2**32))
def test_doubling_flips_one_known_label_of_each_picture(labels, seed):
    labels = labels[(labels >= 0).any(axis=1)]
    if not len(labels):
        return
    before = labels.copy()
    plan = random_doubling(labels, seed)
    assert plan.sources.tolist() == list(range(len(labels)))
    changed = plan.targets != labels
    assert (changed.sum(axis=1) == 1).all()
    assert (labels[changed] >= 0).all()
    assert (plan.targets[changed] == 1 - labels[changed]).all()
    assert np.array_equal(labels, before)


def test_doubling_flips_every_attribute_alike_and_as_the_seed_says():
    labels = long_tail()
    flips = (random_doubling(labels, 3).targets != labels).sum(axis=0)
    assert flips.min() > 25
    assert flips.max() < 85
    assert np.array_equal(random_doubling(labels, 3).targets, random_doubling(labels, 3).targets)
    assert not np.array_equal(
        random_doubling(labels, 3).targets, random_doubling(labels, 4).targets
    )


def balanced(labels, sources, counts, most):
    """Set labels as the paper says, slowly."""
    counts, made = list(counts), []
    for source in sources:
        row = labels[source].tolist()
        order = sorted(range(len(row)), key=lambda column: (counts[column], column))
        for column in order[-most:]:
            row[column] = 0
        for column in order[:most]:
            row[column] = 1
        counts = [count + (value == 1) for count, value in zip(counts, row, strict=True)]
        made.append(row)
    return made


@given(LABELS, st.integers(1, 30), st.integers(0, 2**32))
def test_balancing_ranks_the_counts_anew_before_each_picture(labels, count, seed):
    before = labels.copy()
    most = labels.shape[1] // 2
    plan = dynamic_balancing(labels, count, seed, most)
    expected = balanced(labels, plan.sources, class_counts(labels), most)
    assert plan.targets.tolist() == expected
    assert len(plan) == count
    assert np.array_equal(labels, before)


def test_balancing_goes_through_all_pictures_in_ever_new_orders():
    labels = long_tail(50)
    sources = dynamic_balancing(labels, 120, seed=1).sources
    rounds = [sources[:50], sources[50:100]]
    assert [sorted(one) for one in rounds] == [list(range(50))] * 2
    assert not np.array_equal(*rounds)
    assert len(set(sources[100:])) == 20
    assert not np.array_equal(sources, dynamic_balancing(labels, 120, seed=2).sources)


def test_balancing_halves_the_spread_and_doubling_does_not():
    labels = long_tail()
    spread = Spread.of(class_counts(labels)).deviation
    for plan, halved in (
        (dynamic_balancing(labels, len(labels), seed=0), True),
        (random_doubling(labels, seed=0), False),
    ):
        balance = Balance.of(range(40), labels, plan.targets)
        assert (balance.after.deviation < spread / 2) == halved


def test_equal_counts_make_a_plan():
    assert dynamic_balancing(np.ones((3, 4), np.int8), 5, seed=0, most=2).targets.shape == (5, 4)


@pytest.mark.parametrize(
    ("shape", "count", "most", "message"),
    [
        ((5, 3), 4, 2, r"2 commonest .* there are 3 attributes .* from 1 to 1"),
        ((5, 40), 4, 21, "from 1 to 20"),
        ((5, 40), 4, 0, "from 1 to 20"),
        ((5, 1), 4, 1, "share 2 attributes or more"),
        ((0, 40), 4, 8, "no training pictures"),
        ((5, 0), 4, 8, "no attributes"),
        ((5, 40), 0, 8, "asked for 0 new pictures"),
    ],
)
def test_balancing_plans_that_cannot_be_are_refused(shape, count, most, message):
    with pytest.raises(ConfigError, match=message):
        dynamic_balancing(np.zeros(shape, np.int8), count, 0, most)


def test_doubling_needs_pictures_and_a_known_label_in_each():
    with pytest.raises(ConfigError, match="no training pictures"):
        random_doubling(np.zeros((0, 2), np.int8), 0)
    labels = np.array([[0, 1], [-1, -1], [1, -1]], np.int8)
    with pytest.raises(ConfigError, match="1 of 3 training pictures"):
        random_doubling(labels, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strategy": "tripling"}, "no strategy 'tripling'; there are doubling and balancing"),
        ({"source": "video"}, "no source 'video'"),
        ({"variation": 1.5}, r"variation must be .* not 1\.5"),
        ({"ssim": float("nan")}, "ssim must be"),
        ({"agreement": -0.1}, "agreement must be"),
        ({"amount": 0}, "amount must be"),
        ({"amount": float("inf")}, "amount must be"),
        ({"strategy": "doubling", "amount": 2.0}, "choose balancing"),
        ({"seed": -1}, "seed must be"),
        ({"most": 1.5}, "most must be a whole number"),
    ],
)
def test_requests_that_make_no_sense_are_refused(changes, message):
    PLAIN.check()
    with pytest.raises(ConfigError, match=message):
        replace(PLAIN, **changes).check()


def test_the_agreement_that_is_asked_for_depends_on_the_strategy():
    assert PLAIN.least == {}
    judged = replace(PLAIN, classifier=CLASSIFIER)
    assert judged.least == {"agreement": 0.6}
    assert replace(judged, strategy="doubling").least == {"agreement": 1.0}
    assert replace(judged, agreement=0.0, ssim=0.3).least == {"agreement": 0.0, "ssim": 0.3}


# Carrying plans out.


@pytest.fixture
def checkpoints(make_checkpoint):
    for method in ("attribute-mapping", "dcgan", "stargan", "attributes", "identity", "genegan"):
        make_checkpoint(method)


@pytest.fixture
def small_batches(monkeypatch):
    set_batch(monkeypatch, 8)


@pytest.fixture
def make(checkpoints, models, heads_set, tmp_path):
    """Return a function that augments the rendered heads."""

    def run(request=PLAIN, name="new", data=heads_set, stop_after=None, calls=None, **changes):
        asked = []

        def stopped():
            asked.append(None)
            return stop_after is not None and len(asked) > stop_after

        def progress(done, total):
            if calls is not None:
                calls.append((done, total))

        request = replace(request, **changes)
        return augment(models, request, data, tmp_path / name, progress, stopped)

    return run


@pytest.fixture
def training(heads_set):
    return heads_set.part("train")


@pytest.fixture
def judged_as(models, checkpoints, monkeypatch):
    """Return a function that lets the classifier say what another function says."""

    def use(logits):
        monkeypatch.setattr(models.get(CLASSIFIER).model, "forward", logits)

    return use


def always(*logits):
    return lambda images: torch.tensor([logits]).expand(len(images), -1)


def fickle(images):
    """Judge by the last digits of the brightness: as good as chance, but always the same."""
    digits = (images.double().mean(dim=(2, 3)) * 1e4).floor()[:, :2]
    return torch.where(digits.remainder(2) == 0, 1.0, -1.0)


def manifest(folder):
    return [json.loads(line) for line in (folder / MANIFEST).read_text().splitlines()]


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def targets_of(entries, data, names=KNOWN):
    """Return the labels that manifest lines describe, and the rows they come from."""
    sources = [entry["source_row"] for entry in entries]
    labels = data.attribute_matrix(names)[sources]
    for row, entry in zip(labels, entries, strict=True):
        for change in entry["operations"]:
            column = names.index(change["attribute"])
            assert change["from"] == row[column]
            row[column] = change["to"]
    return labels, sources


def written(folder, entry):
    with Image.open(folder / entry["file"]) as opened:
        return np.array(opened)


def assert_alike(made, picture):
    """Compare images of a batch of one with a file's pixels, which may round otherwise."""
    assert np.abs(to_pictures(made)[0].astype(int) - picture).max() <= 1


def noise_of(entry, size, variation=1.0):
    rng = torch.Generator().manual_seed(entry["noise_seed"])
    return variation * torch.randn(1, size, generator=rng)


def test_doubling_makes_a_set_with_one_label_flipped_per_training_picture(
    make, tmp_path, heads_set, training
):
    report = make(strategy="doubling")
    assert report.finished
    assert not report.resumed
    assert report.output == tmp_path / "new"
    assert not (tmp_path / "new.part").exists()
    new = open_set(tmp_path / "new")
    assert len(new) == report.accepted == report.made == report.total == len(training) < 40
    assert set(new.partition) == {PARTITIONS["train"]}
    # A picture from attributes has no labels but those that went into it.
    assert tuple(new.attributes) == KNOWN
    labels, sources = targets_of(manifest(report.output), heads_set)
    assert np.array_equal(new.attribute_matrix(KNOWN), labels)
    assert sources == np.flatnonzero(heads_set.partition == 0).tolist()
    assert (labels != training.attribute_matrix(KNOWN)).sum(axis=1).tolist() == [1] * len(new)
    assert class_counts(labels).tolist() == [
        after - before
        for before, after in zip(
            report.balance.counts_before, report.balance.counts_after, strict=True
        )
    ]


def test_balancing_in_batches_carries_out_the_plan(make, small_batches, heads_set, training):
    calls = []
    report = make(amount=1.5, calls=calls)
    own = training.attribute_matrix(KNOWN)
    plan = dynamic_balancing(own, round(1.5 * len(training)), seed=0, most=1)
    labels, sources = targets_of(manifest(report.output), heads_set)
    assert np.array_equal(labels, plan.targets)
    assert sources == np.flatnonzero(heads_set.partition == 0)[plan.sources].tolist()
    assert report.balance == Balance.of(KNOWN, own, plan.targets)
    assert calls == [*((done, 51) for done in range(0, 51, 8)), (51, 51)]


def test_unaligned_data_makes_an_unaligned_set(make, make_checkpoint, spec, heads_set, tmp_path):
    make_checkpoint(
        "dcgan", "free", data=replace(spec, alignment="none", attributes=KNOWN).to_dict()
    )
    report = make(checkpoint="dcgan.free", data=replace(heads_set, alignment="none"))
    assert open_set(report.output).alignment == "none"


def test_unknown_labels_stay_unknown(make, heads_set, tmp_path):
    attributes = dict(heads_set.attributes)
    attributes["Smiling"] = np.full(40, -1, np.int8)
    data = replace(heads_set, attributes=attributes)
    report = make(data=data, strategy="doubling")
    assert (open_set(report.output).attributes["Smiling"] == -1).all()
    report = make(data=data, name="balanced", amount=0.2)
    # Nobody is known to smile, so smiles are the rarest and are set.
    assert manifest(report.output)[0]["operations"][-1] == {
        "attribute": "Smiling",
        "from": None,
        "to": 1,
    }


def test_the_manifest_says_how_to_make_each_picture_again(make, models, small_batches, heads_set):
    report = make(variation=0.5, amount=0.6)
    loaded = models.get(MAPPING)
    entries = manifest(report.output)
    labels, _ = targets_of(entries, heads_set)
    for entry, row in zip(entries, labels, strict=True):
        assert entry["checkpoint"] == MAPPING
        assert entry["checkpoint_sha256"] == loaded.card.hashes["model.safetensors"]
        assert entry["source"] == heads_set.files[entry["source_row"]]
        noise = noise_of(entry, loaded.model.noise_size, 0.5)
        made = loaded.model.generate(as_inputs(torch.from_numpy(row[None]).long()), noise)
        assert_alike(made, written(report.output, entry))
    # Neither another picture nor another request has the same noise.
    others = manifest(make(seed=1, amount=0.6, name="other").output)
    assert len({entry["noise_seed"] for entry in (*entries, *others)}) == 2 * len(entries)


def test_without_variation_equal_labels_make_equal_pictures(make, heads_set):
    for variation, alike in ((0.0, True), (1.0, False)):
        report = make(variation=variation, name=f"by {variation}")
        entries = manifest(report.output)
        labels, _ = targets_of(entries, heads_set)
        same = [
            written(report.output, entry)
            for entry, row in zip(entries, labels.tolist(), strict=True)
            if row == labels[0].tolist()
        ]
        assert len(same) > 5
        assert (max(np.ptp(np.stack(same).astype(int), axis=0).ravel()) <= 1) == alike


def test_photographs_are_moved_along_their_own_latents(make, models, heads_set):
    report = make(source="photo", strategy="doubling", ssim=0.01)
    model = models.get(MAPPING).model
    entries = manifest(report.output)
    labels, sources = targets_of(entries, heads_set)
    own = torch.from_numpy(heads_set.attribute_matrix(KNOWN)[sources]).float()
    after = torch.from_numpy(labels).float()
    pictures = np.array(heads_set.pictures(32)[sources])
    for row, entry in enumerate(entries):
        codes = model.encode(to_images(pictures[row]))
        moved = model.edit(codes, own[row : row + 1], after[row : row + 1])
        assert_alike(model.decode(moved), written(report.output, entry))
        again = to_images(to_pictures(model.decode(codes)))
        made = to_images(written(report.output, entry))
        assert entry["scores"]["ssim"] == pytest.approx(ssim(made, again)[0], abs=0.02)
        assert entry["noise_seed"] is None
    # The face stays, and with it what the plan did not change.
    new = open_set(report.output)
    assert set(new.attributes) == set(heads_set.attributes)
    for name in heads_set.attributes.keys() - set(KNOWN):
        assert np.array_equal(new.attributes[name], heads_set.attributes[name][sources])


def test_a_translator_changes_the_photograph_itself(make, models, heads_set):
    report = make(checkpoint=STARGAN, source="photo", strategy="doubling", ssim=0.01)
    model = models.get(STARGAN).model
    entries = manifest(report.output)
    assert len(entries) > 5
    labels, sources = targets_of(entries, heads_set)
    for entry, row, source in zip(entries, labels, sources, strict=True):
        original = to_images(np.array(heads_set.pictures(32)[source]))
        made = model(original, torch.from_numpy(row[None]).long())
        assert_alike(made, written(report.output, entry))
        score = ssim(to_images(written(report.output, entry)), original)[0]
        assert entry["scores"] == {"ssim": pytest.approx(score, abs=1e-9)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoint": "dcgan.tiny", "source": "photo"}, "changes no attributes of photographs"),
        ({"checkpoint": STARGAN}, "makes no pictures from attributes alone"),
        ({"checkpoint": "genegan.tiny"}, "makes no pictures from attributes alone"),
        ({"checkpoint": "genegan.tiny", "source": "photo"}, "changes no attributes"),
        ({"classifier": "identity.tiny"}, "does not read attributes"),
        ({"classifier": MAPPING}, "does not read attributes"),
    ],
)
def test_checkpoints_that_cannot_are_refused(make, tmp_path, changes, message):
    with pytest.raises(UnsupportedError, match=message):
        make(**changes)
    assert not (tmp_path / "new.part").exists()


def test_data_that_does_not_fit_the_checkpoint_is_refused(make, heads_set, tmp_path):
    with pytest.raises(UnsupportedError, match="alignment celeba, but those of heads are"):
        make(data=replace(heads_set, alignment="none"))
    strange = replace(heads_set, attributes={"Bald": heads_set.attributes["Bald"]})
    with pytest.raises(UnsupportedError, match=f"labels Bald, none of which {MAPPING} knows"):
        make(data=strange)
    fewer = {name: heads_set.attributes[name] for name in ("Bald", "Eyeglasses")}
    with pytest.raises(UnsupportedError, match="also translates Smiling"):
        make(
            data=replace(heads_set, attributes=fewer),
            checkpoint=STARGAN,
            source="photo",
            strategy="doubling",
        )
    with pytest.raises(ConfigError, match="there are 2 attributes to plan with"):
        make(most=8)
    with pytest.raises(ConfigError, match="asked for 0 new pictures"):
        make(amount=0.001)
    with pytest.raises(ConfigError, match="no training pictures"):
        make(data=heads_set.part("test"))
    assert not (tmp_path / "new.part").exists()


def test_attributes_that_a_checkpoint_does_not_know_are_left_out_by_name(
    make, make_checkpoint, spec
):
    make_checkpoint(
        "attributes",
        "other",
        data=replace(spec, attributes=("Bald", "Smiling")).to_dict(),
    )
    report = make(strategy="doubling", classifier="attributes.other", agreement=0.0)
    assert report.balance.names == ("Smiling",)
    assert "Bald" in report.left_out[MAPPING]
    assert "Eyeglasses" not in report.left_out[MAPPING]
    assert "Eyeglasses" in report.left_out["attributes.other"]
    assert f"because {MAPPING} does not know them: Sunglasses" in report.text()
    # What the plan leaves alone still went into the picture.
    assert tuple(open_set(report.output).attributes) == KNOWN


def test_the_classifier_accepts_what_it_recognizes_of_the_change(make, judged_as, training):
    judged_as(always(1.0, -1.0))
    report = make(strategy="doubling", classifier=CLASSIFIER)
    changes = [entry["operations"][0] for entry in manifest(report.output)]
    seen = {("Eyeglasses", 1), ("Smiling", 0)}
    assert {(change["attribute"], change["to"]) for change in changes} == seen
    labels = training.attribute_matrix(KNOWN)
    plan = random_doubling(labels, seed=0)
    flips = plan.targets - labels
    right = int(((flips[:, 0] == 1) | (flips[:, 1] == -1)).sum())
    assert 0 < right < len(labels)
    assert report.accepted == right
    assert report.rejected == {"agreement": len(labels) - right}
    assert {entry["scores"]["agreement"] for entry in manifest(report.output)} == {1.0}
    accepted = plan.targets[(flips[:, 0] == 1) | (flips[:, 1] == -1)]
    assert report.balance == Balance.of(KNOWN, labels, accepted)


def test_agreement_is_a_share_of_the_changed_attributes(make, judged_as, training, heads_set):
    # Two labels of each picture are set; the classifier sees both attributes everywhere.
    judged_as(always(1.0, 1.0))
    half = manifest(make(classifier=CLASSIFIER, agreement=0.5, name="half").output)
    scores = {
        tuple(change["to"] for change in entry["operations"]): entry["scores"]["agreement"]
        for entry in half
    }
    assert scores.items() <= {(): 1.0, (1,): 1.0, (1, 0): 0.5, (0, 1): 0.5}.items()
    assert 0.5 in scores.values()
    # Where nothing had to be changed, there is nothing to disagree with.
    assert () in scores
    whole = manifest(make(classifier=CLASSIFIER, agreement=1.0, name="whole").output)
    assert {entry["scores"]["agreement"] for entry in whole} == {1.0}


def test_the_classifier_sees_pictures_of_its_own_size_as_they_are_written(
    make, make_checkpoint, models, spec, monkeypatch
):
    make_checkpoint("attributes", "large", data=replace(spec, size=64).to_dict())
    shapes, written = [], []

    def look(images):
        shapes.append(tuple(images.shape))
        written.append(images)
        return torch.ones(len(images), 2)

    monkeypatch.setattr(models.get("attributes.large").model, "forward", look)
    make(classifier="attributes.large", agreement=0.0, amount=0.2)
    assert shapes == [(7, 3, 64, 64)]
    monkeypatch.setattr(models.get(CLASSIFIER).model, "forward", look)
    report = make(classifier=CLASSIFIER, agreement=0.0, amount=0.2, name="small")
    files = [Image.open(file) for file in sorted(report.output.glob("*.png"))]
    assert torch.equal(written[-1], to_images(np.stack([np.asarray(file) for file in files])))


def test_balancing_counts_only_what_is_accepted(make, judged_as, monkeypatch, heads_set, training):
    set_batch(monkeypatch, 1)
    judged_as(fickle)
    report = make(classifier=CLASSIFIER, agreement=1.0)
    assert report.accepted == report.total == len(training)
    assert report.rejected["agreement"] == report.made - report.accepted > 5
    labels, sources = targets_of(manifest(report.output), heads_set)
    counts = class_counts(training.attribute_matrix(KNOWN))
    own = heads_set.attribute_matrix(KNOWN)
    assert labels.tolist() == balanced(own, sources, counts, most=1)


def test_the_likeness_filter_keeps_what_is_like_enough(make):
    free = manifest(make(strategy="doubling", ssim=1e-6, name="free").output)
    scores = [entry["scores"]["ssim"] for entry in free]
    least = float(np.median(scores))
    assert 0 < min(scores) < least < max(scores) <= 1
    report = make(strategy="doubling", ssim=least, name="filtered")
    kept = [entry["source"] for entry in manifest(report.output)]
    assert kept == [entry["source"] for entry in free if entry["scores"]["ssim"] >= least]
    assert report.rejected == {"ssim": report.made - len(kept)}
    assert f"{report.made - len(kept)} refused: too unlike" in report.text()


def test_faces_are_compared_with_those_of_the_own_labels_and_the_same_noise(
    make, models, heads_set
):
    report = make(ssim=1e-6, amount=0.3, variation=0.7)
    model = models.get(MAPPING).model
    entries = manifest(report.output)
    for entry in entries:
        own = heads_set.attribute_matrix(KNOWN)[[entry["source_row"]]]
        noise = noise_of(entry, model.noise_size, 0.7)
        face = model.generate(as_inputs(torch.from_numpy(own).long()), noise)
        score = ssim(to_images(written(report.output, entry)), to_images(to_pictures(face)))[0]
        assert entry["scores"]["ssim"] == pytest.approx(score, abs=0.02)


# Stopping, and going on.


FILTERED = replace(PLAIN, classifier=CLASSIFIER, agreement=0.5, ssim=1e-6)
VARIANTS = pytest.mark.parametrize(
    "request_",
    [FILTERED, replace(FILTERED, strategy="doubling"), replace(FILTERED, source="photo")],
    ids=("balancing", "doubling", "photo"),
)


@VARIANTS
def test_stopping_and_going_on_gives_the_same_bytes(
    make, judged_as, small_batches, tmp_path, request_
):
    judged_as(fickle)
    whole = make(request_, name="whole")
    assert 0 < whole.accepted < whole.made
    stops = [make(request_, stop_after=batches) for batches in (0, 1, 2)]
    assert [(stop.finished, stop.resumed) for stop in stops] == [
        (False, False),
        (False, True),
        (False, True),
    ]
    assert [stop.made for stop in stops] == [0, 8, 24]
    assert stops[1].output == tmp_path / "new.part"
    assert f"goes on from {tmp_path / 'new.part'}" in stops[1].text()
    assert not (tmp_path / "new").exists()
    last = make(request_)
    assert last.finished
    assert last.resumed
    assert contents(last.output) == contents(whole.output)
    assert replace(last, output=whole.output, seconds=0, resumed=False) == replace(whole, seconds=0)


class Killed(BaseException):
    """Nothing that a program expects."""


def breaking_png(monkeypatch, after, error):
    """Let the picture behind so many others be written by half, then raise."""
    begun = []

    def save(target, picture):
        begun.append(target)
        if len(begun) == after + 1:
            save_png(target, picture)
            whole = Path(target).read_bytes()
            Path(target).write_bytes(whole[: len(whole) // 2])
            raise error
        save_png(target, picture)

    monkeypatch.setattr(module.part.images, "save_png", save)
    return begun


def test_a_killed_run_goes_on_behind_its_last_whole_batch(
    make, judged_as, small_batches, monkeypatch
):
    judged_as(fickle)
    whole = make(FILTERED, name="whole")
    with monkeypatch.context() as patch:
        breaking_png(patch, 9, Killed())
        with pytest.raises(Killed):
            make(FILTERED)
    report = make(FILTERED)
    assert report.resumed
    assert contents(report.output) == contents(whole.output)


@pytest.mark.parametrize("after", [0, 3, 9, 20])
def test_a_full_disk_leaves_whole_pictures_and_a_run_that_goes_on(
    make, judged_as, small_batches, monkeypatch, tmp_path, after
):
    judged_as(fickle)
    whole = make(FILTERED, name="whole")
    part = tmp_path / "new.part"
    with monkeypatch.context() as patch:
        begun = breaking_png(patch, after, OSError(errno.ENOSPC, "No space left on device"))
        with pytest.raises(DataError, match=r"No space left .* make room .* same command") as full:
            make(FILTERED)
    assert str(part) in str(full.value)
    assert len(begun) == after + 1
    listed = manifest(part) if (part / MANIFEST).exists() else []
    assert f"The {len(listed)} pictures before are kept" in str(full.value)
    assert len(listed) <= after
    assert {file.name for file in part.glob("*.png")} == {entry["file"] for entry in listed}
    for entry in listed:
        written(part, entry)
    assert contents(make(FILTERED).output) == contents(whole.output)


def test_a_disk_that_fills_up_under_the_state_loses_only_that_batch(
    make, small_batches, monkeypatch, tmp_path
):
    whole = make(name="whole")
    write_text = Path.write_text
    states = []

    def write(path, text, **options):
        states.append(path)
        if len(states) == 3:
            write_text(path, text[: len(text) // 2], **options)
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_text(path, text, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", write)
        with pytest.raises(DataError, match="The 8 pictures before are kept"):
            make()
    assert len(list((tmp_path / "new.part").glob("*.png"))) == len(manifest(tmp_path / "new.part"))
    assert not list((tmp_path / "new.part").glob("*.part"))
    assert contents(make().output) == contents(whole.output)


def test_a_disk_that_fills_up_under_the_table_leaves_none(make, monkeypatch, tmp_path):
    whole = make(name="whole")

    class Full(csv.DictWriter):
        def writerows(self, rows):
            super().writerows([next(rows)])
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module.part.csv, "DictWriter", Full)
        with pytest.raises(DataError, match="No space left"):
            make()
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "new.part" / TABLE).exists()
    report = make()
    assert report.resumed
    assert contents(report.output) == contents(whole.output)


def test_a_place_that_cannot_be_written_is_named_and_left_as_it_was(make, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"new\.part cannot be written: .*; mend that"):
        make(name="file/new")

    def refuse(path, *arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", refuse)
        with pytest.raises(DataError, match="make room there"):
            make()
    assert not (tmp_path / "new.part").exists()


def test_a_cache_without_room_is_named(make, monkeypatch, home, tmp_path):
    def refuse(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", refuse)
    with pytest.raises(DataError, match=f"heads cannot be kept in {home / 'cache'}: No space"):
        make(source="photo")
    assert not (tmp_path / "new.part").exists()


def test_an_existing_output_is_left_alone(make, tmp_path):
    (tmp_path / "new").mkdir()
    with pytest.raises(ConfigError, match="exists already"):
        make()
    assert list((tmp_path / "new").iterdir()) == []
    assert not (tmp_path / "new.part").exists()


def test_an_unfinished_set_of_another_request_is_left_alone(
    make, make_checkpoint, small_batches, heads_set, tmp_path
):
    make(stop_after=1)
    before = contents(tmp_path / "new.part")
    with pytest.raises(ConfigError, match=r"another variation, another seed; repeat that one"):
        make(variation=0.5, seed=1)
    flipped = {name: 1 - column for name, column in heads_set.attributes.items()}
    with pytest.raises(ConfigError, match="another data;"):
        make(data=replace(heads_set, attributes=flipped))
    assert contents(tmp_path / "new.part") == before


def test_an_unfinished_set_of_exchanged_weights_is_left_alone(
    make, make_checkpoint, models, tmp_path
):
    make(stop_after=0)
    keeping.delete(models.store, MAPPING)
    models.unload(MAPPING)
    make_checkpoint("attribute-mapping", seed=1)
    with pytest.raises(ConfigError, match="another checkpoint;"):
        make()


def test_a_folder_that_is_no_unfinished_set_is_left_alone(make, tmp_path):
    (tmp_path / "new.part").mkdir()
    (tmp_path / "new.part" / "000000.png").write_text("mine")
    with pytest.raises(ConfigError, match="no unfinished augmentation"):
        make()
    assert contents(tmp_path / "new.part") == {"000000.png": b"mine"}


def test_damage_to_an_unfinished_set_is_noticed(make, small_batches, tmp_path):
    make(stop_after=1)
    (tmp_path / "new.part" / MANIFEST).write_text("")
    with pytest.raises(DataError, match="shorter than it was"):
        make()
    (tmp_path / "new.part" / module.STATE).write_text("{")
    with pytest.raises(DataError, match="is damaged"):
        make()


@pytest.fixture
def one_in(monkeypatch, small_batches):
    """Return a function that lets one of so many pictures be recognized."""
    seen = []

    def agreement(every):
        def judge(classifier, images, before, after):
            numbers = range(len(seen), len(seen) + len(images))
            seen.extend(numbers)
            return np.array([float(number % every == 0) for number in numbers])

        monkeypatch.setattr(module.judging, "_agreement", judge)
        return seen

    monkeypatch.setattr(module.work, "WINDOW", 100)
    return agreement


def test_a_hopeless_run_stops_and_says_what_to_change(make, one_in, tmp_path):
    seen = one_in(64)
    with pytest.raises(ConfigError, match=r"Only 1 of the last 100 pictures .*less agreement"):
        make(classifier=CLASSIFIER)
    assert 100 <= len(seen) < 130
    assert not (tmp_path / "new").exists()
    # Neither does it begin again, where it was told so already.
    with pytest.raises(ConfigError, match="were accepted"):
        make(classifier=CLASSIFIER)
    assert len(seen) < 240


def test_a_run_at_the_limit_goes_on(make, one_in):
    one_in(50)
    report = make(classifier=CLASSIFIER, amount=0.15)
    assert report.accepted == 5
    assert report.made == 201


def test_a_set_without_a_single_picture_is_not_made(make, judged_as, tmp_path):
    judged_as(always(0.0, 0.0))
    with pytest.raises(ConfigError, match="Only 0 of the last"):
        make(strategy="doubling", ssim=1.0, classifier=CLASSIFIER)
    assert not (tmp_path / "new").exists()


def test_the_report_is_plain_json_and_plain_words(make, judged_as):
    judged_as(fickle)
    report = make(FILTERED, strategy="doubling")
    assert isinstance(report, AugmentReport)
    values = json.loads(json.dumps(report.to_dict()))
    assert values["output"] == str(report.output)
    assert values["accepted"] + sum(values["rejected"].values()) == values["made"]
    assert values["balance"]["pictures"]["after"] == report.made + report.accepted
    text = report.text()
    assert f"{report.accepted} of {report.made} pictures" in text
    assert f"{report.rejected['agreement']} refused: the classifier" in text
    assert "standard deviation" in text
    before, after = report.balance.counts_before[0], report.balance.counts_after[0]
    assert f"Eyeglasses: {before}, then {after}" in text


def test_only_training_pictures_are_read(make, heads_set, monkeypatch):
    opened = []
    read = FolderSource.read
    monkeypatch.setattr(
        FolderSource, "read", lambda source, name: opened.append(name) or read(source, name)
    )
    make(source="photo", amount=0.2)
    assert set(opened) == set(heads_set.part("train").files)
