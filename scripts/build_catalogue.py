"""Make src/runworthy/targets/catalogue/catalogue.pack from the facts of real targets.

    python3 scripts/build_catalogue.py [FOLDER] [--output FILE]

FOLDER (default: shared/targets beside the repository) is described by its README. The same facts give the same bytes.
Before it ends, the script opens what it has written and compares it with the facts: every path, link, record and
export of the closed roots, and the composed C libraries and runtimes with the real ones of the same release. A
difference is printed and makes it fail.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Final

REPOSITORY: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "src"))

from runworthy.model.arch import ARCHITECTURES, Architecture, architecture  # noqa: E402 - the path is set just above
from runworthy.targets.catalogue.catalogue import PACK_PATH, Catalogue  # noqa: E402
from runworthy.targets.catalogue.layout import GLIBC_SONAMES, layout_of  # noqa: E402
from runworthy.targets.catalogue.pack import BLOCK_ROW, CHUNK_ROW, HEADER, MAGIC  # noqa: E402
from runworthy.targets.catalogue.record import RecordedExports  # noqa: E402
from runworthy.targets.catalogue.target import CatalogueTarget  # noqa: E402

Facts = dict[str, Any]
Release = tuple[int, ...]
Versions = dict[str, set[str]]
"""Names by version, in index order; the key "" holds names without a version."""

BLOCK_SIZE: Final = 64 << 10
SIZE_LIMIT: Final = 3_600_000
DELTA_WORTH: Final = 0.7
"""A chunk is written against another one when that takes less than this part of its own size."""

DISTRO_FACTS_AS_OF: Final = "2026-08-08"
ROLLING: Final = "9999"

DEBIAN_RELEASES: Final = {"bullseye": "11", "bookworm": "12", "trixie": "13", "sid": "sid"}
ABI_ARCHITECTURES: Final = {"arm": "armv7", "i386": "i386"}
FIRST_RELEASE: Final = {"riscv64": (2, 27), "loongarch64": (2, 36)}
"""The release that brought an architecture (glibc NEWS); the others are older than the lists."""
OLDEST_LISTED: Final = (2, 17)

FORMER: Final = {"libcrypt": "libcrypt.so.1", "libnsl": "libnsl.so.1"}
"""Libraries that distributions take from elsewhere now; who asks for one of their names still means a C library."""
LOADER_DIRECTORIES: Final = frozenset(
    ("", "/etc", "/etc/ld.so.conf.d", "/lib", "/lib64", "/lib/*", "/usr", "/usr/lib", "/usr/lib64", "/usr/lib/*")
)
"""Directories that every check looks at; ``*`` stands for the triplet."""
HOT_SONAMES: Final = frozenset((*GLIBC_SONAMES.values(), "libstdc++.so.6", "libgcc_s.so.1", "libz.so.1"))

# Distribution in distro_versions -> (name before the colon, layout, the releases whose /lib is a directory of its own).
# Which releases are split is each distribution's own history (Debian: bookworm's release notes, "merged /usr").
DISTRIBUTIONS: Final[Mapping[str, tuple[str, str, tuple[str, ...]]]] = {
    "almalinux": ("almalinux", "lib64", ()),
    "alt": ("alt", "lib64", ("p8", "p9", "p10", "p11", "sisyphus")),
    "amazonlinux": ("amazonlinux", "lib64", ()),
    "anolisos": ("anolisos", "lib64", ()),
    "archlinux": ("archlinux", "lib", ()),
    "centos": ("centos", "lib64", ()),
    "debian": ("debian", "multiarch", ("8", "9", "10")),
    "fedora": ("fedora", "lib64", ()),
    "mageia": ("mageia", "lib64", ("9",)),
    "manylinux": ("manylinux", "lib64", ("2_12",)),
    "opencloudos": ("opencloudos", "lib64", ()),
    "openeuler": ("openeuler", "lib64", ()),
    "opensuse": ("opensuse/leap", "lib64", ("15.5", "15.6")),
    "oraclelinux": ("oraclelinux", "lib64", ("6",)),
    "photon": ("photon", "lib64", ()),
    "rhubi": ("rhel", "lib64", ()),
    "rockylinux": ("rockylinux", "lib64", ()),
    "slackware": ("slackware", "lib64", ("15.0", "current")),
    "ubuntu": ("ubuntu", "multiarch", ("18.04",)),
}
PACKAGE_MANAGERS: Final = {
    "alpine": "apk",
    "archlinux": "pacman",
    "debian": "dpkg",
    "ubuntu": "dpkg",
    "alt": "rpm",
    "slackware": "pkgtools",
    "busybox": "",
    "manylinux": "",
    "musllinux": "",
    "glibc": "",
}
MANYLINUX: Final = {"2010": "2_12", "2014": "2_17"}
MANYLINUX_LAYOUTS: Final = {"2_24": "multiarch-split", "2_31": "multiarch"}
"""manylinux_2_24 is built on Debian 9, manylinux_2_31 on Ubuntu 20.04 (pypa/manylinux), the others on RHEL's family."""
FAMILY_ORDER: Final = {"testing": "9997", "sid": "9998", "experimental": "9999", "rolling": "9998", "devel": "9999"}


# -- writing chunks -----------------------------------------------------------------------------


