from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from studio import editing, evaluation, images
from studio.checkpoints import Card, Loaded
from studio.data.batch import DataSpec
from studio.data.folder import open_set
from studio.errors import ConfigError, DataError, UnsupportedError
from studio.evaluation import instruments, sheets, swaps, truth
from studio.evaluation.bench import Bench, held_out, read
from studio.evaluation.support import support_map
from studio.latents import Latents
from studio.methods.base import Evaluator, LatentModel
from studio.render import heads, pole

CPU = torch.device("cpu")
SIZE = 16


class Marker(LatentModel):
    """A perfect model of pictures whose object is the brightness of one corner."""

    swap_part = "object"
    attribute = "Mark"

    def encode(self, images):
        return Latents({"background": images[:, :, 4:], "object": images[:, :, :4] + 1})

    def decode(self, latents):
        return torch.cat([latents.parts["object"] - 1, latents.parts["background"]], 2)

    def remove(self, latents):
        return latents.replace(object=torch.zeros_like(latents.parts["object"]))


class Deaf(Marker):
    """A useless model: it decodes whatever it encoded, swapped or not."""

    def encode(self, images):
        return Latents({"background": images, "object": images[:, :, :4] + 1})

    def decode(self, latents):
        return latents.parts["background"]


class Corner(Evaluator):
    """Sees the mark, and the brightness of the rest."""

    def forward(self, images):
        return torch.stack([images[:, :, :4].mean((1, 2, 3)), images[:, :, 4:].mean((1, 2, 3))], 1)


