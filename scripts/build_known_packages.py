"""Make the built-in table of runtime packages: src/runworthy/targets/packages/known.txt and known.exports.

    python3 scripts/build_known_packages.py [--mirror URL] [--facts FOLDER] [--cache FOLDER]

``known.txt`` says which package of which distribution brings a library or a program. Debian's part is read from its
own Contents lists; the others come from ``known_packages.txt`` beside this script, which names their sources. Ubuntu
takes its packages from Debian, so a name that is Debian's in the releases before and after one of Ubuntu's is its too.

``known.exports`` says what the libraries of the compiler export. Alpine's are read from Alpine's own files, which
auditwheel puts into wheels for musllinux unchanged but for their names: the pypa's images are Alpine releases, and a
file's ``.comment`` says which of Alpine's builds of GCC it comes from. Debian's are read from its packages. Where a
release has none that could be read, what it has at least is composed (``composed``), and ``check`` holds this against
the files that are known.
"""

from __future__ import annotations

import argparse
import gzip
import json
import lzma
import os
import re
import subprocess
import sys
import urllib.request
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "src"))

from runworthy.formats.content import BytesContent, Content, FileContent  # noqa: E402 - the path is set just above
from runworthy.formats.elf import read_elf  # noqa: E402
from runworthy.formats.package import read_package  # noqa: E402
from runworthy.model.arch import architecture  # noqa: E402
from runworthy.model.elf import ElfFile, Exports  # noqa: E402

PACKAGES: Final = REPOSITORY / "src" / "runworthy" / "targets" / "packages"
HAND: Final = Path(__file__).with_name("known_packages.txt")
WANTED: Final = Path(__file__).with_name("known_wanted.txt")
SIZE_LIMITS: Final = {"known.txt": 60_000, "known.exports": 90_000}

DEBIAN: Final = {"bullseye": "11", "bookworm": "12", "trixie": "13", "sid": "sid"}
DEBIAN_ARCHITECTURES: Final = {
    "amd64": "x86_64-linux-gnu",
    "arm64": "aarch64-linux-gnu",
    "armhf": "arm-linux-gnueabihf",
    "i386": "i386-linux-gnu",
}
NOT_MEANT: Final = re.compile(
    r"-(dbg|extra\d*|gles|wayland|guile|nopie|static|compat-shim|salsa-asound2)$|^lib(elogind|jack)0$|^luajit2$"
    r"|^libluajit2-|^khronos-|-extra\d+$|^lib(x?32|64|n32)|^ksh93u"
)
"""Packages that bring another build of a library beside the one that is usual."""
WHOLE: Final = {"python3-minimal": "python3", "lua50": "lua5.0"}
"""Who wants the program wants what belongs to it."""
UBUNTU: Final = (("20.04-22.04", "bullseye", "bookworm"), ("24.04-", "trixie", "trixie"))


# -- which package brings what -------------------------------------------------------------------


Table = dict[str, dict[str, str]]
"""Package by name and release."""