class PackWriter:
    """Collects chunks, equal ones once, and writes the file that ``runworthy.targets.catalogue.pack`` describes."""

    def __init__(self) -> None:
        self._chunks: list[tuple[str, bytes]] = []
        self._numbers: dict[tuple[str, bytes], int] = {}
        self._bases: dict[str, list[tuple[int, object]]] = defaultdict(list)

    def add(self, stream: str, data: bytes) -> int:
        """Return the number of a chunk, one of the same stream that is equal if there is one.

        Chunks of one stream lie together in the order of their coming: what one question reads should be one stream.
        """
        number = self._numbers.get((stream, data))
        if number is None:
            number = self._numbers[stream, data] = len(self._chunks)
            self._chunks.append((stream, data))
        return number

    def lines(self, stream: str, lines: Iterable[str]) -> int:
        """Add plain lines."""
        return self.add(stream, b"=" + _bytes("\n".join(lines)))

    def names(self, stream: str, key: str, names: Iterable[str]) -> int:
        """Add a set of lines, against the best base among the sets of the same ``key``."""
        wanted = frozenset(names)

        def against(base: frozenset[str]) -> list[str]:
            return sorted([f"-{name}" for name in base - wanted] + [f"+{name}" for name in wanted - base])

        return self._best(stream, f"names {key}", wanted, sorted(wanted), against)

    def mapping(self, stream: str, key: str, values: Mapping[str, str]) -> int:
        """Add a map of names to values, against the best base among the maps of the same ``key``."""
        wanted = dict(values)

        def against(base: dict[str, str]) -> list[str]:
            put = [f"{name}\t{value}" for name, value in wanted.items() if base.get(name) != value]
            return sorted(put + [name for name in base if name not in wanted])

        plain = [f"{name}\t{value}" for name, value in sorted(wanted.items())]
        return self._best(stream, f"map {key}", wanted, plain, against)

    def _best(
        self, stream: str, key: str, wanted: object, plain: list[str], against: Callable[[Any], list[str]]
    ) -> int:
        full = b"=" + _bytes("\n".join(plain))
        key = f"{stream} {key}"
        if (stream, full) in self._numbers:
            return self._numbers[stream, full]
        tries = (b"~" + _bytes("\n".join((str(number), *against(base)))) for number, base in self._bases[key])
        best = min(tries, key=len, default=full)
        if len(best) < len(full) * DELTA_WORTH:
            return self.add(stream, best)
        number = self.add(stream, full)
        self._bases[key].append((number, wanted))
        return number

    def write(self, path: Path, index: int) -> dict[str, int]:
        """Write the file; return the compressed size (bytes) of each stream."""
        blocks: list[bytes] = []
        places: dict[int, int] = {}
        sizes: dict[str, int] = {}
        for stream in dict.fromkeys(name for name, _ in self._chunks):
            for block in self._blocks(stream):
                for number, offset in block:
                    places[number] = len(blocks) << 48 | offset << 24 | len(self._chunks[number][1])
                data = _deflate(b"".join(self._chunks[number][1] for number, _ in block))
                sizes[stream] = sizes.get(stream, 0) + len(data)
                blocks.append(data)
        offset = HEADER.size
        table = b""
        for data in blocks:
            table += BLOCK_ROW.pack(offset, len(data))
            offset += len(data)
        chunks = b"".join(CHUNK_ROW.pack(places[number]) for number in range(len(self._chunks)))
        head = HEADER.pack(MAGIC, len(blocks), len(self._chunks), offset, offset + len(table), index)
        path.write_bytes(head + b"".join(blocks) + table + chunks)
        return sizes | {"tables": len(table) + len(chunks)}

    def _blocks(self, stream: str) -> Iterator[list[tuple[int, int]]]:
        """Yield the (chunk, offset) pairs of each block of a stream."""
        block: list[tuple[int, int]] = []
        offset = 0
        for number, (name, data) in enumerate(self._chunks):
            if name != stream:
                continue
            if block and offset + len(data) > BLOCK_SIZE:
                yield block
                block, offset = [], 0
            block.append((number, offset))
            offset += len(data)
        if block:
            yield block


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 9)
    return packer.compress(data) + packer.flush()


# -- ELF records --------------------------------------------------------------------------------


def versions_of(exports: Iterable[str], defs: Sequence[str]) -> tuple[Versions, set[str]]:
    """Return the names by version in index order, and the ``VERSION name`` pairs that are hidden."""
    found: Versions = {"": set(), **{version: set() for version in defs}}
    hidden = set()
    for text in exports:
        name, at, version = text.partition("@")
        found[version.removeprefix("@") if at else ""].add(name)
        if at and version[0] != "@":
            hidden.add(f"{version} {name}")
    return found, hidden


def usually_hidden(versions: Versions) -> set[str]:
    """Return the pairs that the reader takes for hidden: all but the last version of a name."""
    last = {name: version for version, names in versions.items() if version for name in names}
    return {
        f"{version} {name}" for version, names in versions.items() if version for name in names if last[name] != version
    }


def names_stream(soname: str, arch: Architecture) -> str:
    """Return the stream for the names of a library: those that every check reads lie together by architecture."""
    if soname.startswith(("ld-musl", "libc.musl")):
        return f"musl names {arch.name}"
    if soname in HOT_SONAMES or soname == soname_of("ld", arch):
        large = soname in ("libc.so.6", "libm.so.6", "libstdc++.so.6")
        return f"{soname if large else 'small'} names {arch.name}"
    return "other names"


@dataclass
class Records:
    """Writes ELF records."""

    pack: PackWriter

    def add(
        self, stream: str, arch: Architecture, facts: Mapping[str, Any], versions: Versions, hidden: set[str]
    ) -> int:
        """Return the chunk of a record; ``facts`` are in the words of the facts' README."""
        key = str(facts.get("soname") or "")
        names = names_stream(key, arch)
        lines = [f"{facts['type']} {facts['align']} {facts.get('flags_1', 0)} {int('needed' in facts)}"]
        single = (("i", "interp"), ("s", "soname"), ("p", "rpath"), ("r", "runpath"))
        lines += [f"{letter}{facts[word]}" for letter, word in single if facts.get(word) is not None]
        lines += [f"n{needed}" for needed in facts.get("needed", ())]
        lines += ["\t".join((f"v{file}", *needs)) for file, needs in facts.get("version_needs", {}).items()]
        for version, members in versions.items():
            if version:
                number = self.pack.names(names, f"{key} {version}", members) if members else -1
                lines.append(f"D{version}\t{number}")
            elif members:
                lines.append(f"U{self.pack.names(names, key, members)}")
        turned = hidden ^ usually_hidden(versions)
        if turned:
            lines.append(f"H{self.pack.names(names, f'{key} turned', turned)}")
        return self.pack.lines(stream, lines)

    def recorded(self, stream: str, arch: Architecture, facts: Mapping[str, Any]) -> int:
        """Return the chunk of a recorded file."""
        return self.add(stream, arch, facts, *versions_of(facts.get("exports", ()), facts.get("version_defs", ())))


