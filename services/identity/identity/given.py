"""What the doors of identity are given from outside: the seal, the vault, the broker's accounts."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import psycopg
from nameko.extensions import DependencyProvider
from psycopg.rows import dict_row

from identity.accounts import Broker, Unreachable, accounts
from identity.application import Admission
from identity.credentials import Vault
from pomona.application import now
from pomona.broker_access import terminal_user
from pomona.config import with_password
from pomona.identity import Claims, issue, read_token
from pomona.journal import logger
from pomona.signing import keys_in, signer_of

log = logger(__name__)

SETTLE_EVERY_SECONDS: Final = 5.0
TOKEN_LASTS: Final = timedelta(minutes=15)
# A till may be cut off for a week and then go on with the session it had.
RENEWED_WITHIN: Final = timedelta(days=7)


class Seal:
    """Signs tokens and reads them again, with the keys that the directory holds now."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def token_for(self, admission: Admission) -> dict[str, Any]:
        at, actor = now(), admission.actor
        if actor.terminal_id is None:
            raise TypeError("a session is always at a terminal")
        return {
            "token": issue(
                signer_of(keys_in(self._directory), at),
                actor,
                TOKEN_LASTS,
                via=terminal_user(actor.terminal_id),
                session_id=admission.session_id,
            ),
            "seconds": int(TOKEN_LASTS.total_seconds()),
            "session_id": str(admission.session_id),
            "staff_no": actor.id,
            "role": actor.role,
            "store_id": actor.store_id and str(actor.store_id),
        }

    def claims_of(self, token: str) -> Claims:
        return read_token(token, self._public(), leeway=RENEWED_WITHIN)

    def told(self) -> list[dict[str, str]]:
        return [{"kid": kid, "public_key": public} for kid, public in self._public().items()]

    def _public(self) -> dict[str, str]:
        return {key.kid: key.public_pem for key in keys_in(self._directory)}


class Sealed(DependencyProvider):  # type: ignore[misc]
    """Gives the doors the seal, from the directory of signing keys."""

    def get_dependency(self, worker_ctx: Any) -> Seal:
        del worker_ctx
        return Seal(Path(self.container.config["pomona"].own["signing_keys"]))


class Vaulted(DependencyProvider):  # type: ignore[misc]
    """Gives the doors the vault, with the key that is mixed into every secret."""

    def setup(self) -> None:
        pepper = Path(self.container.config["pomona"].own["pepper"])
        self._vault = Vault(pepper.read_bytes().strip())

    def get_dependency(self, worker_ctx: Any) -> Vault:
        del worker_ctx
        return self._vault


class Accounts(DependencyProvider):  # type: ignore[misc]
    """Keeps the broker's accounts as our table says; the doors are given a way to hurry it.

    It looks again every few seconds, so that a broker that was reset learns them anew, and one
    that was away when a terminal was enrolled or revoked hears of it.
    """

    def setup(self) -> None:
        self._settings = self.container.config["pomona"]
        own = self._settings.own
        api = with_password(own["rabbitmq_api"], own["rabbitmq_api_password_file"])
        self._broker = Broker(api, own["vhost"])
        self._hurry, self._stopping = threading.Event(), threading.Event()

    def start(self) -> None:
        self.container.spawn_managed_thread(self._run, identifier="accounts")

    def stop(self) -> None:
        self._stopping.set()
        self._hurry.set()

    def get_dependency(self, worker_ctx: Any) -> Callable[[], None]:
        del worker_ctx
        return self._hurry.set

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._hurry.clear()
            try:
                with (
                    psycopg.connect(
                        self._settings.database, row_factory=dict_row, connect_timeout=3
                    ) as connection,
                    connection.cursor() as cursor,
                ):
                    wanted = accounts(cursor)
                self._broker.settle(wanted)
            except (psycopg.Error, *Unreachable) as error:
                log.warning("accounts_not_settled", error=type(error).__name__)
            self._hurry.wait(SETTLE_EVERY_SECONDS)