def mirror_of_this_machine() -> str:
    """Return the archive that apt has Debian from."""
    form = "$(ORIGIN)|$(CODENAME)|$(REPO_URI)"
    told = subprocess.run(
        ["/usr/bin/apt-get", "indextargets", "--format", form, "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rows = (line.split("|") for line in told.splitlines())
    return next(uri for origin, name, uri in rows if origin == "Debian" and "-" not in name).rstrip("/")


def fetched(url: str, cache: Path) -> Path:
    """Return a file of the network, which is kept in ``cache``."""
    path = cache / re.sub(r"\W+", "_", url.partition("://")[2].partition("/")[2])
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with urllib.request.urlopen(url, timeout=300) as answer, part.open("wb") as out:  # noqa: S310 - https or http
            while data := answer.read(1 << 20):
                out.write(data)
        part.rename(path)
    return path


def wanted() -> tuple[frozenset[str], frozenset[str]]:
    """Return the libraries and the programs that are looked up in Debian's lists."""
    words = WANTED.read_text().split()
    return frozenset(w for w in words if ".so" in w), frozenset(w for w in words if ".so" not in w)


def debian_rows(lines: Iterable[str], triplet: str) -> Iterator[tuple[str, str]]:
    """Yield (name, package) of the lines of a Contents list: a soname, or the path of a program."""
    libraries, programs = wanted()
    places = frozenset((f"lib/{triplet}", f"usr/lib/{triplet}", "lib", "usr/lib"))
    for line in lines:
        path, _, packages = line.rstrip("\n").rpartition(" ")
        path = path.rstrip()
        directory, _, name = path.rpartition("/")
        if name in libraries and directory in places:
            key = name
        elif name in programs and directory in ("bin", "usr/bin"):
            key = f"/usr/bin/{name}"  # Debian's releases have one directory for both (usrmerge)
        else:
            continue
        package = chosen(one.rpartition("/")[::2] for one in packages.split(","))
        if package:
            yield key, package


def chosen(packages: Iterable[Sequence[str]]) -> str:
    """Return the package that people mean, of (section, name) pairs that bring the same path."""
    names = sorted(name for section, name in packages if section != "oldlibs" and not NOT_MEANT.search(name))
    numbered = [name for name in names if re.search(r"-\d+(t64)?$", name)]
    if len(names) > 1 and names == numbered:  # LLVM's: the newest
        return max(names, key=lambda name: int(re.search(r"-(\d+)(t64)?$", name)[1]))  # type: ignore[index]
    return WHOLE.get(names[0], names[0]) if len(names) == 1 else ""


def debian(mirror: str, cache: Path) -> Table:
    """Return Debian's part, by its own lists. A package has one name on every architecture that has it."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for suite, release in DEBIAN.items():
        for arch, triplet in DEBIAN_ARCHITECTURES.items():
            path = fetched(f"{mirror}/dists/{suite}/main/Contents-{arch}.gz", cache)
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                for name, package in debian_rows(lines, triplet):
                    found[name][release].add(package)
    return {
        name: {release: one for release, held in releases.items() if len(held) == 1 for one in held}
        for name, releases in found.items()
    }


def ubuntu(table: Table, own: frozenset[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield what Ubuntu has from Debian, where its own section says nothing."""
    for name, releases in sorted(table.items()):
        specs = []
        for span, *suites in UBUNTU:
            held = {releases.get(DEBIAN[suite], "") for suite in suites}
            package = held.pop()
            known = {one.removesuffix("t64") for one in releases.values()}
            if package and not held and len(known) == 1 and len(releases) == len(DEBIAN):
                specs.append(f"{span}:{package}")
        if name not in own and specs:
            packages = {spec.partition(":")[2] for spec in specs}
            yield name, [f"20.04-:{packages.pop()}"] if len(specs) == len(UBUNTU) and len(packages) == 1 else specs


def spans(releases: Mapping[str, str]) -> list[str]:
    """Return packages by release as the table writes them: neighbours with one package are one span."""
    order = list(DEBIAN.values())
    specs: list[list[str]] = []
    for at, release in enumerate(order):
        package = releases.get(release)
        if package is None:
            continue
        if specs and specs[-1][2] == package and order.index(specs[-1][1]) == at - 1:
            specs[-1][1] = release
        else:
            specs.append([release, release, package])
    ends = ((first, "" if last == "sid" else last, package) for first, last, package in specs)
    return [f"{first}-{last}:{package}" for first, last, package in ends]


def hand_sections() -> Iterator[tuple[str, list[tuple[str, list[str]]]]]:
    """Yield (head, rows) of each section of the hand-written file."""
    head = ""
    rows: list[tuple[str, list[str]]] = []
    for line in HAND.read_text().splitlines():
        if line.startswith("@ "):
            if head:
                yield head, rows
            head, rows = line, []
        elif line and not line.startswith("#"):
            name, *specs = line.split()
            rows.append((name, specs))
    yield head, rows


def table_text(table: Table, today: str) -> str:
    """Return known.txt."""
    text = ["# Made by scripts/build_known_packages.py; do not edit."]
    rows = [(name, spans(releases)) for name, releases in sorted(table.items()) if releases]
    text += _section(f"@ debian {today} Contents lists of {', '.join(DEBIAN)}, section main", rows)
    for head, held in hand_sections():
        if head.startswith("@ ubuntu"):
            held = [*held, *ubuntu(table, frozenset(name for name, _ in held))]  # noqa: PLW2901 - with what is Debian's
        text += _section(head, held)
    return "\n".join(text) + "\n"


def _section(head: str, rows: Iterable[tuple[str, list[str]]]) -> list[str]:
    return [head, *("\t".join((name, *specs)) for name, specs in rows)]


# -- what they export ------------------------------------------------------------------------------


Build = tuple[int, ...]
Rows = frozenset[str]
"""Exports: ``name``, ``name@@NODE`` or, where it is hidden, ``name@NODE``."""

RUNTIME: Final = {
    "libgcc_s": "libgcc_s.so.1",
    "libstdc++": "libstdc++.so.6",
    "libgomp": "libgomp.so.1",
    "libgfortran": "libgfortran.so.5",
    "libquadmath": "libquadmath.so.0",
}
ALPINE: Final = {
    "3.12": "9.3.0",
    "3.13": "10.2.1_pre1",
    "3.14": "10.3.1_git20210424",
    "3.15": "10.3.1_git20211027",
    "3.16": "11.2.1_git20220219",
    "3.17": "12.2.1_git20220924",
    "3.18": "12.2.1_git20220924",
    "3.19": "13.2.1_git20231014",
    "3.20": "13.2.1_git20240309",
    "3.21": "14.2.0",
    "3.22": "14.2.0",
    "later": "15",
}
"""GCC of each release of Alpine (aports, main/gcc/APKBUILD, of the release's branch)."""
_ALL: Final = "x86_64 aarch64 i686 ppc64le s390x"
WHEELS: Final = (
    ("rapidfuzz", "3.5.2", "musllinux_1_1", _ALL),
    ("rapidfuzz", "3.10.0", "musllinux_1_2", _ALL),
    ("rapidfuzz", "3.12.1", "musllinux_1_2", _ALL),
    ("rapidfuzz", "3.13.0", "musllinux_1_2", "i686"),
    ("rapidfuzz", "3.14.3", "musllinux_1_2", "armv7l"),
    ("rapidfuzz", "3.14.5", "musllinux_1_2", "riscv64"),
    ("rapidfuzz", "3.14.6", "musllinux_1_2", "x86_64 aarch64 ppc64le s390x"),
    ("kiwisolver", "1.4.5", "musllinux_1_1", _ALL),
    ("kiwisolver", "1.4.7", "musllinux_1_2", _ALL),
    ("kiwisolver", "1.5.1", "musllinux_1_2", "x86_64 aarch64 ppc64le s390x riscv64"),
    ("pyzmq", "27.1.0", "musllinux_1_2", "i686"),
    ("levenshtein", "0.27.3", "musllinux_1_2", "armv7l"),
    ("cryptography", "42.0.0", "musllinux_1_2", "x86_64 aarch64"),
    ("simsimd", "6.5.3", "musllinux_1_2", "x86_64 aarch64"),
    ("numpy", "2.1.0", "musllinux_1_1", "x86_64"),
    ("numpy", "2.2.6", "musllinux_1_2", "x86_64 aarch64"),
    ("numpy", "2.3.5", "musllinux_1_2", "x86_64 aarch64"),
    ("scipy", "1.15.3", "musllinux_1_2", "x86_64"),
)
"""Wheels that carry Alpine's own files; several of one build are held against each other."""
NODE_LIMITS: Final[Mapping[int, tuple[int, int]]] = {
    9: (28, 12),
    10: (28, 12),
    11: (29, 13),
    12: (30, 13),
    13: (32, 14),
    14: (33, 15),
    15: (34, 16),
}
"""The newest GLIBCXX_3.4 and CXXABI_1.3 of each GCC (libstdc++ manual, "ABI Policy and Guidelines")."""
DEBIAN_RUNTIME: Final = {"libgomp1": "libgomp.so.1", "libatomic1": "libatomic.so.1"}
"""What Debian's minimal roots, and so the catalogue, do not have."""


@dataclass(frozen=True, kw_only=True)
class Library:
    """The exports of one library. ``least``: it may have more than these."""

    soname: str
    arch: str
    needed: tuple[str, ...]
    rows: Rows
    least: bool = False


def build_of(text: str) -> Build:
    """Return a version of GCC as Alpine writes it so that versions can be compared: 13.2.1_git20240309-r1."""
    numbers, _, suffix = text.partition("-")[0].partition("_")
    parts = [int(part) for part in numbers.split(".")]
    date = int("".join(filter(str.isdigit, suffix)) or 0)
    return (*parts, *([0] * (3 - len(parts))), date)


def rows_of(exports: Exports) -> Rows:
    """Return exports as rows."""
    names, indexes, _, versions = exports.columns()
    found = set()
    for at, name in enumerate(names):
        index = indexes[at] if indexes is not None else 1
        node = versions.get(index & 0x7FFF)
        text = name.decode("utf-8", "surrogateescape")
        # The linker marks a node by an absolute symbol of its name, which nobody asks for.
        if text != node:
            found.add(text if node is None else f"{text}{'@@' if index < 0x8000 else '@'}{node}")
    return frozenset(found)


def downloaded(name: str, version: str, tag: str, cache: Path) -> Path:
    """Return a wheel that pip brings."""
    folder = cache / f"{name}-{version}-{tag}"
    if not list(folder.glob("*.whl")):
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"),
                *("--python-version", "311", "--implementation", "cp", "--platform", tag),
                *("-d", str(folder), f"{name}=={version}"),
            ],
            check=True,
        )
    return next(folder.glob("*.whl"))


