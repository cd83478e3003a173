"""Recipes: an edit as data, which every part of the studio can replay."""

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from studio.errors import RecipeError
from studio.images import Photo

VERSION = 1
TEXT_KEY = "latent-studio"
RECEIVER = "receiver"
# Kinds of steps, and how many donors each has; a transfer has as many as its choices name.
KINDS: Mapping[str, int | None] = {
    "swap": 1,
    "remove": 0,
    "blend": 4,
    "edit": 0,
    "generate": 0,
    "transfer": None,
}


def donor_role(number: int) -> str:
    """Return the role of a donor, counted from 1: ``donor``, ``donor2`` and so on."""
    return "donor" if number == 1 else f"donor{number}"


@dataclass(frozen=True)
class Source:
    """A picture that an edit was made from.

    Attributes:
        role: ``receiver``, ``donor``, ``donor2`` and so on.
        sha256: Of its decoded pixels.
        crop: The alignment's values.
        picture: What is needed to have the picture back, base64 of a PNG; empty where the person
            did not want it in the file. For the receiver it is the part that the edit changed, at
            ``place``; for a donor the crop that the model saw.
        place: Left column and upper row of the receiver's part.
    """

    role: str
    sha256: str
    crop: dict[str, float]
    picture: str = ""
    place: tuple[int, int] = (0, 0)

    def content(self) -> bytes:
        """Return the PNG in ``picture``.

        Raises:
            RecipeError: It is not base64.
        """
        try:
            return base64.b64decode(self.picture, validate=True)
        except ValueError as error:
            message = f"The picture of the {self.role} in the recipe is damaged."
            raise RecipeError(message) from error


