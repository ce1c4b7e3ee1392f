"""What the name of a release's file says: read by tables, as the tools that make releases write it.

The words are those of GoReleaser's and nfpm's name templates, Rust's platform triples (rustc, "Platform Support"), of
Node's ``process.platform`` and ``process.arch``, of Debian's, RPM's and Alpine's packages, and of PEP 427, 600 and 656
for wheels. A name proves nothing: the bytes decide, and what disagrees with them is told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import NamedTuple, cast

from runworthy.model.arch import architecture
from runworthy.model.matrix import AssetKind, Claims, Linkage

__all__ = ["Named", "read_name"]


class Named(NamedTuple):
    """What a name says. ``of`` is the asset that a checksum or signature is made of, empty for one of many."""

    kind: AssetKind
    claims: Claims
    of: str = ""


# -- ends of names -----------------------------------------------------------------------------------

_BESIDE: Sequence[tuple[AssetKind, str]] = (
    ("checksum", "sha1 sha256 sha512 sha224 sha384 md5 b2 b3 b3sum blake3 sha1sum sha256sum sha512sum md5sum crc32"),
    ("checksum", "sha256.txt sha512.txt md5.txt sha256sum.txt sha512sum.txt sha1.txt digest digests shasum checksum"),
    ("signature", "sig asc sign minisig gpg pgp sigstore sigstore.json bundle pem crt cert pub att intoto.jsonl"),
    ("signature", "provenance provenance.json attestation attestation.json cosign.bundle sig.ed25519 signify p7s"),
    ("sbom", "sbom sbom.json sbom.xml spdx spdx.json cdx.json cdx.xml cyclonedx.json cyclonedx.xml bom.json bom.xml"),
    ("sbom", "syft.json cyclonedx sbom.spdx.json sbom.cdx.json"),
    ("other", "zsync blockmap torrent debug dbg pdb dwp dsym dsym.zip dsym.tar.gz metalink manifest"),
)
"""What is made of another file, and named after it: by the end of its name."""

_PACKINGS = (
    "tar.gz tgz tar.xz txz tar.zst tzst tar.bz2 tbz2 tbz tar.lz tar.lzma tar.br tar zip 7z gz xz zst bz2 br deb udeb "
    "rpm apk ipk pkg.tar.zst pkg.tar.xz appimage flatpak snap exe msi msix msixbundle appx dmg pkg whl jar nupkg vsix "
    "xpi run bin elf com node so dylib dll aab ipa wasm bottle.tar.gz crate gem egg phar pex"
).split()
"""How an asset is packed, by the end of its name; the longest that fits counts."""

_SYSTEM_OF: Mapping[str, str] = {
    **dict.fromkeys(("deb", "udeb", "rpm", "ipk", "pkg.tar.zst", "pkg.tar.xz", "appimage", "flatpak", "snap"), "linux"),
    **dict.fromkeys(("exe", "msi", "msix", "msixbundle", "appx", "dll"), "windows"),
    **dict.fromkeys(("dmg", "pkg", "dylib", "bottle.tar.gz"), "macos"),
    "aab": "android", "ipa": "ios", "wasm": "wasm",
}  # fmt: skip
"""The system that a packing is for, where it is for one alone. ``apk`` is Alpine's and Android's: the bytes tell."""

_ALWAYS_BUILD = frozenset(_SYSTEM_OF) | {"whl", "nupkg", "vsix", "run", "bin", "elf", "com", "apk", "node", "so"}

_TEXTS: Mapping[AssetKind, frozenset[str]] = {
    "source": frozenset(("crate", "gem", "src.rpm", "dsc", "orig.tar.gz", "orig.tar.xz", "debian.tar.xz")),
    "installer": frozenset(("sh", "ps1", "bat", "cmd", "bash")),
    "other": frozenset(
        (
            "txt md html json yml yaml toml xml rb lua 1 5 8 map js mjs css ts d.ts svg png ico pdf csv log nuspec dat "
            "proto wasm.map fish zsh ps1.txt jsonl plist desktop service conf tmpl tpl hpp h c go rs py patch diff rst "
            "lock ini"
        ).split()
    ),
}
"""What is no archive, by the end of its name."""

_WHOLE: Sequence[tuple[AssetKind, str]] = (
    ("checksum", r"(.*[-_.])?(check|sha\d*(-\d+)?|md5|b2|b3|blake\d)[-_]?sums?([-_.]?(sha)?\d+)?([-_.].*)?"),
    ("checksum", r"(sha(1|224|256|384|512)|md5|digests?|hashes)([-_.]?sums?)?(\.(txt|md))?"),
    ("checksum", r"(.*[-_.])?sha-?(1|256|512)\.txt"),
    ("sbom", r"(.*[-_.])?(sbom|bom|spdx|cyclonedx)\.(json|xml|spdx|txt)"),
    ("signature", r"(.*[-_.])?(provenance|attestations?|multiple\.intoto)\.(json|jsonl|intoto\.jsonl)"),
    ("signature", r"(.*[-_.])?(release[-_]?key|gpg[-_]?key|public[-_]?key)[-_.\w]*"),
    ("installer", r"(.*[-_.])?(get|setup|install(er)?)(\.(sh|ps1|bat|cmd|py))"),
    ("other", r"(licen[cs]e|readme|changelog|changes|copying|notice|authors|version|latest)([-_.].*)?"),
)
"""Whole names, in small letters."""

# -- words within names ------------------------------------------------------------------------------

_SYSTEMS: Mapping[str, str] = {
    "linux": "linux gnulinux lnx",
    "windows": "windows win mingw msvc cygwin msys win10 win11 uwp",
    "macos": "darwin macos mac osx macosx apple-darwin os-x darwin20 darwin21 darwin22 darwin23",
    "freebsd": "freebsd freebsd13 freebsd14 freebsd15",
    "netbsd": "netbsd",
    "openbsd": "openbsd",
    "dragonfly": "dragonfly dragonflybsd",
    "solaris": "solaris sunos",
    "illumos": "illumos",
    "aix": "aix",
    "plan9": "plan9",
    "haiku": "haiku",
    "fuchsia": "fuchsia",
    "android": "android linux-android linux-androideabi androideabi unknown-linux-ohos",
    "ios": "ios apple-ios iphoneos tvos watchos visionos",
    "wasm": "wasi wasip1 wasip2 js-wasm emscripten wasm",
}
_RANK = tuple(
    "android ios wasm freebsd netbsd openbsd dragonfly solaris illumos aix plan9 haiku fuchsia "
    "linux macos windows".split()
)
"""Of several systems in a name the first of these counts: Android's triples say Linux too, and Apple's say Apple."""

_ARCHS: Mapping[str, str] = {
    "x86_64": "x86_64 x86-64 x86.64 amd64 x64 64bit 64-bit x86_64h intel64 x8664 intel em64t",
    "i386": "i386 i486 i586 i686 386 x86 x86_32 x86-32 32bit 32-bit ia32",
    "aarch64": "aarch64 arm64 arm64v8 armv8 armv8l arm-64 armv8a arm64e arm_64 silicon applesilicon m1 aarch_64 "
    "arm64-v8a",
    "armv7": "armv7 armv7l armv7hf armv7a armhf arm32v7 arm-v7 arm_v7 arm7 armhfp armv7hl arm32 arm-7 arm_7 "
    "armeabi-v7a arm32-v7a arm",
    "armv6": "armv6 armv6l armv6hf armv6hl arm32v6 arm-v6 arm_v6 arm6 armv6m arm-6 arm_6 arm32-v6",
    "armel": "armel armv5 armv5te armv5tel armv5l arm-v5 arm32v5 arm5 arm-5 arm_5 arm32-v5 armeabi",
    "ppc64le": "ppc64le ppc64el powerpc64le ppcle64 ppcle_64",
    "ppc64": "ppc64 powerpc64",
    "s390x": "s390x systemz s390_64",
    "riscv64": "riscv64 riscv64gc risc-v64 riscv riscv64imac riscv64a23",
    "loongarch64": "loongarch64 loong64 la64",
    "mips64le": "mips64le mips64el mips64r6el",
    "mipsle": "mipsle mipsel mips32le",
    "mips64": "mips64",
    "mips": "mips",
    "sparc64": "sparc64 sparcv9",
    "wasm32": "wasm32",
    "riscv32": "riscv32",
    "universal": "universal universal2 universal-binary fat",
}
_LINKAGES: Mapping[Linkage, str] = {
    "musl": "musl musleabihf musleabi muslc linuxmusl musl64",
    "glibc": "gnu glibc gnueabihf gnueabi gnuabi64 gnuelfv2",
    "static": "static statically-linked",
}
_FAMILIES: Mapping[str, str] = {
    **{name: name for name in ("alpine", "ubuntu", "debian", "fedora", "opensuse", "archlinux")},
    "centos": "centos", "rhel": "rhel", "el": "rhel", "fc": "fedora", "deb": "debian",
    "amazon": "amazonlinux", "amzn": "amazonlinux",
    "amazonlinux": "amazonlinux",
    "almalinux": "almalinux", "rocky": "rockylinux", "manylinux": "manylinux", "raspbian": "debian",
    "sles": "sles", "suse": "opensuse", "leap": "opensuse/leap",
}  # fmt: skip
_CODENAMES: Mapping[str, str] = {
    "buster": "debian:10", "bullseye": "debian:11", "bookworm": "debian:12", "trixie": "debian:13",
    "bionic": "ubuntu:18.04", "focal": "ubuntu:20.04", "jammy": "ubuntu:22.04", "noble": "ubuntu:24.04",
}  # fmt: skip
_BOTH: Mapping[str, tuple[str, str]] = {
    "linux64": ("linux", "x86_64"), "linux32": ("linux", "i386"), "win64": ("windows", "x86_64"),
    "w64": ("windows", "x86_64"), "mac64": ("macos", "x86_64"), "osx64": ("macos", "x86_64"),
    "macos64": ("macos", "x86_64"), "mingw64": ("windows", "x86_64"), "ucrt64": ("windows", "x86_64"),
    "windows64": ("windows", "x86_64"), "windows32": ("windows", "i386"), "darwin64": ("macos", "x86_64"),
}  # fmt: skip
_NOISE = frozenset(
    "unknown pc apple release rel portable standalone setup nightly latest stable dist ce full prebuilt build pkg "
    "package packages binary binaries bin archive installer desktop alpha beta rc pre dev snapshot canary none "
    "stripped elf default tag final ga lts x all ".split()
)
"""Words that say nothing of a platform, and whose place in a name does not matter."""

_ABOUT: Mapping[AssetKind, frozenset[str]] = {
    "source": frozenset("src source sources sourcecode vendor vendored orig sdist".split()),
    "other": frozenset(
        "completion completions man manpage manpages manual docs doc documentation licenses third-party dbg dbgsym "
        "debug debuginfo debugsource symbols dsym pdb schema schemas examples themes locale icons assets "
        "headers".split()
    ),
}
"""Words that make an archive something else than a build: what it would be, if its bytes do not say otherwise."""

_LEVELS = re.compile(r"(?:amd64|x86[_-]64|x64)[-_.]?v([1-4])|amd64v([1-4])")
_GLUED = re.compile(
    r"(linux|win|windows|mac|macos|darwin|osx)(musl)?[-_]?"
    r"(x86_64|x64|amd64|arm64|aarch64|armv[567]l?|armhf|i386|x86|32|64)(?:[-_]?bit)?(?:_(v[1-4])(?![.\d]))?"
)
_VERSION = re.compile(
    r"v?\d+(?:\.\d+)+(?:[-_.~]?(?:alpha|beta|rc|pre|dev|nightly|snapshot|a|b)[-_.]?\d*(?:\.\d+)*)?(?:[-_]r?\d{1,3}(?![\w]))?"
    r"|v\d+(?:[-.]?(?:rc|beta|alpha)\.?\d*)?|r\d+|20\d{6}(?:\d{4,6})?|20\d\d-\d\d-\d\d|b\d{3,}|\d{1,4}"
)
_FAMILY = re.compile(r"({})[-_.]?(\d+(?:[._]\d+)?)?".format("|".join(sorted(_FAMILIES, key=len, reverse=True))))
_LIBC = re.compile(r"(glibc|gnu|musl)[-_.]?\d+[._]\d+")
_SYSTEM_RELEASE = re.compile(r"(macos|macosx|osx|darwin|win)\d{1,2}(?:\.\d+)?")
_LONGEST = 1024  # letters; no file system has names as long, and what is longer takes its time
_BIT_WORDS = {"64": "x86_64", "32": "i386"}


class _Token(NamedTuple):
    axis: str  # system, arch, linkage, family, version, level, about, noise or name
    value: str
    text: str


def read_name(name: str) -> Named:
    """Return what the name of a file says; one that says nothing is taken for a build, and its bytes decide."""
    name = name[-_LONGEST:]
    lowered = name.lower()
    for kind, ends in _BESIDE:
        end = _end(lowered, frozenset(ends.split()))
        if end:
            of = name[: -len(end) - 1]
            whole = kind == "checksum" and _whole(of.lower())
            return Named(kind, Claims(name=name) if whole else read_name(of).claims, "" if whole else of)
    if whole := _whole(lowered):
        return Named(whole, Claims(name=name))
    packing = _end(lowered, frozenset(_PACKINGS))
    if packing == "whl":
        return Named("build", _wheel(name[: -len(".whl")]))
    for kind, held in _TEXTS.items():
        if (end := _end(lowered, held)) and not (packing and len(packing) > len(end)):
            claims = _claims(_tokens(name[: -len(end) - 1]), "")
            if not _is_platform(claims, end):
                return Named(kind, claims)
    stem = name[: -len(packing) - 1] if packing else name
    tokens = _tokens(stem)
    claims = _claims(tokens, packing)
    return Named(_kind(tokens, claims), claims)


def _whole(name: str) -> AssetKind | None:
    return next((kind for kind, pattern in _WHOLE if re.fullmatch(pattern, name)), None)


def _end(name: str, ends: frozenset[str]) -> str:
    """Return the longest of these ends that a name has after a dot."""
    at = -1
    while (at := name.find(".", at + 1)) >= 0:
        if name[at + 1 :] in ends and at > 0:
            return name[at + 1 :]
    return ""


def _is_platform(claims: Claims, end: str) -> bool:
    """Whether an end that says "text" is the last part of a version: ``app-linux-amd64-v1.5``, ``Linux-x64.1``."""
    return end.isdigit() and bool(claims.system or claims.archs)


def _kind(tokens: Sequence[_Token], claims: Claims) -> AssetKind:
    about = [token.value for token in tokens if token.axis == "about"]
    platform = claims.system or claims.archs
    if about and not (platform and about[0] == "source"):
        return cast("AssetKind", about[0])
    if platform or claims.linkage or claims.packing in _ALWAYS_BUILD or not claims.packing:
        return "build"
    return "source" if claims.packing in _SOURCE_PACKINGS else "build"


_SOURCE_PACKINGS = frozenset("tar.gz tgz tar.xz txz tar.zst tar.bz2 tbz2 tar zip tar.lz".split())


# -- words -------------------------------------------------------------------------------------------


@cache
def _words() -> Mapping[str, tuple[tuple[str, str], ...]]:
    """Return what each word says: axes and values."""
    found: dict[str, tuple[tuple[str, str], ...]] = dict.fromkeys(_NOISE, (("noise", ""),))
    found["win32"] = (("system", "windows"), ("weak-arch", "i386"))
    for axis, table in (("system", _SYSTEMS), ("arch", _ARCHS), ("linkage", _LINKAGES)):
        for value, words in table.items():
            found.update(dict.fromkeys(words.split(), ((axis, value),)))
    found["linuxmusl"] = (("system", "linux"), ("linkage", "musl"))
    found.update({word: (("system", system), ("arch", arch)) for word, (system, arch) in _BOTH.items()})
    found.update({word: (("family", family),) for word, family in _CODENAMES.items()})
    for kind, words_about in _ABOUT.items():
        found.update(dict.fromkeys(words_about, (("about", kind),)))
    found["baseline"] = found["modern"] = found["haswell"] = ()
    return found


@cache
def _scanner() -> re.Pattern[str]:
    words = "|".join(re.escape(word) for word in sorted(_words(), key=len, reverse=True))
    return re.compile(
        rf"(?P<level>{_LEVELS.pattern})(?![a-z0-9])|(?P<glued>{_GLUED.pattern})(?![a-z0-9])"
        rf"|(?P<word>{words})(?![a-z0-9])"
        rf"|(?P<libc>{_LIBC.pattern})(?![a-z0-9])|(?P<release>{_SYSTEM_RELEASE.pattern})(?![a-z0-9])"
        rf"|(?P<family>{_FAMILY.pattern})(?![a-z0-9])|(?P<version>{_VERSION.pattern})(?![a-z0-9])"
        r"|(?P<name>[^-_. ~+()\[\]\d]+(?=\d+\.\d)|[^-_. ~+()\[\]]+)|(?P<gap>.)",
        re.DOTALL,
    )


def _tokens(stem: str) -> list[_Token]:
    tokens: list[_Token] = []
    for found in _scanner().finditer(_spaced(stem)):
        kind, text = found.lastgroup or "", found[0]
        # Groups of the parts follow those with names: the outermost that matched is asked for.
        kind = next(
            name
            for name in ("level", "glued", "word", "family", "version", "libc", "release", "name", "gap")
            if found[name] is not None
        )
        if kind != "gap":
            tokens += _READ[kind](text)
    return _settled(tokens)


def _spaced(stem: str) -> str:
    """Return the name in small letters, with a gap where a word in capitals begins: ``AppLinuxArm64``."""
    return re.sub(r"(?<=[a-z])(?=(?:Linux|Windows|Darwin|Mac|Arm64|X64|Win64|Win32)(?![a-z]{3}))", "-", stem).lower()


def _of_word(text: str) -> list[_Token]:
    held = _words()[text]
    return [_Token(axis, value, text) for axis, value in held] or [_Token("level", text, text)]


def _of_level(text: str) -> list[_Token]:
    return [_Token("arch", "x86_64", text), _Token("level", f"v{text[-1]}", text)]


def _of_glued(text: str) -> list[_Token]:
    found = _GLUED.fullmatch(text)
    if found is None:
        return [_Token("name", text, text)]
    words = _words()
    tokens = [_Token("system", words[found[1]][0][1], text)]
    tokens += [_Token("linkage", "musl", text)] if found[2] else []
    arch = _BIT_WORDS.get(found[3]) or words[found[3]][0][1]
    tokens += [_Token("level", found[4], text)] if found[4] else []
    return [*tokens, _Token("weak-arch" if text == "win32" else "arch", arch, text)]


def _of_family(text: str) -> list[_Token]:
    found = _FAMILY.fullmatch(text)
    if found is None or (found[1] in ("el", "fc", "deb", "amazon", "leap") and not found[2]):
        return [_Token("name", text, text)]
    release = (found[2] or "").replace("_", ".")
    if found[1] == "ubuntu" and len(release) == 4:
        release = f"{release[:2]}.{release[2:]}"
    name = _FAMILIES[found[1]]
    return [_Token("family", f"{name}:{release}" if release else name, text)]


_READ: Mapping[str, Callable[[str], list[_Token]]] = {
    "level": _of_level,
    "glued": _of_glued,
    "word": _of_word,
    "family": _of_family,
    "libc": lambda text: [_Token("linkage", "musl" if text.startswith("musl") else "glibc", text)],
    "release": lambda text: [_Token("system", "windows" if text.startswith("win") else "macos", text)],
    "version": lambda text: [_Token("version", text, text)],
    "name": lambda text: [_Token("name", text, text)],
}
_PLATFORM = frozenset(("system", "arch", "weak-arch", "linkage", "family"))


def _settled(tokens: list[_Token]) -> list[_Token]:
    """Return the tokens with what belongs to the program's own name as such.

    A name comes first: words of platforms with another word of the name after them, and more of platforms after that,
    are part of it (``static-web-server-x86_64-linux``), as is one that begins a longer name (``universal-ctags``), and
    one before the version where the same is said after it (``arm-toolchain-13-x86_64``).
    """
    last_word = max((at for at, token in enumerate(tokens) if token.axis == "name"), default=-1)
    after = any(token.axis in _PLATFORM for token in tokens[last_word + 1 :])
    version = next((at for at, token in enumerate(tokens) if token.axis == "version" and len(token.text) > 2), None)
    behind = {token.axis for token in tokens[version:]} if version is not None else set()
    settled = []
    for at, token in enumerate(tokens):
        leads = token.axis in _PLATFORM and (
            (at == 0 and tokens[1:2] and tokens[1].axis == "name")
            or (at < last_word and after and _begins(tokens, at))
            or (version is not None and at < version and token.axis in behind)
        )
        about = token.axis == "about" and at == 0 and len(tokens) > 1
        settled.append(_Token("name", token.text, token.text) if leads or about else token)
    return settled


def _begins(tokens: Sequence[_Token], at: int) -> bool:
    """Whether only words of the name, and of platforms, lie before a token: it is in the name's own part."""
    return all(token.axis in ("name", *_PLATFORM) for token in tokens[:at])


