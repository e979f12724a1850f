"""What a terminal keeps on its own disk: its account, who is logged in, and its backlog."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pomona.errors import Unavailable
from pomona.session import Credentials, Session
from pomona_console.layout import write_private
from pomona_console.trouble import Trouble


class TerminalHome:
    """The directory of one terminal."""

    def __init__(self, directory: str | Path) -> None:
        self._directory = Path(directory)
        self.account = self._directory / "account.json"
        self.backlog = self._directory / "backlog.sqlite"
        self._last = self._directory / "logged-in"

    def make(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def credentials(self) -> Credentials:
        """Return the terminal's own account. Raises `Trouble`."""
        try:
            return Credentials.kept_in(self.account)
        except FileNotFoundError:
            raise Trouble(
                "本终端尚未登记。请向总部申请登记码，再运行 pomona terminal enrol CODE。",
                "This terminal is not enrolled. Ask head office for a code, then"
                " `pomona terminal enrol CODE`.",
            ) from None

    def logged_in(self) -> str:
        """Return who logged in last. Raises `Trouble`."""
        self.credentials()
        try:
            return self._last.read_text("utf-8")
        except FileNotFoundError:
            raise _nobody() from None

    def admit(self, staff_no: str, token: str) -> None:
        """Remember somebody who has logged in."""
        write_private(self._token(staff_no), token)
        write_private(self._last, staff_no)

    def dismiss(self, staff_no: str) -> None:
        """Forget somebody who has logged out."""
        self._last.unlink()
        self._token(staff_no).unlink()

    def session_of(self, staff_no: str) -> Session:
        """Go on with somebody's session. Raises `Refused`, `Unavailable` or `Trouble`."""
        session = Session.resumed(self.credentials(), self._kept(staff_no))
        write_private(self._token(staff_no), session.token())
        return session

    def token_of(self, staff_no: str) -> Callable[[], str]:
        """Return what gives a person's token, renewed at its first use if identity answers."""
        kept = self._kept(staff_no)
        session: Session | None = None
        asked = False

        def token() -> str:
            nonlocal session, asked
            if not asked:
                asked = True
                with suppress(Unavailable):  # then the token at hand serves until it expires
                    session = self.session_of(staff_no)
            return kept if session is None else session.token()

        return token

    def _kept(self, staff_no: str) -> str:
        try:
            return self._token(staff_no).read_text("utf-8")
        except FileNotFoundError:
            raise _nobody() from None

    def _token(self, staff_no: str) -> Path:
        return self._directory / f"{staff_no}.token"


def _nobody() -> Trouble:
    return Trouble(
        "没有人在本终端登录。请运行 pomona terminal log-in 工号。",
        "Nobody is logged in at this terminal: `pomona terminal log-in STAFF_NO`.",
    )
