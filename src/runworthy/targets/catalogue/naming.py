"""Names of targets as people write them, and what they mean here. All aliases are in this file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple

from runworthy.model.arch import ARCHITECTURES, Architecture, architecture

__all__ = [
    "LEGACY",
    "Meaning",
    "PythonTag",
    "architecture_in",
    "carries_architecture",
    "is_built_on",
    "meaning_of",
    "python_tag",
    "spellings",
    "split_architecture",
]

_REPOSITORIES: Final[Mapping[str, str]] = {
    "alma": "almalinux",
    "almalinux/almalinux": "almalinux",
    "altlinux": "alt",
    "amazon": "amazonlinux",
    "anolis": "anolisos",
    "openanolis/anolisos": "anolisos",
    "arch": "archlinux",
    "archlinux/archlinux": "archlinux",
    "leap": "opensuse/leap",
    "opensuse": "opensuse/leap",
    "opensuse-leap": "opensuse/leap",
    "tumbleweed": "opensuse/tumbleweed",
    "opencloudos/opencloudos": "opencloudos",
    "openeuler/openeuler": "openeuler",
    "oracle": "oraclelinux",
    "ol": "oraclelinux",
    "redhat": "rhel",
    "ubi": "rhel",
    "rocky": "rockylinux",
    "rockylinux/rockylinux": "rockylinux",
}

_WHOLE: Final[Mapping[str, str]] = {
    "al2": "amazonlinux:2",
    "al2023": "amazonlinux:2023",
    "arch": "archlinux:latest",
    "archlinux": "archlinux:latest",
    "archlinux/archlinux": "archlinux:latest",
    "archlinux:base": "archlinux:latest",
    "opensuse:tumbleweed": "opensuse/tumbleweed:latest",
    "opensuse/tumbleweed": "opensuse/tumbleweed:latest",
    "tumbleweed": "opensuse/tumbleweed:latest",
    **{f"{prefix}ubi{release}": f"rhel:{release}" for prefix in ("", "redhat/") for release in (7, 8, 9, 10)},
}

_DEBIAN: Final[Mapping[str, str]] = {
    "jessie": "8",
    "stretch": "9",
    "buster": "10",
    "bullseye": "11",
    "bookworm": "12",
    "trixie": "13",
    # True on the day of the facts (2026-08-08); what these words mean moves.
    "oldstable": "12",
    "stable": "13",
    "unstable": "sid",
}
_CODENAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "debian": _DEBIAN,
    "ubuntu": {
        "bionic": "18.04",
        "focal": "20.04",
        "jammy": "22.04",
        "mantic": "23.10",
        "noble": "24.04",
        "oracular": "24.10",
        "plucky": "25.04",
        "questing": "25.10",
        "resolute": "26.04",
    },
    "centos": {"stream-9": "stream9", "stream-10": "stream10"},
}

_BUILT_ON: Final = frozenset(
    (
        *("python", "node", "golang", "rust", "ruby", "php", "perl", "elixir", "erlang", "buildpack-deps"),
        *("postgres", "redis", "nginx", "httpd", "haproxy", "memcached"),
    )
)
"""Official images that add files to the distribution which their tag names, and replace none of its libraries.

``gcc`` is not among them: it puts a newer libstdc++ before the distribution's.
"""


class Meaning(NamedTuple):
    """The catalogue's own name for what was written. ``opened``: only the base of what was written is known."""

    name: str
    opened: bool = False


class PythonTag(NamedTuple):
    """A platform tag: ``manylinux_2_28_x86_64`` is family manylinux, version (2, 28), x86_64."""

    family: str
    version: tuple[int, int]
    arch: Architecture | None

    @property
    def name(self) -> str:
        """The tag without its architecture, as PEP 600 and PEP 656 spell it."""
        return f"{self.family}_{self.version[0]}_{self.version[1]}"