def _claims(tokens: Sequence[_Token], packing: str) -> Claims:
    held: dict[str, list[str]] = {}
    for token in tokens:
        held.setdefault(token.axis, []).append(token.value)
    systems = held.get("system", [])
    system = next((one for one in _RANK if one in systems), "") or _SYSTEM_OF.get(packing, "")
    family = (held.get("family") or [""])[0]
    if not system and family:
        system = "linux"
    archs = _archs(held.get("arch") or held.get("weak-arch") or [], system, family, tokens)
    linkages = [token.value for token in tokens if token.axis == "linkage" and (system or token.text != "gnu")]
    linkages = linkages if system in ("", "linux") else []
    linkage = next((one for one in ("musl", "static", "glibc") if one in linkages), "")
    if not linkage and family.startswith("alpine"):
        linkage = "musl"
    names = dict.fromkeys(token.text for token in tokens if token.axis == "name")
    return Claims(
        name="-".join(names),
        version=next((token.text for token in tokens if token.axis == "version"), ""),
        system=system,
        archs=archs,
        linkage=cast("Linkage", linkage),
        packing=packing,
        family="" if family.startswith("manylinux") else family,
        level=(held.get("level") or [""])[0],
    )


def _archs(found: Sequence[str], system: str, family: str, tokens: Sequence[_Token]) -> tuple[str, ...]:
    if "universal" in found or (system == "macos" and any(token.text == "all" for token in tokens)):
        return ("x86_64", "aarch64") if system in ("macos", "") else ()
    if family.startswith("alpine") and any(token.text == "armhf" for token in tokens):
        return ("armv6",)  # as targets.catalogue.naming has it
    distinct = tuple(dict.fromkeys(found))
    both = system == "macos" and set(distinct) == {"x86_64", "aarch64"}
    return distinct if both else distinct[:1]


