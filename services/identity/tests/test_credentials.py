"""What is tried first is no secret, and what is kept of one is of no use without the key."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from identity.attempts import pause_after, remembered
from identity.contracts import OneSecret
from identity.credentials import Vault, good_secret, is_good_password, is_good_pin
from identity.domain.errors import WeakPassword, WeakPin, WrongKindOfSecret
from identity.domain.person import Person
from identity.enrolment import code_hash
from pomona.session import hash_of_code, new_code

NOW = datetime(2026, 11, 21, 3, 10, tzinfo=UTC)
CASHIER = Person.hire(staff_no="1017", role="cashier", store_id=UUID(int=1), at=NOW)
OFFICE = Person.hire(staff_no="anna", role="head_office", store_id=None, at=NOW)


@pytest.mark.parametrize("pin", ["194857", "502938", "836201"])
def test_a_pin_that_nobody_tries_first_is_good(pin: str) -> None:
    assert is_good_pin(pin)


@pytest.mark.parametrize(
    "pin",
    [
        *("000000", "112211", "121212", "123456", "654321", "890123", "135791", "123123"),
        *("123321", "900517", "170590", "051790", "198805", "12345", "1234567"),
        *("19485a", "１９４８５７", "-94857", "19 857", ""),
    ],
)
def test_a_pin_that_is_tried_first_or_is_none_is_refused(pin: str) -> None:
    assert not is_good_pin(pin)


@pytest.mark.parametrize("password", ["short pears", "aaaaaaaaaaaaaaaa", "I am Anna, let me in"])
def test_a_password_that_is_short_dull_or_a_name_is_refused(password: str) -> None:
    assert not is_good_password(password, "anna")


def test_a_refusal_does_not_repeat_the_secret() -> None:
    with pytest.raises(WeakPin) as weak_pin:
        good_secret(CASHIER, {"pin": "123456"})
    with pytest.raises(WeakPassword) as weak_password:
        good_secret(OFFICE, {"password": "short pears"})

    assert "123456" not in str(weak_pin.value)
    assert "short pears" not in str(weak_password.value)


def test_a_store_uses_pins_and_head_office_passwords() -> None:
    assert good_secret(CASHIER, {"pin": "194857"}) == "194857"
    with pytest.raises(WrongKindOfSecret):
        good_secret(CASHIER, {"password": "kumquats in november"})
    with pytest.raises(WrongKindOfSecret):
        good_secret(OFFICE, {"pin": "194857"})


def test_a_request_names_one_secret() -> None:
    assert "pin" in OneSecret().validate({"staff_no": "1017"})
    assert "pin" in OneSecret().validate({"staff_no": "1017", "pin": "194857", "password": "x"})


def test_a_hash_opens_with_its_secret_and_its_key_only() -> None:
    vault = Vault(b"pepper")
    kept = vault.hash("194857")

    assert vault.opens(kept, "194857")
    assert not vault.opens(kept, "194858")
    assert not Vault(b"other pepper").opens(kept, "194857")
    assert not vault.opens(None, "nobody's secret")
    assert vault.hash("194857") != kept


def test_pauses_double_up_to_their_limit() -> None:
    pauses = [pause_after(n, 3, 60).total_seconds() for n in (1, 2, 3, 4, 5, 8, 9, 10_000)]

    assert pauses == [0, 0, 1, 2, 4, 32, 60, 60]


def test_a_slip_now_and_then_is_forgotten_and_a_burst_is_not() -> None:
    failures = 0.0
    for _ in range(100):  # one wrong PIN an hour at a busy till
        failures = 1 + remembered(failures, timedelta(hours=1), 60)
    assert failures == 1

    assert remembered(12, timedelta(seconds=1), 60) > 11.9


def test_a_code_may_be_typed_in_small_letters_and_misread() -> None:
    code = new_code()

    assert code_hash(code) == hash_of_code(code)
    assert code_hash(code.lower().replace("-", " ")) == hash_of_code(code)
    assert code_hash("ILO0-1111") == code_hash("1100-1111")
    assert len({new_code() for _ in range(100)}) == 100