def bundled(path: Path) -> Iterator[tuple[Build, Library]]:
    """Yield the libraries of Alpine's GCC in a wheel, under their own names again."""
    with zipfile.ZipFile(path) as wheel:
        for member in wheel.namelist():
            parent, _, name = member.rpartition("/")
            stem = name.partition("-")[0]
            if not parent.endswith(".libs") or stem not in RUNTIME:
                continue
            data = wheel.read(member)
            comment = re.search(rb"GCC: \(Alpine ([^)]+)\)", data)
            elf = read_elf(BytesContent(data))
            if comment is not None:
                yield build_of(comment[1].decode()), _library(elf, RUNTIME[stem])


def _library(elf: ElfFile, soname: str) -> Library:
    arch = elf.facts.architecture
    if arch is None:
        raise SystemExit(f"{soname}: of an unknown architecture")
    needed = (RUNTIME.get(one.partition("-")[0], one) for one in elf.facts.needed)
    return Library(soname=soname, arch=arch.name, needed=tuple(needed), rows=rows_of(elf.exports()))


Known = dict[tuple[str, str], dict[Build, Library]]
"""Alpine's files by (soname, architecture) and build."""


def alpine_files(cache: Path) -> Known:
    """Return what Alpine's own files export. Two files of one build say the same, or it is no fact."""
    known: Known = defaultdict(dict)
    for name, version, tag, archs in WHEELS:
        for arch in archs.split():
            for build, library in bundled(downloaded(name, version, f"{tag}_{arch}", cache)):
                held = known[library.soname, library.arch].setdefault(build, library)
                if held.rows != library.rows:
                    raise SystemExit(f"{name} {version} {arch}: {library.soname} of {build} differs from another one")
    return known


