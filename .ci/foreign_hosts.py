#!/usr/bin/env python3
"""Other people's host tools manage a blank card in the virtual reader, as they would manage one they bought.

Py-GP [SCP02, SCP03] and yubikey-manager's security domain client [SCP03], both as published on PyPI, over a driver of
our own that plays vpcd. Usage: foreign_hosts.py VIRTUAL_READER
"""
import logging
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import types
import warnings
import zipfile

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

HERE = os.path.dirname(os.path.abspath(__file__))
KEY = "404142434445464748494A4B4C4D4E4F"
ISSUER = "A000000151000000"
DOMAIN_FILE, DOMAIN_MODULE, DOMAIN = "A0000001515350", "A000000151535041", "F04455444F4D41494E"
LOAD_FILE, PPSE_MODULE, PPSE = "F048554957414E00", "F048554957414E01", "325041592E5359532E4444463031"
CRS_FILE, CRS = "A000000151435253", "A00000015143525300"


class Reader:
    """vpcd's end of a virtual reader with a blank card."""

    current = None

    def __init__(self, *options):
        server = socket.create_server(("127.0.0.1", 0))
        server.settimeout(20)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        self.process = subprocess.Popen([sys.argv[1], "--blank", *options, address], stderr=subprocess.DEVNULL)
        self.link, _ = server.accept()
        self.link.settimeout(20)
        self.t0 = "t0" in options
        self.commands = 0

    def __enter__(self):
        Reader.current = self
        self.send(b"\x01")
        return self

    def __exit__(self, *_):
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

    def transmit(self, apdu):
        self.commands += 1
        self.send(apdu)
        answer = self.exactly(struct.unpack(">H", self.exactly(2))[0])
        if os.environ.get("APDUS"):
            print(">", apdu.hex(), "\n<", answer.hex())
        return answer


# Py-GP

def load_py_gp():
    """Py-GP with its Windows driver replaced by ours; it leaves T=0's GET RESPONSE to itself."""
    def ok():
        return {"errorStatus": 0, "errorCode": 0, "errorMessage": ""}

    def connect(_context, _name, _protocol):
        import pygp.connection.connection as connection
        protocol = 1 if Reader.current.t0 else 2
        return ok(), connection.create_card_info_dict("", "", protocol, None)

    def transmit(_card, apdu):
        return ok(), list(Reader.current.transmit(bytes(apdu)))

    driver = types.ModuleType("pygp.connection.pcscconnection")
    driver.establish_context = lambda: (ok(), "context")
    driver.release_context = lambda _context: ok()
    driver.list_readers = lambda _context: (ok(), [b"vpcd"])
    driver.card_connect = connect
    driver.card_disconnect = lambda _card, _what: ok()
    driver.send_apdu_T0 = driver.send_apdu_T1 = transmit
    sys.modules["pygp.connection.pcsc"] = types.ModuleType("pygp.connection.pcsc")
    sys.modules["pygp.connection.pcscconnection"] = driver
    import pygp
    return pygp


class PyGp:
    """Py-GP's commands; what it thinks is wrong is an exception of it."""

    def __init__(self):
        self.pygp = load_py_gp()

    def __getattr__(self, name):
        command = getattr(self.pygp, name)

        def run(*arguments, **options):
            try:
                return command(*arguments, **options)
            except BaseException as error:
                raise AssertionError(f"Py-GP {name}{arguments}: {error} ({self.pygp.last_status()})") from error
        return run

    def refused(self, command, *arguments, status=None, error=None, **options):
        """The tool reports the card's refusal."""
        try:
            getattr(self.pygp, command)(*arguments, **options)
        except BaseException as why:
            said = self.pygp.last_status()
            assert status in (None, said), f"Py-GP {command}{arguments}: {said}, not {status}"
            assert error is None or error in str(why), f"Py-GP {command}{arguments}: {why}"
            return
        raise AssertionError(f"Py-GP {command}{arguments} was not refused")

    def sent(self, apdu):
        """Data and status word of an APDU through the session."""
        self.pygp.stop_on_error(False)
        try:
            self.send(apdu)
        finally:
            self.pygp.stop_on_error(True)
        return self.pygp.last_response().upper(), self.pygp.last_status().upper()


def keys_of(gp, version, kind, value=KEY):
    for identifier in "123":
        gp.set_key(f"{version}/{identifier}/{kind}/{value}")


