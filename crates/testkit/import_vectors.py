#!/usr/bin/env python3
"""Write a vector file (see src/vectors.rs) from the JSON collection the numbers were first gathered in.

    import_vectors.py FILE.json [--group NAME]... [--id ID]... [--not-id ID]... [--published] [--list] > tests/vectors/x.txt

FILE.json is one of emv.json, gp.json, purse.json (vectors), transcripts.json (APDU exchanges) or
ca_public_keys.json (scheme keys; an id is RID/INDEX, as in A000000333/09).
--group selects by `category` (emv) or `kind` (gp), or by RID for keys; --id by id; both may be repeated and add
up; a name may end in * (a prefix). --published drops what nobody else has published. --list only prints
"id  group  kind". Values of 0-9A-F with an even length become bytes, everything else quoted text.
Nested values are flattened: in. / mid. (intermediate) / out. / extra., lists by index.
"""
import argparse
import json
import os
import re
import sys

HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+\Z")


def value(text):
    if isinstance(text, bool):
        return '"true"' if text else '"false"'
    if isinstance(text, (int, float)):
        return f'"{text}"'
    squeezed = re.sub(r"\s+", "", text)
    if HEX.match(squeezed) and (squeezed == text or " " in text.strip()):
        return squeezed.upper()
    return '"' + re.sub(r"\s+", " ", text).strip() + '"'


def flatten(prefix, item):
    """(key, printed value) pairs; absent (null) values are left out, as are the collection's own check marks."""
    if item is None:
        return
    if isinstance(item, dict):
        for key, inner in item.items():
            if key in ("checks", "ok"):
                continue
            yield from flatten(f"{prefix}.{re.sub(r'[^0-9A-Za-z_.+-]+', '_', key)}", inner)
    elif isinstance(item, list):
        for index, inner in enumerate(item):
            yield from flatten(f"{prefix}.{index}", inner)
    else:
        yield prefix, value(item)


def entries(collection):
    """Every entry as (id, group, source, published?, [(key, value)])."""
    source = ""
    for e in collection.get("vectors", []):
        source = source if e["source"] == "same" else e["source"]
        group = e.get("category") or e.get("kind") or ""
        origin = e.get("origin") or (e["kind"] if "category" in e else "published")
        published = origin in ("public", "published")
        if e.get("verified") is False and origin == "published":
            source += " (checkable only in part)"
        lines = [("group", f'"{group}"')] if group else []
        for key in ("algorithm", "note", "notes"):
            if e.get(key):
                lines.append(("note" if key == "notes" else key, value(e[key]) if not HEX.match(e[key]) else f'"{e[key]}"'))
        for key, prefix in (("input", "in"), ("inputs", "in"), ("intermediate", "mid"), ("output", "out"), ("expected", "out")):
            lines += flatten(prefix, e.get(key))
        yield e["id"], group, source, published, lines
    for e in collection.get("transcripts", []):
        lines = [("group", '"transcript"'), ("title", value(e["title"])), ("note", value(e.get("notes") or "-"))]
        lines += flatten("steps", e["steps"])
        lines += flatten("extra", e.get("extra"))
        yield e["id"], "transcript", e["source"], True, lines
    for e in collection.get("keys", []):
        lines = [("group", f'"{e["rid"]}"'), ("rid", e["rid"]), ("index", e["index"]), ("algorithm", f'"{e["algorithm"]}"')]
        if e["algorithm"] == "SM2":
            lines.append(("point", e["modulus"]))
        else:
            lines += [("exponent", e["exponent"]), ("modulus", e["modulus"])]
        lines += [(key, value(e[key])) for key in ("sha1", "expiry") if e.get(key)]
        where = "published list of payment scheme CA keys" + (", check value matches" if e.get("sha1_ok") else ", no check value")
        yield f'{e["rid"]}/{e["index"]}', e["rid"], where, True, lines


def named(name, patterns):
    return any(name == p or (p.endswith("*") and name.startswith(p[:-1])) for p in patterns)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("file")
    arguments.add_argument("--group", action="append", default=[])
    arguments.add_argument("--id", action="append", default=[])
    arguments.add_argument("--not-id", action="append", default=[])
    arguments.add_argument("--published", action="store_true")
    arguments.add_argument("--list", action="store_true")
    a = arguments.parse_args()
    with open(a.file, encoding="utf-8") as f:
        collection = json.load(f)
    chosen, seen = [], {}
    for entry in entries(collection):
        identity, group, _, published, _ = entry
        wanted = not (a.group or a.id) or named(group, a.group) or named(identity, a.id)
        if not wanted or named(identity, a.not_id) or (a.published and not published):
            continue
        seen[identity] = seen.get(identity, 0) + 1
        if seen[identity] > 1:
            entry = (f"{identity}~{seen[identity]}",) + entry[1:]
        chosen.append(entry)
    if not chosen:
        sys.exit("nothing selected")
    if a.list:
        for identity, group, _, published, _ in chosen:
            print(identity, group, "published" if published else "computed", sep="  ")
        return
    print("# huiwan vectors 1")
    print("# written by crates/testkit/import_vectors.py", " ".join([os.path.basename(a.file)] + sys.argv[2:]))
    for identity, _, source, published, lines in chosen:
        source = re.sub(r"\s+", " ", source).strip()
        if not source:
            sys.exit(f"{identity}: no source")
        print(f"\nid = {identity}\nsource = {source}")
        print("kind =", "published" if published else "computed")
        done = set()
        for key, text in lines:
            if key in done:
                sys.exit(f"{identity}: {key} twice")
            done.add(key)
            print(f"{key} = {text}")


if __name__ == "__main__":
    main()
