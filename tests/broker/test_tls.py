"""Tests for connections with TLS: a certificate that cannot be verified is never accepted."""

from __future__ import annotations

import os
import unittest
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from typing_extensions import override

from segment_logging import Batch, DeliveryError
from segment_logging._broker.client import BrokerClient
from tests.builders import a_track
from tests.rabbitmq import RabbitMQ

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
except ImportError:
    raise unittest.SkipTest("needs cryptography") from None


def make_certificate(path: Path, address: str) -> None:
    """Write a private key and a certificate that it signs itself, for an IP address."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))


class TestTls(unittest.TestCase):
    broker: ClassVar[RabbitMQ]
    folder: ClassVar[Path]

    @override
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(cls.enterClassContext(TemporaryDirectory()))
        make_certificate(cls.folder / "right.pem", "127.0.0.1")
        make_certificate(cls.folder / "wrong.pem", "127.0.0.1")
        cls.broker = cls.enterClassContext(RabbitMQ(cls.folder / "right.pem"))

    def send(self, url: str, *, trusting: str = "") -> None:
        """Send a message, with only the given certificate as an authority."""
        before = os.environ.get("SSL_CERT_FILE")
        os.environ["SSL_CERT_FILE"] = str(self.folder / trusting) if trusting else os.devnull
        client = BrokerClient(url)
        try:
            client.send("key", Batch([a_track()]))
            client.close()
            client.send("key", Batch([a_track()]))
        finally:
            client.close()
            del os.environ["SSL_CERT_FILE"]
            if before is not None:
                os.environ["SSL_CERT_FILE"] = before

    def test_verified(self) -> None:
        """A broker whose certificate is trusted is used."""
        self.send(self.broker.tls_url, trusting="right.pem")

    def test_not_trusted(self) -> None:
        """A broker with a certificate of an unknown or of another authority is not used."""
        for trusting in ("", "wrong.pem"):
            with self.subTest(trusting), self.assertRaises(DeliveryError) as caught:
                self.send(self.broker.tls_url, trusting=trusting)
            self.assertIn("certificate", str(caught.exception))

    def test_wrong_name(self) -> None:
        """A trusted certificate for another name is not accepted."""
        with self.assertRaises(DeliveryError) as caught:
            self.send(self.broker.tls_url.replace("127.0.0.1", "127.0.0.2"), trusting="right.pem")
        self.assertIn("certificate", str(caught.exception))
