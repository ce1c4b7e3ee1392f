"""The repositories that a root is configured to get packages from. Nothing is fetched here.

Source: sources.list(5) with deb822-style sources; apk-repositories(5); dnf.conf(5), "Repo options" and "Variables".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from runworthy.formats.content import BytesContent
from runworthy.formats.index.control import paragraphs
from runworthy.model.errors import FormatError
from runworthy.model.package import Manager
from runworthy.model.records import dataclass
from runworthy.targets.os_release import os_release
from runworthy.targets.packages.dialect import architectures
from runworthy.targets.packages.installed import read_file
from runworthy.targets.target import Target
from runworthy.targets.view import FileView, UnseenError

__all__ = ["Repository", "repositories"]

_TEXT: Final = 1 << 20
_MOST: Final = 200
_ONE_LINE: Final = re.compile(r"deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<components>.*)")
_SECTION: Final = re.compile(r"\[([^]]+)\]")
_VARIABLE: Final = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """Where packages come from.

    ``base`` is a URL, or a path in the root. ``suite`` and ``components`` are apt's (a suite that ends with a slash is
    a directory of its own), as are ``architectures`` where they are narrowed down. ``signed_by`` are paths of keyrings
    in the root, or a key itself; empty: the root's own. ``trusted``: nobody is to look at a signature.
    """

    manager: Manager
    base: str
    suite: str = ""
    components: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    signed_by: tuple[str, ...] = ()
    trusted: bool = False


def repositories(target: Target, manager: Manager) -> tuple[Repository, ...]:
    """Return the repositories of a root, in the order of its files; what is damaged in them is passed over."""
    found: dict[Repository, None] = {}
    for repository in _READERS[manager](target):
        found[repository] = None
        if len(found) >= _MOST:
            break
    return tuple(found)


def _apt(target: Target) -> Iterator[Repository]:
    yield from _one_line(_text(target.view, "/etc/apt/sources.list"))
    for path in _names(target.view, "/etc/apt/sources.list.d"):
        if path.endswith(".list"):
            yield from _one_line(_text(target.view, path))
        elif path.endswith(".sources"):
            yield from _deb822(_text(target.view, path))


def _one_line(text: str) -> Iterator[Repository]:
    for line in text.splitlines():
        found = _ONE_LINE.fullmatch(line.partition("#")[0].strip())
        if found is not None:
            options = dict(word.partition("=")[::2] for word in (found["options"] or "").split())
            yield Repository(
                manager="apt",
                base=found["uri"].rstrip("/"),
                suite=found["suite"],
                components=tuple(found["components"].split()),
                architectures=tuple(word for word in options.get("arch", "").split(",") if word),
                signed_by=tuple(word for word in options.get("signed-by", "").split(",") if word),
                trusted=options.get("trusted", "") == "yes",
            )


def _deb822(text: str) -> Iterator[Repository]:
    try:
        fields = list(paragraphs(BytesContent(text.encode("utf-8", "surrogateescape"))))
    except FormatError:
        return
    for one in fields:
        if "deb" not in one.get("types", "").split() or one.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        key = one.get("signed-by", "")
        for uri in one.get("uris", "").split():
            for suite in one.get("suites", "").split():
                yield Repository(
                    manager="apt",
                    base=uri.rstrip("/"),
                    suite=suite,
                    components=tuple(one.get("components", "").split()),
                    architectures=tuple(one.get("architectures", "").split()),
                    signed_by=(key,) if "BEGIN PGP" in key else tuple(key.split()),
                    trusted=one.get("trusted", "").lower() == "yes",
                )


def _apk(target: Target) -> Iterator[Repository]:
    texts = [_text(target.view, "/etc/apk/repositories")]
    texts += [_text(target.view, path) for path in _names(target.view, "/etc/apk/repositories.d")]
    for line in "\n".join(texts).splitlines():
        words = line.partition("#")[0].split()
        # A repository with a tag is asked only for packages that are asked for with the tag.
        if len(words) == 1 and not words[0].startswith("@"):
            yield Repository(manager="apk", base=words[0].rstrip("/"))


def _dnf(target: Target) -> Iterator[Repository]:
    variables = _variables(target)
    for directory in ("/etc/yum.repos.d", "/etc/distro.repos.d"):
        for path in _names(target.view, directory):
            if path.endswith(".repo"):
                for options in _sections(_text(target.view, path)).values():
                    if options.get("enabled", "1").strip().lower() not in ("0", "no", "false"):
                        for base in options.get("baseurl", "").replace(",", " ").split()[:1]:
                            yield Repository(manager="dnf", base=_with(base, variables).rstrip("/"))


_READERS: Final[Mapping[Manager, Callable[[Target], Iterator[Repository]]]] = {"apt": _apt, "apk": _apk, "dnf": _dnf}


def _variables(target: Target) -> dict[str, str]:
    """Return what dnf puts into URLs (dnf.conf(5)): for most families the release is the major version."""
    version = os_release(target.view).get("VERSION_ID", "")
    arch = architectures("dnf", target.arch)[0]
    found_ones = {"releasever": version.partition(".")[0], "basearch": "i386" if arch == "i686" else arch, "arch": arch}
    for directory in ("/etc/yum/vars", "/etc/dnf/vars"):
        for path in _names(target.view, directory):
            found_ones[path.rpartition("/")[2]] = _text(target.view, path).strip().partition("\n")[0]
    return found_ones


def _with(text: str, variables: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: variables.get(found[1], found[0]), text)


def _sections(text: str) -> dict[str, dict[str, str]]:
    """Return the sections of an ini file; lines that begin with white space go on with the one before."""
    found: dict[str, dict[str, str]] = {}
    section: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        head = _SECTION.match(line)
        if not line.strip() or line[0] in "#;":
            continue
        if head is not None:
            section = found.setdefault(head[1], {})
            name = ""
        elif line[0] in " \t":
            if name:
                section[name] += f" {line.strip()}"
        else:
            name, _, value = line.partition("=")
            name = name.strip().lower()
            section[name] = value.strip()
    return found


def _names(view: FileView, directory: str) -> list[str]:
    try:
        return [f"{directory}/{name}" for name in view.readdir(directory) if not name.startswith(".")][:_MOST]
    except (OSError, UnseenError):
        return []


def _text(view: FileView, path: str) -> str:
    try:
        content = read_file(view, path)
        if content is None or content.size > _TEXT:
            return ""
        return content.pread(0, content.size).decode("utf-8", "surrogateescape")
    except (FormatError, OSError):
        return ""
