from collections import defaultdict

import pytest

from tfrecords_tools.synthetic.hand_shapes import HAND_SHAPES
from tfrecords_tools.synthetic.signs import (
    CORE_GLOSSES,
    HANDS,
    LEXICON,
    MINIMAL_PAIRS,
    MOVEMENTS,
    ORIENTATIONS,
    PLACES,
    differing_parameters,
)


def test_lexicon_is_large_and_its_signs_differ():
    assert len(LEXICON) >= 28
    assert len(set(LEXICON.values())) == len(LEXICON)
    assert all(gloss.isalpha() and gloss.islower() for gloss in LEXICON)


@pytest.mark.parametrize("gloss", LEXICON)
def test_signs_use_known_parameters(gloss):
    sign = LEXICON[gloss]
    assert {sign.shape, sign.end_shape or sign.shape} <= set(HAND_SHAPES)
    assert sign.place in PLACES
    assert sign.orientation in ORIENTATIONS
    assert sign.movement in MOVEMENTS
    assert sign.hands in HANDS


@pytest.mark.parametrize(("first", "second", "parameter"), MINIMAL_PAIRS)
def test_minimal_pairs_differ_in_exactly_one_parameter(first, second, parameter):
    assert differing_parameters(LEXICON[first], LEXICON[second]) == (parameter,)


def test_minimal_pairs_cover_every_kind():
    assert {parameter for *_, parameter in MINIMAL_PAIRS} == {"movement", "shape", "place", "orientation"}


def test_core_glosses_form_families_that_differ_in_movement_alone():
    families = defaultdict(list)
    for gloss in CORE_GLOSSES:
        sign = LEXICON[gloss]
        families[sign.shape, sign.place, sign.orientation, sign.hands].append(sign.movement)
    assert len(CORE_GLOSSES) == 16
    assert all(len(movements) == len(set(movements)) >= 3 for movements in families.values())
    assert any(hands != "one" for *_, hands in families)
