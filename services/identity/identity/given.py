"""What the doors of identity are given from outside the database: the seal and the vault."""

from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from nameko.extensions import DependencyProvider

from identity.application import Admission
from identity.credentials import Vault
from pomona.application import now
from pomona.identity import Claims, issue, read_token, user_of_terminal
from pomona.signing import keys_in, signer_of

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
                via=user_of_terminal(actor.terminal_id),
                session_id=admission.session_id,
            ),
            "expires_at": (at + TOKEN_LASTS).isoformat(),
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
