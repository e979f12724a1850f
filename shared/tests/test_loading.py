"""The quick way to load and marshmallow's say the same of everything."""

import copy
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError, validates_schema
from marshmallow.fields import Integer
from marshmallow.validate import Length

from pomona.fields import (
    Choice,
    Count,
    Day,
    FactSchema,
    Fen,
    Id,
    List,
    Moment,
    Nested,
    RequestSchema,
    Text,
    Whole,
    distinct,
)
from pomona.loading import loader


class Line(FactSchema):
    line_no = Count(required=True)
    product_id = Id(required=True)
    scale_id = Text(load_default=None, allow_none=True)


class Receipt(RequestSchema):
    order_id = Id(required=True)
    sold_at = Moment(required=True)
    day = Day(required=True)
    channel = Choice(("till", "app"), load_default="till")
    customer_id = Id(required=True, allow_none=True)
    lines = List(Nested(Line), required=True, validate=[Length(min=1), distinct("line_no")])
    tags = List(Text(), load_default=list)
    total_fen = Fen(required=True)
    rounding = Integer(load_default=0)  # a field that is none of ours
    hour = Whole(max=23)


SOUND = {
    "order_id": str(uuid4()),
    "sold_at": "2026-11-21T10:00:00+08:00",
    "day": "2026-11-21",
    "channel": "app",
    "customer_id": None,
    "lines": [
        {"line_no": 1, "product_id": str(uuid4()), "more": True},
        {"line_no": 2, "product_id": str(uuid4()), "scale_id": "a"},
    ],
    "total_fen": 1290,
    "rounding": "3",
}
PLACES = [*((name,) for name in SOUND), ("lines", 0), ("lines", 0, "product_id"), ("tags",)]
ODD = st.one_of(
    st.sampled_from([None, True, 0, -1, 1.5, "", "1", " ", "till", "\u202e", [], {}, [[]], [{}]]),
    st.text(max_size=5),
    st.lists(st.text(max_size=3), max_size=2),
    st.sampled_from([SOUND["order_id"].upper(), SOUND["lines"][:1] * 2, {"unheard_of": 1}]),
)


def outcome(load, values):
    try:
        return load(values)
    except ValidationError as error:
        return error.messages


def test_a_sound_request_is_loaded_as_marshmallow_loads_it():
    assert loader(Receipt())(SOUND) == Receipt().load(SOUND)


@given(place=st.sampled_from(PLACES), odd=ODD)
def test_whatever_stands_in_a_field_both_say_the_same_of_it(place, odd):
    values = copy.deepcopy(SOUND)
    within = values
    for key in place[:-1]:
        within = within[key]
    within[place[-1]] = odd

    assert outcome(loader(Receipt()), values) == outcome(Receipt().load, values)


@pytest.mark.parametrize("missing", list(SOUND))
def test_what_is_missing_is_missed_or_given_its_default_by_both(missing):
    values = {name: value for name, value in SOUND.items() if name != missing}

    assert outcome(loader(Receipt()), values) == outcome(Receipt().load, values)


@pytest.mark.parametrize("values", [None, [], "x", {**SOUND, "unheard_of": 1}])
def test_what_is_no_such_request_is_refused_by_both(values):
    with pytest.raises(ValidationError) as refused:
        Receipt().load(values)

    assert outcome(loader(Receipt()), values) == refused.value.messages


def test_a_default_is_made_anew_each_time():
    load = loader(Receipt())

    assert load(SOUND)["tags"] is not load(SOUND)["tags"]


def test_a_schema_that_checks_more_than_its_fields_is_left_to_marshmallow():
    class Even(Schema):
        number = Whole()

        @validates_schema
        def is_even(self, data, **_):
            if data["number"] % 2:
                raise ValidationError("odd")

    class Wrapped(Schema):
        even = Nested(Even)

    for schema, odd in ((Even, {"number": 1}), (Wrapped, {"even": {"number": 1}})):
        with pytest.raises(ValidationError):
            loader(schema())(odd)
