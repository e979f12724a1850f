"""Settings come from one file and the environment; what is missing is named."""

import sys
from pathlib import Path

import pytest

from pomona.config import Misconfigured, settings_of

CONFIG = """
# ${NOT_A_SETTING} in a comment is nobody's business
service: shop.service:ShopService
amqp: ${SHOP_AMQP}
amqp_password_file: ${SHOP_AMQP_PASSWORD_FILE:}
database: ${SHOP_DATABASE:postgresql://localhost/shop}
database_password_file: ${SHOP_DATABASE_PASSWORD_FILE:}
http_port: ${SHOP_PORT:8001}
identity_public_key: ${SHOP_KEY:/run/key}
max_workers: 10
log_level: ${SHOP_LOG:info}
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    package = tmp_path / "shop_of_a_test"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "config.yaml").write_text(CONFIG, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield package.name
    sys.modules.pop(package.name, None)


def test_a_default_stands_where_the_environment_says_nothing(shop, monkeypatch):
    monkeypatch.setenv("SHOP_AMQP", "amqp://broker/")

    settings = settings_of(shop)

    assert settings.amqp == "amqp://broker/"
    assert settings.database == "postgresql://localhost/shop"
    assert settings.http_port == 8001
    assert settings.identity_public_key == Path("/run/key")
    assert settings.log_level == "INFO"
    assert settings.name == "shop"


def test_the_environment_wins(shop, monkeypatch):
    monkeypatch.setenv("SHOP_AMQP", "amqp://broker/")
    monkeypatch.setenv("SHOP_PORT", "9000")

    assert settings_of(shop).http_port == 9000


@pytest.mark.feature("SYS-04")
def test_a_missing_setting_is_named(shop, monkeypatch):
    monkeypatch.delenv("SHOP_AMQP", raising=False)

    with pytest.raises(Misconfigured, match="SHOP_AMQP is not set: set it"):
        settings_of(shop)


@pytest.mark.parametrize(
    "password", ["a #b", "a: b", "{x}", "[", "yes", "1e3", "'\"", "${SHOP_PORT}", "a\\1"]
)
def test_a_value_is_taken_as_it_is_whatever_characters_it_has(shop, monkeypatch, password):
    monkeypatch.setenv("SHOP_AMQP", password)

    assert settings_of(shop).amqp == password


def test_passwords_come_from_files(shop, monkeypatch, tmp_path):
    (tmp_path / "password").write_text("p@ss/word\n", "utf-8")
    monkeypatch.setenv("SHOP_AMQP", "amqps://shop@broker:5671/fruit?cacertfile=/ca.pem")
    monkeypatch.setenv("SHOP_AMQP_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("SHOP_DATABASE", "postgresql://shop@db/shop?sslmode=verify-full")
    monkeypatch.setenv("SHOP_DATABASE_PASSWORD_FILE", str(tmp_path / "password"))

    settings = settings_of(shop)

    assert settings.amqp == "amqps://shop:p%40ss%2Fword@broker:5671/fruit?cacertfile=/ca.pem"
    assert settings.database == "postgresql://shop:p%40ss%2Fword@db/shop?sslmode=verify-full"


def test_a_password_file_that_is_not_there_is_named(shop, monkeypatch, tmp_path):
    monkeypatch.setenv("SHOP_AMQP", "amqp://shop@broker/")
    monkeypatch.setenv("SHOP_AMQP_PASSWORD_FILE", str(tmp_path / "nothing"))

    with pytest.raises(Misconfigured, match="nothing: No such file"):
        settings_of(shop)
