# Writes EC and Ed25519 files with Python's package cryptography.
#
#	python3 ec.py PKI OUT

import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat, load_pem_private_key, pkcs12)

pki, out = map(pathlib.Path, sys.argv[1:])
secret = BestAvailableEncryption(b"secret")


def key(name):
    return load_pem_private_key((pki / f"{name}.key.pem").read_bytes(), None)


def crt(name):
    return x509.load_pem_x509_certificate((pki / f"{name}.crt.pem").read_bytes())


def pem(name, form, encryption=NoEncryption()):
    return key(name).private_bytes(Encoding.PEM, form, encryption)


def pair(name, text):
    return (pki / f"{name}.crt.pem").read_bytes() + text


def pfx(name, leaf, chain):
    return pkcs12.serialize_key_and_certificates(b"app", key(name), crt(leaf), [crt(c) for c in chain], secret)


traditional = PrivateFormat.TraditionalOpenSSL
for name, data in {
    "python-ec521.p12": pfx("ec521", "ec521", []),
    "python-ed25519.p12": pfx("ed25519", "edleaf", ["edca"]),
    "python-ec-traditional.pem": pair("ec", pem("ec", traditional)),
    "python-ec-traditional-encrypted.pem": pair("ec", pem("ec", traditional, secret)),
    "python-ed25519-p8.pem": pair("ed25519", pem("ed25519", PrivateFormat.PKCS8, secret)),
    "python-ec-openssh": pem("ec", PrivateFormat.OpenSSH),
    "python-ed25519-openssh": pem("ed25519", PrivateFormat.OpenSSH),
}.items():
    (out / name).write_bytes(data)
