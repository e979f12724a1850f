"""The closed lists of words, and the limits, that the facts and the questions share."""

from marshmallow.validate import Length

from pomona.fields import MAX_FEN

UNITS = ("g", "piece")
CHANNELS = ("till", "clerk", "app")
SALES_CHANNELS = (*CHANNELS, "claim")
TENDERS = ("cash", "card")
LINES = Length(min=1)

__all__ = ["CHANNELS", "LINES", "MAX_FEN", "SALES_CHANNELS", "TENDERS", "UNITS"]
