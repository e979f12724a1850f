"""Whoever is refused is told what is wrong and what to do, in Chinese and in English."""

import re
from itertools import chain

import pytest

from pomona import errors
from pomona.errors import InvalidRequest, Refusal, Refused

PLACE = re.compile(r"{(\w+)}")


def all_below(cls):
    return [cls, *chain.from_iterable(all_below(below) for below in cls.__subclasses__())]


CHASSIS = [cls for cls in all_below(Refusal) if cls.__module__ == "pomona.errors"]
CODES = {
    *("refused", "invalid_request", "unauthenticated", "forbidden", "expired"),
    *("command_id_reused", "conflict", "unavailable", "not_found", "unknown_method", "internal"),
    "too_many_requests",
}


@pytest.mark.feature("SYS-04")
@pytest.mark.parametrize("cls", CHASSIS, ids=lambda cls: cls.__name__)
def test_a_refusal_has_a_sentence_in_both_languages(cls):
    facts = dict.fromkeys(PLACE.findall(cls.zh + cls.en), "x")
    facts.pop("field", None)
    refusal = cls(**facts)

    for locale in ("zh", "zh-CN", "ZH_cn"):
        assert re.search(r"[\u4e00-\u9fff]", refusal.sentence(locale))
    for locale in ("en", "en-GB", "de", ""):
        assert refusal.sentence(locale).isascii()
        assert not PLACE.search(refusal.sentence(locale))
    assert set(PLACE.findall(cls.zh)) == set(PLACE.findall(cls.en))


def test_codes_are_a_closed_list():
    assert {cls.code for cls in CHASSIS} == CODES


def test_a_wrong_field_is_told_in_one_language_at_a_time():
    refusal = InvalidRequest(field="lines.1.quantity", problem="需要整数。|Give a whole number.")

    assert refusal.sentence("en") == "Field lines.1.quantity is wrong: Give a whole number."
    assert refusal.sentence("zh-CN") == "字段 lines.1.quantity 不正确：需要整数。"


def test_a_problem_in_one_language_is_told_in_both_rather_than_not_at_all():
    refusal = InvalidRequest(field="zone", problem="Asia/Atlantis")

    assert "Asia/Atlantis" in refusal.sentence("zh")
    assert "Asia/Atlantis" in refusal.sentence("en")


@pytest.mark.parametrize("words", ["{", "{0}", "{code.__class__}", "%s", "|", ""])
def test_what_a_caller_wrote_is_never_a_template(words):
    assert words.partition("|")[0] in InvalidRequest(field=words, problem=words).sentence("zh")
    assert words in errors.UnknownMethod(method=words).sentence("en")


def test_the_callers_side_keeps_what_the_wire_carried():
    refused = Refused("forbidden", "Ask the manager.", "store_id", "c-1")

    assert str(refused) == "forbidden: Ask the manager. [store_id]"
    assert refused.correlation_id == "c-1"