# -- closed roots -------------------------------------------------------------------------------


@dataclass
class Root:
    """The facts of one closed root. ``release`` is in the distribution's own words (``12``, ``3.20``, ``musl``)."""

    facts: Facts
    family: str
    release: str
    arch: Architecture

    @property
    def name(self) -> str:
        """The catalogue's name."""
        return f"{self.family}:{self.release}"

    def library(self, soname: str) -> Facts | None:
        """Return the facts of the library with that soname; the one in the loader's place where several have it."""
        held = [facts for facts in self.facts["libraries"].values() if facts.get("soname") == soname]
        return held[0] if held else None

    def path_of(self, soname: str) -> str:
        """Return the path of the library with that soname."""
        return next(str(path) for path, facts in self.facts["libraries"].items() if facts.get("soname") == soname)


def read_roots(folder: Path) -> list[Root]:
    """Return all closed roots, newest Debian first so that deltas are against what is asked for most."""
    roots = []
    for path in sorted(folder.glob("*_*_*.json.gz")):
        family, release, spelling = path.name.removesuffix(".json.gz").split("_", 2)
        if family not in ("alpine", "almalinux", "busybox", "debian"):
            continue
        arch = architecture("armv6" if (family, spelling) == ("alpine", "armhf") else spelling)
        if arch is None:
            raise SystemExit(f"{path.name}: unknown architecture {spelling}")
        release = DEBIAN_RELEASES[release] if family == "debian" else release
        with gzip.open(path) as stream:
            roots.append(Root(json.load(stream), family, release, arch))
    return roots


@dataclass
class Tree:
    """Writes one root's files as listings, one chunk for each directory."""

    pack: PackWriter
    records: Records
    root: Root
    children: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))

    def write(self) -> int:
        """Return the chunk of the top directory."""
        for path, text in self.root.facts["files"].items():
            # alpine has no cache; almalinux's bytes were not recorded, and are what ldconfig writes.
            if path != "/etc/ld.so.cache":
                parent, _, name = path.rpartition("/")
                self.children[parent][name] = text
        return self._directory("")

    def _directory(self, path: str) -> int:
        listing = {name: self._value(f"{path}/{name}", text) for name, text in sorted(self.children[path].items())}
        return self.pack.mapping(self._stream(path), self._common(path), listing)

    def _common(self, path: str) -> str:
        """Return a path with ``*`` for what only tells the architecture."""
        for part in (self.root.arch.multiarch, self.root.arch.musl_loader.rpartition("-")[2]):
            path = path.replace(part, "*")
        return path

    def _stream(self, directory: str) -> str:
        """Return the stream of a directory and of the records of its files: what loaders look at lies together."""
        if self._common(directory) in LOADER_DIRECTORIES:
            return f"loader {self.root.family} {self.root.arch.name}"
        return f"programs {self.root.family}" if directory.endswith("bin") else "other files"

    def _value(self, path: str, text: str) -> str:
        facts, kind = self.root.facts, text[0]
        if kind == "l":
            return f"l{text[2:]}"
        mode = text.split()[1]
        if kind == "d":
            return f"d{mode} {self._directory(path)}"
        size = text.split()[2]
        if path in facts["libraries"] or "type" in facts["executables"].get(path, ()):
            stream = self._stream(path.rpartition("/")[0])
            record = self.records.recorded(
                stream, self.root.arch, facts["libraries"].get(path) or facts["executables"][path]
            )
            return f"e{mode} {size} {record}"
        if path in facts["executables"]:
            line = "#!" + facts["executables"][path]["script"]
            return f"s{mode} {size} {self.pack.lines('texts', [line, ''])}"
        known = self._text(path)
        if known is not None:
            return f"t{mode} {size} {self.pack.lines('texts', [known])}"
        return f"f{mode} {size}"

    def _text(self, path: str) -> str | None:
        facts = self.root.facts
        if path in ("/etc/os-release", "/usr/lib/os-release"):
            return str(facts["os_release"])
        found = facts["ld_so_conf"].get(path[1:])
        return None if found is None else str(found)


def glibc_of(root: Root, abi: Abi) -> Release | None:
    """Return the glibc release of a root: by its package, else the one list that its libc equals."""
    package = root.facts["packages"].get("libc6")
    if package:
        return release_of(package.partition("-")[0])
    libc = root.library("libc.so.6")
    if libc is None:
        return None
    real = {name for name in _pairs(libc["exports"]) if not name.endswith("@GLIBC_PRIVATE")}
    same = [release for release in abi.releases(root.arch) if abi.pairs(root.arch, "libc", release) == real]
    nodes = [release_of(v[6:]) for v in libc["version_defs"] if v[:6] == "GLIBC_" and v[6].isdigit()]
    return same[-1] if same else max(nodes)


def musl_of(root: Root) -> Release | None:
    """Return the musl release of an Alpine root."""
    package = root.facts["packages"].get("musl")
    return release_of(package.partition("-")[0].partition("_")[0]) if package else None


def as_of(root: Root) -> str:
    """Return the release from which the facts of a closed root were read, empty when nothing in it tells."""
    lines = dict(line.partition("=")[::2] for line in (root.facts["os_release"] or "").splitlines())
    version = lines.get("DEBIAN_VERSION_FULL") or lines.get("VERSION_ID", "")
    base = root.facts["packages"].get("base-files", "")
    # Debian counts the updates of base-files with its point releases: 12.4+deb12u15 is in 12.15.
    if "+deb" in base:
        return str(base.partition("+deb")[2].replace("u", "."))
    return version.strip('"') or (f"base-files {base}" if base else "")


def release_of(text: str) -> Release:
    """Return ``2.31`` as (2, 31)."""
    return tuple(map(int, text.split(".")))


def dotted(release: Release) -> str:
    """Return (2, 31) as ``2.31``."""
    return ".".join(map(str, release))