@dataclass(frozen=True)
class Choice:
    """Where a transfer takes a part from: from pictures, from a class, or from the bank.

    Attributes:
        weights: By role of the pictures, in proportion. One picture gives its part, several give a
            mixture of theirs; two are what lies between them.
        label: The class whose mean latent is taken.
        saved: Name of a saved part.
        saved_digest: SHA-256 of that part's latent; empty where any will do.
        strength: 0 keeps the receiver's own, 1 takes, up to 2 exaggerates.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    label: str = ""
    saved: str = ""
    saved_digest: str = ""
    strength: float = 1.0

    @classmethod
    def take(cls, role: str, strength: float = 1.0) -> "Choice":
        """Take the part of one picture."""
        return cls({role: 1.0}, strength=strength)

    @classmethod
    def between(cls, start: str, end: str, alpha: float, strength: float = 1.0) -> "Choice":
        """Take what lies between the parts of two pictures, 0 the one and 1 the other.

        Raises:
            RecipeError: It does not lie between them, or they are one.
        """
        if not 0 <= alpha <= 1:
            raise RecipeError(f"Between two pictures is from 0 to 1, not at {alpha}.")
        if start == end:
            raise RecipeError(f"Nothing lies between {start} and itself; name two pictures.")
        return cls({start: 1.0 - alpha, end: float(alpha)}, strength=strength)

    def shares(self) -> dict[str, float]:
        """Return the weights that are not 0, scaled to a sum of 1."""
        total = sum(self.weights.values())
        return {role: weight / total for role, weight in self.weights.items() if weight}

    def check(self, part: str) -> None:
        """Refuse what makes no sense.

        Args:
            part: What is to be taken.

        Raises:
            RecipeError: Not exactly one origin is named, or a number is out of range.
        """
        if sum(map(bool, (self.weights, self.label, self.saved))) != 1:
            raise RecipeError(
                f"{part} comes from pictures, from a class or from the bank; name one of these."
            )
        wrong = [role for role, weight in self.weights.items() if not 0 <= weight < math.inf]
        if wrong:
            raise RecipeError(
                f"The weight of {wrong[0]} in {part} is {self.weights[wrong[0]]}; it must be 0 or "
                "more."
            )
        if self.weights and not any(self.weights.values()):
            raise RecipeError(f"All weights of {part} are 0; give at least one picture a weight.")
        if not 0 <= self.strength <= 2:
            raise RecipeError(f"The strength of {part} must lie in [0, 2], not at {self.strength}.")


def donors_of(parts: Mapping[str, Choice]) -> tuple[str, ...]:
    """Return the donors that choices name, each once."""
    roles = dict.fromkeys(role for choice in parts.values() for role in choice.weights)
    return tuple(role for role in roles if role != RECEIVER)


@dataclass(frozen=True)
class Step:
    """One operation.

    Attributes:
        kind: ``swap``, ``remove``, ``blend`` (four donors), ``edit`` (attributes and directions),
            ``generate`` (a face from attributes alone) or ``transfer`` (part by part).
        checkpoint: Its name.
        checkpoint_hash: SHA-256 of its weights.
        donors: Roles of the donors: one for a swap, four for a blend, none for a removal, for a
            transfer those that its choices name.
        strength: Of a swap or blend, in [-1, 2]; of a generated face the variation, in [0, 2].
        x: Of a blend, 0 at the left donors.
        y: Of a blend, 0 at the upper donors.
        values: Probability by attribute, of an edit those that differ from what was measured.
        held: Attributes that an edit keeps.
        moves: How far it goes along one's own sliders, in deviations by name; not in a generated
            face.
        parts: What a transfer takes, by part.
    """

    kind: str
    checkpoint: str
    checkpoint_hash: str
    donors: tuple[str, ...] = ()
    strength: float = 1.0
    x: float = 0.0
    y: float = 0.0
    values: Mapping[str, float] = field(default_factory=dict)
    held: tuple[str, ...] = ()
    moves: Mapping[str, float] = field(default_factory=dict)
    parts: Mapping[str, Choice] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise RecipeError(f"A recipe's step is one of {', '.join(KINDS)}, not {self.kind!r}.")
        count = KINDS[self.kind]
        if count is None:
            self._check_parts()
        elif len(self.donors) != count:
            raise RecipeError(f"A {self.kind} has {count} donors, not {self.donors}.")
        if not -1 <= self.strength <= 2:
            raise RecipeError(f"The strength must lie in [-1, 2], not at {self.strength}.")
        wrong = [name for name, value in self.values.items() if not 0 <= value <= 1]
        if wrong:
            raise RecipeError(
                f"{wrong[0]} must lie in [0, 1], from absent to present, not at "
                f"{self.values[wrong[0]]}."
            )

    def _check_parts(self) -> None:
        for part, choice in self.parts.items():
            choice.check(part)
        if set(self.donors) != set(donors_of(self.parts)):
            raise RecipeError(
                f"The transfer's donors are {', '.join(self.donors) or 'none'}, but its parts name "
                f"{', '.join(donors_of(self.parts)) or 'none'}."
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Step":
        """Build from plain values, as JSON has them."""
        lists: dict[str, Sequence[str]] = {
            name: tuple(values.get(name, ())) for name in ("donors", "held")
        }
        parts = {part: Choice(**choice) for part, choice in values.get("parts", {}).items()}
        return cls(**{**values, **lists, "parts": parts})


@dataclass(frozen=True)
class Recipe:
    """The record of an edit.

    Attributes:
        sources: The receiver first; none where the face was made from attributes alone.
        steps: In order; each works on the picture that the one before it made.
        seed: Of random choices; only generated faces have some.
        output: ``full`` for the whole photograph, ``crop`` for the aligned crop, ``model`` for the
            plain decode.
        version: Of this record's layout.
    """

    sources: tuple[Source, ...]
    steps: tuple[Step, ...]
    seed: int = 0
    output: str = "full"
    version: int = VERSION

    def source(self, role: str) -> Source:
        """Return the source of a role.

        Raises:
            RecipeError: There is none.
        """
        for source in self.sources:
            if source.role == role:
                return source
        raise RecipeError(f"The recipe names no {role}.")

    def to_json(self) -> str:
        """Write as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Read :meth:`to_json`.

        Raises:
            RecipeError: It is damaged or newer than this program.
        """
        try:
            values = json.loads(text)
            if values["version"] > VERSION:
                raise RecipeError(
                    f"The recipe has version {values['version']}, this program reads up to "
                    f"{VERSION}: update Latent Studio to use it."
                )
            sources = tuple(
                Source(**{**source, "place": tuple(source["place"])})
                for source in values.pop("sources")
            )
            steps = tuple(map(Step.from_dict, values.pop("steps")))
            return cls(sources=sources, steps=steps, **values)
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise RecipeError(f"The recipe is damaged and cannot be read: {error}.") from error

    @classmethod
    def from_photo(cls, photo: Photo) -> "Recipe | None":
        """Return the recipe in a picture's text, or None where there is none.

        Raises:
            RecipeError: There is one, but it cannot be read.
        """
        text = photo.text.get(TEXT_KEY)
        return None if text is None else cls.from_json(text)

    def to_text(self) -> Mapping[str, str]:
        """Return the PNG text that carries this recipe."""
        return {TEXT_KEY: self.to_json()}


def is_result(path: Path) -> bool:
    """Say whether a file is a PNG that carries a recipe, by its first megabyte."""
    with path.open("rb") as file:
        head = file.read(2**20)
    return head.startswith(b"\x89PNG") and TEXT_KEY.encode() in head


def picture_hash(photo: Photo) -> str:
    """Hash a photograph's decoded pixels with their size."""
    digest = hashlib.sha256(repr(photo.pixels.shape).encode())
    digest.update(photo.pixels.data)
    return digest.hexdigest()
