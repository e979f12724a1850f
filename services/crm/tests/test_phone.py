"""A number is the same number however it was typed."""

import pytest

from crm.domain.errors import NotAPhone
from crm.domain.phone import masked_phone, normalised_phone


@pytest.mark.parametrize(
    "typed",
    [
        "13800138000",
        "138 0013 8000",
        "138-0013-8000",
        "+86 138 0013 8000",
        "0086 13800138000",
        "１３８００１３８０００",
    ],
)
def test_one_mobile_has_one_spelling(typed: str) -> None:
    assert normalised_phone(typed) == "+8613800138000"


def test_a_number_from_abroad_keeps_its_country() -> None:
    assert normalised_phone("+1 (415) 555-0123") == "+14155550123"
    assert normalised_phone("0044 20 7946 0958") == "+442079460958"


@pytest.mark.parametrize(
    "typed", ["", "12345", "12800138000", "138001380001", "+86 12800138000", "+0 1234567", "apple"]
)
def test_what_is_no_number_is_refused_without_repeating_it(typed: str) -> None:
    with pytest.raises(NotAPhone) as refusal:
        normalised_phone(typed)

    assert refusal.value.field == "phone"
    assert not typed or typed not in refusal.value.sentence("en") + refusal.value.sentence("zh")


@pytest.mark.feature("CRM-25")
def test_a_list_shows_a_phone_masked() -> None:
    assert masked_phone("+8613800138000") == "+86138****8000"