def _pairs(exports: Iterable[str]) -> set[str]:
    return {text.replace("@@", "@") for text in exports}


# -- what each glibc release exports ------------------------------------------------------------


class Abi:
    """``symbol@VERSION`` of each library and release: glibc's lists, and Debian sid's files for its newer release."""

    def __init__(self, facts: Facts, roots: Sequence[Root]) -> None:
        self._lists: dict[str, dict[str, dict[Release, set[str]]]] = {}
        self.listed = sorted(release_of(text) for text in facts["releases"])
        for key, libraries in facts["abi"].items():
            arch = ABI_ARCHITECTURES.get(key, key)
            self._lists[arch] = {library: self._expand(ranges) for library, ranges in libraries.items()}
        self.sid = {root.arch.name: root for root in roots if root.name == "debian:sid"}
        self.newest = release_of(next(iter(self.sid.values())).facts["packages"]["libc6"].partition("-")[0])

    def _expand(self, ranges: Mapping[str, Iterable[str]]) -> dict[Release, set[str]]:
        found: dict[Release, set[str]] = defaultdict(set)
        for text, symbols in ranges.items():
            for part in text.split(","):
                first, _, last = part.partition("-")
                for release in self.listed:
                    if release_of(first) <= release <= release_of(last or first):
                        found[release].update(symbols)
        return dict(found)

    @property
    def architectures(self) -> list[Architecture]:
        """The architectures that have lists."""
        return [row for row in ARCHITECTURES if row.name in self._lists]

    def releases(self, arch: Architecture) -> list[Release]:
        """Return the releases of an architecture, the oldest first."""
        first = FIRST_RELEASE.get(arch.name, OLDEST_LISTED)
        newest = [self.newest] if arch.name in self.sid and self.newest not in self.listed else []
        return [release for release in self.listed if release >= first] + newest

    def libraries(self, arch: Architecture) -> list[str]:
        """Return the libraries of an architecture that the catalogue holds."""
        return ["ld", *(name for name in GLIBC_SONAMES if name in self._lists[arch.name])]

    def names(self, arch: Architecture, library: str) -> set[str]:
        """Return every name that a library exports in any release."""
        former = library in FORMER
        releases = self.listed if former else self.releases(arch)
        return {pair.partition("@")[0] for release in releases for pair in self.pairs(arch, library, release)}

    def pairs(self, arch: Architecture, library: str, release: Release) -> set[str]:
        """Return what a library exports at a release, empty when it does not exist then.

        A release older than the lists keeps, of the oldest list, the symbols of its own version nodes and older ones:
        glibc never adds a symbol to the node of an earlier release.
        """
        if release > self.listed[-1]:
            real = self.sid[arch.name].library(soname_of(library, arch))
            return {pair for pair in _pairs(real["exports"]) if not pair.endswith("@GLIBC_PRIVATE")} if real else set()
        by_release = self._lists[arch.name].get(library, {})
        if arch.name == "ppc64le" and release <= (2, 28):
            by_release = self._lists[arch.name].get(f"{library}-le", {})
        if not by_release or release >= min(by_release):
            return by_release.get(release, set())
        if library == "libmvec":
            return set()
        return {pair for pair in by_release[min(by_release)] if _at_most(pair.partition("@")[2], release)}


def _at_most(version: str, release: Release) -> bool:
    prefix, _, number = version.partition("_")
    return prefix != "GLIBC" or not number[0].isdigit() or release_of(number) <= release


def soname_of(library: str, arch: Architecture) -> str:
    """Return the soname of a library of the ABI lists."""
    return arch.glibc_loader.rpartition("/")[2] if library == "ld" else GLIBC_SONAMES[library]


def node_order(version: str) -> tuple[int, Release, str]:
    """Sort nodes as glibc's own version scripts do: numbered ones, others, the private one."""
    prefix, _, number = version.partition("_")
    if version == "GLIBC_PRIVATE":
        return 2, (), version
    return (0, release_of(number), version) if prefix == "GLIBC" and number[0].isdigit() else (1, (), version)


# -- core roots ---------------------------------------------------------------------------------


