#!/usr/bin/env python3
"""Look at the firmware image: sizes, forbidden symbols, and where its panics come from.

    inspect_image.py IMAGE [--without REGEX] --stack BYTES --allow .ci/panics.allow --size .ci/size.txt [--bless] [--verbose]

Every call of a panic function of `core` that is left in the image is traced, through its inline frames, to the first
source that is not `core`'s. In one of our crates that is a failure; in a dependency it must be on the allow list
(`crate  function`, the function may end in `*`), and an entry that nothing matches any more is a failure too.
"""
import argparse
import collections
import glob
import os
import re
import shutil
import subprocess
import sys

PANIC = re.compile(
    r"core::panicking::|core::(?:option|result)::(?:unwrap|expect)_failed|core::slice::index::slice_\w*fail"
    r"|core::slice::\S*(?:len_mismatch_fail|do_panic)|core::str::slice_error_fail|core::cell::panic_|core::num::\S*panic"
    r"|core::panic::\w+$"
)
CALL = re.compile(r"^\s*([0-9a-f]+):\s+(?:bl|b|b\.w|bl\.w|b[a-z]{2}(?:\.w)?)\s+0x[0-9a-f]+ <([^>+]+)>")


def tool(name):
    """The newest LLVM tool of this name: old ones don't know the compiler's name mangling."""
    numbered = glob.glob(f"/usr/bin/{name}-[0-9]*")
    numbered.sort(key=lambda path: int(path.rsplit("-", 1)[1]))
    found = numbered[-1] if numbered else shutil.which(name)
    return found or sys.exit(f"{name} is not installed (apt-get install llvm)")


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


def sizes(image):
    sections = {}
    for line in run(tool("llvm-size"), "-A", image).splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[1].isdigit():
            sections[fields[0]] = int(fields[1])
    flash = sum(sections.get(name, 0) for name in (".vector_table", ".text", ".rodata", ".data"))
    static = sum(sections.get(name, 0) for name in (".data", ".bss", ".uninit"))
    return flash, static


def forbidden(image, without):
    """Symbols of `alloc` or `std`, as crates, not as parts of other names, and those that match `without`."""
    names = run(tool("llvm-nm"), "--demangle", image).splitlines()
    if without:
        yield from (line for line in names if re.search(without, line))
    yield from (line for line in names if re.search(r"(?:^|[\s<(&])(?:alloc|std)::|__rust_(?:alloc|realloc|dealloc)", line))


def panic_calls(image):
    """(address, panic function) of every call."""
    calls, names = [], set()
    for line in run(tool("llvm-objdump"), "-d", "--no-show-raw-insn", image).splitlines():
        m = CALL.match(line)
        if m:
            calls.append((m[1], m[2]))
            names.add(m[2])
    ordered = sorted(names)
    plain = dict(zip(ordered, run(tool("llvm-cxxfilt"), input="\n".join(ordered)).splitlines()))
    return [(address, plain[name]) for address, name in calls if PANIC.search(plain[name])]


def frames(image, addresses):
    """For every address its inline frames, innermost first, as (function, file:line)."""
    text = run(tool("llvm-symbolizer"), "--obj=" + image, "--inlines", "--demangle", input="\n".join("0x" + a for a in addresses) + "\n")
    for block in text.strip("\n").split("\n\n"):
        lines = block.splitlines()
        yield list(zip(lines[0::2], lines[1::2]))


def owner(path, root):
    """(kind, crate) of a source file."""
    path = os.path.normpath(path.split(":")[0])
    if "/rust-src" in path or "/library/" in path or path.startswith("/rustc/") or "/usr/src/rustc" in path:
        return "core", "core"
    m = re.search(r"/registry/src/[^/]+/(.+?)-\d+\.\d+", path)
    if m:
        return "dependency", m[1]
    if path.startswith(root):
        return "ours", os.path.relpath(path, root).split("/")[1]
    return "unknown", path


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("image")
    arguments.add_argument("--stack", type=int, required=True)
    arguments.add_argument("--allow", required=True)
    arguments.add_argument("--size", required=True)
    arguments.add_argument("--without", help="symbols the image may not hold, beside alloc and std")
    arguments.add_argument("--bless", action="store_true", help="write the size file instead of comparing with it")
    arguments.add_argument("--verbose", action="store_true", help="print every panic call")
    a = arguments.parse_args()
    root = os.path.realpath(os.path.join(os.path.dirname(__file__), ".."))
    failures = []

    for symbol in forbidden(a.image, a.without):
        failures.append(f"a symbol that may not be in the image: {symbol}")

    allowed = [line.split("#")[0].split(None, 1) for line in open(a.allow) if line.split("#")[0].strip()]
    used, counts = set(), collections.Counter()
    calls = panic_calls(a.image)
    ours = collections.Counter()
    unlisted = collections.Counter()
    for (address, panic), stack in zip(calls, frames(a.image, [address for address, _ in calls])):
        for function, where in stack:
            kind, crate = owner(where, root)
            if kind == "core":
                continue
            break
        else:
            kind, crate, function, where = "core", "core", stack[-1][0], stack[-1][1]
        place = re.sub(r"^.*?/(?:registry/src/[^/]+|library)/", "", where).removeprefix(root + "/")
        if a.verbose:
            print(f"{kind:10} {crate:18} {panic} <- {function} {place}")
        counts[kind, crate] += 1
        if kind == "ours" and crate != "firmware":
            ours[f"{place}  {panic}  in {function}"] += 1
        elif kind in ("dependency", "unknown"):
            match = [i for i, (c, f) in enumerate(allowed) if c == crate and (function == f.strip() or (f.strip().endswith("*") and function.startswith(f.strip()[:-1])))]
            used.update(match)
            if not match:
                unlisted[f"{crate}  {function}  ({place}, {panic})"] += 1
    print("panic calls left in the image:", ", ".join(f"{crate} {n}" for (_, crate), n in sorted(counts.items())) or "none")
    failures += [f"a panic of ours: {place} (x{n})" for place, n in sorted(ours.items())]
    failures += [f"not on {a.allow}: {place} (x{n})" for place, n in sorted(unlisted.items())]
    failures += [f"{a.allow}: nothing matches {' '.join(allowed[i])!r} any more" for i in range(len(allowed)) if i not in used]

    flash, static = sizes(a.image)
    now = {"flash": flash, "ram": static + a.stack}
    print(f"flash {flash} bytes; RAM {static + a.stack} bytes ({static} static, {a.stack} stack at its deepest)")
    if a.bless:
        with open(a.size, "w") as f:
            f.write("# bytes of the image of examples/firmware; .ci/thumb --bless writes this file\n")
            f.writelines(f"{name} {value}\n" for name, value in now.items())
    else:
        committed = dict(line.split() for line in open(a.size) if not line.startswith("#"))
        for name, value in now.items():
            was = int(committed[name])
            print(f"{name}: {value} against {was} committed, {100 * (value - was) / was:+.1f} %")
            if value * 100 > was * 105:
                failures.append(f"{name} grew by more than 5 %; if that is right: .ci/thumb --bless")

    for failure in failures:
        print("FAILED:", failure)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
