"""Another build of the same software: beside the subject, named by a person, or known by the package it comes from.

Builds tell each other apart by words in their names: ``gnu`` and ``musl``, ``arm64`` and ``x86_64``, ``static``. What
is at hand is judged; what is not is named, with the command that fetches it.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from runworthy.model.arch import architecture
from runworthy.model.errors import FormatError, RunworthyError
from runworthy.model.finding import Result
from runworthy.model.trace import Answer, Step
from runworthy.remedies.situation import Proposal, Situation
from runworthy.remedies.unpacking import UNPACKED, unpacked
from runworthy.rules.known import libc_of_library
from runworthy.targets.directory import DirectoryView
from runworthy.targets.overlay import Overlay
from runworthy.targets.placement import SUBJECT_ROOT, locate, place
from runworthy.targets.view import FileView, Resolved, UnseenError

__all__ = ["Words", "libc_of", "skeleton", "whole", "words_of"]

_JUDGEMENTS = 8
_NAMES = 4000
"""Of how many names in one directory it is asked whether they are builds."""
_LEVELS = 8
_WALKED = 20_000
_JSON_LIMIT, _RECORD_LIMIT = 1 << 20, 8 << 20
_PACKAGES = 400

_ARCHES = (
    *(
        "x86_64",
        "x86-64",
        "amd64",
        "x64",
        "aarch64",
        "arm64",
        "armv7l",
        "armv7",
        "armhf",
        "armv6",
        "i686",
        "i386",
        "386",
    ),
    *("ia32", "x86", "ppc64le", "ppc64el", "powerpc64le", "s390x", "riscv64gc", "riscv64", "loong64", "loongarch64"),
)
_LIBCS = {
    **dict.fromkeys(("gnu", "glibc", "gnueabihf", "linuxglibc", "manylinux"), "glibc"),
    **dict.fromkeys(("musl", "musleabihf", "linuxmusl", "musllinux", "alpine"), "musl"),
    "static": "static",
}
_WORD = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    rf"(?P<arch>{'|'.join(map(re.escape, _ARCHES))})"
    r"|(?P<tag>(?:many|musl)linux)(?:_\d+_\d+|20\d\d|1)?"
    rf"|(?P<libc>{'|'.join(sorted(_LIBCS, key=len, reverse=True))})"
    r"|unknown|linux)(?![A-Za-z0-9])",
    re.IGNORECASE,
)


class Words(NamedTuple):
    """What the words of a name say: an architecture, and a C library or ``static``. Empty where they say nothing."""

    arch: str
    libc: str


def words_of(name: str) -> Words:
    """Return what the words of a name say of a build."""
    arch = libc = ""
    for found in _WORD.finditer(name):
        if found["arch"]:
            spelling = {"ia32": "i386", "riscv64gc": "riscv64"}.get(found["arch"].lower(), found["arch"].lower())
            known = architecture(spelling)
            arch = known.name if known else arch
        word = (found["tag"] or found["libc"] or "").lower()
        libc = "static" if "static" in (word, libc) else _LIBCS.get(word, libc)
    return Words(arch, libc)


def skeleton(name: str) -> str:
    """Return a name without the words that tell builds apart."""
    bare = _WORD.sub("\0", name)
    return re.sub(r"[-_.]*(?:\0[-_.]*)+", _joint, bare).strip("-_.").lower()


def _joint(found: re.Match[str]) -> str:
    """Return what joins the parts between which words were: a dot stays, so that an ending is one."""
    return "." if found[0].endswith(".") else "-" if found.end() < len(found.string) and found.start() else ""


def whole(situation: Situation) -> Iterator[Proposal]:
    """Yield the builds that run on the target, those at hand first, each judged; then those that can be fetched.

    Builds that a person names are placed in the situation's root, beside the subject, before the first is judged.
    """
    unsure: list[Proposal] = []
    candidates: list[str] = []
    for build in situation.means.builds if situation.means else ():
        try:
            candidates += _given(situation, build, situation.means.scratch if situation.means else "")
        except (RunworthyError, OSError) as error:
            title = f"take another build: `{build}`"
            unsure.append(Proposal(title=title, approach="build", unprovable=f"cannot be read: {error}"))
    candidates += _beside(situation)
    proved = False
    for path in list(dict.fromkeys(candidates))[:_JUDGEMENTS]:
        try:
            result = situation.judge(situation.target, path)
        except (RunworthyError, OSError):
            continue
        shown = path.removeprefix(SUBJECT_ROOT)
        if result.verdict == "runs":
            proved = True
            yield Proposal(title=f"take another build: `{shown}` runs as it is", path=path, approach="build")
        elif result.verdict != "fails" or _is_nearer(situation.result, result):
            unsure.append(
                Proposal(
                    title=f"take another build: `{shown}`",
                    path=path,
                    approach="build",
                    unprovable=_doubt(situation, result, shown),
                )
            )
    yield from unsure
    if not (proved or unsure):
        yield from _of_wheel(situation)
        yield from _of_npm(situation)


def _is_nearer(before: Result, after: Result) -> bool:
    """Whether a build is for this C library, and fails for something else: its loader is there, and looks for more."""
    of_libc = any(libc_of_library(step.need.name.rpartition("/")[2]) for step in after.trace.needs if _unmet(step))
    had_libc = any(libc_of_library(step.need.name.rpartition("/")[2]) for step in before.trace.needs if _unmet(step))
    return had_libc and not of_libc and after.stage not in (None, "exec")


def _unmet(step: Step) -> bool:
    return step.answer is Answer.UNMET and step.fatal and step.because is None


def _doubt(situation: Situation, result: Result, shown: str) -> str:
    """Return in words what is left to be told, or to be done, of a build."""
    first = next((one.message for one in result.findings), "").replace(f"`{situation.name}`", f"`{shown}`")
    if result.verdict == "fails":
        return f"it is built for this C library, and fails for something else: {first}"
    return f"judged, it is {result.verdict}{f': {first}' if first else ''}"


def libc_of(situation: Situation) -> tuple[str, tuple[int, ...]]:
    """Return the family and version of the target's C library; both are empty where it is not known."""
    family, _, version = situation.result.libc.partition(" ")
    numbers = tuple(int(part) for part in version.split(".") if part.isdecimal())
    if family in ("glibc", "musl"):
        return family, numbers
    view, arch = situation.target.view, situation.target.arch
    for libc in situation.target.libcs.values():
        if libc.family in ("glibc", "musl"):
            return libc.family, libc.version or ()
    for loader, name in ((arch.glibc_loader, "glibc"), (arch.musl_loader, "musl")):
        if _is_there(view, loader):
            return name, ()
    return "", ()