class Composer:
    """Writes the records from which core roots are composed."""

    def __init__(self, pack: PackWriter, records: Records, abi: Abi, roots: Sequence[Root]) -> None:
        self._pack = pack
        self._records = records
        self._abi = abi
        self._debian: dict[str, dict[Release, Root]] = defaultdict(dict)
        for root in roots:
            release = glibc_of(root, abi) if root.family == "debian" else None
            if release:
                self._debian[root.arch.name][release] = root
        self._held: dict[tuple[str, Release], int] = {}

    def _near(self, arch: str, release: Release) -> Root:
        """Return Debian's root whose glibc is the newest that is not newer, else its oldest."""
        held = self._debian[arch]
        return held[max((have for have in held if have <= release), default=min(held))]

    def abi_chunk(self, arch: Architecture, release: Release) -> int:
        """Return the chunk that lists the records of glibc's libraries at a release."""
        number = self._held.get((arch.name, release))
        if number is None:
            lines = []
            for library in self._abi.libraries(arch):
                pairs = self._abi.pairs(arch, library, release)
                if pairs:
                    file = "ld" if library == "ld" else GLIBC_SONAMES[library]
                    lines.append(f"{file}\t{self._library(arch, library, release, pairs)}")
            number = self._held[arch.name, release] = self._pack.lines(f"loader glibc {arch.name}", lines)
        return number

    def _library(self, arch: Architecture, library: str, release: Release, pairs: set[str]) -> int:
        model = self._near("x86_64", release)
        real = model.library(soname_of(library, model.arch)) or {}
        nodes = {pair.partition("@")[2] for pair in pairs} | self._bare_nodes(arch, library, release)
        versions, _ = versions_of(pairs, sorted(nodes, key=node_order))
        loaders = {soname_of("ld", model.arch): soname_of("ld", arch)}
        facts = {
            "type": 3,
            "align": max(arch.page_sizes),
            "soname": soname_of(library, arch),
            "needed": [loaders.get(name, name) for name in real.get("needed", ())],
            "flags_1": real.get("flags_1", 0),
        }
        if library == "libc":
            facts["interp"] = arch.glibc_loader
        hidden = self._hidden(arch, library, release, versions)
        return self._records.add(f"loader glibc {arch.name}", arch, facts, versions, hidden)

    def _bare_nodes(self, arch: Architecture, library: str, release: Release) -> set[str]:
        """Return the nodes that a real file has at a release, with symbols or not: the lists hold none without symbols.

        Distributions backport GLIBC_ABI_ nodes, so those are taken from each recipe and not from Debian.
        """
        root = self._near(arch.name if arch.name in self._debian else "x86_64", release)
        real = (root.library(soname_of(library, root.arch)) or {}).get("version_defs", ())
        if root.arch is not arch:
            return {"GLIBC_PRIVATE"} & set(real)
        return {node for node in real if not node.startswith("GLIBC_ABI_") and _at_most(node, release)}

    def _hidden(self, arch: Architecture, library: str, release: Release, versions: Versions) -> set[str]:
        """Return the hidden pairs. The lists do not tell; a name that real files only have hidden has no default.

        Real files are known from 2.31 on: a release before that takes the newest version of each name as its default.
        """
        usual = usually_hidden(versions)
        held = self._debian.get(arch.name, {})
        if not held or release < min(held):
            return usual
        real = self._near(arch.name, release).library(soname_of(library, arch))
        if real is None:
            return usual
        defaults = dict(text.split("@@") for text in real["exports"] if "@@" in text)
        known: dict[str, set[str]] = defaultdict(set)
        for pair in _pairs(real["exports"]):
            known[pair.partition("@")[0]].add(pair.partition("@")[2])
        last = {name: version for version, names in versions.items() if version for name in names}
        for name, version in last.items():
            if version in known[name] and defaults.get(name) != version:
                usual.add(f"{version} {name}")
                if name in defaults:
                    usual.discard(f"{defaults[name]} {name}")
        return usual

    def runtime(self, arch: Architecture, nodes: set[str]) -> list[str]:
        """Return the lines of the compiler runtime, of which the reader keeps the nodes that a recipe has.

        Each library is that of the oldest Debian which has all of them. libgcc_s needs this: GCC 12 brought
        ``__extendsfdf2`` to x86 under the node of 3.0.
        """
        lines = []
        for soname in ("libgcc_s.so.1", "libstdc++.so.6"):
            held = [root.library(soname) or {} for _, root in sorted(self._debian.get(arch.name, {}).items())]
            offered = [set(real.get("version_defs", ())) for real in held]
            wanted = nodes & set().union(*offered)
            if wanted:
                real = next((real for real, have in zip(held, offered, strict=True) if wanted <= have), held[-1])
                facts = {word: real[word] for word in ("type", "soname", "needed")}
                facts["align"] = max(arch.page_sizes)
                rows = versions_of(real["exports"], real["version_defs"])
                chunk = self._records.add(f"loader glibc {arch.name}", arch, facts, *rows)
                lines.append(f"runtime\t{soname}\t{chunk}")
        return lines

    def zlib(self, arch: Architecture, exports: Iterable[str], nodes: Sequence[str]) -> list[str]:
        """Return the line of zlib, none when a distribution's list has none."""
        if not exports:
            return []
        facts = {"type": 3, "align": max(arch.page_sizes), "soname": "libz.so.1", "needed": ["libc.so.6"]}
        defs = sorted({f"ZLIB_{node}" for node in nodes}, key=lambda node: release_of(node[5:]))
        chunk = self._records.add(f"loader glibc {arch.name}", arch, facts, *versions_of(exports, defs))
        return [f"runtime\tlibz.so.1\t{chunk}"]


# -- the index ----------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Row:
    """One target's line in the index."""

    name: str
    arch: Architecture
    completeness: str
    family: str
    order: str
    as_of: str
    libc: str
    version: Release | None
    loader: str
    chunk: int
    dates: Mapping[str, str | None] = field(default_factory=dict)
    manager: str | None = None
    nodes: frozenset[str] = frozenset()

    def line(self) -> str:
        """Return the line, as ``runworthy.targets.catalogue.catalogue`` reads it."""
        dates = [self.dates.get(word) or "" for word in ("eol", "lts", "elts")]
        manager = PACKAGE_MANAGERS.get(self.family, "rpm") if self.manager is None else self.manager
        fields = [self.arch.name, self.completeness, self.family, self.order, self.as_of, *dates, self.libc]
        fields += [dotted(self.version) if self.version else "", self.loader, manager, str(self.chunk)]
        return "\t".join(fields)


def order_of(release: str) -> str:
    """Return a release as numbers joined by dots; a rolling one sorts last."""
    if release in FAMILY_ORDER:
        return FAMILY_ORDER[release]
    numbers = "".join(letter if letter.isdigit() else " " for letter in release).split()
    return ".".join(str(int(number)) for number in numbers) or ROLLING


