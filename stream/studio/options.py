"""StudioOptions: what `allaprima studio` can be asked, and the checks that need nothing else."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stream.studio.security import SHORTEST_KEY
from stream.stylizer.options import EngineOptions

HOST = "127.0.0.1"
PORT = 7860
FOLDER = "allaprima-studio"
SELF = "self"
MOST_SEATS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class StudioOptions(EngineOptions):
    """Everything that `allaprima studio` was asked.

    Attributes:
        host: Address to listen at.
        host_names: Further names that pages may call this server by.
        seats: How many may paint at a time; ``None`` is measured.
        key: Of the owner; ``None`` makes one.
        require_key: Also pages on this machine must bring it.
        tls: ``self`` makes a certificate; else ``None``.
        folder: Where recordings and dropped files are kept.
    """

    host: str
    port: int
    host_names: Sequence[str]
    opens: bool
    seats: int | None
    key: str | None
    require_key: bool
    tls: str | None
    tls_cert: str | None
    tls_key: str | None
    folder: str
    quiet: bool

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def scheme(self) -> str:
        """Of its addresses."""
        return "https" if self.tls or self.tls_cert else "http"

    def check(self) -> None:
        """Refuse what nothing could make right.

        Raises:
            ValueError: A value cannot be used (got and expected).
        """
        self.check_engine()
        if not 0 <= self.port <= 65535:
            raise ValueError(f"got port={self.port}, expected 0 to 65535")
        if self.seats is not None and not 1 <= self.seats <= MOST_SEATS:
            raise ValueError(f"got seats={self.seats}, expected 1 to {MOST_SEATS}")
        if self.key is not None and len(self.key) < SHORTEST_KEY:
            raise ValueError(
                f"got key of {len(self.key)} characters, expected {SHORTEST_KEY} or more"
            )
        if self.tls not in (None, SELF):
            raise ValueError(f"got tls={self.tls}, expected {SELF}")
        self._check_files()

    def _check_files(self) -> None:
        if self.tls and self.tls_cert:
            raise ValueError("got tls=self and a certificate, expected one of them")
        if self.tls_key and not self.tls_cert:
            raise ValueError("got tls_key alone, expected its certificate as well")
        for name, file in (("tls_cert", self.tls_cert), ("tls_key", self.tls_key)):
            if file is not None and not Path(file).is_file():
                raise ValueError(f"got {name}={file}, expected a file that exists")
        if Path(self.folder).exists() and not Path(self.folder).is_dir():
            raise ValueError(f"got folder={self.folder}, which is a file, expected a folder")
