"""Settings of a service: a YAML file beside its code, ${VAR:default} from the environment."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote, urlsplit

import yaml

_DATABASE_SETTINGS = {
    "database",
    "database_password_file",
    "keys_database",
    "keys_password_file",
}
_VARIABLE = re.compile(r"\$\{(\w+)(?::([^}]*))?\}")


class Misconfigured(Exception):  # noqa: N818 - reads as what it is
    """A setting is missing or wrong; the text names it and the remedy."""


@dataclass(frozen=True)
class PersonalData:
    """Where a service that knows people by name keeps their keys, and who must stay forgotten."""

    keys: str
    master_keys: Path
    erasures: Path


@dataclass(frozen=True)
class Settings:
    """Everything a service process is told from outside."""

    service: str
    amqp: str
    database: str
    http_port: int
    identity_public_key: Path
    max_workers: int
    log_level: str
    own: Mapping[str, str] = field(default_factory=dict)  # what only this service is told
    personal: PersonalData | None = None

    @property
    def name(self) -> str:
        return self.service.partition(".")[0]


_EVERYBODYS = {each.name for each in fields(Settings)}


def service_class_of(service: str) -> str:
    """Return `module:Class` of a service, which no environment can change."""
    return str(_settings_in(service)["service"])


def settings_of(service: str) -> Settings:
    """Read `<service>/config.yaml`. Raises `Misconfigured`."""
    values = {name: _filled_in(setting) for name, setting in _settings_in(service).items()}
    return Settings(
        service=values["service"],
        amqp=with_password(values["amqp"], values["amqp_password_file"]),
        database=with_password(values["database"], values["database_password_file"]),
        http_port=int(values["http_port"]),
        identity_public_key=Path(values["identity_public_key"]),
        max_workers=int(values["max_workers"]),
        log_level=str(values["log_level"]).upper(),
        own={name: value for name, value in values.items() if name not in _EVERYBODYS},
        personal=_personal(values),
    )


def databases_of(service: str) -> tuple[str, str | None]:
    """Return what a migration needs and no more: the DSNs of the database, and of people's keys."""
    values = {
        name: _filled_in(setting)
        for name, setting in _settings_in(service).items()
        if name in _DATABASE_SETTINGS
    }
    database = with_password(values["database"], values["database_password_file"])
    if "keys_database" not in values:
        return database, None
    return database, with_password(values["keys_database"], values["keys_password_file"])


def _personal(values: dict[str, str]) -> PersonalData | None:
    if "keys_database" not in values:
        return None
    return PersonalData(
        keys=with_password(values["keys_database"], values["keys_password_file"]),
        master_keys=Path(values["master_keys"]),
        erasures=Path(values["erasures"]),
    )


def with_password(uri: str, file: str) -> str:
    """Put the password that a file holds into a URI; without a file the URI stays as it is."""
    if not file:
        return uri
    try:
        password = Path(file).read_text("utf-8").strip()
    except OSError as error:
        raise Misconfigured(f"{file}: {error.strerror}; it must hold the password") from None
    parts = urlsplit(uri)
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}").geturl()


def _settings_in(service: str) -> dict[str, str]:
    """Return the settings before values are put into them, which may hold any character."""
    read: dict[str, str] = yaml.safe_load(files(service).joinpath("config.yaml").read_text("utf-8"))
    return read


def _filled_in(setting: object) -> str:
    return _VARIABLE.sub(_value, str(setting))


def _value(match: re.Match[str]) -> str:
    name, default = match.groups()
    value = os.environ.get(name, default)
    if value is None:
        raise Misconfigured(f"{name} is not set: set it in the environment of this service")
    return value