class Builder:
    """Turns the facts of a folder into a pack."""

    def __init__(self, folder: Path) -> None:
        self.roots = read_roots(folder)
        self.distributions = _gzipped(folder / "distro_versions.json.gz")["architectures"]
        self._eol = json.loads((folder / "distro_eol.json").read_text())["distros"]
        self.abi = Abi(_gzipped(folder / "glibc_abi.json.gz"), self.roots)
        self.pack = PackWriter()
        self._records = Records(self.pack)
        self._composer = Composer(self.pack, self._records, self.abi, self.roots)
        self.rows: list[Row] = []

    def build(self, path: Path) -> dict[str, int]:
        """Write the pack; return the size of each of its parts."""
        for root in sorted(self.roots, key=lambda root: (root.family, root.arch.name, order_of(root.release))):
            self.rows.append(self._closed(root))
        self._glibc()
        self._musllinux()
        closed = {(row.name, row.arch.name) for row in self.rows}
        for arch, name in sorted((arch, name) for arch, held in self.distributions.items() for name in held):
            row = self._core(arch, name)
            if (row.name, row.arch.name) in closed:
                row.name = f"+{row.name}"
            self.rows.append(row)
        self.rows.sort(key=lambda row: (row.name, row.arch.name))
        tables = self.pack.lines("recipes", self._firsts() + self._providers())
        lines = [str(tables)]
        for name, rows in groupby(self.rows, key=lambda row: row.name):
            held = list(rows)
            chunk = self.pack.lines("index", (row.line() for row in held))
            lines.append("\t".join((name, str(chunk), *(row.arch.name for row in held))))
        return self.pack.write(path, self.pack.lines("index", lines))

    # closed

    def _closed(self, root: Root) -> Row:
        glibc, musl = glibc_of(root, self.abi), musl_of(root)
        loader = next(iter(root.facts["loaders"]), "")
        detail = [f"root\t{Tree(self.pack, self._records, root).write()}"]
        detail += [f"packages\t{self.pack.mapping('texts', f'packages {root.family}', root.facts['packages'])}"]
        if glibc:
            search = layout_of("lib64" if root.family == "almalinux" else "multiarch", root.arch).search
            detail.append(f"search\t{':'.join(search)}")
        elif musl:
            detail.append("search\t/lib:/usr/local/lib:/usr/lib")
        else:
            detail.append("note\tall of its programs are static: it has no loader and no C library to link with")
        if root.family in ("debian", "almalinux"):
            detail.append("cache\t1")
        nodes = {
            node
            for facts in root.facts["libraries"].values()
            if facts.get("soname") in HOT_SONAMES
            for node in facts.get("version_defs", ())
        }
        eol = self._eol.get(f"debian-{ {'sid': 'unstable'}.get(root.release, root.release) }", {})
        return Row(
            name=root.name,
            arch=root.arch,
            completeness="closed",
            family=root.family,
            order=order_of(root.release),
            as_of=as_of(root),
            libc="glibc" if glibc else "musl" if musl else "none",
            version=glibc or musl,
            loader=loader,
            chunk=self.pack.lines(f"loader {root.family} {root.arch.name}", detail),
            dates=eol if root.family == "debian" else self._eol["almalinux-9"] if root.family == "almalinux" else {},
            manager=root.facts.get("package_manager") or "",
            nodes=frozenset(nodes) if glibc else frozenset(),
        )

    # core

    def _core(self, spelling: str, key: str) -> Row:
        facts = self.distributions[spelling][key]
        arch = architecture(spelling)
        if arch is None:
            raise SystemExit(f"unknown architecture {spelling}")
        name, family, release, kind = _place(key)
        glibc = release_of(facts["glibc"])
        composed = min(glibc, self.abi.releases(arch)[-1])
        nodes = {f"{word}_{node}" for word, held in facts["versions"].items() for node in held}
        have = self._nodes(arch, composed)
        added = sorted(
            node for node in nodes if node.startswith("GLIBC_") and node not in have and _is_newer(node, composed)
        )
        opened = [node for node in added if node[6].isdigit()]
        detail = [f"layout\t{kind}", f"abi\t{self._composer.abi_chunk(arch, composed)}"]
        runtime = self._composer.runtime(arch, nodes)
        detail += runtime + self._composer.zlib(arch, facts["zlib_exports"], facts["versions"]["ZLIB"])
        kept = sorted(node for node in nodes if not node.startswith(("ZLIB_", "LIBATOMIC_")))
        detail += [f"nodes\t{self.pack.lines('recipes', kept)}"]
        detail += [f"add\t{' '.join(added)}"] if added else []
        detail += [f"open\t{' '.join([*opened, 'GLIBC_PRIVATE'])}"]
        if not runtime:
            detail.append("note\tthe exports of its libstdc++ and libgcc_s are not known")
        if opened:
            detail.append(f"note\tits symbols under {' and '.join(opened)} are not known")
        if glibc < OLDEST_LISTED:
            detail.append(
                f"note\tits glibc is composed from the list of 2.17, keeping the symbols of {facts['glibc']} and older"
            )
        return Row(
            name=name,
            arch=arch,
            completeness="core",
            family=family,
            order=order_of(release),
            as_of=DISTRO_FACTS_AS_OF,
            libc="glibc",
            version=glibc,
            loader="",
            chunk=self.pack.lines("recipes", detail),
            dates=self._dates(key),
            nodes=frozenset(nodes),
        )

    def _nodes(self, arch: Architecture, release: Release) -> set[str]:
        return {
            pair.partition("@")[2]
            for library in self.abi.libraries(arch)
            for pair in self.abi.pairs(arch, library, release)
        }

    def _dates(self, key: str) -> Mapping[str, str | None]:
        dates = dict(self._eol.get(key) or self._eol[f"rhel / {key}"])
        return {word: None if date == "unknown" else date for word, date in dates.items()}

    def _glibc(self) -> None:
        for arch in self.abi.architectures:
            for release in self.abi.releases(arch):
                nodes = self._nodes(arch, release)
                added = sorted(self._agreed(arch, release))
                detail = ["layout\tlib64-split", f"abi\t{self._composer.abi_chunk(arch, release)}"]
                detail += [f"add\t{' '.join(added)}"] if added else []
                detail += ["open\tGLIBC_PRIVATE", "note\tnothing but the libraries of glibc itself is known"]
                self.rows.append(
                    Row(
                        name=f"glibc:{dotted(release)}",
                        arch=arch,
                        completeness="core",
                        family="glibc",
                        order=dotted(release),
                        as_of=dotted(release),
                        libc="glibc",
                        version=release,
                        loader="",
                        chunk=self.pack.lines("recipes", detail),
                        nodes=frozenset(nodes | set(added)),
                    )
                )

    def _agreed(self, arch: Architecture, release: Release) -> set[str]:
        """Return the nodes without symbols that every distribution of a release has.

        Where none is listed, GLIBC_ABI_DT_RELR from 2.36 on, which brought it (glibc NEWS).
        """
        spelling = next((row for row in self.distributions if architecture(row) is arch), "")
        lists = [
            set(facts["versions"]["GLIBC"])
            for facts in self.distributions.get(spelling, {}).values()
            if release_of(facts["glibc"]) == release
        ]
        real = self.abi.sid.get(arch.name)
        if real is not None and release == self.abi.newest:
            libc = real.library("libc.so.6")
            lists.append({node[6:] for node in libc["version_defs"]} if libc else set())
        agreed = set.intersection(*lists) if lists else {"ABI_DT_RELR"} if release >= (2, 36) else set()
        return {f"GLIBC_{node}" for node in agreed if node.startswith("ABI_")}

    def _musllinux(self) -> None:
        """Add musllinux_1_N: the oldest Alpine that carries musl 1.N or newer (PEP 656)."""
        alpine = sorted(
            (root for root in self.roots if root.family == "alpine"), key=lambda root: release_of(root.release)
        )
        for minor in sorted({(musl_of(root) or ())[1] for root in alpine}):
            for arch in ARCHITECTURES:
                fit = [root for root in alpine if root.arch is arch and (musl_of(root) or ()) >= (1, minor)]
                if fit and (musl_of(fit[0]) or ())[1] == minor:
                    self.rows.append(self._musl(fit[0], minor))

    def _musl(self, root: Root, minor: int) -> Row:
        loader, zlib_path = root.facts["loaders"][0], root.path_of("libz.so.1")
        libraries = root.facts["libraries"]
        sonames = {libraries[path]["soname"]: path.rpartition("/")[2] for path in (loader, zlib_path)}
        stream = f"loader alpine {root.arch.name}"
        files = [
            f"file\t{path}\t{self._records.recorded(stream, root.arch, libraries[path])}"
            for path in (loader, zlib_path)
        ]
        links = [f"link\t/lib/{name}\t{target}" for name, target in sonames.items()]
        oldest = f"the oldest Alpine Linux known to have musl 1.{minor} on this architecture"
        note = f"note\tmusl and zlib of {root.name}, {oldest}"
        return Row(
            name=f"musllinux_1_{minor}",
            arch=root.arch,
            completeness="core",
            family="musllinux",
            order=f"1.{minor}",
            as_of=as_of(root),
            libc="musl",
            version=musl_of(root),
            loader=loader,
            chunk=self.pack.lines("recipes", [*files, *links, "search\t/lib:/usr/local/lib:/usr/lib", note]),
        )

    # what rules ask

    def _firsts(self) -> list[str]:
        lines = []
        for arch in ARCHITECTURES:
            firsts: dict[str, dict[str, Row]] = defaultdict(dict)
            for row in sorted(
                (row for row in self.rows if row.arch is arch and row.name[0] != "+"),
                key=lambda row: release_of(row.order),
            ):
                for node in row.nodes:
                    firsts[node].setdefault(row.family, row)
            if firsts:
                values = {node: " ".join(_firsts_of(held)) for node, held in firsts.items()}
                lines.append(f"F\t{arch.name}\t{self.pack.mapping('firsts', arch.name, values)}")
        return lines

    def _providers(self) -> list[str]:
        lines = []
        for arch in ARCHITECTURES:
            sets: dict[str, set[int]] = defaultdict(set)
            if arch in self.abi.architectures:
                for library, soname in [
                    *((name, soname_of(name, arch)) for name in self.abi.libraries(arch)),
                    *FORMER.items(),
                ]:
                    names = self.abi.names(arch, library)
                    if names:
                        sets[f"glibc:{soname}"].add(self.pack.names("provided", f"provided {soname}", names))
            for root in self.roots:
                if root.arch is arch:
                    self._provided(root, sets)
            for provider, chunks in sorted(sets.items()):
                lines.append(f"P\t{arch.name}\t{provider}\t{','.join(map(str, sorted(chunks)))}")
        return lines

    def _provided(self, root: Root, sets: dict[str, set[int]]) -> None:
        for path, facts in root.facts["libraries"].items():
            soname = facts.get("soname")
            if soname in ("libstdc++.so.6", "libgcc_s.so.1") or (path in root.facts["loaders"] and musl_of(root)):
                versions, _ = versions_of(facts["exports"], facts.get("version_defs", ()))
                provider = "musl" if path in root.facts["loaders"] else soname
                key = str(soname)
                sets[provider].update(
                    self.pack.names(names_stream(key, root.arch), f"{key} {version}" if version else key, names)
                    for version, names in versions.items()
                    if names
                )


