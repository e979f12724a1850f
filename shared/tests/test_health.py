"""What a service measures of what it stands on."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID
from prometheus_client import REGISTRY

from pomona import health

NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
SERIES = "pomona_certificate_expires_timestamp_seconds"


def authority(expires: datetime) -> bytes:
    key = Ed25519PrivateKey.generate()
    builder = x509.CertificateBuilder(
        NAME, NAME, key.public_key(), 1, expires - timedelta(days=9), expires
    )
    return builder.sign(key, None).public_bytes(serialization.Encoding.PEM)


def test_the_authority_that_ends_first_is_what_counts(tmp_path):
    soon, later = (datetime(2031, month, 1, tzinfo=UTC) for month in (1, 6))
    file = tmp_path / "authorities.pem"
    file.write_bytes(authority(later) + authority(soon))

    health.measure_authority(f"postgresql://orders@db/orders?sslrootcert={file}")

    assert REGISTRY.get_sample_value(SERIES, {"purpose": "database"}) == soon.timestamp()


def test_without_an_authority_there_is_nothing_to_measure():
    health.measure_authority("postgresql://orders@db/orders")
