"""Certificates for a test: made by the openssl program, valid for two days."""

import subprocess
from pathlib import Path

from tests.servers import found

_NEW = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")


class Certificates:
    """Two authorities that know nothing of each other, `ca` and `other`, and what they have signed."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._program = found("openssl")
        for name in ("ca", "other"):
            self._make(name)

    def sign(self, name: str, by: str = "ca") -> None:
        """A certificate of 127.0.0.1 in this name."""
        extensions = ("-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE")
        self._make(name, *extensions, "-CA", self.file(by, "crt"), "-CAkey", self.file(by, "key"))

    def file(self, name: str, kind: str) -> str:
        """The path of a certificate (`crt`) or of its key (`key`)."""
        return str(self.place / f"{name}.{kind}")

    def _make(self, name: str, *options: str) -> None:
        out = ("-subj", f"/CN={name}", "-keyout", self.file(name, "key"), "-out", self.file(name, "crt"))
        subprocess.run([str(self._program), *_NEW, *options, *out], capture_output=True, check=True)
