#!/usr/bin/env python3
"""Rewrite the rows of crates/emv/src/data/tags.rs from crates/emv/data/tags.csv (between the two marker lines)."""
import csv
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
TABLE = os.path.join(HERE, "..", "src", "data", "tags.rs")
SCHEMES = {
    "EMV": "Emv", "EMV/kernel": "EmvContactless", "PBOC/UnionPay": "Pboc", "Mastercard C-2": "Mastercard", "Visa C-3": "Visa",
    "UnionPay terminal parameter (POS 0800 download / field 62)": "UnionPayTerminal", "pboccore internal": "TerminalInternal",
}
SOURCES = {"icc": "Icc", "terminal": "Terminal", "acquirer": "Acquirer", "issuer": "Issuer", "terminal/icc": "TerminalOrIcc",
           "issuer/terminal": "IssuerOrTerminal", "kernel": "Kernel"}


def length(text):
    text = text.split("(")[0].strip()
    if text == "var":
        return "Any"
    if m := re.fullmatch(r"(\d+)", text):
        return f"Exactly({m[1]})"
    if m := re.fullmatch(r"(\d+)-(\d+)", text):
        return f"Within({m[1]}, {m[2]})"
    if m := re.fullmatch(r"(\d+)(?:/| or )(\d+)", text):
        return f"Either({m[1]}, {m[2]})"
    raise SystemExit(f"length {text!r}")


def row(r):
    templates = ", ".join("0x" + t for t in r["template"].split())
    name = r["name"].replace("\\", "\\\\").replace('"', '\\"')
    return (f'    row(0x{r["tag"]}, "{name}", {SOURCES[r["source"].lower()]}, {r["format"].capitalize()}, {length(r["length"])}, '
            f'&[{templates}], {SCHEMES[r["scheme"]]}),\n')


with open(os.path.join(HERE, "tags.csv"), encoding="utf-8", newline="") as f:
    rows = sorted(csv.DictReader(f), key=lambda r: int(r["tag"], 16))
with open(TABLE, encoding="utf-8") as f:
    text = f.read()
begin, end = "    // rows: begin\n", "    // rows: end\n"
head, rest = text.split(begin)
_, tail = rest.split(end)
head = re.sub(r"static TAGS: \[TagInfo; \d+\]", f"static TAGS: [TagInfo; {len(rows)}]", head)
with open(TABLE, "w", encoding="utf-8") as f:
    f.write(head + begin + "".join(map(row, rows)) + end + tail)