# -- beside the subject ------------------------------------------------------------------------


def _beside(situation: Situation) -> Iterator[str]:
    """Yield the paths of files that are likely the subject's other builds, those that fit the target first."""
    view, path = situation.target.view, situation.path
    parts = path.strip("/").split("/")
    lowest = 1 if situation.inside else 2  # never the directories of a system, nor what holds the subjects
    found: list[tuple[int, str]] = []
    for at in range(len(parts) - 1, max(lowest, len(parts) - _LEVELS) - 1, -1):
        directory, own = "/" + "/".join(parts[:at]), parts[at]
        for name in _siblings(view, directory, own):
            rank = _rank(situation, words_of(name))
            inner = _within(view, f"{directory}/{name}", parts[at + 1 :]) if rank is not None else None
            if rank is not None and inner is not None:
                found.append((rank, inner))
    yield from (inner for _, inner in sorted(found, key=lambda pair: pair[0]))


def _siblings(view: FileView, directory: str, own: str) -> Iterator[str]:
    bare, words = skeleton(own), words_of(own)
    if not bare:
        return
    for name in _names(view, directory)[:_NAMES]:
        if name != own and words_of(name) != words and skeleton(name) == bare:
            yield name


def _rank(situation: Situation, words: Words) -> int | None:
    """Return how well the words of a name fit the target, 0 for best; None where they do not."""
    arch = situation.target.arch.name
    if words.arch and words.arch != arch:
        return None
    family = libc_of(situation)[0]
    if words.libc in (family, "static") or not family:
        return 0 if words.libc == family else 1
    return None if words.libc else 2


def _within(view: FileView, top: str, rest: Sequence[str]) -> str | None:
    """Return the file that lies in another build where the subject lies in its own."""
    path = top
    for part in rest:
        if _is_there(view, f"{path}/{part}"):
            path = f"{path}/{part}"
            continue
        alike = [name for name in _names(view, path)[:_NAMES] if skeleton(name) == skeleton(part)]
        if len(alike) != 1:
            return None
        path = f"{path}/{alike[0]}"
    found = view.find(path)
    return path if isinstance(found, Resolved) and found.entry.kind == "file" else None


# -- named by a person -------------------------------------------------------------------------


