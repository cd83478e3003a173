"""What people know about attributes of faces: their names in words, groups, contradictions.

Attributes that are not CelebA's have a name in words too and stand in a group of their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

OTHER = "Other"
GROUPS: Mapping[str, tuple[str, ...]] = {
    "Hair": (
        "Bald", "Bangs", "Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair",
        "Receding_Hairline", "Straight_Hair", "Wavy_Hair", "Sideburns",
    ),
    "Face": (
        "Arched_Eyebrows", "Bushy_Eyebrows", "Bags_Under_Eyes", "Narrow_Eyes", "Big_Nose",
        "Pointy_Nose", "Big_Lips", "High_Cheekbones", "Rosy_Cheeks", "Oval_Face", "Chubby",
        "Double_Chin", "Pale_Skin", "5_o_Clock_Shadow", "Goatee", "Mustache", "No_Beard",
    ),
    "Accessories": (
        "Eyeglasses", "Wearing_Hat", "Wearing_Earrings", "Wearing_Necklace", "Wearing_Necktie",
        "Wearing_Lipstick", "Heavy_Makeup",
    ),
    "Expression": ("Smiling", "Mouth_Slightly_Open"),
    "Age and sex": ("Young", "Male", "Attractive"),
    OTHER: ("Blurry",),
}  # fmt: skip

_COLOURS = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair")
_BEARDS = ("5_o_Clock_Shadow", "Goatee", "Mustache")
# Pairs that no face has both of.
CONTRADICTIONS: frozenset[frozenset[str]] = frozenset(
    frozenset(pair)
    for pair in (
        *combinations(_COLOURS, 2),
        *(("Bald", name) for name in (*_COLOURS, "Bangs", "Straight_Hair", "Wavy_Hair")),
        *(("No_Beard", name) for name in _BEARDS),
        ("Straight_Hair", "Wavy_Hair"),
    )
)
_WORDS = {"5_o_Clock_Shadow": "5 o'clock shadow"}
# From here on an attribute counts as asked for.
PRESENT = 0.5


@dataclass(frozen=True)
class Preset:
    """Some attributes at once.

    Attributes:
        label: For the button.
        values: Probability by attribute.
    """

    label: str
    values: Mapping[str, float]


PRESETS = (
    Preset("Smile", {"Smiling": 1, "Mouth_Slightly_Open": 1, "High_Cheekbones": 1}),
    Preset("Older", {"Young": 0, "Gray_Hair": 1, "Bags_Under_Eyes": 1}),
    Preset("Younger", {"Young": 1, "Gray_Hair": 0, "Receding_Hairline": 0, "Bald": 0}),
    Preset("Beard", {"No_Beard": 0, "Goatee": 1, "Mustache": 1}),
    Preset("Make-up", {"Heavy_Makeup": 1, "Wearing_Lipstick": 1, "Rosy_Cheeks": 1}),
    Preset("Reader", {"Eyeglasses": 1, "Smiling": 0}),
)


def label(attribute: str) -> str:
    """Name an attribute in words: ``Wearing_Hat`` is ``Wearing hat``."""
    words = _WORDS.get(attribute, attribute.replace("_", " ").lower())
    return words[:1].upper() + words[1:]


def grouped(attributes: Sequence[str]) -> dict[str, list[str]]:
    """Sort attributes into groups; a group without any is left out.

    Returns:
        Attributes by group, in the order of ``GROUPS``; unknown ones are at the end of the last.
    """
    known = {name for names in GROUPS.values() for name in names}
    groups = {
        group: [name for name in names if name in attributes] for group, names in GROUPS.items()
    }
    groups[OTHER] += [name for name in attributes if name not in known]
    return {group: names for group, names in groups.items() if names}


def contradictions(values: Mapping[str, float]) -> list[str]:
    """Say which of the attributes asked for no face has at once, one sentence for each pair.

    Args:
        values: Probability by attribute.
    """
    asked = [name for name, value in values.items() if value >= PRESENT]
    return [
        f"{label(one)} and {label(other).lower()} exclude each other."
        for one, other in combinations(asked, 2)
        if frozenset((one, other)) in CONTRADICTIONS
    ]
