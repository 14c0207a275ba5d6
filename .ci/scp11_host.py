#!/usr/bin/env python3
"""Another implementation of a host, yubikey-manager, opens SCP11 a, b and c with the virtual reader's card and manages its keys.

    scp11_host.py target/debug/examples/virtual_reader --blank --scp11 --scp03-only

Needs the Python package yubikey-manager 5.5 or newer (`pip install yubikey-manager`) with its cryptography; installs nothing.
Everything is done twice: with extended length (as over USB), and with short commands in chains (as over NFC).
"""
import datetime
import os
import socket
import struct
import subprocess
import sys

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from yubikit.core import TRANSPORT
    from yubikit.core.smartcard import ApduError, SmartCardConnection
    from yubikit.core.smartcard.scp import KeyRef, Scp03KeyParams, Scp11KeyParams, ScpKid, StaticKeys
    from yubikit.securitydomain import SecurityDomainSession
except ImportError as error:
    sys.exit(f"scp11_host.py needs yubikey-manager 5.5 or newer (pip install yubikey-manager): {error}")

KVN, CA = 0x03, KeyRef(0x10, 0x03)
A, B, C = KeyRef(ScpKid.SCP11a, KVN), KeyRef(ScpKid.SCP11b, KVN), KeyRef(ScpKid.SCP11c, KVN)


class Connection(SmartCardConnection):
    """The virtual reader's card, by the vpcd protocol."""

    def __init__(self, command, transport):
        server = socket.create_server(("127.0.0.1", 0))
        server.settimeout(20)
        self.process = subprocess.Popen([*command, f"127.0.0.1:{server.getsockname()[1]}"])
        self.link, _ = server.accept()
        self.link.settimeout(60)
        self._transport = transport
        self.longest = [0, 0]
        self.send(b"\x01")

    @property
    def transport(self):
        return self._transport

    def close(self):
        self.process.kill()
        self.process.wait()

    def send(self, payload):
        self.link.sendall(struct.pack(">H", len(payload)) + payload)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.link.recv(count - len(data))
            assert more, "the virtual reader hung up"
            data += more
        return data

    def send_and_receive(self, apdu):
        self.send(apdu)
        answer = self.exactly(struct.unpack(">H", self.exactly(2))[0])
        self.longest = [max(self.longest[0], len(apdu)), max(self.longest[1], len(answer))]
        return answer[:-2], int.from_bytes(answer[-2:], "big")


def refused(sw, f, *args):
    """`f` ends with this status word."""
    try:
        f(*args)
    except ApduError as error:
        assert error.sw == sw, f"{error.sw:04X}, not {sw:04X}"
    else:
        raise AssertionError(f"accepted, not {sw:04X}")