# -- wheels ------------------------------------------------------------------------------------------

_WHEEL_TAG = re.compile(r"(manylinux\w*?|musllinux|macosx|win|linux|android|ios|pyodide|emscripten)_(?:\d+_\d+_)?(\w+)")
_WHEEL_SYSTEMS: Mapping[str, tuple[str, Linkage]] = {
    "macosx": ("macos", ""), "win": ("windows", ""), "linux": ("linux", ""), "musllinux": ("linux", "musl"),
    "android": ("android", ""), "ios": ("ios", ""), "pyodide": ("wasm", ""), "emscripten": ("wasm", ""),
}  # fmt: skip
_WHEEL_ARCHS = {"universal2": ("x86_64", "aarch64"), "intel": ("x86_64", "i386"), "fat64": ("x86_64",)}


def _wheel(stem: str) -> Claims:
    """Return what the name of a wheel says (PEP 427: name, version, build number, and three tags)."""
    parts = stem.split("-")
    if len(parts) < 5:
        return Claims(name=stem, packing="whl")
    tags = tuple(parts[-1].split("."))
    systems: list[str] = []
    archs: list[str] = []
    linkages: list[str] = []
    for tag in tags:
        read = ("windows", "", "i386") if tag == "win32" else _wheel_tag(tag)
        systems.append(read[0])
        linkages.append(read[1])
        archs += _WHEEL_ARCHS.get(read[2]) or ((arch.name,) if (arch := architecture(read[2])) else ())
    return Claims(
        name=parts[0],
        version=parts[1],
        system=systems[0],
        archs=tuple(dict.fromkeys(archs)),
        linkage=cast("Linkage", linkages[0] if len(set(linkages)) == 1 else ""),
        packing="whl",
        tags=tags,
    )


def _wheel_tag(tag: str) -> tuple[str, str, str]:
    found = _WHEEL_TAG.fullmatch(tag)
    if found is None:
        return "", "", ""
    system, linkage = ("linux", "glibc") if found[1].startswith("manylinux") else _WHEEL_SYSTEMS[found[1]]
    return system, linkage, found[2]
