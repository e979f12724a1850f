"""docs/features.md says what the tests show, and nothing else."""

import pytest

from pomona_console.features import CHAPTERS, DOCUMENT, document, sentences, shown


def test_the_list_of_features_is_fresh():
    written = DOCUMENT.read_text("utf-8")

    assert written == document(sentences(), shown()), "run `make features`"


def test_every_feature_that_a_test_shows_is_put_in_a_sentence():
    assert set(shown()) <= set(sentences()), "add the sentence to docs/features.yaml"


def test_every_sentence_is_shown_by_a_test():
    assert set(sentences()) <= set(shown())


@pytest.mark.parametrize(("feature", "sentence"), sentences().items())
def test_a_feature_is_one_sentence_under_a_known_chapter(feature, sentence):
    assert feature.partition("-")[0] in CHAPTERS
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert ". " not in sentence


def test_a_test_may_show_several_features():
    tests = shown()

    assert set(tests["INV-17"]) & set(tests["AFT-09"])
