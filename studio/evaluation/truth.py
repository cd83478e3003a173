"""Measure swaps of rendered heads against the truth, which the renderer can draw.

A donor's object on a receiver has one right answer: the receiver rendered again with the donor's
factor. How much of a factor a swap shows is read off by looking for the nearest picture on a ladder
of the same receiver with known values of the factor, in the pixels where the ladder's pictures
differ.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from studio import images, latents
from studio.data.folder import DataSet
from studio.errors import UnsupportedError
from studio.evaluation.bench import Bench
from studio.metrics import reconstruction
from studio.render.heads import EYEGLASSES, Head, partition, render, sample_heads

COUNT = 128
# A receiver's ladder is rendered once and serves several donors.
_DONORS_PER_RECEIVER = 4
_PARTITIONS = {"train": 0, "validation": 1, "test": 2}
# Pixels in which a ladder's pictures differ by more than this, of a range of 2, show the object.
_DIFFERENT = 0.08
_LEVELS = 127.5

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Factor:
    """A swapped object as the renderer knows it.

    Attributes:
        gives: Whether a head can be a donor.
        takes: Whether it can be a receiver.
        transplant: The receiver with the donor's object.
        remove: A donor without its object.
        ladder: The receiver with each of the values that are told apart.
        value: The value of a head.
    """

    gives: Callable[[Head], bool]
    takes: Callable[[Head], bool]
    transplant: Callable[[Head, Head], Head]
    remove: Callable[[Head], Head]
    ladder: Callable[[Head], list[Head]]
    value: Callable[[Head], float]


def _smiling(head: Head, intensity: float) -> Head:
    return replace(head, expression="smile", intensity=intensity)


SMILE = Factor(
    # A mouth that is opened otherwise hides how far the smile opens it.
    gives=lambda head: head.expression == "smile" and head.mouth_open == 0,
    takes=lambda head: head.expression == "neutral" and head.mouth_open == 0,
    transplant=lambda receiver, donor: _smiling(receiver, donor.intensity),
    remove=lambda head: _smiling(head, 0.0),
    ladder=lambda head: [_smiling(head, step / 10) for step in range(11)],
    value=lambda head: head.intensity,
)
GLASSES = Factor(
    gives=lambda head: head.eyeglasses != "none",
    takes=lambda head: head.eyeglasses == "none",
    # The frame's colour comes with the kind; it hangs on the style, which clothes share.
    transplant=lambda receiver, donor: replace(receiver, eyeglasses=donor.eyeglasses),
    remove=lambda head: replace(head, eyeglasses="none"),
    ladder=lambda head: [replace(head, eyeglasses=kind) for kind in EYEGLASSES],
    value=lambda head: float(EYEGLASSES.index(head.eyeglasses)),
)
LIGHT = Factor(
    gives=lambda head: abs(head.light_azimuth) > 35,
    takes=lambda head: abs(head.light_azimuth) < 15,
    transplant=lambda receiver, donor: replace(
        receiver, light_azimuth=donor.light_azimuth, light_elevation=donor.light_elevation
    ),
    remove=lambda head: replace(head, light_azimuth=0.0),
    ladder=lambda head: [replace(head, light_azimuth=float(a)) for a in range(-70, 71, 10)],
    value=lambda head: head.light_azimuth,
)
OBJECTS = {"Smiling": SMILE, "Eyeglasses": GLASSES, "Side_Light": LIGHT}


@dataclass(frozen=True, eq=False)
class Scene:
    """Donors, receivers and the right answers, rendered.

    Attributes:
        donors: N heads.
        receivers: N heads, each for several donors.
        values: (N,) the donors' values of the factor.
        steps: (K,) the values on the ladder.
        ladders: (R, K, 3, S, S) the ladder of each different receiver.
        ladder: (N,) which ladder is a pair's.
        given: (N, 3, S, S) donors.
        taken: (N, 3, S, S) receivers.
        truth: (N, 3, S, S) receivers with the donors' object.
        bare: (N, 3, S, S) donors without their object.
    """

    donors: Sequence[Head]
    receivers: Sequence[Head]
    values: Floats
    steps: Floats
    ladders: Tensor
    ladder: Tensor
    given: Tensor
    taken: Tensor
    truth: Tensor
    bare: Tensor


def is_rendered(data: DataSet) -> bool:
    """Say whether a data set shows rendered heads, by columns that only they have."""
    return "factor_smile" in data.factors and "factor_light_azimuth" in data.factors


def make_scene(factor: Factor, part: str, *, count: int, size: int, seed: int) -> Scene:
    """Draw heads of a partition's identities and render all that is needed.

    Args:
        factor: What is swapped.
        part: ``train``, ``validation`` or ``test``.
        count: Of pairs, at least 1.
        size: Of the pictures in pixels.
        seed: Of the heads.
    """
    different = -(-count // _DONORS_PER_RECEIVER)
    donors = choose(factor.gives, part, count, seed)
    # Another seed: donors and receivers share no factor.
    receivers = choose(factor.takes, part, different, seed + 1)
    ladders = [factor.ladder(head) for head in receivers]
    rendered = draw([head for ladder in ladders for head in ladder], size)
    ladder = torch.arange(count) % different
    paired = [receivers[place] for place in ladder.tolist()]
    truths = [factor.transplant(*pair) for pair in zip(paired, donors, strict=True)]
    return Scene(
        donors=donors,
        receivers=paired,
        values=np.array([factor.value(head) for head in donors]),
        steps=np.array([factor.value(head) for head in ladders[0]]),
        ladders=rendered.unflatten(0, (different, len(ladders[0]))),
        ladder=ladder,
        given=draw(donors, size),
        taken=draw(receivers, size)[ladder],
        truth=draw(truths, size),
        bare=draw([factor.remove(head) for head in donors], size),
    )


def choose(allowed: Callable[[Head], bool], part: str, count: int, seed: int) -> list[Head]:
    """Draw allowed heads of a part's identities.

    Args:
        allowed: Picks among what is drawn.
        part: ``train``, ``validation`` or ``test``.
        count: Of heads.
        seed: Of all factors.
    """
    chosen: list[Head] = []
    number = 64 * count
    while len(chosen) < count:
        chosen = [
            head
            for head in sample_heads(number, seed)
            if allowed(head) and partition(head.identity) == _PARTITIONS[part]
        ]
        number *= 2
    return chosen[:count]


def draw(heads: Sequence[Head], size: int) -> Tensor:
    """Render in 256 levels, as the pictures of a data set are stored."""
    return images.to_images(images.to_pictures(render(heads, size)))


def truth_numbers(
    bench: Bench, attribute: str, part: str, *, count: int, seed: int
) -> dict[str, float]:
    """Measure a checkpoint's swaps against rendered truth.

    Args:
        bench: The model.
        attribute: ``Smiling``, ``Eyeglasses`` or ``Side_Light``.
        part: Whose identities are rendered.
        count: Of pairs; 0 for 128.
        seed: Of the heads.

    Returns:
        Numbers by name.

    Raises:
        UnsupportedError: The renderer has no factor for the attribute.
    """
    if attribute not in OBJECTS:
        raise UnsupportedError(
            f"Rendered truth exists for {', '.join(OBJECTS)}, not for {attribute!r}."
        )
    factor = OBJECTS[attribute]
    scene = make_scene(factor, part, count=count or COUNT, size=bench.size, seed=seed)
    donors = bench.encode(images.to_pictures(scene.given))
    receivers = bench.encode(images.to_pictures(scene.taken))
    swapped = bench.decode(latents.swap(receivers, donors, [bench.model.swap_part]))
    bare = bench.decode(bench.model.remove(donors))
    numbers = judge(scene, bench.decode(receivers), swapped, bare)
    numbers |= READINGS[attribute](scene.values, read_off(scene, swapped), scene.steps)
    if factor is SMILE:
        norms = bench.object_norms(donors)
        numbers["object_norm_correlation"] = correlation(scene.values, norms)
    return numbers


def judge(scene: Scene, plain: Tensor, swapped: Tensor, bare: Tensor) -> dict[str, float]:
    """Compare edits with the rendered truth, pixel by pixel.

    Args:
        scene: Pictures and right answers.
        plain: (N, 3, S, S) reconstructions of the receivers.
        swapped: (N, 3, S, S) receivers with the donors' object.
        bare: (N, 3, S, S) donors without theirs.

    Returns:
        Decibels of the swap against the truth, ``truth_psnr``, beside those of the unedited picture
        and of its plain reconstruction, ``plain_psnr``; the same for the removal; and mean changes
        outside the object's region in levels of 255: ``outside_change`` of the swap from the plain
        reconstruction, and the errors of both.
    """
    outside = (~regions(scene)[scene.ladder])[:, None].float()

    def change(one: Tensor, other: Tensor) -> float:
        weight = outside.expand_as(one)
        return float(_LEVELS * ((one - other).abs() * weight).sum() / weight.sum())

    return {
        "pairs": float(len(scene.values)),
        "unedited_psnr": float(reconstruction.psnr(scene.taken, scene.truth).mean()),
        "plain_psnr": float(reconstruction.psnr(plain, scene.truth).mean()),
        "truth_psnr": float(reconstruction.psnr(swapped, scene.truth).mean()),
        "unremoved_psnr": float(reconstruction.psnr(scene.given, scene.bare).mean()),
        "removed_psnr": float(reconstruction.psnr(bare, scene.bare).mean()),
        "outside_change": change(swapped, plain),
        "outside_error": change(swapped, scene.truth),
        "outside_error_plain": change(plain, scene.taken),
    }


def regions(scene: Scene) -> Tensor:
    """Return where each receiver's ladder differs, one pixel wider, (R, S, S) bool."""
    spread = scene.ladders.amax(1) - scene.ladders.amin(1)
    different = (spread.amax(1, keepdim=True) > _DIFFERENT).float()
    return F.max_pool2d(different, 3, stride=1, padding=1)[:, 0] > 0