def stable(folder: Path) -> dict[str, dict[int, frozenset[str]]]:
    """Return, by architecture and major release of GCC, the names that its libstdc++ promises to keep.

    They are those under the version nodes that it has, by the files of Debian sid: a node never changes once released.
    """
    found: dict[str, dict[int, frozenset[str]]] = {}
    for path in sorted(folder.glob("debian_sid_*.json.gz")):
        arch = architecture(path.name.removeprefix("debian_sid_").partition(".")[0])
        with gzip.open(path) as stream:
            libraries = json.load(stream)["libraries"].values()
        exports = next(one["exports"] for one in libraries if one.get("soname") == "libstdc++.so.6")
        pairs = [text.replace("@@", "@").partition("@")[::2] for text in exports]
        if arch is not None:
            found[arch.name] = {
                major: frozenset(name for name, node in pairs if _promised(node, *limits))
                for major, limits in NODE_LIMITS.items()
            }
    return found


def _promised(node: str, glibcxx: int, cxxabi: int) -> bool:
    match = re.fullmatch(r"(GLIBCXX_3\.4|CXXABI_1\.3)(?:\.(\d+))?", node)
    return match is not None and int(match[2] or 0) <= (glibcxx if match[1].startswith("G") else cxxabi)


def composed(known: Mapping[Build, Library], build: Build, promised: frozenset[str]) -> Library | None:
    """Return what a library of a build has at least, None where too little is known.

    A name that the builds before and after have, it has too; of those that the one after has, also those that its
    release promises to keep. After all known builds, what is versioned or promised remains.
    """
    if build in known:
        return known[build]
    older, newer = (
        max((b for b in known if b < build), default=None),
        min((b for b in known if b > build), default=None),
    )
    if newer is None:
        last = known[older] if older is not None else None
        rows = frozenset(row for row in last.rows if "@" in row or row in promised) if last else frozenset()
    else:
        last = known[newer]
        kept = known[older].rows if older is not None else frozenset()
        rows = frozenset(row for row in last.rows if row in kept or row in promised)
    if last is None or not rows:
        return None
    return Library(soname=last.soname, arch=last.arch, needed=last.needed, rows=rows, least=True)