LEGACY: Final = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
"""The names that PEP 600 defines as other spellings of its own (PEP 513, PEP 571, PEP 599)."""


def python_tag(text: str) -> PythonTag | None:
    """Return the manylinux or musllinux tag that ``text`` is, with or without an architecture; None when it is none."""
    family, _, rest = text.partition("_")
    if family in LEGACY:
        version, tail = LEGACY[family], rest
        family = "manylinux"
    elif family in ("manylinux", "musllinux"):
        parts = rest.split("_", 2)
        if len(parts) < 2 or not all(part.isascii() and part.isdigit() for part in parts[:2]):
            return None
        version, tail = (int(parts[0]), int(parts[1])), "".join(parts[2:])
    else:
        return None
    arch = next((row for row in ARCHITECTURES if row.pypi == tail), None) or (architecture(tail) if tail else None)
    return None if tail and arch is None else PythonTag(family=family, version=version, arch=arch)


def architecture_in(spelling: str, name: str) -> Architecture | None:
    """Return the architecture that ``spelling`` means for the target ``name``.

    ``armhf`` is Debian's word for ARMv7 and Alpine's for ARMv6.
    """
    if spelling == "armhf" and name.startswith("alpine"):
        spelling = "armv6"
    return architecture(spelling)


def split_architecture(text: str) -> Iterator[tuple[str, str]]:
    """Return every way to split ``text`` into a name and an architecture after a slash, the whole as a name first."""
    yield text, ""
    for at, letter in enumerate(text):
        if letter == "/" and architecture(text[at + 1 :]) is not None:
            yield text[:at], text[at + 1 :]


def carries_architecture(text: str) -> bool:
    """Return whether a target's name says its architecture: ``debian:12/arm64``, ``manylinux_2_28_x86_64``."""
    tag = python_tag(text.strip().lower())
    return bool(tag and tag.arch) or any(spelling for _, spelling in split_architecture(text.strip()))


def meaning_of(text: str, known: Collection[str]) -> Meaning | None:
    """Return what a name without an architecture means among the ``known`` names, None for an unknown one."""
    text = text.removeprefix("library/")
    for written in (text, text.replace("-", ":", 1)):
        for name in _readings(written):
            if name in known:
                return Meaning(name=name)
    base = _base_of(text)
    return Meaning(name=base, opened=True) if base in known else None


def _readings(text: str) -> Iterator[str]:
    yield text
    yield _WHOLE.get(text, text)
    repository, _, tag = text.partition(":")
    repository = _REPOSITORIES.get(repository, repository)
    if repository == "debian":
        tag = tag.removesuffix("-slim")
    tag = _CODENAMES.get(repository, {}).get(tag, tag)
    yield f"{repository}:{tag}"
    yield f"{repository}:{tag}.0"


def is_built_on(repository: str) -> bool:
    """Whether an image's tags may name the distribution that it is built on."""
    return repository in _BUILT_ON


def _base_of(text: str) -> str:
    """Return the distribution on which an image is built, by the end of its tag; empty when that is not certain.

    A tag without a release (``python:3.12-slim``, ``node:22-alpine``) moves from one to the next and names none.
    """
    repository, _, tag = text.partition(":")
    if repository not in _BUILT_ON:
        return ""
    last = tag.removesuffix("-slim").rpartition("-")[2]
    if last.startswith("alpine3."):
        return f"alpine:{last.removeprefix('alpine')}"
    release = _DEBIAN.get(last, "")
    return f"debian:{release}" if release.isdigit() and "stable" not in last else ""


def spellings(known: Collection[str]) -> Iterator[str]:
    """Return all names that can be written, for finding the nearest one to a name that cannot."""
    yield from known
    yield from (written for written, name in _WHOLE.items() if name in known)
    for repository, names in _CODENAMES.items():
        yield from (f"{repository}:{written}" for written, tag in names.items() if f"{repository}:{tag}" in known)
