"""Writes ec_signatures.txt: ECDSA signatures r, s by OpenSSL, over what content management signs, with keys made for the occasion.

    python3 crates/gp/tests/vectors/ec_signatures.py > crates/gp/tests/vectors/ec_signatures.txt
"""
import hashlib
import pathlib
import subprocess
import tempfile

here = pathlib.Path(__file__).parent
plain = [line.split(" = ")[1].strip() for line in (here / "cap_load.txt").read_text().splitlines() if ".plain = " in line]
loads = [bytes.fromhex(command) for command in plain if command.startswith("80E8")]
block = b"".join(load[5 : 5 + load[4]] for load in loads)[4:]  # without C4 82 hi lo
delete = bytes.fromhex("000009" + "4F" + "07D0D1D2D3D4D501")


def openssl(*arguments, message=None):
    return subprocess.run(["openssl", *arguments], input=message, capture_output=True, check=True).stdout


def plain_signature(der, field):
    """r, s of SEQUENCE { INTEGER r, INTEGER s }."""
    at = 2 if der[1] < 0x80 else 3
    out = b""
    for _ in range(2):
        length = der[at + 1]
        out += int.from_bytes(der[at + 2 : at + 2 + length], "big").to_bytes(field, "big")
        at += 2 + length
    return out


version = openssl("version").decode().split()[1]
print("# huiwan vectors 1")
print("# python3 crates/gp/tests/vectors/ec_signatures.py > crates/gp/tests/vectors/ec_signatures.txt")
with tempfile.TemporaryDirectory() as folder:
    for name, curve, reference, field, hashed in (
        ("p256", "prime256v1", 0, 32, "sha256"),
        ("p384", "secp384r1", 1, 48, "sha384"),
    ):
        key = f"{folder}/{name}.pem"
        openssl("ecparam", "-name", curve, "-genkey", "-noout", "-out", key)
        point = openssl("ec", "-in", key, "-pubout", "-outform", "DER")[-(1 + 2 * field) :]
        private = openssl("ec", "-in", key, "-outform", "DER")
        # ECPrivateKey: SEQUENCE { 1, OCTET STRING d, ... }
        at = private.index(bytes([0x04, field])) + 2

        def sign(message):
            der = openssl("dgst", f"-{hashed}", "-sign", key, message=message)
            return plain_signature(der, field).hex().upper()

        digest = hashlib.sha256(block).digest()
        print(f"\nid = ecdsa-{name}")
        print(f"source = OpenSSL {version}: openssl dgst -{hashed}, r and s out of the DER")
        print("kind = computed")
        print(f"in.curve = {reference:02X}")
        print(f"in.d = {private[at : at + field].hex().upper()}")
        print(f"in.point = {point.hex().upper()}")
        print(f"in.hash = {digest.hex().upper()}")
        print(f"out.dap = {sign(digest)}")
        print(f"in.delete = {delete.hex().upper()}")
        print(f"out.delete_token = {sign(delete)}")
