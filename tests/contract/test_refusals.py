"""Every refusal is a sentence in both languages that the person at the till can act on."""

import re
from collections import Counter
from importlib import import_module
from string import Formatter

import pytest

from pomona.errors import Refusal

from .golden import CHAIN


def every_refusal() -> list[type[Refusal]]:
    """Import every service, and find what any of them can refuse with."""
    for service in CHAIN:
        import_module(f"{service}.service")
    found: list[type[Refusal]] = []
    families = [Refusal]
    while families:
        kinds = families.pop().__subclasses__()
        families += kinds
        found += [kind for kind in kinds if kind.__module__.split(".")[0] in CHAIN]
    return sorted(set(found), key=by_name)


def by_name(kind: type[Refusal]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def is_raised(kind: type[Refusal]) -> bool:
    """Say whether it is more than the root of a service's error tree."""
    return "code" in vars(kind)


def facts_in(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


RAISED = [kind for kind in every_refusal() if is_raised(kind)]


@pytest.mark.feature("SYS-04")
@pytest.mark.parametrize("kind", RAISED, ids=by_name)
def test_a_refusal_says_the_same_in_chinese_and_english(kind):
    assert re.search("[\u4e00-\u9fff]", kind.zh)
    assert kind.zh.endswith(("。", "{problem}"))
    assert not re.search("[\u4e00-\u9fff]", kind.en)
    assert kind.en.endswith((".", "{problem}"))
    assert facts_in(kind.zh) == facts_in(kind.en)


@pytest.mark.parametrize("kind", RAISED, ids=by_name)
def test_a_refusal_has_a_code_that_programs_can_read(kind):
    assert re.fullmatch("[a-z]+(_[a-z]+)*", kind.code)


@pytest.mark.parametrize("service", CHAIN)
def test_a_code_with_its_field_means_one_thing_in_a_service(service):
    meanings = Counter(
        (kind.code, kind.field) for kind in RAISED if kind.__module__.startswith(f"{service}.")
    )

    assert [meaning for meaning, kinds in meanings.items() if kinds > 1] == []
