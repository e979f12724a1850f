"""The certificate with which a private server shows who it is; with one it speaks only TLS."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """PEM files: the certificate, its key, and the authority that clients know it by."""

    authority: Path
    chain: Path
    key: Path