@pytest.fixture
def marked(tmp_path):
    """Return 36 pictures, a third of them marked, with equal parts of each partition."""
    folder = tmp_path / "marked"
    folder.mkdir()
    rows = ["file,partition,Mark,Light"]
    rng = np.random.default_rng(0)
    for number in range(36):
        mark, light = int(number // 3 % 3 == 0), int(number % 2)
        picture = np.full((SIZE, SIZE, 3), 170 + 20 * light if light else 60, np.uint8)
        picture += rng.integers(0, 20, picture.shape, np.uint8)
        picture[:4] = 200 + rng.integers(0, 50) if mark else 0
        Image.fromarray(picture).save(folder / f"{number:02d}.png")
        rows.append(f"{number:02d}.png,{number % 3},{mark},{light}")
    (folder / "attributes.csv").write_text("\n".join(rows) + "\n")
    return open_set(folder)


def bench_of(model):
    return Bench(model, SIZE, CPU)


INSTRUMENT = swaps.Instrument(Corner(), SIZE, 0, CPU)


def numbers_of(model, data):
    test = data.part("test")
    return swaps.swap_numbers(bench_of(model), INSTRUMENT, test, "Mark", count=0, seed=0)


def test_a_perfect_model_reaches_every_goal(marked):
    numbers = numbers_of(Marker(), marked)
    for name in ("swap_success", "swap_recognized", "removed", "monotonic", "kept_receiver"):
        assert numbers[name] == 1.0, name
        assert numbers[f"{name}_low"] <= 1.0 <= numbers[f"{name}_high"] + 1e-9
    assert numbers["real_recognized"] == 1.0
    assert numbers["real_mistaken"] == numbers["plain_mistaken"] == 0.0
    assert (numbers["pairs"], numbers["donors"]) == (8, 4)


def test_a_useless_model_reaches_none(marked):
    numbers = numbers_of(Deaf(), marked)
    for name in ("swap_success", "swap_success_1.5", "swap_recognized", "removed", "monotonic"):
        assert numbers[name] == 0.0, name
    # It changes nothing, so nothing else changes either.
    assert numbers["kept_reconstruction"] == 1.0


def test_a_model_that_marks_everyone_is_noticed(marked):
    class Eager(Marker):
        def decode(self, latents):
            decoded = super().decode(latents).clone()
            decoded[:, :, :4] = 1.0
            return decoded

    numbers = numbers_of(Eager(), marked)
    assert numbers["swap_recognized"] == numbers["plain_mistaken"] == 1.0
    assert numbers["removed"] == numbers["monotonic"] == 0.0


def test_reconstruction_and_verdict_numbers(marked):
    perfect = swaps.verdict_numbers(bench_of(Marker()), marked.part("validation"), "Mark")
    assert perfect[editing.ERROR_WELL] == pytest.approx(0, abs=1e-6)
    assert perfect["object_norm_accuracy"] == 1.0
    assert 0 < perfect[editing.OBJECT_THRESHOLD] < 2

    class Dim(Marker):
        def decode(self, latents):
            return super().decode(latents) + 0.25

    bench = bench_of(Dim())
    dim = swaps.verdict_numbers(bench, marked.part("validation"), "Mark")
    assert dim[editing.ERROR_WELL] == pytest.approx(0.25)
    assert dim[editing.ERROR_FAIR] == pytest.approx(0.25)
    numbers = evaluation.reconstruction_numbers(bench, marked.part("test"))
    assert numbers["psnr"] == pytest.approx(20 * np.log10(8), abs=1e-3)
    assert 0 < numbers["ssim"] < 1


def test_support_is_where_swaps_change_pictures(marked):
    support = np.array(support_map(bench_of(Marker()), marked.part("test"), "Mark"))
    assert support.shape == (16, 16)
    assert support.max() == 1.0
    assert (support[:4] > 0.8).all()
    assert (support[4:] == 0).all()


def test_pairs_use_every_picture_about_equally_often():
    values = np.array([1] * 5 + [0] * 12 + [-1] * 3, np.int8)
    pairs = swaps.make_pairs(values, 0, seed=3)
    assert len(pairs) == 12
    assert sorted(pairs.receiver) == list(range(12))
    assert set(np.bincount(pairs.donor)) <= {2, 3}
    assert (values[pairs.donors] == 1).all()
    assert (values[pairs.receivers] == 0).all()
    again, other = swaps.make_pairs(values, 0, seed=3), swaps.make_pairs(values, 0, seed=4)
    assert (pairs.donor == again.donor).all()
    assert (pairs.receiver == again.receiver).all()
    assert (pairs.receiver != other.receiver).any()
    with pytest.raises(DataError, match="0 with and 20 without"):
        swaps.make_pairs(np.zeros(20, np.int8), 0, seed=0)


def test_an_instrument_gets_pictures_of_its_own_size():
    sizes = []

    def look(batch):
        sizes.append(batch.shape[-1])
        return batch.flatten(1).mean(1, keepdim=True)

    assert read(look, torch.full((3, 3, 32, 32), 0.5), 16, CPU) == pytest.approx(0.5)
    assert sizes == [16]


# Rendered truth.


@pytest.fixture(scope="module")
def scenes():
    return {
        name: truth.make_scene(
            factor, "test", count=6 if name == "Eyeglasses" else 4, size=24, seed=0
        )
        for name, factor in truth.OBJECTS.items()
    }


def read_numbers(name, scene, made):
    return truth.READINGS[name](scene.values, truth.read_off(scene, made), scene.steps)


def test_scenes_show_persons_of_the_asked_part_with_the_right_roles(scenes):
    for name, scene in scenes.items():
        factor = truth.OBJECTS[name]
        assert all(map(factor.gives, scene.donors))
        assert all(map(factor.takes, scene.receivers))
        assert {heads.partition(h.identity) for h in (*scene.donors, *scene.receivers)} == {2}
    assert len(set(scenes["Eyeglasses"].receivers)) == 2
    assert scenes["Eyeglasses"].ladder.tolist() == [0, 1, 0, 1, 0, 1]


def test_the_truth_is_read_as_the_truth(scenes):
    smile = scenes["Smiling"]
    numbers = read_numbers("Smiling", smile, smile.truth)
    assert numbers["smile_correlation"] > 0.95
    assert numbers["smile_error"] < 0.06
    glasses = scenes["Eyeglasses"]
    numbers = read_numbers("Eyeglasses", glasses, glasses.truth)
    assert numbers["kind_accuracy"] == 1.0
    kinds = {head.eyeglasses for head in glasses.donors}
    assert all(numbers[f"{kind}_as_{kind}"] == 1.0 for kind in kinds)
    light = scenes["Side_Light"]
    numbers = read_numbers("Side_Light", light, light.truth)
    assert numbers["light_side"] == 1.0
    assert numbers["light_correlation"] > 0.95


def test_an_unedited_picture_is_read_as_unedited(scenes):
    glasses, smile = scenes["Eyeglasses"], scenes["Smiling"]
    numbers = read_numbers("Eyeglasses", glasses, glasses.taken)
    assert numbers["kind_accuracy"] == 0.0
    kinds = {head.eyeglasses for head in glasses.donors}
    assert all(numbers[f"{kind}_as_none"] == 1.0 for kind in kinds)
    assert read_numbers("Smiling", smile, smile.taken)["smile_correlation"] == 0.0


def test_only_the_truth_is_as_near_as_the_truth(scenes):
    scene = scenes["Smiling"]
    perfect = truth.judge(scene, scene.taken, scene.truth, scene.bare)
    assert perfect["truth_psnr"] == perfect["removed_psnr"] == np.inf
    assert perfect["unedited_psnr"] == perfect["plain_psnr"] < 45
    assert perfect["outside_error"] < 1
    # A change of 0.2 everywhere is one of 25.5 levels, outside the object too.
    shifted = truth.judge(scene, scene.taken, scene.taken + 0.2, scene.given)
    assert shifted["outside_change"] == pytest.approx(25.5, rel=1e-3)
    assert shifted["truth_psnr"] < perfect["unedited_psnr"]
    assert shifted["removed_psnr"] == shifted["unremoved_psnr"]


def test_a_region_holds_the_object_and_leaves_the_rest(scenes):
    glasses = truth.regions(scenes["Eyeglasses"])
    share = glasses.float().mean((1, 2))
    assert (share > 0.02).all()
    assert (share < 0.4).all()
    # The eyes are inside, the picture's upper corners are not.
    assert glasses[:, int(24 * 66 / 128), int(24 * 50 / 128)].all()
    assert not glasses[:, :3, :3].any()


def test_correlation_of_what_never_changes_is_none():
    assert truth.correlation(np.arange(4.0), np.ones(4)) == 0.0
    assert truth.correlation(np.zeros(0), np.zeros(0)) == 0.0
    assert truth.correlation(np.arange(4.0), -2 * np.arange(4.0)) == pytest.approx(-1)


# Whole checkpoints.


@pytest.fixture
def photographs(heads_set):
    """Return the rendered set without its factors, as if nobody knew the truth."""
    thirds = (np.arange(40) % 3).astype(np.int8)
    return replace(heads_set, factors={}, partition=thirds)


def test_evaluates_a_swap_between_photographs(make_checkpoint, models, photographs):
    name, judge = make_checkpoint(), make_checkpoint("attributes")
    features = make_checkpoint("identity", "celeba-64")
    assert features == evaluation.FEATURES
    numbers = evaluation.evaluate(models, name, photographs, instrument=judge)
    shares = {"real_recognized", "removed", "monotonic", "kept_receiver", "kept_reconstruction"}
    assert all(0 <= numbers[key] <= 1 for key in shares)
    assert numbers[editing.ERROR_WELL] <= numbers[editing.ERROR_FAIR]
    assert 0 < numbers["psnr"] < 30
    assert numbers["frechet_unedited"] > 0
    again = evaluation.evaluate(models, name, photographs, instrument=judge)
    assert numbers == pytest.approx(again, nan_ok=True)
    validation = evaluation.evaluate(
        models, name, photographs, instrument=judge, part="validation", pairs=5
    )
    assert validation["pairs"] == 5
    assert validation["psnr"] != numbers["psnr"]
    # The verdicts' numbers are those of the validation part, whichever part is measured.
    assert validation[editing.ERROR_WELL] == numbers[editing.ERROR_WELL]


def test_evaluates_rendered_heads_against_the_truth(make_checkpoint, models, heads_set):
    name = make_checkpoint(tag="heads")
    whole = replace(heads_set, partition=(np.arange(40) % 3).astype(np.int8))
    numbers = evaluation.evaluate(models, name, whole, pairs=4)
    assert numbers["pairs"] == 4
    assert numbers["truth_psnr"] < numbers["unedited_psnr"]
    assert 0 <= numbers["kind_accuracy"] <= 1
    assert "psnr" in numbers
    assert editing.ERROR_WELL in numbers


def test_says_what_does_not_fit(make_checkpoint, models, photographs):
    name, judge = make_checkpoint(), make_checkpoint("attributes")
    with pytest.raises(ConfigError, match="validation, test"):
        evaluation.evaluate(models, name, photographs, part="train")
    with pytest.raises(UnsupportedError, match="--instrument"):
        evaluation.evaluate(models, name, photographs, instrument=name)
    bangs = replace(photographs, attributes={"Bangs": photographs.attribute("Bangs")})
    with pytest.raises(DataError, match="no attribute 'Eyeglasses'"):
        evaluation.evaluate(models, name, bangs, instrument=judge)
    with pytest.raises(DataError, match="validation part"):
        held_out(photographs.part("test"), "validation")


def test_a_card_keeps_what_it_has_and_gets_what_is_finite(make_checkpoint, models):
    name = make_checkpoint(metrics={"psnr": 1.0, "other": 2.0})
    numbers = {"psnr": 27.123456789, "swap_success": float("nan")}
    evaluation.write_card(models.store, name, numbers, "latent-studio evaluate", [[0.5]])
    card = models.store.card(name)
    assert card.support == [[0.5]]
    assert card.metrics == {"psnr": 27.123, "other": 2.0}
    assert card.command == "latent-studio evaluate"
    models.get(name)  # the hashes still fit


# Instruments.


def loaded(method, model, attributes=("Mark", "Light")):
    card = Card(f"{method}.x", method, {}, DataSpec(SIZE, "celeba", attributes).to_dict(), step=0)
    return Loaded(model, card, 0)


def test_a_perfect_and_a_useless_classifier(marked):
    class Right(Evaluator):
        def forward(self, images):
            return Corner()(images)

    class Never(Evaluator):
        def forward(self, images):
            return -torch.ones(len(images), 2)

    right = instruments.instrument_numbers(loaded("attributes", Right()), marked, CPU, 0)
    assert (right["accuracy"], right["balanced_accuracy"]) == (1.0, 1.0)
    never = instruments.instrument_numbers(loaded("attributes", Never()), marked, CPU, 0)
    # 12 of 36 are marked and every second one is light.
    assert never["accuracy"] == pytest.approx((24 / 36 + 18 / 36) / 2)
    assert never["balanced_accuracy"] == 0.5
    with pytest.raises(DataError, match="none of the attributes"):
        instruments.instrument_numbers(loaded("attributes", Right(), ("X",)), marked, CPU, 0)


def test_identity_is_measured_on_pairs(marked):
    class Brightness(Evaluator):
        def forward(self, images):
            angle = images[:, :, 4:].mean((1, 2, 3))
            return torch.stack([angle.cos(), angle.sin()], 1)

    light = marked.attribute("Light").astype(str)
    twins = replace(marked, classes={"identity": light})
    numbers = instruments.instrument_numbers(loaded("identity", Brightness()), twins, CPU, 0)
    assert numbers["verification_auc"] == 1.0
    assert numbers["same_pairs"] == 2 * 18 * 17 / 2
    mixed = replace(marked, classes={"identity": marked.attribute("Mark").astype(str)})
    blind = instruments.instrument_numbers(loaded("identity", Brightness()), mixed, CPU, 0)
    assert 0.3 < blind["verification_auc"] < 0.7
    with pytest.raises(DataError, match="identity"):
        instruments.instrument_numbers(loaded("identity", Brightness()), marked, CPU, 0)


def test_eye_errors_are_those_of_the_worse_eye_in_eye_distances(marked, monkeypatch):
    class Fixed(Evaluator):
        def __init__(self, shift):
            super().__init__()
            self.shift = shift

        def forward(self, images):
            eyes = torch.tensor([50 + self.shift, 66, 78, 66, 0]) / 128
            return eyes.expand(len(images), 5)

    random = torch.get_rng_state()
    jittered = instruments.instrument_numbers(loaded("eyes", Fixed(0)), marked, CPU, 0)
    assert jittered["eye_error_median"] > 0.1
    assert torch.equal(random, torch.get_rng_state())
    monkeypatch.setattr(instruments, "jitter_crop", lambda images, eyes: (images, eyes))
    exact = instruments.instrument_numbers(loaded("eyes", Fixed(0)), marked, CPU, 0)
    assert exact["eye_error_p95"] == pytest.approx(0, abs=1e-6)
    assert exact["eyes_within_10_percent"] == 1.0
    # The left eye is off by 7 of the 28 units between the eyes.
    off = instruments.instrument_numbers(loaded("eyes", Fixed(7)), marked, CPU, 0)
    assert off["eye_error_median"] == pytest.approx(0.25, rel=1e-4)
    assert off["eyes_within_10_percent"] == 0.0


# Sheets.


def test_sample_sheets_have_a_row_per_pair(make_checkpoint, models, photographs, tmp_path):
    folder = tmp_path / "sheets"
    files = sheets.write_samples(models, make_checkpoint(), photographs, folder, sheets=2)
    assert [file.name for file in files] == ["genegan.tiny-00.png", "genegan.tiny-01.png"]
    for file in files:
        height, width = images.read_photo(file).pixels.shape[:2]
        assert height > sheets.ROWS * 32
        assert width > 7 * 32


def test_showcase_of_rendered_heads(make_checkpoint, models, heads_set):
    name = make_checkpoint(tag="heads")
    file = sheets.write_showcase(models, name, heads_set)
    assert file == models.store.folder(name) / "samples.png"
    picture = images.read_photo(file).pixels
    # Five rows of eight cells of 96 pixels.
    assert picture.shape[0] > 5 * 96
    assert picture.shape[1] > 8 * 96


@pytest.fixture
def everyone(photographs):
    """Return 40 training faces of which the groups are known that are averaged."""
    groups = {"Male": photographs.attribute("Bald"), "Young": photographs.attribute("Bangs")}
    return replace(
        photographs,
        partition=np.zeros(40, np.int8),
        attributes={**photographs.attributes, **groups},
    )


@pytest.fixture
def strip_ends(monkeypatch):
    """Return a list that gets the pictures of every strip that is drawn."""
    shown = []
    draw = sheets._strip_sheet

    def drawing(bench, starts, ends):
        shown.extend([*starts, *ends])
        return draw(bench, starts, ends)

    monkeypatch.setattr(sheets, "_strip_sheet", drawing)
    return shown


def among(pictures, others):
    known = {picture.tobytes() for picture in others}
    return [picture.tobytes() in known for picture in pictures]


def test_showcase_of_photographs_shows_nobody(make_checkpoint, models, everyone, monkeypatch):
    name = make_checkpoint()
    with pytest.raises(DataError, match="100 training faces"):
        sheets.showcase(models, name, everyone)
    monkeypatch.setattr(sheets, "FEWEST_MEANT", 3)
    decoded = []
    mean = sheets._mean
    monkeypatch.setattr(sheets, "_mean", lambda *a: decoded.append(len(a[2])) or mean(*a))
    assert sheets.showcase(models, name, everyone).startswith(b"\x89PNG")
    assert min(decoded) >= 3


def test_a_mean_of_latents_is_their_mean(marked):
    bench = bench_of(Marker())
    pictures = marked.pictures(SIZE)
    rows = np.array([1, 4, 8])
    decoded = bench.decode(sheets._mean(bench, pictures, rows))
    expected = images.to_images(np.array(pictures[rows])).mean(0, keepdim=True)
    assert torch.allclose(decoded, expected, atol=1e-5)


def test_no_sheet_without_a_swap(make_checkpoint, models, photographs):
    with pytest.raises(UnsupportedError, match="makes no pictures"):
        sheets.showcase(models, make_checkpoint("attributes"), photographs)


def test_showcase_of_a_rendered_turn_shows_held_out_strips(
    make_checkpoint, models, strip_ends, tmp_path
):
    pole.write_set(tmp_path / "pole", 32)
    data = open_set(tmp_path / "pole")
    (tmp_path / "sheet.png").write_bytes(sheets.showcase(models, make_checkpoint("aeai"), data))
    assert images.read_photo(tmp_path / "sheet.png").pixels.shape[1] > 11 * 96
    held = data.part("test").pictures(len(strip_ends[0]))
    assert all(among(strip_ends, held))


def test_showcase_of_faces_interpolates_means(
    make_checkpoint, models, photographs, everyone, strip_ends, monkeypatch
):
    name = make_checkpoint("aeai")
    with pytest.raises(DataError, match="neither our own renders nor faces"):
        sheets.showcase(models, name, photographs)
    with pytest.raises(DataError, match="100 training faces"):
        sheets.showcase(models, name, everyone)
    monkeypatch.setattr(sheets, "FEWEST_MEANT", 3)
    assert sheets.showcase(models, name, everyone).startswith(b"\x89PNG")
    assert strip_ends
    assert not any(among(strip_ends, everyone.pictures(len(strip_ends[0]))))


def test_showcase_refuses_other_peoples_objects(make_checkpoint, models, marked):
    with pytest.raises(DataError, match="may be shipped"):
        sheets.showcase(models, make_checkpoint("aeai"), marked)


def test_an_evaluator_is_no_picture_maker():
    assert not isinstance(Corner(), LatentModel)
    assert isinstance(Corner(), nn.Module)
