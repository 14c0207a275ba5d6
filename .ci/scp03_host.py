#!/usr/bin/env python3
"""A second SCP03 host, which shares no line with ours, manages a blank card in the virtual reader.

It was written from the specification [GPC 11, AmdD 4 to 7] with its own AES, so both sides of a wrong reading can't
agree by accident. Usage: scp03_host.py VIRTUAL_READER [ARGUMENT..]; it plays vpcd for the reader.
"""
import os
import socket
import struct
import subprocess
import sys

TEST_KEY = bytes(range(0x40, 0x50))
ISSUER = bytes.fromhex("A000000151000000")
LOAD_FILE = b"\xf0HUIWAN\x00"
PPSE_MODULE = b"\xf0HUIWAN\x01"
PPSE = b"2PAY.SYS.DDF01"
PURSE_MODULE = b"\xf0HUIWAN\x03"
PURSE = bytes.fromhex("A000000632010105")


# AES. [FIPS 197]
def times_x(a):
    return (a << 1 ^ (0x11B if a & 0x80 else 0)) & 0xFF


def multiply(a, b):
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a, b = times_x(a), b >> 1
    return product


def affine(a):
    inverse = next((b for b in range(1, 256) if multiply(a, b) == 1), 0)
    bits = inverse
    for turn in range(1, 5):
        bits ^= (inverse << turn | inverse >> 8 - turn) & 0xFF
    return bits ^ 0x63


SBOX = [affine(a) for a in range(256)]
INVERSE_SBOX = [SBOX.index(a) for a in range(256)]
TIMES = {factor: [multiply(a, factor) for a in range(256)] for factor in (1, 2, 3, 9, 11, 13, 14)}


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


class Aes:
    def __init__(self, key):
        words = [key[i:i + 4] for i in range(0, len(key), 4)]
        n, constant = len(words), 1
        self.rounds = n + 6
        for i in range(n, 4 * (self.rounds + 1)):
            word = words[-1]
            if i % n == 0:
                word = bytes(SBOX[b] for b in word[1:] + word[:1])
                word = bytes([word[0] ^ constant]) + word[1:]
                constant = times_x(constant)
            elif n > 6 and i % n == 4:
                word = bytes(SBOX[b] for b in word)
            words.append(xor(words[-n], word))
        self.keys = [b"".join(words[i:i + 4]) for i in range(0, len(words), 4)]

    @staticmethod
    def mix(state, factors):
        return bytes(
            TIMES[factors[0]][state[c + r]] ^ TIMES[factors[1]][state[c + (r + 1) % 4]]
            ^ TIMES[factors[2]][state[c + (r + 2) % 4]] ^ TIMES[factors[3]][state[c + (r + 3) % 4]]
            for c in (0, 4, 8, 12) for r in range(4))

    def encrypt(self, block):
        state = xor(block, self.keys[0])
        for number, key in enumerate(self.keys[1:], 1):
            state = bytes(SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16))
            state = xor(state if number == self.rounds else self.mix(state, (2, 3, 1, 1)), key)
        return state

    def decrypt(self, block):
        state = xor(block, self.keys[-1])
        for number in range(self.rounds - 1, -1, -1):
            state = bytes(INVERSE_SBOX[state[(i - 4 * (i % 4)) % 16]] for i in range(16))
            state = xor(state, self.keys[number])
            state = state if number == 0 else self.mix(state, (14, 11, 13, 9))
        return state

    def encrypt_cbc(self, icv, data):
        out = b""
        for i in range(0, len(data), 16):
            icv = self.encrypt(xor(icv, data[i:i + 16]))
            out += icv
        return out

    def decrypt_cbc(self, icv, data):
        out = b""
        for i in range(0, len(data), 16):
            out += xor(icv, self.decrypt(data[i:i + 16]))
            icv = data[i:i + 16]
        return out

    def cmac(self, data):
        """[SP 800-38B]"""
        subkey = int.from_bytes(self.encrypt(bytes(16)), "big")
        full = len(data) > 0 and len(data) % 16 == 0
        for _ in range(1 if full else 2):
            subkey = (subkey << 1 ^ (0x87 if subkey >> 127 else 0)) & (1 << 128) - 1
        if not full:
            data = pad(data)
        last = xor(data[-16:], subkey.to_bytes(16, "big"))
        return self.encrypt_cbc(bytes(16), data[:-16] + last)[-16:]