def certificate(subject, key, issuer, by, *, authority=False, agreement=True, padding=0):
    name = lambda text: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
    now = datetime.datetime(2026, 1, 1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject + "." * padding))
        .issuer_name(name(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
                key_agreement=agreement and not authority, key_cert_sign=authority, crl_sign=False,
                encipher_only=False, decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )
    return builder.sign(by, hashes.SHA256())


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


class Host:
    """An authority, one below it, and a host."""

    def __init__(self, padding=0):
        self.root, middle, self.own = new_key(), new_key(), new_key()
        self.middle = middle
        self.chain = [
            certificate("KLOC", middle.public_key(), "CA-KLOC", self.root, authority=True, padding=padding),
            certificate("OCE", self.own.public_key(), "KLOC", middle),
        ]

    def params(self, ref, card, chain=None):
        return Scp11KeyParams(ref, card, CA, self.own, chain or self.chain)


def check(connection):
    test_keys = Scp03KeyParams(KeyRef(ScpKid.SCP03, 0x30), StaticKeys.default())

    def session(params=None):
        session = SecurityDomainSession(connection)
        if params:
            session.authenticate(params)
        return session

    plain = session()
    assert set(plain.get_key_information()) == {KeyRef(kid, 0x30) for kid in (1, 2, 3)}
    assert bytes.fromhex("2A864886FC6B04119B06") in plain.get_card_recognition_data()
    refused(0x6982, plain.generate_ec_key, A)

    # Keys: one from outside, two of the card's own; the authority of the host.
    host, stranger = Host(), Host()
    admin = session(test_keys)
    private = new_key()
    admin.put_key(A, private)
    card = {A: private.public_key(), B: admin.generate_ec_key(B), C: admin.generate_ec_key(C)}
    admin.put_key(CA, host.root.public_key())
    told = admin.get_key_information()
    assert all(told[ref] == {0xB1: 0x20, 0xF0: 0x00} for ref in (A, B, C)), told
    assert told[CA] == {0xB0: 0x41, 0xF0: 0x00}, told
    ski = x509.SubjectKeyIdentifier.from_public_key(host.root.public_key()).digest
    admin.store_ca_issuer(CA, ski)
    admin.store_ca_issuer(A, ski[::-1])
    assert admin.get_supported_ca_identifiers() == {CA: ski, A: ski[::-1]}
    assert admin.get_supported_ca_identifiers(kloc=True) == {CA: ski}

    # Certificates of the card's keys, short and longer than any short command.
    klcc = new_key()
    bundle = [
        certificate("CA-KLCC", klcc.public_key(), "CA-KLCC", klcc, authority=True, padding=40),
        certificate("SD", card[A], "CA-KLCC", klcc),
    ]
    assert sum(len(c.public_bytes(serialization.Encoding.DER)) for c in bundle) > 700
    admin.store_certificate_bundle(A, bundle)
    assert admin.get_certificate_bundle(A) == bundle
    admin.store_certificate_bundle(B, bundle[1:])
    admin.store_certificate_bundle(A, bundle[::-1])
    admin.store_certificate_bundle(A, bundle)
    assert admin.get_certificate_bundle(B) == bundle[1:]
    assert admin.get_certificate_bundle(C) == []
    assert session().get_certificate_bundle(A) == bundle, "anybody may read certificates"

    # SCP11b: the card is authentic and the channel protects, but the host is nobody.
    nobody = session(Scp11KeyParams(B, card[B]))
    assert nobody.get_key_information() == told
    assert nobody.get_certificate_bundle(A) == bundle
    refused(0x6982, nobody.generate_ec_key, KeyRef(0x13, 0x05))
    refused(0x6982, nobody.store_data, bytes.fromhex("4203010203"))
    refused(0x6982, nobody.put_key, KeyRef(0x13, 0x05), private)
    refused(0x6982, nobody.delete_key, 0x13)
    assert nobody.get_key_information() == told
    # Another card's key: the receipt is wrong.
    try:
        session(Scp11KeyParams(B, new_key().public_key()))
    except Exception as error:
        assert not isinstance(error, (ApduError, AssertionError)), error
    else:
        raise AssertionError("a receipt of another card was taken")

    # SCP11a and c: everything, under the session's own data encryption key.
    for ref in (A, C):
        owner = session(host.params(ref, card[ref]))
        assert owner.get_key_information() == told
        keys = StaticKeys(*(os.urandom(16) for _ in range(3)))
        owner.put_key(KeyRef(ScpKid.SCP03, 0x31), keys)
        session(Scp03KeyParams(KeyRef(ScpKid.SCP03, 0x31), keys)).get_key_information()
        owner = session(host.params(ref, card[ref]))
        another = new_key()
        owner.put_key(KeyRef(0x13, 0x05), another)
        session(Scp11KeyParams(KeyRef(0x13, 0x05), another.public_key()))
        owner = session(host.params(ref, card[ref]))
        replaced = owner.generate_ec_key(KeyRef(0x13, 0x06), replace_kvn=0x05)
        session(Scp11KeyParams(KeyRef(0x13, 0x06), replaced))
        owner = session(host.params(ref, card[ref]))
        owner.delete_key(kvn=0x06)
        owner.delete_key(kvn=0x31)
        assert owner.get_key_information() == told
        # The chain served one handshake.
        refused(0x6985, session().protocol.send_apdu, 0x80, 0x82, ref.kvn, ref.kid, b"\xa6\x00")

    # Chains that are not good.
    wrong = lambda chain: session(host.params(A, card[A], chain))
    refused(0x6600, wrong, stranger.chain)
    refused(0x6600, wrong, [host.chain[1]])
    refused(0x6600, wrong, [host.chain[0], certificate("OCE", host.own.public_key(), "KLOC", host.middle, agreement=False)])
    below = certificate("KLOC2", host.own.public_key(), "KLOC", host.middle)
    refused(0x6600, wrong, [host.chain[0], below, certificate("OCE", host.own.public_key(), "KLOC2", host.own)])
    refused(0x6600, wrong, [host.chain[0], host.chain[0]])
    try:
        session(Scp11KeyParams(A, card[A], KeyRef(0x20, 0x09), host.own, host.chain))
    except ValueError:
        pass  # 6A88, in yubikit's words
    else:
        raise AssertionError("an authority that is not there")

    # Only hosts on the list.
    admin = session(test_keys)
    serial = host.chain[-1].serial_number
    admin.store_allowlist(CA, [serial ^ 1, 0x7F, 0x80])
    refused(0x6640, session, host.params(A, card[A]))
    refused(0x6640, session, host.params(C, card[C]))
    session(test_keys).store_allowlist(CA, [serial ^ 1, serial])
    session(host.params(A, card[A])).store_allowlist(CA, [0x01])
    refused(0x6640, session, host.params(A, card[A]))
    session(test_keys).store_allowlist(CA, [])
    session(host.params(A, card[A])).get_key_information()

    # A chain of long certificates, and the card's keys go.
    long = Host(padding=48)
    admin = session(test_keys)
    admin.put_key(CA, long.root.public_key(), replace_kvn=KVN)
    refused(0x6600, session, host.params(A, card[A]))
    owner = session(long.params(A, card[A]))
    owner.delete_key(kid=0x13)
    assert B not in owner.get_key_information()
    assert owner.get_certificate_bundle(B) == []
    assert owner.get_certificate_bundle(A) == bundle


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for transport in (TRANSPORT.USB, TRANSPORT.NFC):
        connection = Connection(sys.argv[1:], transport)
        try:
            check(connection)
            if transport == TRANSPORT.NFC:
                assert connection.longest[0] <= 261 and connection.longest[1] <= 258, connection.longest
            else:
                assert connection.longest[0] > 500, connection.longest
            print(f"SCP11 a, b, c over {transport.value}: the card manager and yubikey-manager agree")
        finally:
            connection.close()


if __name__ == "__main__":
    main()
