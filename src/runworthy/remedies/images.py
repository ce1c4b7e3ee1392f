"""Container images: which target an image stands for, and which image stands for a target.

Tags are read as their publishers write them (the README of each official image on Docker Hub, "Supported tags"). A tag
without a release moves from one to the next and stands for none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from runworthy.targets.catalogue import open_catalogue
from runworthy.targets.catalogue.naming import is_built_on, meaning_of

__all__ = ["Meant", "image_on", "meant_by"]


class Meant(NamedTuple):
    """``target`` is a name (of a target, or of an image), ``base`` the catalogue's own name for it, ``note`` a remark.

    ``target`` is empty where there is none; then ``note`` says why.
    """

    target: str
    base: str
    note: str = ""


_LIBRARY = (
    *("docker.io/library/", "index.docker.io/library/", "registry-1.docker.io/library/", "docker.io/", "library/"),
    *("public.ecr.aws/docker/library/", "mirror.gcr.io/library/", "mirror.gcr.io/"),
)
"""Where the official images are found, and copies of them that are kept equal."""

_ELSEWHERE: Mapping[str, str] = {
    "public.ecr.aws/amazonlinux/amazonlinux": "amazonlinux",
    "public.ecr.aws/debian/debian": "debian",
    "public.ecr.aws/lts/ubuntu": "ubuntu",
    "public.ecr.aws/ubuntu/ubuntu": "ubuntu",
    "quay.io/almalinuxorg/almalinux": "almalinux",
    "quay.io/centos/centos": "centos",
    "quay.io/fedora/fedora": "fedora",
    "quay.io/fedora/fedora-minimal": "fedora",
    "quay.io/rockylinux/rockylinux": "rockylinux",
    "registry.fedoraproject.org/fedora": "fedora",
    "registry.fedoraproject.org/fedora-minimal": "fedora",
    "registry.opensuse.org/opensuse/leap": "opensuse/leap",
    "container-registry.oracle.com/os/oraclelinux": "oraclelinux",
}
_UBI = re.compile(
    r"(?:registry\.access\.redhat\.com/|registry\.redhat\.io/|redhat/)?ubi(\d+)(?:/ubi)?(?:-(minimal|micro|init))?"
)
_PYPA = re.compile(r"quay\.io/pypa/((?:many|musl)linux\w+?)_(?:x86_64|i686|aarch64|armv7l|ppc64le|s390x|riscv64)")
_OTHERS_BUILT_ON = frozenset(("eclipse-temurin", "composer", "gradle", "maven", "caddy", "traefik", "julia", "swift"))
_DOTNET = re.compile(r"mcr\.microsoft\.com/dotnet/[\w/-]+")
_DATE = re.compile(r"-20\d{6}(?:\.\d+)?(?=-|$)")
_VARIANT = re.compile(r"-(?:slim|minimal|micro|base|minbase|backports)$")
_RELEASES = frozenset(("alpine", "almalinux", "debian", "rockylinux", "oraclelinux", "rhel", "centos"))
"""Whose point releases keep what programs link against."""
_CODENAMES: Mapping[str, str] = {
    "stretch": "debian:9",
    "buster": "debian:10",
    "bullseye": "debian:11",
    "bookworm": "debian:12",
    "trixie": "debian:13",
    "bionic": "ubuntu:18.04",
    "focal": "ubuntu:20.04",
    "jammy": "ubuntu:22.04",
    "noble": "ubuntu:24.04",
}
_CODENAME_OF = {target: name for name, target in _CODENAMES.items()}


def meant_by(image: str) -> Meant:
    """Return the target for which an image stands."""
    name, _, digest = image.partition("@")
    repository, tag = _split(name)
    if repository == "scratch":
        return Meant("", "", "scratch is empty")
    if not tag and digest:
        return Meant("", "", f"{image} names no tag, and no registry is asked what its digest is")
    known = open_catalogue().names()
    for text in _readings(repository, tag):
        meaning = meaning_of(text.lower(), known)
        if meaning is not None and meaning.opened:
            return Meant(text, meaning.name, f"what {text} adds to {meaning.name} is not known")
        if meaning is not None:
            exact = _VARIANT.sub("", tag) == meaning.name.partition(":")[2]
            return Meant(meaning.name, meaning.name, "" if exact or text == tag else _remark(image, meaning.name))
    base = _base(repository, tag)
    if base:
        return Meant(base, base, f"what {image} adds to {base} is not known")
    if not tag or tag == "latest":
        return Meant("", "", f"{repository} without the tag of a release moves from one to the next")
    return Meant("", "", f"on what {image} is built is not known")


def _remark(image: str, target: str) -> str:
    return f"{image} is judged as {target}"


def _split(name: str) -> tuple[str, str]:
    """Return repository and tag, the former as the official images are called."""
    head, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    repository = f"{head}{slash}{last}"
    for prefix in _LIBRARY:
        if repository.startswith(prefix):
            return repository.removeprefix(prefix), tag
    return repository, tag


def _readings(repository: str, tag: str) -> Iterator[str]:
    """Yield what an image may be called in the catalogue."""
    ubi, pypa = _UBI.fullmatch(repository), _PYPA.fullmatch(repository)
    if ubi:
        yield f"rhel:{ubi[1]}"
        return
    if pypa:
        yield {"manylinux2014": "manylinux_2_17", "manylinux2010": "manylinux_2_12"}.get(pypa[1], pypa[1])
        return
    repository = _ELSEWHERE.get(repository, repository)
    if not tag:
        return
    yield f"{repository}:{tag}"
    plain = _DATE.sub("", tag)
    yield f"{repository}:{plain}"
    if is_built_on(repository):
        point = re.sub(r"(alpine\d+\.\d+)\.\d+$", r"\1", plain)
        yield f"{repository}:{point}"
        return
    plain = _VARIANT.sub("", plain)
    yield f"{repository}:{plain}"
    family = {"alma": "almalinux", "rockylinux/rockylinux": "rockylinux"}.get(repository, repository)
    if family in _RELEASES and re.fullmatch(r"\d+(?:\.\d+)*", plain):
        parts = plain.split(".")
        yield f"{repository}:{'.'.join(parts[: 2 if family == 'alpine' else 1])}"


def _base(repository: str, tag: str) -> str:
    """Return on what an image outside the catalogue's names is built, by the end of its tag."""
    if repository not in _OTHERS_BUILT_ON and not _DOTNET.fullmatch(repository):
        return ""
    for word in reversed(tag.split("-")):
        alpine = re.fullmatch(r"alpine(\d+\.\d+)", word)
        if alpine and f"alpine:{alpine[1]}" in open_catalogue().names():
            return f"alpine:{alpine[1]}"
        if word in _CODENAMES:
            return _CODENAMES[word]
    return ""