def _firsts_of(held: Mapping[str, Row]) -> list[str]:
    rows = sorted(held.values(), key=lambda row: (row.family != "glibc", row.name))
    return [row.name for row in rows]


def _is_newer(node: str, release: Release) -> bool:
    """Whether a node that no list has is libc.so.6's: one without symbols, or of a release newer than the lists."""
    number = node.removeprefix("GLIBC_")
    return node.startswith("GLIBC_ABI_") or (number[0].isdigit() and release_of(number) > release)


def _place(key: str) -> tuple[str, str, str, str]:
    """Return (name, family, release, layout) of a distribution as distro_versions spells it."""
    distribution, _, release = key.partition("-")
    family, kind, split = DISTRIBUTIONS[distribution]
    if distribution == "manylinux":
        release = MANYLINUX.get(release, release)
        kind = MANYLINUX_LAYOUTS.get(release, kind)
        name = f"manylinux_{release}"
    else:
        release = {"debian-unstable": "sid"}.get(key, release)
        name = f"{family}:{release}"
    if key == "opensuse-tumbleweed":
        return "opensuse/tumbleweed:latest", "opensuse/tumbleweed", release, kind
    return name, family, release, f"{kind}-split" if release in split else kind


def _gzipped(path: Path) -> Facts:
    with gzip.open(path) as stream:
        found: Facts = json.load(stream)
    return found


# -- proof --------------------------------------------------------------------------------------


def rows_of(exports: RecordedExports) -> set[str]:
    """Return exports as the facts write them."""
    found = set()
    for name, version, default in exports.references():
        text = name.decode("utf-8", "surrogateescape")
        found.add(text if version is None else f"{text}{'@@' if default else '@'}{version}")
    return found