def helloworld(folder):
    """The public CAP file of kaoh/globalplatform, put together again out of the LOAD commands that bring it."""
    with open(os.path.join(HERE, "../crates/gp/tests/vectors/cap_load.txt"), encoding="ascii") as file:
        text = file.read()
    loads = re.findall(r"plain = 80E8....(..)([0-9A-F]+)", text)
    loaded = bytes.fromhex("".join(data[:2 * int(length, 16)] for length, data in loads))
    assert loaded[:2] == b"\xc4\x82" and len(loaded) == 4 + int.from_bytes(loaded[2:4], "big")
    names = {1: "Header", 2: "Directory", 3: "Applet", 4: "Import", 5: "ConstantPool", 6: "Class", 7: "Method",
             8: "StaticField", 9: "RefLocation", 10: "Export", 11: "Descriptor"}
    path, rest = os.path.join(folder, "helloworld.cap"), loaded[4:]
    with zipfile.ZipFile(path, "w") as archive:
        while rest:
            length = 3 + int.from_bytes(rest[1:3], "big")
            archive.writestr(f"hello/javacard/{names[rest[0]]}.cap", rest[:length])
            rest = rest[length:]
    return path


def py_gp_manages(gp, version, level, cap):
    """Everything the tool does to a card once, ending as it began."""
    kind = "AES" if version == "30" else "DES"
    # It can't read an answer without data at the highest level.
    told = level != 0x33

    def auth(aid=None, **options):
        if aid:
            gp.select(aid)
        else:
            gp.select_isd()
        gp.auth(securitylevel=level, **{"keysetversion": version, **options})

    auth()
    gp.get_cplc()
    for tag, begins in (("66", "663E733C06072A864886FC6B01"), ("0042", "4203999999"), ("0045", "4508"),
                        ("0067", "6735A009800103810170820107A0068001028101"), ("00CF", "CF0A"), ("FF21", "FF21"), ("00C1", "C1")):
        data, sw = gp.sent(f"80CA{tag.rjust(4, '0')}00")
        assert sw == "9000" and data.startswith(begins), (tag, data, sw)
    gp.get_key_information()
    gp.get_status_isd()
    gp.refused("get_status_applications", status="6A88")
    gp.install(True, LOAD_FILE, PPSE_MODULE, PPSE, application_specific_parameters="")
    gp.refused("install", True, LOAD_FILE, PPSE_MODULE, PPSE, application_specific_parameters="")
    gp.install(True, DOMAIN_FILE, DOMAIN_MODULE, DOMAIN, ["SD"], application_specific_parameters="")
    gp.ls()
    gp.get_status_executable_load_files()
    if told:
        gp.set_app_state("80", PPSE)
        gp.refused("select", PPSE, status="6A82")
        auth()
        gp.set_app_state("07", PPSE)
        gp.select(PPSE)
    # The domain has no keys yet: its parent's open its channel; then it gets its own.
    auth(DOMAIN)
    keys_of(gp, "41", kind, os.urandom(16).hex().upper())
    gp.put_scp_key("41")
    auth(DOMAIN, keysetversion="41")
    auth()
    # A key set beside the first one, then away with it.
    keys_of(gp, "42", kind, os.urandom(16).hex().upper())
    gp.put_scp_key("42")
    auth(keysetversion="42")
    auth()
    assert gp.sent("80E4000003D2014200")[1] == "9000"
    gp.select_isd()
    gp.refused("auth", keysetversion="42", status="6A88")
    # A CAP file, whose code this card keeps without running it.
    auth()
    if told:
        gp.upload(cap, ISSUER)
        gp.ls()
        gp.delete_package("D0D1D2D3D4D501")
        gp.refused("delete_package", "D0D1D2D3D4D501", status="6A88")
    gp.delete(DOMAIN)
    gp.delete(PPSE)
    gp.refused("get_status_applications", status="6A88")


def py_gp_on_other_channels(gp):
    """A session of its own on a further logical channel, and the registry service beside it."""
    gp.select_isd()
    gp.auth(keysetversion="30", securitylevel=0x01)
    gp.install(True, CRS_FILE, CRS, CRS, ["CA"], application_specific_parameters="")
    gp.install(True, LOAD_FILE, PPSE_MODULE, PPSE, application_specific_parameters="")
    gp.install(True, DOMAIN_FILE, DOMAIN_MODULE, DOMAIN, ["SD"], application_specific_parameters="")
    gp.manage_channel(True)
    gp.select(DOMAIN, 1)
    gp.auth(keysetversion="20", securitylevel=0x03)
    gp.get_data("0066")
    gp.channel(0)
    gp.ls()
    gp.channel(1)
    gp.select(CRS, 1)
    for state, told in (("00", "00"), ("01", "01")):
        assert gp.sent(f"80F001{state}104F0E{PPSE}")[1] == "9000"
        listed, sw = gp.sent(f"80F2400010{'4F0E' + PPSE}00")
        assert sw == "9000" and f"9F700207{told}" in listed, (listed, sw)
    gp.channel(0)
    gp.manage_channel(False, 1)
    for aid in (PPSE, CRS, DOMAIN):
        gp.delete(aid)


