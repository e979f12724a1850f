"""What a terminal uses to be somebody: it enrols once, and people log in at it."""

import base64
import hashlib
import json
import os
import secrets
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit
from uuid import UUID, uuid4

from pomona.broker_access import ENROLMENT, ENROLMENT_PASSWORD, terminal_user
from pomona.errors import Refused, Unavailable
from pomona.terminal import Terminal

ENROLLED_WITHIN_SECONDS = 30.0
RENEWED_AFTER = 0.5  # of a token's life: the rest is for an identity service that is away
TRY_AGAIN_AFTER_SECONDS = 5.0
# Crockford's alphabet: none of it is mistaken for another when it is read aloud.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_GROUPS, _GROUP = 4, 4


@dataclass(frozen=True)
class Credentials:
    """A terminal's own account at the broker; nobody else has ever seen its password."""

    terminal_id: str
    store_id: str | None
    amqp_uri: str

    @classmethod
    def kept_in(cls, file: Path) -> Self:
        return cls(**json.loads(file.read_text("utf-8")))

    def terminal(self) -> Terminal:
        """Return a client that speaks for the machine alone."""
        return Terminal(self.amqp_uri)


def new_code() -> str:
    """Make an enrolment code of 80 random bits: only its hash is sent to identity."""
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(_GROUPS * _GROUP))
    return "-".join(letters[n : n + _GROUP] for n in range(0, len(letters), _GROUP))


def hash_of_code(code: str) -> str:
    return hashlib.sha256(code.replace("-", "").encode("ascii")).hexdigest()


def enrol(broker_uri: str, code: str, file: Path) -> Credentials:
    """Make this machine the terminal that the code was issued for, and keep its credentials.

    The password is made here and kept before identity hears of it: where the answer is lost,
    enrolling again with the same code and file sends the same command. `broker_uri` says where
    the broker is; whose account it names does not matter. Raises `Refused` or `Unavailable`.
    """
    begun = _begun(file.with_name(f"{file.name}.begun"), code)
    with Terminal(_as_user(broker_uri, ENROLMENT, ENROLMENT_PASSWORD)) as newcomer:
        answer = newcomer.command(
            "identity",
            "enrol_terminal",
            {"code": code, "password_hash": begun["password_hash"]},
            command_id=UUID(begun["command_id"]),
            patience=ENROLLED_WITHIN_SECONDS,
        )
    user = terminal_user(answer["terminal_id"])
    credentials = Credentials(
        terminal_id=answer["terminal_id"],
        store_id=answer["store_id"],
        amqp_uri=_as_user(broker_uri, user, begun["password"]),
    )
    _keep(file, asdict(credentials))
    file.with_name(f"{file.name}.begun").unlink()
    _wait_for_the_account(credentials)
    return credentials


class Session:
    """Somebody logged in at this terminal. `token` is what a `Terminal` presents for them.

    It renews itself in time; while identity is away, the token at hand serves until it expires.
    """

    def __init__(self, credentials: Credentials, admitted: Mapping[str, Any]) -> None:
        self._identity = credentials.terminal()
        self._lock = threading.Lock()
        self._renew_at = 0.0
        self._take(admitted)

    @classmethod
    def resumed(cls, credentials: Credentials, token: str) -> Self:
        """Go on with a token that was kept, also one that expired less than a week ago."""
        with credentials.terminal() as identity:
            return cls(credentials, identity.ask("identity", "renew", {"session_token": token}))

    def token(self) -> str:
        """Return a token, renewed when half of its life is over.

        Raises `Refused` where the session is over: then somebody has to log in again.
        """
        with self._lock:
            if time.monotonic() >= self._renew_at:
                self._renew_at = time.monotonic() + TRY_AGAIN_AFTER_SECONDS
                with suppress(Unavailable):
                    self._take(
                        self._identity.ask("identity", "renew", {"session_token": self._token})
                    )
            return self._token

    def log_out(self) -> None:
        """End the session: its tokens are refused everywhere within a minute."""
        with self._lock:
            self._identity.command("identity", "log_out", {"session_token": self._token})
            self._identity.close()

    def close(self) -> None:
        """Let go of the connection; the session itself goes on."""
        with self._lock:
            self._identity.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _take(self, admitted: Mapping[str, Any]) -> None:
        self._token: str = admitted["token"]
        # measured from now: a till's clock may be wrong
        self._renew_at = time.monotonic() + RENEWED_AFTER * admitted["seconds"]
        self.session_id: str = admitted["session_id"]
        self.staff_no: str = admitted["staff_no"]
        self.role: str = admitted["role"]
        self.store_id: str | None = admitted["store_id"]


def log_in(
    credentials: Credentials, staff_no: str, *, pin: str = "", password: str = ""
) -> Session:
    """Log somebody in, with a PIN at a store's terminal and a password at one of head office.

    Raises `Refused` or `Unavailable`.
    """
    secret = {"pin": pin} if pin else {"password": password}
    with credentials.terminal() as identity:
        admitted = identity.ask("identity", "log_in", {"staff_no": staff_no, **secret})
    return Session(credentials, admitted)


def broker_hash(password: str) -> str:
    """Hash a password as RabbitMQ stores it: a salt of four bytes before the digest."""
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _begun(file: Path, code: str) -> dict[str, str]:
    """Return what an enrolment that was interrupted began with, or begin one."""
    with suppress(FileNotFoundError):
        begun: dict[str, str] = json.loads(file.read_text("utf-8"))
        if begun["code_hash"] == hash_of_code(code):
            return begun
    password = secrets.token_urlsafe(32)
    fresh = {
        "command_id": str(uuid4()),
        "code_hash": hash_of_code(code),
        "password": password,
        "password_hash": broker_hash(password),
    }
    _keep(file, fresh)
    return fresh


def _keep(file: Path, content: Mapping[str, Any]) -> None:
    """Write a file in one step, for its owner only, so that a power cut leaves it whole."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as written:  # noqa: PTH123 - Path.open cannot set the mode
        json.dump(content, written)
        written.flush()
        os.fsync(written.fileno())
    fresh.replace(file)


def _wait_for_the_account(credentials: Credentials) -> None:
    """Return when the broker lets the terminal in: its account is made a moment later."""
    until = time.monotonic() + ENROLLED_WITHIN_SECONDS
    while True:
        try:
            with credentials.terminal() as terminal:
                terminal.ask("identity", "positions")
        except (Refused, Unavailable) as refused:
            # identity knows the machine and asks for a person: the account is there
            if isinstance(refused, Refused) and refused.correlation_id:
                return
            if time.monotonic() >= until:
                raise Unavailable from None
            time.sleep(0.1)
        else:
            return


def _as_user(uri: str, user: str, password: str) -> str:
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}").geturl()
