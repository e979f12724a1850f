"""Acts of an operator on the keys of people, done in the databases: services may run or not."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID

from aftersales import projections as of_aftersales
from aftersales.application import Aftersales
from crm import projections as of_crm
from crm.application import Crm
from pomona.erasures import ErasureJournal
from pomona.eventstore import environment
from pomona.master_keys import MasterKeys
from pomona.personal import People
from pomona_console.layout import Layout

Dsns = Mapping[str, str]


@contextmanager
def people_of(service: str, keys: Dsns, layout: Layout) -> Iterator[People]:
    """Give the people whom a service of a stack knows."""
    people = People(keys[service], MasterKeys(layout.master_keys), ErasureJournal(layout.erasures))
    try:
        yield people
    finally:
        people.close()


@contextmanager
def applications(databases: Dsns, keys: Dsns, layout: Layout) -> Iterator[tuple[Crm, Aftersales]]:
    """Give the applications that know people, without their services."""
    with (
        people_of("crm", keys, layout) as customers,
        people_of("aftersales", keys, layout) as claimants,
    ):
        crm = Crm(environment(databases["crm"]), remember=of_crm.remember, people=customers)
        aftersales = Aftersales(
            environment(databases["aftersales"]), remember=of_aftersales.remember, people=claimants
        )
        try:
            yield crm, aftersales
        finally:
            crm.close()
            aftersales.close()


def apply_erasures(databases: Dsns, keys: Dsns, layout: Layout) -> int:
    """Erase again whoever is in the erasure journal, and return how many those are.

    To be done after a restore, before the services open; they do the same when they start.
    """
    with applications(databases, keys, layout) as known:
        for application in known:
            application.catch_up()
    return len(ErasureJournal(layout.erasures).read())


def renew_key(person_id: UUID, databases: Dsns, keys: Dsns, layout: Layout) -> None:
    """Give one person a new key in every service, as the old one may have leaked."""
    with applications(databases, keys, layout) as (crm, aftersales):
        crm.renew_key(person_id, datetime.now(UTC))
        aftersales.renew_key(person_id)
