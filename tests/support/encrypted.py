"""Certificates of the tests' own, by openssl, and servers that show them."""

import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")

OURS = "subjectAltName=DNS:localhost,IP:127.0.0.1"
LIMIT_S = 600


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(
        ["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=LIMIT_S
    )


def make_certificates(folder: Path) -> Path:
    """ca.pem, and what it signed: good.pem, other.pem (of another host), old.pem (expired);
    self.pem signed itself. Each with its .key.
    """
    key = ["-newkey", "rsa:2048", "-nodes"]
    for name, subject in (("ca", "/CN=Tests"), ("self", "/CN=localhost")):
        extra = ["-addext", OURS] if name == "self" else []
        made = ["-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2", "-subj", subject]
        openssl(folder, "req", "-x509", *key, *made, *extra)
    for name, names, days in (
        ("good", OURS, "2"),
        ("other", "subjectAltName=DNS:elsewhere.example", "2"),
        ("old", OURS, "-1"),
    ):
        made = ["-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", "/CN=localhost"]
        openssl(folder, "req", *key, *made)
        (folder / "names").write_text(names)
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names"]
        out = ["-in", f"{name}.csr", "-out", f"{name}.pem", "-days", days]
        openssl(folder, "x509", "-req", *out, *signed)
    return folder


class Encrypted:
    """A server that shows a certificate.

    Args:
        certificate: Its file, with the key beside.
        answer: Sent to whoever asks, after the first words.
        target: A port of this machine to pass everything on to instead.
    """

    def __init__(
        self, certificate: Path, *, answer: bytes = b"", target: int | None = None
    ) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        self._answer, self._target = answer, target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.heard: list[bytes] = []
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                raw, _ = self._listener.accept()
                raw.settimeout(LIMIT_S)
                self._threads.append(threading.Thread(target=self._meet, args=(raw,)))
                self._threads[-1].start()

    def _meet(self, raw: socket.socket) -> None:
        with suppress(OSError), raw, self._context.wrap_socket(raw, server_side=True) as near:
            if self._target is None:
                self.heard += [word for word in [near.recv(4096)] if word]
                near.sendall(self._answer)
                return
            with socket.create_connection(("127.0.0.1", self._target), LIMIT_S) as far:
                back = threading.Thread(target=pump, args=(far, near))
                back.start()
                pump(near, far)
                back.join(LIMIT_S)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(LIMIT_S)
            assert not thread.is_alive()


def pump(source: socket.socket, target: socket.socket) -> None:
    """Everything from the one to the other until either ends."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR if not isinstance(target, ssl.SSLSocket) else 2)


def answered(body: bytes, kind: str = "video/mp2t") -> bytes:
    """A web server's whole answer."""
    head = f"HTTP/1.0 200 OK\r\nContent-Length: {len(body)}\r\nContent-Type: {kind}\r\n\r\n"
    return head.encode() + body