def pad(data):
    return data + b"\x80" + bytes(-(len(data) + 1) % 16)


def unpad(data):
    plain = data.rstrip(b"\x00")
    assert plain[-1:] == b"\x80" and len(data) - len(plain) < 16, "padding of the answer"
    return plain[:-1]


def check_aes():
    """The examples of FIPS 197 (C.1 to C.3) and RFC 4493 (4)."""
    block = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
    for length, expected in ((16, "69C4E0D86A7B0430D8CDB78070B4C55A"), (24, "DDA97CA4864CDFE06EAF70A0EC0D7191"),
                             (32, "8EA2B7CA516745BFEAFC49904B496089")):
        aes = Aes(bytes(range(length)))
        assert aes.encrypt(block) == bytes.fromhex(expected) and aes.decrypt(bytes.fromhex(expected)) == block
    aes = Aes(bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C"))
    assert aes.cmac(b"") == bytes.fromhex("BB1D6929E95937287FA37D129B756746")
    message = bytes.fromhex("6BC1BEE22E409F96E93D7E117393172AAE2D8A571E03AC9C9EB76FAC45AF8E5130C81C46A35CE411")
    assert aes.cmac(message[:16]) == bytes.fromhex("070A16B46B4D4144F79BDD9DD04A287C")
    assert aes.cmac(message) == bytes.fromhex("DFA66747DE9AE63030CA32611497C827")


def derive(key, constant, context, length):
    """[AmdD 4.1.5, SP 800-108 counter mode]"""
    out = b""
    for counter in range(1, -(-length // 16) + 1):
        out += Aes(key).cmac(bytes(11) + struct.pack(">BBHB", constant, 0, 8 * length, counter) + context)
    return out[:length]


class Reader:
    """vpcd's end of the virtual reader's socket."""

    def __init__(self, command):
        server = socket.create_server(("127.0.0.1", 0))
        server.settimeout(20)
        self.process = subprocess.Popen([*command, f"127.0.0.1:{server.getsockname()[1]}"])
        self.link, _ = server.accept()
        self.link.settimeout(20)
        self.t0 = "t0" in command

    def send(self, payload):
        self.link.sendall(struct.pack(">H", len(payload)) + payload)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.link.recv(count - len(data))
            assert more, "the virtual reader hung up"
            data += more
        return data

    def exchange(self, apdu):
        self.send(apdu)
        answer = self.exactly(struct.unpack(">H", self.exactly(2))[0])
        return answer[:-2], int.from_bytes(answer[-2:], "big")

    def transmit(self, apdu):
        """As a reader does that is told of T=0 and needs nothing of the sort with T=1. [ISO 7816-3 12.2]"""
        if self.t0 and len(apdu) > 5:
            apdu = apdu[:5 + apdu[4]]
        answer, sw = self.exchange(apdu)
        if self.t0 and sw >> 8 == 0x6C:
            answer, sw = self.exchange(apdu[:4] + bytes([sw & 0xFF]))
        while self.t0 and sw >> 8 == 0x61:
            more, sw = self.exchange(bytes([0x00, 0xC0, 0x00, 0x00, sw & 0xFF]))
            answer += more
        return answer, sw

    def reset(self):
        self.send(b"\x02")


class Session:
    def __init__(self, reader, level, keys, version=0, aid=ISSUER, spoil=None):
        self.reader, self.level = reader, level
        enc, mac, self.dek = keys
        host = os.urandom(8)
        answer, self.sw = reader.transmit(bytes([0x80, 0x50, version, 0, 8]) + host + b"\x00")
        if self.sw != 0x9000:
            return
        assert len(answer) == 32 and answer[11:13] == b"\x03\x70", answer.hex()
        challenge, cryptogram, counter = answer[13:21], answer[21:29], answer[29:32]
        assert challenge == derive(enc, 0x02, counter + aid, 8), "pseudo-random challenge"
        context = host + challenge
        size = len(enc)
        self.enc = Aes(derive(enc, 0x04, context, size))
        mac = derive(mac, 0x06, context, size), derive(mac, 0x07, context, size)
        assert cryptogram == derive(mac[0], 0x00, context, 8), "card cryptogram"
        self.mac, self.rmac = map(Aes, mac)
        self.chain, self.counter = bytes(16), 0
        own = derive(mac[0], 0x01, context, 8)
        if spoil == "cryptogram":
            own = own[:-1] + bytes([own[-1] ^ 1])
        command = self.protected(0x84, 0x82, level, 0, own)
        if spoil == "mac":
            command = command[:-1] + bytes([command[-1] ^ 1])
        data, self.sw = reader.transmit(command)
        assert data == b"", "EXTERNAL AUTHENTICATE has no answer data"

    def protected(self, cla, ins, p1, p2, data):
        head = bytes([cla, ins, p1, p2, len(data) + 8])
        self.chain = self.mac.cmac(self.chain + head + data)
        return head + data + self.chain[:8]

    def run(self, ins, p1, p2, data=b"", want=0x9000, spoil=False):
        command = bytes([0x80, ins, p1, p2]) + (bytes([len(data)]) + data if data else b"")
        if self.level & 0x01:
            self.counter += 1
            if self.level & 0x02 and data:
                data = self.enc.encrypt_cbc(self.enc.encrypt(self.counter.to_bytes(16, "big")), pad(data))
            command = self.protected(0x84, ins, p1, p2, data)
            if spoil:
                command = command[:-1] + bytes([command[-1] ^ 0x80])
        answer, sw = self.reader.transmit(command + b"\x00")
        assert sw == want, f"{ins:02X} {p1:02X} {p2:02X}: {sw:04X}, not {want:04X}"
        if self.level & 0x10 and (sw == 0x9000 or sw >> 8 in (0x62, 0x63)):
            answer, mac = answer[:-8], answer[-8:]
            assert mac == self.rmac.cmac(self.chain + answer + sw.to_bytes(2, "big"))[:8], "R-MAC"
            if self.level & 0x20 and answer:
                icv = self.enc.encrypt(b"\x80" + self.counter.to_bytes(15, "big"))
                answer = unpad(self.enc.decrypt_cbc(icv, answer))
        return answer


def lv(*fields):
    return b"".join(bytes([len(field)]) + field for field in fields)


def put_key_data(version, keys, dek):
    """[GPC 11.8, AmdD 7.2]: the data, and what the card answers."""
    data = told = bytes([version])
    for key in keys:
        block = Aes(dek).encrypt_cbc(bytes(16), key + os.urandom(-len(key) % 16))
        value = Aes(key).encrypt(b"\x01" * 16)[:3]
        data += b"\x88" + lv(bytes([len(key)]) + block) + lv(value)
        told += value
    return data, told


def select(aid):
    return b"\x00\xa4\x04\x00" + lv(aid) + b"\x00"


def personalise(session):
    """A transit card: purse and public information, encrypted under the DEK, in blocks that cut the groupings."""
    run, info = session.run, os.urandom(30)
    assert run(0xE6, 0x0C, 0x00, lv(LOAD_FILE, PURSE_MODULE, PURSE, b"\x00", b"\xc9\x00", b"")) == b"\x00"
    run(0xE6, 0x20, 0x00, lv(b"", b"", PURSE, b"", b"", b""))
    purse = struct.pack(">IHHBHI", 1234, 0, 0, 0, 0, 100_000)
    encrypted = [Aes(session.dek).encrypt_cbc(bytes(16), pad(value)) for value in (purse, info)]
    groupings = b"\x00\x02" + lv(encrypted[0]) + b"\x00\x15" + lv(encrypted[1])
    for number, (begin, end) in enumerate(((0, 2), (2, 30), (30, len(groupings)))):
        last = 0x80 if end == len(groupings) else 0
        run(0xE2, last | 0x68, number, groupings[begin:end])
    # The last block ended the personalisation: now the domain is meant, and it has no such grouping.
    run(0xE2, 0x88, 0x00, b"\x00\x15\x01\x00", want=0x6A88)
    answer, sw = session.reader.transmit(select(PURSE))
    assert sw == 0x9000, f"SELECT of the transit card: {sw:04X}"
    assert session.reader.transmit(bytes.fromhex("00B0950000")) == (info, 0x9000), "public information"
    assert session.reader.transmit(bytes.fromhex("805C000204")) == (struct.pack(">I", 1234), 0x9000), "balance"


def manage(reader, level, keys, version):
    """Everything once, ending as it began."""
    session = Session(reader, level, keys, version)
    assert session.sw == 0x9000, f"level {level:02X}: {session.sw:04X}"
    run = session.run
    issuer = run(0xF2, 0x80, 0x02, b"\x4f\x00")
    assert issuer[0] == 0xE3 and issuer[2:12] == b"\x4f\x08" + ISSUER, issuer.hex()
    run(0xF2, 0x40, 0x02, b"\x4f\x00", want=0x6A88)
    # A case 2 command: the counter advances without data to encrypt.
    assert run(0xCA, 0x00, 0xC1)[:2] == b"\xc1\x03"
    installation = lv(LOAD_FILE, PPSE_MODULE, PPSE, b"\x00", b"\xc9\x00", b"")
    assert run(0xE6, 0x0C, 0x00, installation) == b"\x00"
    run(0xE6, 0x0C, 0x00, installation, want=0x6985)
    assert PPSE in run(0xF2, 0x40, 0x02, b"\x4f\x00")
    # An issuer identification number for the domain, and away with it. [GPC 11.11.3.2]
    run(0xE2, 0x90, 0x00, bytes.fromhex("4203629999"))
    assert run(0xCA, 0x00, 0x42) == bytes.fromhex("4203629999")
    run(0xE2, 0x90, 0x00, bytes.fromhex("4200"))
    run(0xCA, 0x00, 0x42, want=0x6A88)
    personalise(session)
    reader.transmit(select(ISSUER))
    session = Session(reader, level, keys, version)
    assert session.sw == 0x9000
    run = session.run
    run(0xE4, 0x00, 0x00, b"\x4f" + lv(PURSE))
    # Another key set, AES-256; key check values come back.
    others = [os.urandom(32) for _ in range(3)]
    data, told = put_key_data(0x31, others, session.dek)
    assert run(0xD8, 0x00, 0x81, data) == told
    assert bytes.fromhex("C00401318820") in run(0xCA, 0x00, 0xE0)
    wrong = data[:-1] + bytes([data[-1] ^ 1])
    run(0xD8, 0x31, 0x81, wrong, want=0x6982)
    second = Session(reader, level, others, 0x31)
    assert second.sw == 0x9000
    assert PPSE in second.run(0xF2, 0x40, 0x02, b"\x4f\x00")
    third = Session(reader, level, keys, version)
    assert third.sw == 0x9000
    third.run(0xE4, 0x00, 0x00, b"\xd2\x01\x31")
    third.run(0xE4, 0x00, 0x00, b"\x4f" + lv(PPSE))
    third.run(0xE4, 0x00, 0x00, b"\x4f" + lv(PPSE), want=0x6A88)
    third.run(0xF2, 0x40, 0x02, b"\x4f\x00", want=0x6A88)
    if level & 0x01:
        third.run(0xF2, 0x80, 0x02, b"\x4f\x00", want=0x6982, spoil=True)
        third.run(0xF2, 0x80, 0x02, b"\x4f\x00", want=0x6982)


def main():
    check_aes()
    reader = Reader(sys.argv[1:])
    try:
        reader.send(b"\x01")
        keys = [TEST_KEY] * 3
        assert reader.transmit(select(ISSUER))[1] == 0x9000
        assert reader.transmit(bytes.fromhex("80F28002024F0000"))[1] == 0x6982, "no session, no answer"
        for spoil, sw in (("cryptogram", 0x6300), ("mac", 0x6982)):
            assert Session(reader, 0x33, keys, spoil=spoil).sw == sw, spoil
            assert reader.transmit(bytes.fromhex("80F28002024F0000"))[1] == 0x6982
        assert Session(reader, 0x33, keys, version=0x77).sw == 0x6A88
        for level in (0x00, 0x01, 0x03, 0x11, 0x13, 0x33):
            manage(reader, level, keys, 0x30)
            print(f"SCP03 level {level:02X}: the card manager and this host agree")
        reader.reset()
        assert reader.transmit(bytes.fromhex("80F28002024F0000"))[1] == 0x6982, "a reset ends the session"
    finally:
        reader.process.kill()
        reader.process.wait()


if __name__ == "__main__":
    main()
