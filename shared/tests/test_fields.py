"""Every field takes exactly what it says and refuses the rest with a sentence in both languages."""

import math
import unicodedata
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from pomona import fields
from pomona.call import first_problem

FIELDS = {
    "id": fields.Id(),
    "fen": fields.Fen(),
    "count": fields.Count(),
    "whole": fields.Whole(),
    "moment": fields.Moment(),
    "day": fields.Day(),
    "text": fields.Text(max=20),
    "choice": fields.Choice(("g", "piece")),
    "bool": fields.Bool(),
}
GOOD = {
    "id": "00000000-0000-0000-0000-000000000001",
    "fen": 0,
    "count": 1,
    "whole": 7,
    "moment": "2026-11-21T09:30:00+08:00",
    "day": "2026-11-21",
    "text": "沃柑",
    "choice": "g",
    "bool": True,
}
MOMENTS = st.integers(0, 36_000).flatmap(
    lambda day: st.times(timezones=st.just(UTC)).map(
        lambda at: datetime.combine(date(2001, 1, 1) + timedelta(days=day), at)
    )
)
NEVER = [
    1.0,
    -0.0,
    math.nan,
    math.inf,
    1e30,
    Decimal(1),
    None,
    [],
    {},
    b"1",
    "",
    "1",
    "1,5",
    "\uff11\uff12",
    "true",
    "yes",
    "\ud800",
    "a\x00b",
    "a\u202eb",
    "a\u200bb",
]
ALSO_TEXT = {"1", "1,5", "\uff11\uff12", "true", "yes"}


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_takes_what_it_is_for(name):
    loaded = FIELDS[name].deserialize(GOOD[name])

    assert FIELDS[name].serialize("it", {"it": loaded}) == GOOD[name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(name, value, id=f"{name}-{value!a}")
        for name in FIELDS
        for value in NEVER
        if not (name == "text" and isinstance(value, str) and value in ALSO_TEXT)
    ],
)
def test_a_field_refuses_what_only_looks_like_it(name, value):
    with pytest.raises(ValidationError) as refused:
        FIELDS[name].deserialize(value)

    zh, _, en = str(first_problem(refused.value.messages)[1]).partition("|")
    assert zh
    assert en


@pytest.mark.parametrize("name", [name for name in FIELDS if name != "bool"])
def test_true_is_no_number_and_no_word(name):
    with pytest.raises(ValidationError):
        FIELDS[name].deserialize(True)


@pytest.mark.parametrize(
    "value",
    [
        "00000000000000000000000000000001",
        "urn:00000000000000000000000000000001",
        "{{00000000000000000000000000000001}}",
        "\uff10" * 8 + "-0000-0000-0000-000000000001",
        "0000000-00000-0000-0000-000000000001",
        "00000000-0000-0000-0000-00000000000_",
    ],
)
def test_an_id_has_one_written_form(value):
    with pytest.raises(ValidationError):
        fields.Id().deserialize(value)


@given(st.uuids())
def test_every_uuid_is_an_id_in_either_case(uuid):
    assert fields.Id().deserialize(str(uuid)) == uuid
    assert fields.Id().deserialize(str(uuid).upper()) == uuid


@given(st.integers())
def test_a_number_is_taken_within_its_bounds_only(value):
    field = fields.Whole(min=-5, max=10**6)

    if -5 <= value <= 10**6:
        assert field.deserialize(value) == value
    else:
        with pytest.raises(ValidationError):
            field.deserialize(value)


@given(st.floats())
def test_no_float_is_money(value):
    with pytest.raises(ValidationError):
        fields.Fen(min=-(10**12)).deserialize(value)


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-21T09:30:00",
        "2026-11-21",
        "1999-12-31T23:59:59+00:00",
        "2101-01-01T00:00:00+00:00",
        "0001-01-01T00:00:00+00:00",
        "9999-12-31T23:59:59+00:00",
        "2026-02-29T00:00:00+00:00",
        "now",
    ],
)
def test_a_moment_has_an_offset_and_lies_in_our_century(value):
    with pytest.raises(ValidationError):
        fields.Moment().deserialize(value)