# -- the image of a target ---------------------------------------------------------------------

_SLIM: Mapping[str, str] = {
    "node": "{version}-{codename}-slim",
    **dict.fromkeys(("perl", "python", "ruby", "rust"), "{version}-slim-{codename}"),
}
"""Official images that have a small edition on Debian, and how its tags are written."""
_IMAGES: Mapping[str, str] = {
    "debian": "debian:{release}-slim",
    "opensuse/leap": "opensuse/leap:{release}",
    "rhel": "registry.access.redhat.com/ubi{release}/ubi",
    "rockylinux": "rockylinux/rockylinux:{release}",
    "openeuler": "openeuler/openeuler:{release}",
    "opencloudos": "opencloudos/opencloudos:{release}",
    "anolisos": "openanolis/anolisos:{release}",
    "alt": "alt:{release}",
    "centos": "quay.io/centos/centos:{release}",
}
_NO_IMAGES = frozenset(("glibc", "manylinux", "musllinux", "slackware"))


def image_on(image: str, target: str) -> Meant:
    """Return the image that takes the place of ``image`` on another target, written in the style of the old one.

    Of an official image for a language or a server it is the same one on another distribution. Whether a registry has
    it is not asked.
    """
    meant = meant_by(target)
    family, _, release = meant.base.partition(":")
    if not meant.base or family in _NO_IMAGES or meant.base.startswith(("manylinux", "musllinux")):
        return Meant("", "", f"{target} is no image")
    name = image.partition("@")[0]
    repository, tag = _split(name)
    prefix = name[: name.index(repository)] if repository in name else ""
    if is_built_on(repository):
        held = _same_software(repository, tag, family, release)
        return Meant(prefix + held, meant.base) if held else Meant("", "", f"{repository} has no image on {target}")
    old = meant_by(image)
    if not old.target or old.note.startswith("what "):
        return Meant(
            "", "", f"{old.note}: who puts {target} in its place loses that" if old.note else f"{image} is not known"
        )
    if _family(old.base) == family:
        return Meant(prefix + _same_style(repository, tag, meant.base, old.base), meant.base)
    held = _IMAGES.get(family, "{family}:{release}").format(family=family, release=release)
    return Meant(f"{prefix if held.count('/') == 0 else ''}{held}", meant.base)


def _same_software(repository: str, tag: str, family: str, release: str) -> str:
    """Return the tag of an official image on another distribution, empty where it has none there."""
    words = [word for word in tag.split("-") if word not in (*_CODENAMES, "slim", "alpine")]
    version = "-".join(word for word in words if not re.fullmatch(r"alpine\d+\.\d+", word))
    if family == "alpine":
        return f"{repository}:{f'{version}-' if version else ''}alpine{release}"
    codename = _CODENAME_OF.get(f"{family}:{release}", "")
    if family != "debian" or not codename:
        return ""
    small = "alpine" in tag or "slim" in tag.split("-")
    style = _SLIM.get(repository, "{version}-{codename}") if small else "{version}-{codename}"
    return f"{repository}:{style.format(version=version, codename=codename).lstrip('-')}"


def _same_style(repository: str, tag: str, new: str, old: str) -> str:
    """Return another release of a distribution: a codename for a codename, the same variant behind it."""
    release = new.partition(":")[2]
    ubi = _UBI.fullmatch(repository)
    if ubi:
        return re.sub(r"ubi\d+", f"ubi{release}", repository)
    named = _CODENAME_OF.get(old, "")
    first = _DATE.sub("", tag).partition("-")[0]
    variant = _VARIANT.search(tag)
    written = _CODENAME_OF.get(new, release) if named and first == named else release
    return f"{repository}:{written}{variant[0] if variant else ''}"


def _family(base: str) -> str:
    return base.partition(":")[0]
