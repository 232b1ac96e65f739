"""A certificate that this server signs itself: encrypted, and without it a page beyond this machine
is given no camera; but a browser asks each new visitor whether to trust it.
"""

import datetime
import ipaddress
from collections.abc import Iterable
from pathlib import Path

from stream.errors import ControlError

VALID = datetime.timedelta(days=30)


def make_certificate(folder: Path, names: Iterable[str]) -> tuple[Path, Path]:
    """The files of a fresh certificate and its key, in a folder that only its owner reads.

    Args:
        names: Host names and addresses that it is for.

    Raises:
        ControlError: The package for it is not installed.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID
    except ImportError as err:
        raise ControlError(
            "--tls self needs the package cryptography; install it with pip install "
            "'allaprima[studio]'."
        ) from err
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Alla Prima studio")])
    now = datetime.datetime.now(datetime.UTC)
    alternatives: list[x509.GeneralName] = []
    for one in dict.fromkeys(["localhost", "127.0.0.1", *names]):
        try:
            alternatives.append(x509.IPAddress(ipaddress.ip_address(one)))
        except ValueError:
            alternatives.append(x509.DNSName(one))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.touch(mode=0o600)
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_file, key_file
