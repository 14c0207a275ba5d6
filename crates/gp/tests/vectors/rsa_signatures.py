"""Writes rsa_signatures.txt: RSA signatures by OpenSSL, over what content management signs, with keys made for the occasion.

    python3 crates/gp/tests/vectors/rsa_signatures.py > crates/gp/tests/vectors/rsa_signatures.txt
"""
import hashlib
import pathlib
import subprocess
import tempfile

here = pathlib.Path(__file__).parent
plain = [line.split(" = ")[1].strip() for line in (here / "cap_load.txt").read_text().splitlines() if ".plain = " in line]
loads = [bytes.fromhex(command) for command in plain if command.startswith("80E8")]
file = b"".join(load[5 : 5 + load[4]] for load in loads)
block = file[4:]  # C4 82 hi lo
elf = "07D0D1D2D3D4D501"

version = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True).stdout.split()[1]
print("# huiwan vectors 1")
print("# python3 crates/gp/tests/vectors/rsa_signatures.py > crates/gp/tests/vectors/rsa_signatures.txt")


def sign(key, options, message):
    return subprocess.run(
        ["openssl", "dgst", *options, "-sign", key], input=message, capture_output=True, check=True
    ).stdout.hex().upper()


with tempfile.TemporaryDirectory() as folder:
    for bits, name, hashed in (1024, "pkcs1", "sha1"), (2048, "pss", "sha256"):
        key = f"{folder}/{bits}.pem"
        subprocess.run(["openssl", "genrsa", "-out", key, str(bits)], capture_output=True, check=True)
        modulus = subprocess.run(
            ["openssl", "rsa", "-in", key, "-noout", "-modulus"], capture_output=True, text=True, check=True
        ).stdout.strip().split("=")[1]
        options = [f"-{hashed}"]
        if name == "pss":
            options += ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"]
        # The longer token comes in a chain of commands, and Lc takes three bytes.
        delete = bytes.fromhex(("000009" if bits == 1024 else "0000000009") + "4F" + elf)
        digest = hashlib.new(hashed, block).digest()
        print(f"\nid = rsa-{bits}-{name}")
        print(f"source = OpenSSL {version}: openssl dgst {' '.join(options)}")
        print("kind = computed")
        print(f"in.n = {modulus}")
        print("in.e = 010001")
        print(f"in.message = {b'tokens and receipts'.hex().upper()}")
        print(f"out.signature = {sign(key, options, b'tokens and receipts')}")
        print(f"in.hash = {digest.hex().upper()}")
        print(f"out.dap = {sign(key, options, digest)}")
        print(f"in.delete = {delete.hex().upper()}")
        print(f"out.delete_token = {sign(key, options, delete)}")