def py_gp_with_wrong_keys(gp):
    """The card's cryptogram tells the tool so; nothing is blocked by trying."""
    keys_of(gp, "30", "AES", "00" * 16)
    for _ in range(20):
        gp.select_isd()
        gp.refused("auth", keysetversion="30", error="cryptogram")
    keys_of(gp, "30", "AES")
    gp.select_isd()
    gp.auth(keysetversion="30", securitylevel=0x33)
    gp.get_status_isd()


def py_gp_with_initial_keys(gp, kind):
    """Keys of version FF make way for the issuer's, and these may be of the other protocol."""
    keys_of(gp, "FF", kind)
    gp.select_isd()
    gp.auth(keysetversion="FF", securitylevel=0x01)
    other = "AES" if kind == "DES" else "DES"
    keys_of(gp, "01", other, os.urandom(16).hex().upper())
    gp.put_scp_key("01")
    gp.select_isd()
    gp.refused("auth", keysetversion="FF", status="6A88")
    gp.auth(keysetversion="01", securitylevel=0x03)
    gp.get_status_isd()


# yubikey-manager

def yubikey_manager():
    """Its SCP03, which is always level 33 and encrypts even data that is not there."""
    from yubikit.core import TRANSPORT
    from yubikit.core.smartcard import ApduError, SmartCardConnection
    from yubikit.core.smartcard.scp import KeyRef, Scp03KeyParams, StaticKeys
    from yubikit.securitydomain import SecurityDomainSession

    class Connection(SmartCardConnection):
        transport = TRANSPORT.NFC

        def send_and_receive(self, apdu):
            answer = Reader.current.transmit(apdu)
            return answer[:-2], int.from_bytes(answer[-2:], "big")

    def session(keys):
        domain = SecurityDomainSession(Connection())
        domain.authenticate(keys)
        return domain

    domain = session(Scp03KeyParams(KeyRef(0x01, 0x30)))
    send = domain.protocol.send_apdu
    assert send(0x80, 0xF2, 0x80, 0x02, b"\x4f\x00").hex().upper().startswith("E31D4F08" + ISSUER)
    assert send(0x80, 0xE2, 0x90, 0x00, bytes.fromhex("4203112233")) == b""
    assert send(0x80, 0xCA, 0x00, 0x42) == bytes.fromhex("4203112233")
    try:
        domain.delete_key(kvn=0x55)
        raise AssertionError("keys were deleted that are not there")
    except ApduError as error:
        assert error.sw == 0x6A88, error
    wrong = StaticKeys(bytes(16), bytes(16), bytes(16))
    for keys in (Scp03KeyParams(KeyRef(0x01, 0x30), wrong), Scp03KeyParams(KeyRef(0x01, 0x55))):
        try:
            session(keys)
            raise AssertionError(f"{keys.ref} opened a session")
        except ValueError:
            pass


def main():
    gp = PyGp()
    with tempfile.TemporaryDirectory() as folder:
        cap = helloworld(folder)
        for options in ((), ("--atr", "t0"), ("--scp02", "15"), ("--scp02", "75")):
            with Reader(*options) as reader:
                gp.terminal()
                keys_of(gp, "20", "DES")
                keys_of(gp, "30", "AES")
                # Not 11: Py-GP takes the R-MAC for part of the answer, and what it makes of that is a matter of chance.
                for version, levels in (("20", (0x00, 0x01, 0x03)), ("30", (0x00, 0x01, 0x03, 0x33))):
                    if "--scp02" in options and version == "30":
                        continue
                    for level in levels:
                        py_gp_manages(gp, version, level, cap)
                if options == ():
                    py_gp_on_other_channels(gp)
                    py_gp_with_wrong_keys(gp)
                print(f"Py-GP {' '.join(options)}: {reader.commands} commands")
    for kind, options in (("AES", ()), ("DES", ("--scp02-only",))):
        with Reader("--initial-keys", *options):
            gp.terminal()
            py_gp_with_initial_keys(gp, kind)
            print(f"Py-GP: initial {kind} keys make way")
    with Reader() as reader:
        yubikey_manager()
        print(f"yubikey-manager: {reader.commands} commands")


if __name__ == "__main__":
    main()