def alpine(known: Known, folder: Path) -> Iterator[tuple[str, Library]]:
    """Yield (system, library) for every release of Alpine."""
    promised = stable(folder)
    for (soname, arch), builds in sorted(known.items()):
        for release, text in ALPINE.items():
            build = build_of(text)
            names = promised.get(arch, {}).get(build[0], frozenset()) if soname == "libstdc++.so.6" else frozenset()
            library = composed(builds, build, names)
            if library is not None:
                yield f"alpine:{release}", library


def debian_files(mirror: str, cache: Path) -> Iterator[tuple[str, Library]]:
    """Yield (system, library) of the released Debians."""
    for suite, release in DEBIAN.items():
        for arch in DEBIAN_ARCHITECTURES if suite != "sid" else ():
            index = lzma.decompress(
                fetched(f"{mirror}/dists/{suite}/main/binary-{arch}/Packages.xz", cache).read_bytes()
            )
            for stanza in index.decode("utf-8").split("\n\n"):
                fields = dict(line.partition(": ")[::2] for line in stanza.splitlines() if line[:1] not in (" ", ""))
                soname = DEBIAN_RUNTIME.get(fields.get("Package", ""))
                if soname:
                    yield f"debian:{release}", _of_package(fetched(f"{mirror}/{fields['Filename']}", cache), soname)


def _of_package(path: Path, soname: str) -> Library:
    for member in read_package(FileContent(str(path), path.stat().st_size)):
        content: Content | None = member.content
        if member.kind == "file" and content is not None and os.path.basename(member.path).startswith(soname):
            return _library(read_elf(content), soname)
    raise SystemExit(f"{path.name}: holds no {soname}")


def exports_data(libraries: Sequence[tuple[str, Library]], today: str) -> bytes:
    """Return known.exports: one line for each set, then the rows, those that the same sets hold together."""
    sets: dict[tuple[object, ...], tuple[Library, list[str]]] = {}
    for system, library in libraries:
        key = (library.soname, library.arch, library.needed, library.rows, library.least)
        sets.setdefault(key, (library, []))[1].append(system)
    masks: dict[tuple[str, str], int] = defaultdict(int)
    lines = [today]
    for number, (library, systems) in enumerate(sets.values()):
        how = "least" if library.least else "whole"
        lines.append("\t".join((library.soname, library.arch, how, ",".join(systems), ",".join(library.needed))))
        for row in library.rows:
            masks[library.soname, row] |= 1 << number
    groups: dict[tuple[str, int], list[str]] = defaultdict(list)
    for (soname, row), mask in masks.items():
        groups[soname, mask].append(row)
    for (_, mask), rows in sorted(groups.items()):
        lines += ["", f"{mask:x}", *sorted(rows)]
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 9)
    return packer.compress("\n".join(lines).encode("utf-8", "surrogateescape")) + packer.flush()


# -- command -----------------------------------------------------------------------------------------


def check(known: Known, folder: Path) -> Iterator[str]:
    """Yield what is wrong: what is composed for a build that is known, without it, must be a part of what it has."""
    promised = stable(folder)
    for (soname, arch), builds in sorted(known.items()):
        for build, real in builds.items():
            names = promised.get(arch, {}).get(build[0], frozenset()) if soname == "libstdc++.so.6" else frozenset()
            others = {one: held for one, held in builds.items() if one != build}
            made = composed(others, build, names)
            if made is None:
                continue
            much = made.rows - real.rows
            print(f"  {soname} {arch} {build}: {len(made.rows)} of {len(real.rows)} composed, {len(much)} too many")
            if much:
                yield f"{soname} {arch} {build}: {sorted(much)[:5]} too many"


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, check, print a summary. Returns 1 when a check fails."""
    parser = argparse.ArgumentParser(description="Make the built-in table of runtime packages.")
    parser.add_argument("--mirror", help="a Debian archive (default: apt's)")
    parser.add_argument("--facts", type=Path, default=REPOSITORY.parent / "shared" / "targets")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "runworthy" / "known")
    options = parser.parse_args(arguments)
    mirror = options.mirror or mirror_of_this_machine()
    today = datetime.now(UTC).date().isoformat()
    table = debian(mirror, options.cache)
    (PACKAGES / "known.txt").write_text(table_text(table, today))
    files = alpine_files(options.cache)
    libraries = [*alpine(files, options.facts), *debian_files(mirror, options.cache)]
    (PACKAGES / "known.exports").write_bytes(exports_data(libraries, today))
    problems = list(check(files, options.facts))
    for name, limit in SIZE_LIMITS.items():
        size = (PACKAGES / name).stat().st_size
        print(f"{name}: {size} bytes")
        problems += [f"{name} is over the limit of {limit} bytes"] if size > limit else []
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
