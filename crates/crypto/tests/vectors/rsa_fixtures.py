#!/usr/bin/env python3
"""Makes the RSA fixture keys and their signatures: rsa_fixtures.py > rsa_fixtures.txt

Seeded, so the same file comes out every time. The keys are for tests: they protect nothing.
"""
import hashlib

counter = 0


def draw(bits):
    global counter
    out = b""
    while len(out) * 8 < bits:
        out += hashlib.sha256(b"huiwan rsa fixtures %d" % counter).digest()
        counter += 1
    return int.from_bytes(out, "big") >> (len(out) * 8 - bits)


def is_prime(n):
    if any(n % p == 0 for p in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)):
        return False
    d, s = n - 1, 0
    while d % 2 == 0:
        d, s = d // 2, s + 1
    for _ in range(24):
        x = pow(2 + draw(n.bit_length()) % (n - 3), d, n)
        if x in (1, n - 1):
            continue
        for _ in range(s - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def prime(bits, e):
    while True:
        p = draw(bits) | (0b11 << (bits - 2)) | 1
        if p % e != 1 and is_prime(p):
            return p


def text(n, length):
    return n.to_bytes(length, "big").hex().upper()


print("# huiwan vectors 1")
print("# python3 crates/crypto/tests/vectors/rsa_fixtures.py > crates/crypto/tests/vectors/rsa_fixtures.txt")
for bits, e, swapped in [(512, 3, False), (512, 65537, False), (768, 65537, True), (896, 3, False), (1024, 3, False),
                         (1024, 65537, True), (1144, 3, False), (1152, 3, True), (1408, 3, False), (1408, 65537, False),
                         (1536, 3, True), (1984, 3, False), (2048, 3, False), (2048, 65537, True)]:
    p, q = prime(bits // 2, e), prime(bits // 2, e)
    # Most libraries keep p > q; one that has it the other way round must work as well.
    p, q = (min(p, q), max(p, q)) if swapped else (max(p, q), min(p, q))
    n, size, half = p * q, bits // 8, (bits // 2 + 7) // 8
    d = pow(e, -1, (p - 1) * (q - 1))
    message = 0x6A << (bits - 8) | draw(bits - 8)
    print(f"\nid = rsa-{bits}-{e}\nsource = self (weak): big integers of Python\nkind = computed")
    print(f"in.e = {text(e, 1 if e == 3 else 3)}")
    for name, value, length in [("p", p, half), ("q", q, half), ("dp", d % (p - 1), half), ("dq", d % (q - 1), half),
                                ("qinv", pow(q, -1, p), half), ("n", n, size), ("message", message, size)]:
        print(f"in.{name} = {text(value, length)}")
    print(f"out.signature = {text(pow(message, d, n), size)}")
