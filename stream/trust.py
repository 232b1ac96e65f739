"""Trust: whether the far side of an encrypted stream is who it says.

FFmpeg checks no certificate unless told. It is told here, with the authorities that Python trusts;
`SSL_CERT_FILE` names others. On macOS and Windows FFmpeg asks the system's own.
"""

import importlib.util
import socket
import ssl
import sys
from urllib.parse import urlsplit

PORTS = {"https": 443, "rtmps": 443, "rtsps": 322}
"""Encrypted schemes and where FFmpeg looks for them."""

LOOK_S = 5.0
"""How long a server is waited for that is asked for its certificate once more."""


def authorities() -> str | None:
    """The file of certificates to trust; ``None`` leaves it to the system."""
    if sys.platform != "linux":
        return None
    file = ssl.get_default_verify_paths().cafile
    if file is None and importlib.util.find_spec("certifi") is not None:
        import certifi

        file = certifi.where()
    return file


def checking_context() -> ssl.SSLContext:
    """A context of Python's that refuses what FFmpeg refuses."""
    return ssl.create_default_context(cafile=authorities())


def tls_options(url: str, *, insecure: bool) -> dict[str, str]:
    """FFmpeg's options for an address that is encrypted, or (http) may lead to one that is."""
    if insecure or urlsplit(url).scheme.lower() not in (*PORTS, "http"):
        return {}
    file = authorities()
    return {"tls_verify": "1"} | ({} if file is None else {"ca_file": file})


def refusal(url: str) -> str | None:
    """What is wrong with the certificate at an address; ``None`` where that is not the trouble.

    Only tells why FFmpeg refused: asks the server once more, and takes no one's word for it.
    """
    parts = urlsplit(url)
    port = parts.port or PORTS[parts.scheme.lower()]
    try:
        with (
            socket.create_connection((parts.hostname, port), LOOK_S) as raw,
            checking_context().wrap_socket(raw, server_hostname=parts.hostname),
        ):
            return None
    except ssl.SSLCertVerificationError as err:
        return describe(err)
    except (OSError, ValueError):
        return None


def describe(err: ssl.SSLCertVerificationError) -> str:
    """OpenSSL's words for it, to be put in brackets."""
    return str(err.verify_message).rstrip(".")
