"""The doors of identity."""

from typing import Any

from identity import (
    attempts,
    contracts,
    credentials,
    enrolment,
    projections,
    views,
)
from identity.application import Identity
from identity.given import Accounts, Sealed, Vaulted
from pomona.application import Command, Question
from pomona.doors import command, question
from pomona.host import Host


class IdentityService:
    name = "identity"
    identity = Host(
        Identity,
        contracts=contracts,
        remember=projections.remember,
        schema=views.SCHEMA + credentials.SCHEMA + attempts.SCHEMA + enrolment.SCHEMA,
    )
    seal = Sealed()
    vault = Vaulted()
    settle_accounts = Accounts()

    @command
    def issue_code(self, c: Command) -> Any:
        return self.identity.issue_code(c)

    @command
    def enrol_terminal(self, c: Command) -> Any:
        answer = self.identity.enrol_terminal(c)
        self.settle_accounts()
        return answer

    @command
    def revoke_terminal(self, c: Command) -> Any:
        answer = self.identity.revoke_terminal(c)
        self.settle_accounts()
        return answer

    @command
    def hire(self, c: Command) -> Any:
        return self.identity.hire(c)

    @command
    def set_credential(self, c: Command) -> Any:
        return self.identity.set_credential(c, self.vault)

    @command
    def move(self, c: Command) -> Any:
        return self.identity.move(c)

    @command
    def leave(self, c: Command) -> Any:
        return self.identity.leave(c)

    @question
    def log_in(self, q: Question) -> Any:
        return self.seal.token_for(self.identity.log_in(q, self.vault))

    @question
    def renew(self, q: Question) -> Any:
        claims = self.seal.claims_of(q.request["session_token"])
        return self.seal.token_for(self.identity.renew(q, claims))

    @command
    def log_out(self, c: Command) -> Any:
        return self.identity.log_out(c, self.seal.claims_of(c.request["session_token"]))

    @question
    def trust(self, q: Question) -> Any:
        with self.identity.reading() as cursor:
            return {"keys": self.seal.told(), "revoked": views.revoked_of_late(cursor, q.at)}

    @question
    def list_terminals(self, q: Question) -> Any:
        with self.identity.reading() as cursor:
            return {"terminals": views.terminals(cursor, q.store_id)}

    @question
    def list_people(self, q: Question) -> Any:
        with self.identity.reading() as cursor:
            return {"people": views.people(cursor, q.store_id)}
