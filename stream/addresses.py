"""Addresses of streams, fit to be shown: without passwords and stream keys."""

from urllib.parse import urlsplit, urlunsplit

PIPE = "-"
"""The spec of standard input, and of standard output."""

SECRET = "***"
KEYED_SCHEMES = ("rtmp", "rtmps")
"""Where the last part of the path is the right to publish."""


def shown(spec: str) -> str:
    """What of a source's or output's spec may stand in reports, logs and messages."""
    if "://" not in spec:
        return spec
    parts = urlsplit(spec)
    if "@" in parts.netloc:
        parts = parts._replace(netloc=f"{SECRET}@{parts.netloc.rpartition('@')[2]}")
    app, slash, key = parts.path.rpartition("/")
    if parts.scheme.lower() in KEYED_SCHEMES and app and key:
        parts = parts._replace(path=f"{app}{slash}{SECRET}", query="")
    return urlunsplit(parts)