def _given(situation: Situation, build: str, scratch: str) -> Iterator[str]:
    """Yield the paths in the target at which the files of a build lie. Raises FormatError, OSError."""
    overlay = situation.target.view
    if not isinstance(overlay, Overlay):
        return
    lies_at = build
    if build.lower().endswith(UNPACKED) and os.path.isfile(build):
        lies_at = unpacked(build, scratch)
    machine = DirectoryView("/")
    for file in [lies_at] if not os.path.isdir(lies_at) else _matching(lies_at, situation.path):
        yield place(locate(file, machine), situation.target, overlay)


def _matching(directory: str, subject: str) -> list[str]:
    """Return the files of a directory of this machine that are called like the subject, the likeliest first."""
    view = DirectoryView(os.path.realpath(directory))
    parts = subject.strip("/").split("/")
    for count in range(min(len(parts), _LEVELS), 0, -1):
        found = _within(view, "", parts[-count:])
        if found is not None:
            return [view.host_path(found)]
    wanted, held, walked = skeleton(parts[-1]), [], 0
    for above, directories, names in os.walk(view.host_path("/")):
        directories.sort()
        walked += len(names) + len(directories)
        held += [os.path.join(above, name) for name in sorted(names) if skeleton(name) == wanted]
        if walked > _WALKED:
            break
    return [path for path in held if os.path.isfile(path)][:_JUDGEMENTS]


# -- wheels ----------------------------------------------------------------------------------

_GLIBC_TAGS = ((2, 39), (2, 34), (2, 31), (2, 28), (2, 27), (2, 24), (2, 17), (2, 12), (2, 5))
"""PEP 600's tags that projects build for, the newest first. pip takes --platform by the letter, and not older ones."""
_LEGACY = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}
_MUSL_TAGS = ((1, 2), (1, 1))


class _Wheel(NamedTuple):
    name: str
    version: str
    tags: tuple[tuple[str, str, str], ...]


def _of_wheel(situation: Situation) -> Iterator[Proposal]:
    wheel = _wheel_of(situation.target.view, situation.path)
    if wheel is None:
        return
    python, abi, _ = wheel.tags[0] if wheel.tags else ("", "", "")
    options = ["--only-binary=:all:", "--no-deps"]
    version = re.fullmatch(r"cp3(\d+)", python)
    if version:
        options += ["--implementation cp", f"--python-version 3.{version[1]}", f"--abi {abi}"]
    platforms = _platforms(situation)
    if not platforms or {tag[2] for tag in wheel.tags} & set(platforms):
        return
    options += [f"--platform {one}" for one in platforms]
    command = f"pip download {' '.join(options)} {wheel.name}=={wheel.version}"
    what = f"{libc_of(situation)[0]} on {situation.target.arch.name}"
    yield Proposal(
        title=f"take the wheel of {wheel.name} {wheel.version} for {what}",
        approach="build",
        recipe=(command,),
        unprovable="it is not at hand; `--build FILE` has it judged",
    )


def _platforms(situation: Situation) -> list[str]:
    """Return the platform tags that a target takes, the newest first."""
    family, version = libc_of(situation)
    arch = situation.target.arch.pypi
    if family == "musl":
        return [f"musllinux_{a}_{b}_{arch}" for a, b in _MUSL_TAGS if not version or version[:2] >= (a, b)]
    found = []
    for tag in _GLIBC_TAGS if family == "glibc" else ():
        if version and version[:2] >= tag:
            found.append(f"manylinux_{tag[0]}_{tag[1]}_{arch}")
            found += [f"{_LEGACY[tag]}_{arch}"] if tag in _LEGACY else []
    return found


def _wheel_of(view: FileView, path: str) -> _Wheel | None:
    """Return the wheel that a file was installed by: the one whose RECORD lists it (PEP 376, PEP 627)."""
    directory = posixpath.dirname(path)
    for _ in range(_LEVELS):
        for name in _names(view, directory):
            if name.endswith(".dist-info"):
                inner = posixpath.relpath(path, directory)
                record = _text(view, f"{directory}/{name}/RECORD", _RECORD_LIMIT)
                if any(line.startswith((f"{inner},", f'"{inner}",')) for line in record.splitlines()):
                    return _wheel(view, f"{directory}/{name}")
        if directory in ("/", SUBJECT_ROOT):
            return None
        directory = posixpath.dirname(directory)
    return None


def _wheel(view: FileView, directory: str) -> _Wheel | None:
    head = _text(view, f"{directory}/METADATA", _JSON_LIMIT).partition("\n\n")[0]
    fields = dict(line.partition(": ")[::2] for line in head.splitlines())
    lines = _text(view, f"{directory}/WHEEL", _JSON_LIMIT).splitlines()
    tags = [tuple(line.removeprefix("Tag: ").strip().split("-")) for line in lines if line.startswith("Tag: ")]
    name, version = fields.get("Name", ""), fields.get("Version", "")
    plain = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*", version)
    if not plain:
        return None
    return _Wheel(name, version, tuple((tag[0], tag[1], tag[2]) for tag in tags if len(tag) == 3))


