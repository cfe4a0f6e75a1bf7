"""nginx as compose starts it, with a certificate of its own, before pages on some port of this machine.

`python -m tests.proxy` installs it where it can.
"""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests import debian
from tests.production import ROOT, free_port, open_folder, until

SYSTEM_PATH = f"{os.environ['PATH']}:/usr/sbin"
SITE = "app.example.com"


@dataclass(frozen=True)
class Proxy:
    http: int
    https: int

    @property
    def trusting(self) -> ssl.SSLContext:
        """For clients: the certificate is nobody's."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def connect(self) -> HTTPSConnection:
        return HTTPSConnection("127.0.0.1", self.https, timeout=20, context=self.trusting)


def is_installed() -> bool:
    return shutil.which("nginx", path=SYSTEM_PATH) is not None


@contextmanager
def before(pages: int, **changed: str) -> Iterator[Proxy]:
    """Run nginx until the block ends; as nobody where we are root, because its container isn't either."""
    proxy, user = Proxy(free_port(), free_port()), "nobody" if os.getuid() == 0 else None
    with open_folder() as folder:
        _make_certificate(folder)
        start = shutil.copy2(ROOT / "deploy" / "nginx" / "start", folder / "start")
        if user:
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, user)
        environment = {
            "PATH": SYSTEM_PATH,
            "SITE_URL": f"https://{SITE}",
            "PAGES": f"127.0.0.1:{pages}",
            "CERTIFICATES": str(folder),
            "PROXY_DIR": str(folder),
            "HTTP_PORT": str(proxy.http),
            "HTTPS_PORT": str(proxy.https),
            **changed,
        }
        child = subprocess.Popen([start], env=environment, user=user, cwd=folder)
        try:
            until(lambda: _redirects(proxy.http), "nginx")
            yield proxy
        finally:
            child.terminate()
            child.wait(10)


def _redirects(port: int) -> bool:
    client = HTTPConnection("127.0.0.1", port, timeout=5)
    client.request("GET", "/")
    return client.getresponse().status == 308


def _make_certificate(folder: Path) -> None:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SITE)])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    text = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "fullchain.pem").write_bytes(text)
    (folder / "privkey.pem").write_bytes(key.private_bytes(*form))


if __name__ == "__main__" and not is_installed():
    debian.install("nginx-light")
