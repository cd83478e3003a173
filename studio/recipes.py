"""Recipes: an edit as data, which every part of the studio can replay."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from studio.errors import RecipeError
from studio.images import Photo

VERSION = 1
TEXT_KEY = "latent-studio"
# Kinds of steps, and how many donors each has.
KINDS: Mapping[str, int] = {"swap": 1, "remove": 0, "blend": 4, "edit": 0, "generate": 0}


@dataclass(frozen=True)
class Source:
    """A picture that an edit was made from.

    Attributes:
        role: ``receiver``, ``donor``, or ``donor2`` to ``donor4``.
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
class Step:
    """One operation.

    Attributes:
        kind: ``swap``, ``remove``, ``blend`` (four donors), ``edit`` (attributes and directions) or
            ``generate`` (a face from attributes alone).
        checkpoint: Its name.
        checkpoint_hash: SHA-256 of its weights.
        donors: Roles of the donors: one for a swap, four for a blend, none for a removal.
        strength: Of a swap or blend, in [-1, 2]; of a generated face the variation, in [0, 2].
        x: Of a blend, 0 at the left donors.
        y: Of a blend, 0 at the upper donors.
        values: Probability by attribute, of an edit those that differ from what was measured.
        held: Attributes that an edit keeps.
        moves: How far it goes along one's own sliders, in deviations by name; not in a generated
            face.
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

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise RecipeError(f"A recipe's step is one of {', '.join(KINDS)}, not {self.kind!r}.")
        if len(self.donors) != KINDS[self.kind]:
            raise RecipeError(f"A {self.kind} has {KINDS[self.kind]} donors, not {self.donors}.")
        if not -1 <= self.strength <= 2:
            raise RecipeError(f"The strength must lie in [-1, 2], not at {self.strength}.")
        wrong = [name for name, value in self.values.items() if not 0 <= value <= 1]
        if wrong:
            raise RecipeError(
                f"{wrong[0]} must lie in [0, 1], from absent to present, not at "
                f"{self.values[wrong[0]]}."
            )


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
            steps = tuple(
                Step(
                    **{**step, "donors": tuple(step["donors"]), "held": tuple(step.get("held", ()))}
                )
                for step in values.pop("steps")
            )
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
