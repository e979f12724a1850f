"""What a till asked for stays on its disk no longer than until it is answered."""

from pathlib import Path

import pytest

from pomona.errors import Refused
from pomona.offline import Backlog

PHONE = "13912345678"
SAID = "家里有小孩"


class Answers:
    """A terminal whose calls are all answered, or all refused."""

    def __init__(self, refusal: str = "") -> None:
        self.refusal = refusal

    def call(self, service, method, request, *, timeout):
        if self.refusal:
            raise Refused(self.refusal, "No.")
        return {"customer_id": "c-1"}


@pytest.fixture
def till(tmp_path):
    backlog = Backlog(tmp_path / "backlog.sqlite")
    for number in range(20):
        request = {"phone": PHONE, "note": SAID * number * 50}  # larger than a page, too
        backlog.write_down("crm", "register_customer", request, person="lin")
    yield backlog
    backlog.close()


def on_disk(folder: Path) -> bool:
    content = b"".join(file.read_bytes() for file in folder.iterdir())
    return PHONE.encode() in content or SAID.encode() in content


def test_what_was_answered_is_kept_without_what_was_asked(till, tmp_path):
    assert on_disk(tmp_path)

    till.flush(lambda _person: Answers())

    kept = till.commands("answered")
    assert [(each.method, each.result) for each in kept] == [
        ("register_customer", {"customer_id": "c-1"})
    ] * 20
    assert all(each.request == {} for each in kept)
    assert not on_disk(tmp_path)


def test_what_was_refused_is_kept_until_it_is_dropped(till, tmp_path):
    till.flush(lambda _person: Answers(refusal="invalid_request"))
    assert on_disk(tmp_path)
    assert {each.request["phone"] for each in till.commands("refused")} == {PHONE}

    for each in till.commands("refused"):
        till.drop(each.number)

    assert not on_disk(tmp_path)


def test_what_was_refused_once_is_sent_again_as_it_was(till, tmp_path):
    till.flush(lambda _person: Answers(refusal="invalid_request"))
    for each in till.commands("refused"):
        till.retry(each.number)
    assert {each.request["phone"] for each in till.commands("waiting")} == {PHONE}

    till.flush(lambda _person: Answers())

    assert not on_disk(tmp_path)