def check_closed(root: Root, target: CatalogueTarget) -> Iterator[str]:
    """Yield every difference between a closed root and its facts."""
    view, facts = target.view, root.facts
    seen = 0
    for path, text in facts["files"].items():
        if path == "/etc/ld.so.cache":
            continue
        parent, _, name = path.rpartition("/")
        entry = view.entry(parent or "/", name)
        fields = text.split()
        if entry is None:
            yield f"{target.name}: {path} is not there"
        elif text[0] == "l":
            seen += entry.kind == "link" and entry.target == text[2:]
        elif text[0] == "d":
            seen += entry.kind == "dir" and entry.mode == int(fields[1], 8)
        else:
            seen += entry.kind == "file" and entry.mode == int(fields[1], 8) and entry.size in (-1, int(fields[2]))
    if seen != len(facts["files"]) - ("/etc/ld.so.cache" in facts["files"]):
        yield f"{target.name}: only {seen} of {len(facts['files'])} entries are equal"
    for path, held in (facts["libraries"] | facts["executables"]).items():
        if "type" in held:
            yield from check_elf(target, path, held)


def check_elf(target: CatalogueTarget, path: str, held: Facts) -> Iterator[str]:
    """Yield every difference between one file's record and its facts."""
    elf = target.view.load_elf(path)
    facts = elf.facts
    needs = {(file, version) for file, versions in held.get("version_needs", {}).items() for version in versions}
    pairs: tuple[tuple[object, object], ...] = (
        (facts.header.flags, held["flags"]),
        (facts.header.type, held["type"]),
        (list(facts.needed), held.get("needed", [])),
        (facts.soname, held.get("soname")),
        (facts.interpreter, held.get("interp")),
        (facts.runpath, held.get("runpath")),
        (facts.dt_flags_1, held.get("flags_1", 0)),
        (facts.segments[0].align, held["align"]),
        ([row.name for row in facts.version_defs if not row.base], held.get("version_defs", [])),
        ({(need.file, need.version + "?" * need.weak) for need in facts.version_needs}, needs),
        (rows_of(elf.exports()), set(held.get("exports", ()))),
        (elf.exports().names, {_bytes(text.partition("@")[0]) for text in held.get("exports", ())}),
    )
    yield from (f"{target.name}: {path}: {have!r:.300} is not {want!r:.300}" for have, want in pairs if have != want)


def check_composed(root: Root, core: CatalogueTarget, sonames: Iterable[str]) -> Iterator[str]:
    """Yield every difference between a composed root and a real one of the same release, GLIBC_PRIVATE aside.

    GLIBC_ABI_ nodes are left out too: they come to a release by updates, and root and recipe are of different days.
    """
    for soname in sonames:
        real = root.library(soname)
        paths = [root.arch.glibc_loader] if soname == soname_of("ld", root.arch) else []
        paths += [f"{directory}/{soname}" for directory in core.loader_directories]
        path = next((path for path in paths if core.view.exists(path)), "")
        if real is None or not path:
            if real is not None or path:
                yield f"{core.name}/{core.arch.name}: {soname} is in one only"
            continue
        elf = core.view.load_elf(core.view.resolve(path).path)
        want = {text for text in real["exports"] if not text.endswith("@GLIBC_PRIVATE")}
        have = rows_of(elf.exports())
        if have != want:
            differ = f"{sorted(have - want)[:6]} too many, {sorted(want - have)[:6]} missing"
            yield f"{core.name}/{core.arch.name}: {soname}: {differ}"
        nodes = {row.name for row in elf.facts.version_defs if not row.base} ^ set(real["version_defs"])
        nodes = {node for node in nodes if not node.startswith("GLIBC_ABI_")}
        if nodes:
            yield f"{core.name}/{core.arch.name}: {soname}: version nodes {sorted(nodes)}"


def check(builder: Builder, path: Path) -> Iterator[str]:
    """Yield every way in which the pack does not say what the facts say."""
    catalogue = Catalogue(str(path))
    recipes = {(row.name, row.arch.name) for row in builder.rows}
    for root in builder.roots:
        yield from check_closed(root, catalogue.find(root.name, root.arch))
        release = glibc_of(root, builder.abi)
        if root.family != "debian" or release is None:
            continue
        glibc = [soname_of(library, root.arch) for library in builder.abi.libraries(root.arch)]
        yield from check_composed(root, catalogue.find(f"glibc:{dotted(release)}", root.arch), glibc)
        # Debian's recipe for sid is of another day than its root.
        if root.release != "sid" and (f"+{root.name}", root.arch.name) in recipes:
            runtime = [soname for soname in ("libstdc++.so.6", "libgcc_s.so.1") if root.library(soname)]
            yield from check_composed(root, catalogue.recipe(root.name, root.arch), glibc + runtime)


def _grouped(sizes: Mapping[str, int]) -> dict[str, int]:
    """Return the sizes with those of the architectures added up."""
    found: dict[str, int] = defaultdict(int)
    for stream, size in sizes.items():
        words = stream.split()
        found[" ".join(words[:-1] if architecture(words[-1]) else words)] += size
    return found


# -- command ------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, check, print a summary. Returns 1 when a check fails."""
    parser = argparse.ArgumentParser(description="Make the catalogue from the facts of real targets.")
    parser.add_argument("folder", nargs="?", type=Path, default=REPOSITORY.parent / "shared" / "targets")
    parser.add_argument("--output", type=Path, default=Path(PACK_PATH))
    parser.add_argument("--no-check", action="store_true", help="write only")
    options = parser.parse_args(arguments)
    builder = Builder(options.folder)
    sizes = builder.build(options.output)
    total = options.output.stat().st_size
    closed = sum(row.completeness == "closed" for row in builder.rows)
    print(f"{options.output}: {total} bytes, {closed} closed roots, {len(builder.rows) - closed} core roots")
    for name, size in sorted(_grouped(sizes).items()):
        print(f"  {name}: {size}")
    problems = [] if options.no_check else list(check(builder, options.output))
    if total > SIZE_LIMIT:
        problems.append(f"{total} bytes is over the limit of {SIZE_LIMIT}")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