@given(MOMENTS)
def test_a_moment_comes_back_as_it_went(moment):
    field = fields.Moment()

    assert field.deserialize(field.serialize("at", {"at": moment})) == moment


@pytest.mark.parametrize(
    "value", ["2026-W47-6", "2026-02-29", "20261121", "0001-01-01", "9999-01-01"]
)
def test_a_day_has_one_written_form(value):
    with pytest.raises(ValidationError):
        fields.Day().deserialize(value)


def test_the_29th_of_february_is_a_day_in_a_leap_year():
    assert fields.Day().deserialize("2028-02-29") == date(2028, 2, 29)


@given(st.text(max_size=40))
def test_text_is_short_normal_and_visible_or_refused(value):
    field = fields.Text(max=20)
    try:
        text = field.deserialize(value)
    except ValidationError:
        return

    assert 1 <= len(text) <= 20
    assert all(unicodedata.category(character)[0] != "C" for character in text)
    assert field.deserialize(text) == text
    text.encode("utf-8")


def test_text_is_measured_as_it_is_kept():
    grows = "\u0958" * 20  # its normal form has two characters each

    with pytest.raises(ValidationError):
        fields.Text(max=20).deserialize(grows)
    assert fields.Text(max=1).deserialize("e\u0301") == "é"


@pytest.mark.parametrize("value", ["", " ", "\u3000\u3000", " \u00a0 "])
def test_blank_text_says_nothing_and_is_refused(value):
    with pytest.raises(ValidationError):
        fields.Text().deserialize(value)


@pytest.mark.parametrize("value", ["'; DROP TABLE lots; --", "{{7*7}}", "=1+1", "../../etc", "<b>"])
def test_text_that_would_be_code_elsewhere_is_plain_text_here(value):
    assert fields.Text(max=100).deserialize(value) == value


class Line(fields.RequestSchema):
    product_id = fields.Id(required=True)


class Order(fields.RequestSchema):
    lines = fields.List(
        fields.Nested(Line),
        required=True,
        validate=[fields.entries(1, 3), fields.distinct("product_id")],
    )


class Fact(fields.FactSchema):
    order_id = fields.Id(required=True)


def problem(schema, value):
    with pytest.raises(ValidationError) as refused:
        schema.load(value)
    return first_problem(refused.value.messages)


@pytest.mark.feature("SYS-04")
def test_the_first_wrong_field_is_named_by_its_path():
    good, bad = {"product_id": GOOD["id"]}, {"product_id": 1}

    assert problem(Order(), {"lines": [good, bad]})[0] == "lines.1.product_id"
    assert problem(Order(), {"lines": [good], "coupon": 1})[0] == "coupon"
    assert problem(Order(), {"lines": [{**good, "note": ""}]})[0] == "lines.0.note"
    assert problem(Order(), {"lines": [good, good]})[0] == "lines.1.product_id"


@pytest.mark.parametrize("lines", [None, [], {}, "x", 1, [None], [[]], [{}] * 4])
def test_a_list_of_the_wrong_shape_is_refused_in_both_languages(lines):
    field, sentence = problem(Order(), {"lines": lines})

    assert field.startswith("lines")
    assert "|" in sentence


@pytest.mark.parametrize("body", [None, [], "x", 1])
def test_a_request_is_an_object(body):
    assert "|" in problem(Order(), body)[1]


@pytest.mark.feature("SYS-02")
def test_a_fact_is_read_although_its_publisher_says_more_than_before():
    order_id = uuid4()

    assert Fact().load({"order_id": str(order_id), "loyalty": {"new": 1}}) == {"order_id": order_id}


def test_ids_are_dumped_as_text():
    assert fields.Id().serialize("id", {"id": UUID(int=1)}) == GOOD["id"]
    assert fields.Id().serialize("id", {"id": None}) is None