# -- npm -------------------------------------------------------------------------------------

_NPM_CPU = {
    "x86_64": "x64", "i386": "ia32", "aarch64": "arm64", "armv7": "arm", "armv6": "arm", "ppc64le": "ppc64",
    "s390x": "s390x", "riscv64": "riscv64", "loongarch64": "loong64",
}  # fmt: skip
"""As process.arch of Node.js calls architectures."""
_NPM_NAME = re.compile(r"(?:@[a-z0-9][a-z0-9._~-]*/)?[a-z0-9][a-z0-9._~-]*")


def _of_npm(situation: Situation) -> Iterator[Proposal]:
    view = situation.target.view
    top, package = _package_of(view, situation.path)
    name = package.get("name")
    if not isinstance(name, str) or not _NPM_NAME.fullmatch(name) or name != name.lower():
        return
    if not (words_of(name) != Words("", "") or {"cpu", "libc"} & package.keys()):
        return
    family = libc_of(situation)[0]
    cpu = _NPM_CPU.get(situation.target.arch.name, "")
    if not cpu or not family:
        return
    command = f"npm install --os=linux --cpu={cpu} --libc={family}"
    fitting = sorted(_listed_builds(situation, top, name))
    for other, version in fitting[:2]:
        yield Proposal(
            title=f"take the npm package {other}",
            approach="build",
            recipe=(command, f"npm install --no-save --force {other}@{version}"),
            unprovable="it is not at hand; `--build DIRECTORY` has it judged",
        )
    if not fitting:
        yield Proposal(
            title=f"take the npm package that {name} is on {family} and {cpu}",
            approach="build",
            recipe=(command,),
            unprovable="whether there is one is not known here",
        )


def _listed_builds(situation: Situation, top: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield the other builds that the package which wants this one lists beside it, with their versions."""
    above, _, _ = top.rpartition("/node_modules/")
    if not above:
        return
    modules = f"{above}/node_modules"
    bare = skeleton(name.rpartition("/")[2])
    likely = [bare, name.partition("/")[0].removeprefix("@")]
    names = [*likely, *(one for one in _names(situation.target.view, modules) if one not in likely)]
    for one in _package_names(situation.target.view, modules, names[:_PACKAGES]):
        listed = _json(situation.target.view, f"{modules}/{one}/package.json").get("optionalDependencies")
        if not isinstance(listed, dict) or name not in listed:
            continue
        for other, version in listed.items():
            fits = _rank(situation, words_of(other))
            plain = isinstance(version, str) and _NPM_NAME.fullmatch(other) and re.fullmatch(r"[\w.^~+-]+", version)
            if plain and other != name and fits is not None and skeleton(other) == skeleton(name) and _is_linux(other):
                yield other, version
        return


def _is_linux(name: str) -> bool:
    return not re.search(r"darwin|win32|windows|freebsd|netbsd|openbsd|android|sunos|aix|wasm", name)


def _package_names(view: FileView, modules: str, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if name.startswith("@"):
            yield from (f"{name}/{inner}" for inner in _names(view, f"{modules}/{name}")[:_PACKAGES])
        elif not name.startswith("."):
            yield name


def _package_of(view: FileView, path: str) -> tuple[str, dict[str, Any]]:
    directory = posixpath.dirname(path)
    for _ in range(_LEVELS):
        held = _json(view, f"{directory}/package.json")
        if held.get("name"):
            return directory, held
        if directory in ("/", SUBJECT_ROOT) or posixpath.basename(directory) == "node_modules":
            break
        directory = posixpath.dirname(directory)
    return "", {}


# -- reading ---------------------------------------------------------------------------------


def _json(view: FileView, path: str) -> dict[str, Any]:
    try:
        held = json.loads(_text(view, path, _JSON_LIMIT) or "{}")
    except (ValueError, RecursionError):
        return {}
    return held if isinstance(held, dict) else {}


def _text(view: FileView, path: str, limit: int) -> str:
    try:
        return view.read(path, limit).decode("utf-8", "replace")
    except (OSError, FormatError, UnseenError):
        return ""


def _names(view: FileView, directory: str) -> list[str]:
    try:
        return sorted(view.readdir(directory))
    except (OSError, FormatError, UnseenError):
        return []


def _is_there(view: FileView, path: str) -> bool:
    try:
        return view.exists(path)
    except UnseenError:
        return False
