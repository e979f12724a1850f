"""One spelling for every phone number, so that a customer is found however it was typed."""

import re
import unicodedata
from typing import Final

from crm.domain.errors import NotAPhone

CHINESE_MOBILE: Final = re.compile(r"(?:\+86)?(1[3-9][0-9]{9})")
INTERNATIONAL: Final = re.compile(r"\+(?!86)[1-9][0-9]{6,14}")
SPACING: Final = re.compile(r"[\s().-]")


def normalised_phone(typed: str) -> str:
    """Return a number in E.164: a Chinese mobile with or without +86, or any with its code."""
    # An input method for Chinese types full-width digits.
    number = SPACING.sub("", unicodedata.normalize("NFKC", typed))
    if number.startswith("00"):
        number = f"+{number[2:]}"
    chinese = CHINESE_MOBILE.fullmatch(number)
    if chinese:
        return f"+86{chinese[1]}"
    if INTERNATIONAL.fullmatch(number):
        return number
    raise NotAPhone


def masked_phone(number: str) -> str:
    """Return a number of which a list shows enough to recognise and too little to call."""
    return f"{number[:-8]}****{number[-4:]}"