def read_off(scene: Scene, made: Tensor) -> Floats:
    """Return the value of the nearest picture on each pair's ladder, (N,).

    Args:
        scene: With the ladders.
        made: (N, 3, S, S) in [-1, 1].
    """
    region = regions(scene)[:, None].float()
    values = []
    for image, place in zip(made, scene.ladder.tolist(), strict=True):
        distances = ((scene.ladders[place] - image) * region[place]).square().flatten(1).sum(1)
        values.append(scene.steps[int(distances.argmin())])
    return np.array(values, np.float64)


def correlation(one: Floats, other: Floats) -> float:
    """Return Pearson's correlation of (N,) numbers; 0 where one of them never changes."""
    if min(len(set(one.tolist())), len(set(other.tolist()))) < 2:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def smile_numbers(true: Floats, found: Floats, steps: Floats) -> dict[str, float]:
    """Say how a transplanted smile follows the donor's; the data's own smiles are above 0.3."""
    del steps
    labelled = true > 0.3
    return {
        "smile_correlation": correlation(true, found),
        "smile_correlation_labelled": correlation(true[labelled], found[labelled]),
        "smile_error": float(np.abs(true - found).mean()),
    }


def glasses_numbers(true: Floats, found: Floats, steps: Floats) -> dict[str, float]:
    """Say which kind of eyeglasses arrives, as a table: ``round_as_square`` is a share of round."""
    numbers = {"kind_accuracy": float((true == found).mean())}
    for kind in steps[1:]:
        given = found[true == kind]
        for read in steps if len(given) else ():
            name = f"{EYEGLASSES[int(kind)]}_as_{EYEGLASSES[int(read)]}"
            numbers[name] = float((given == read).mean())
    return numbers


def light_numbers(true: Floats, found: Floats, steps: Floats) -> dict[str, float]:
    """Say how the light's azimuth follows the donor's, in degrees."""
    nearest = steps[np.abs(true[:, None] - steps).argmin(1)]
    return {
        "light_correlation": correlation(true, found),
        "light_error_median": float(np.median(np.abs(true - found))),
        "light_side": float((np.sign(true) == np.sign(found)).mean()),
        "light_nearest": float((nearest == found).mean()),
    }


READINGS = {
    "Smiling": smile_numbers,
    "Eyeglasses": glasses_numbers,
    "Side_Light": light_numbers,
}
