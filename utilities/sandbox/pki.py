"""The sandbox's certificates: its own authority, the server's certificate, and one for each third party that needs one."""

import ipaddress
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Pair = tuple[x509.Certificate, rsa.RSAPrivateKey]


def authority(folder: Path) -> Pair:
    """The certificate authority kept in ``folder`` (ca.pem, ca.key); made on first use."""
    return _load(folder, "ca") or _save(folder, "ca", _issue("Sandbox certificate authority", None))


def server(folder: Path, hosts: list[str]) -> tuple[Path, Path]:
    """Paths of the server's certificate and key, good for localhost and the given host names."""
    issuer, pair = authority(folder), _load(folder, "server")
    if pair is None or not set(hosts) <= _names(pair[0]):
        _save(folder, "server", _issue("localhost", issuer, ["localhost", *hosts]))
    return folder / "server.pem", folder / "server.key"


def client(folder: Path, name: str) -> tuple[Path, Path]:
    """Paths of a third party's client certificate and key; made on first use, then the same."""
    issuer = authority(folder)
    if _load(folder, name) is None:
        _save(folder, name, _issue(name, issuer, purpose=ExtendedKeyUsageOID.CLIENT_AUTH))
    return folder / f"{name}.pem", folder / f"{name}.key"


def fingerprint(certificate_pem: bytes) -> str:
    """SHA-256 of a certificate, hexadecimal. Raises ValueError when it is none."""
    return x509.load_pem_x509_certificate(certificate_pem).fingerprint(hashes.SHA256()).hex()


def _names(certificate: x509.Certificate) -> set[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(names.get_values_for_type(x509.DNSName))


def _issue(
    name: str,
    issuer: Pair | None,
    hosts: list[str] | None = None,
    purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
) -> Pair:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = issuer[1] if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=3650 if issuer is None else 825))
        .add_extension(
            x509.BasicConstraints(ca=issuer is None, path_length=0 if issuer is None else None), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(_key_usage(authority=issuer is None), critical=True)
    )
    if issuer:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    if hosts:
        names = [x509.DNSName(host) for host in dict.fromkeys(hosts)]
        names_and_loopback = [*names, x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names_and_loopback), critical=False)
    return builder.sign(signer, hashes.SHA256()), key


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not authority,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _load(folder: Path, name: str) -> Pair | None:
    try:
        certificate = x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes())
        key = serialization.load_pem_private_key((folder / f"{name}.key").read_bytes(), None)
    except FileNotFoundError:
        return None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError(f"{name}.key is not an RSA key")
    return (certificate, key) if certificate.not_valid_after_utc > datetime.now(UTC) else None


def _save(folder: Path, name: str, pair: Pair) -> Pair:
    folder.mkdir(parents=True, exist_ok=True)
    key = pair[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(folder / f"{name}.key", key, 0o600)
    _write(folder / f"{name}.pem", pair[0].public_bytes(serialization.Encoding.PEM), 0o644)
    return pair


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write through a new file of the right mode, so that the key is never readable by others."""
    new = path.with_suffix(path.suffix + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    new.replace(path)
