import pytest

from studio import traits

CELEBA = [name for names in traits.GROUPS.values() for name in names]


def test_the_groups_hold_each_of_the_forty_once():
    assert len(CELEBA) == len(set(CELEBA)) == 40


def test_attributes_stand_in_their_groups_and_strangers_in_the_last():
    groups = traits.grouped(["Red_Nose", "Smiling", "Bald", "Bangs"])
    assert groups == {"Hair": ["Bald", "Bangs"], "Expression": ["Smiling"], "Other": ["Red_Nose"]}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Wearing_Hat", "Wearing hat"),
        ("5_o_Clock_Shadow", "5 o'clock shadow"),
        ("smile", "Smile"),
    ],
)
def test_attributes_have_names_in_words(name, words):
    assert traits.label(name) == words


def test_contradictions_are_named_pair_by_pair():
    asked = {"Bald": 1, "Bangs": 0.9, "Black_Hair": 0.2, "Goatee": 1, "No_Beard": 1, "Young": 1}
    assert traits.contradictions(asked) == [
        "Bald and bangs exclude each other.",
        "Goatee and no beard exclude each other.",
    ]
    assert traits.contradictions({"Smiling": 1, "Bald": 1}) == []


def test_what_is_told_to_exclude_each_other_is_known():
    named = {name for pair in traits.CONTRADICTIONS for name in pair}
    assert named <= set(CELEBA)


def test_presets_ask_for_known_attributes_that_go_together():
    for preset in traits.PRESETS:
        assert set(preset.values) <= set(CELEBA)
        assert traits.contradictions(preset.values) == []
