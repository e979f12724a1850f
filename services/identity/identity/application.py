"""The use cases of identity: fetch, ask, save."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

from identity import credentials, enrolment
from identity.attempts import Attempt
from identity.credentials import Vault
from identity.domain.errors import (
    CodeNotValid,
    NotLetIn,
    PersonUnknown,
    SessionOver,
    StaffNoTaken,
    TerminalUnknown,
    TooManyAttempts,
)
from identity.domain.person import Person
from identity.domain.session import Session
from identity.domain.terminal import Terminal
from pomona import metrics
from pomona.application import Application, Command, Question
from pomona.eventstore import Cursor
from pomona.identity import Actor, Claims

# Longer than the check of a secret takes: a refusal tells nothing by when it comes.
REFUSED_AFTER_SECONDS: Final = 0.3


@dataclass(frozen=True)
class Keeping:
    """A command, and what is kept beside its events in their transaction."""

    command: Command
    keep: Callable[[Cursor], None]

    def stamp(self) -> dict[str, Any]:
        return self.command.stamp()

    def row(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        return self.command.row(answer)

    def within(self, cursor: Cursor) -> None:
        self.keep(cursor)


@dataclass(frozen=True)
class LogIn:
    """The cause of a session, which no repeat of a log-in looks up again.

    To try twice opens two sessions, which harms nobody; a token that was stored in order to answer
    a repeat could be stolen from the store.
    """

    actor: str
    correlation_id: str
    keep: Callable[[Cursor], None]

    def stamp(self) -> dict[str, Any]:
        return {
            "actor": self.actor,
            "correlationid": self.correlation_id,
            "causationid": self.correlation_id,
            "traceparent": "",
        }

    def row(self, _answer: object) -> None:
        return None

    def within(self, cursor: Cursor) -> None:
        self.keep(cursor)


@dataclass(frozen=True)
class Admission:
    """Whom to give a token, and for which session."""

    actor: Actor
    session_id: UUID


class Identity(Application):
    name = "identity"
    aggregates = {"Terminal": Terminal, "Person": Person, "Session": Session}  # noqa: RUF012

    def issue_code(self, c: Command) -> dict[str, Any]:
        terminal_id: UUID = c.request["terminal_id"]
        terminal = self.get(Terminal, terminal_id)
        if terminal is None:
            terminal = Terminal.announce(terminal_id=terminal_id, store_id=c.store_id, at=c.at)
        else:
            terminal.replace_code(store_id=c.store_id, at=c.at)
        hashed: str = c.request["code_hash"]
        return self.commit(
            Keeping(c, lambda cursor: enrolment.keep_code(cursor, terminal_id, hashed)),
            terminal,
            answer={
                "terminal_id": str(terminal_id),
                "expires_at": terminal.code_expires_at.isoformat(),
            },
        )

    def enrol_terminal(self, c: Command) -> dict[str, Any]:
        with self.reading() as cursor:
            terminal_id = enrolment.terminal_with(cursor, c.request["code"])
        terminal = terminal_id and self.get(Terminal, terminal_id)
        if not terminal:
            raise CodeNotValid
        terminal.enrol(at=c.at)
        password_hash: str = c.request["password_hash"]
        return self.commit(
            Keeping(c, lambda cursor: enrolment.open_account(cursor, terminal.id, password_hash)),
            terminal,
            answer={
                "terminal_id": str(terminal.id),
                "store_id": terminal.store_id and str(terminal.store_id),
            },
        )

    def revoke_terminal(self, c: Command) -> dict[str, Any]:
        terminal = self.get(Terminal, c.request["terminal_id"])
        if terminal is None:
            raise TerminalUnknown
        terminal.revoke(at=c.at)
        return self.commit(c, terminal, answer={"terminal_id": str(terminal.id)})

    def hire(self, c: Command) -> dict[str, Any]:
        staff_no: str = c.request["staff_no"]
        if self.get(Person, Person.id_for(staff_no)) is not None:
            raise StaffNoTaken
        person = Person.hire(
            staff_no=staff_no, role=c.request["works_as"], store_id=c.store_id, at=c.at
        )
        return self.commit(c, person, answer={"staff_no": staff_no})

    def set_credential(self, c: Command, vault: Vault) -> dict[str, Any]:
        person = self._person(c)
        person.set_credential(at=c.at)
        hashed = vault.hash(credentials.good_secret(person, c.request))
        return self.commit(
            Keeping(c, lambda cursor: credentials.keep(cursor, person, hashed)),
            person,
            answer={"staff_no": person.staff_no},
        )

    def move(self, c: Command) -> dict[str, Any]:
        person = self._person(c)
        person.move(role=c.request["works_as"], store_id=c.store_id, at=c.at)
        return self.commit(c, person, answer={"staff_no": person.staff_no})

    def leave(self, c: Command) -> dict[str, Any]:
        person = self._person(c)
        person.leave(at=c.at)
        return self.commit(c, person, answer={"staff_no": person.staff_no})

    def log_in(self, q: Question, vault: Vault) -> Admission:
        """Open a session. Whoever is not let in learns neither why nor, by the clock, how far."""
        answer_at = time.monotonic() + REFUSED_AFTER_SECONDS
        terminal = self._terminal(q.actor)
        attempt = Attempt(terminal.id, q.request["staff_no"], q.at)
        try:
            with self.reading() as cursor, cursor.connection.transaction():
                attempt.begin(cursor)
        except TooManyAttempts:
            metrics.authz_denied.labels("too_many_attempts").inc()
            raise
        person = self._admitted(q, terminal, vault)
        if person is None:
            metrics.authz_denied.labels("not_let_in").inc()
            time.sleep(max(0.0, answer_at - time.monotonic()))
            raise NotLetIn
        session = Session.open(
            session_id=uuid4(), staff_no=person.staff_no, terminal_id=terminal.id, at=q.at
        )
        self.commit(LogIn(person.staff_no, q.correlation_id, attempt.succeed), session)
        return _admission(person, session)

    def renew(self, q: Question, claims: Claims) -> Admission:
        """Look whether the session of a token still stands, and everything it stands on."""
        session = self._session(q.actor, claims)
        session.must_be_open(at=q.at)
        person = self.get(Person, Person.id_for(session.staff_no))
        if person is None or person.left or person.changed_at >= session.opened_at:
            raise SessionOver
        return _admission(person, session)

    def log_out(self, c: Command, claims: Claims) -> dict[str, Any]:
        session = self._session(c.actor, claims)
        session.end(at=c.at)
        return self.commit(c, session, answer={"session_id": str(session.id)})

    def _person(self, c: Command) -> Person:
        person = self.get(Person, Person.id_for(c.request["staff_no"]))
        if person is None:
            raise PersonUnknown
        return person

    def _terminal(self, actor: Actor) -> Terminal:
        terminal = actor.terminal_id and self.get(Terminal, actor.terminal_id)
        if not terminal or not terminal.is_ours:
            raise SessionOver
        return terminal

    def _session(self, actor: Actor, claims: Claims) -> Session:
        terminal = self._terminal(actor)
        session = claims.session_id and self.get(Session, claims.session_id)
        if not session or session.terminal_id != terminal.id:
            raise SessionOver
        return session

    def _admitted(self, q: Question, terminal: Terminal, vault: Vault) -> Person | None:
        kind = "pin" if "pin" in q.request else "password"
        person = self.get(Person, Person.id_for(q.request["staff_no"]))
        with self.reading() as cursor:
            kept = credentials.hash_of(cursor, q.request["staff_no"], kind)
        if not vault.opens(kept, q.request[kind]) or person is None or person.left:
            return None
        # PINs are for the store's own counters, passwords for head office
        return person if person.store_id == terminal.store_id else None


def _admission(person: Person, session: Session) -> Admission:
    role: Any = person.role
    actor = Actor(
        id=person.staff_no, role=role, store_id=person.store_id, terminal_id=session.terminal_id
    )
    return Admission(actor, session.id)
