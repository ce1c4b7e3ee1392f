"""Which files musl maps for a program and what it needs.

Source: musl ``ldso/dynlink.c`` (load_library, path_open, fixup_rpath, map_library, load_deps).
"""

from __future__ import annotations

import errno
import posixpath
import re
from collections.abc import Hashable, Iterator

from runworthy.model.arch import Architecture
from runworthy.model.elf import ET_DYN, ET_EXEC, ElfFile
from runworthy.model.errors import FormatError
from runworthy.model.trace import Answer, Event, Evidence, Need, Probe, Step
from runworthy.simulate.launch import Launch
from runworthy.simulate.linkmap import LinkMap, Loaded, Request
from runworthy.targets.target import Target
from runworthy.targets.view import Resolved

__all__ = ["Loader"]

# Names that are the C library itself: "lib" and one of these, up to and including the dot.
_RESERVED = tuple(f"lib{stem}." for stem in ("c", "pthread", "rt", "m", "dl", "util", "xnet"))
_DEFAULT_PATH = "/lib:/usr/local/lib:/usr/lib"
_NAME_MAX = 255
_GOES_ON = frozenset((errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ENAMETOOLONG))


class _Inhibited(Exception):
    """An open failed in a way that ends the whole search."""


class Loader:
    """Maps the objects of one process under the musl loader at ``interpreter``."""

    def __init__(self, target: Target, arch: Architecture, launch: Launch, interpreter: str) -> None:
        self.target = target
        self.view = target.view
        self.launch = launch
        self._arch = arch
        self._interpreter = interpreter
        self._map = LinkMap()
        self._files: dict[Hashable, Loaded] = {}
        self._short: dict[str, Loaded] = {}
        self._ldso: Loaded | None = None
        self._system: str | None = None
        self._env = "" if launch.secure else launch.env.get("LD_LIBRARY_PATH", "")

    def start(self, path: str, elf: ElfFile) -> LinkMap:
        """Return the objects of a process that begins with the file ``elf`` at the real path ``path``."""
        main = Loaded(path, elf, elf.facts, path, origin=posixpath.dirname(path), is_main=True)
        self._map.objects.append(main)
        if not self.launch.secure:
            for name in re.split(r"[:\s]+", self.launch.env.get("LD_PRELOAD", "")):
                if name:
                    self._load(name, None, main)
        self._load_needed(0)
        return self._map

    def open(self, link_map: LinkMap, path: str, elf: ElfFile, by: Loaded) -> Loaded:
        """Add a library opened with dlopen; its needs are searched on behalf of itself and then the program."""
        del by  # dlopen searches with the head of the list as needed_by, not the caller
        first = len(link_map.objects)
        opened = Loaded(path, elf, elf.facts, path, loader=link_map.main, origin=posixpath.dirname(path), local=True)
        link_map.objects.append(opened)
        self._load_needed(first)
        for late in link_map.objects[first:]:
            late.local = True
        return opened

    # -- load_deps, load_library ------------------------------------------------------------

    def _load_needed(self, first: int) -> None:
        at = first
        while at < len(self._map.objects):
            by = self._map.objects[at]
            if not by.is_ldso:
                for name in by.facts.needed:
                    self._load(name, by, by)
            at += 1

    def _load(self, name: str, needed_by: Loaded | None, asker: Loaded) -> Loaded | None:
        if name.startswith(_RESERVED) or name == self._interpreter:
            return self._itself(name, asker)
        probes: list[Probe] = []
        try:
            found, origin = self._find(name, needed_by, probes)
        except _Inhibited as error:
            self._fails(name, asker, probes, str(error))
            return None
        if found is None:
            self._fails(name, asker, probes, "")
            return None
        if isinstance(found, Loaded):
            self._map.requests.append(Request(asker, name, found, origin))
            return found
        return self._map_file(name, found, probes[-1].path, asker, needed_by, origin, probes)

    def _map_file(
        self,
        name: str,
        found: Resolved,
        path: str,
        asker: Loaded,
        needed_by: Loaded | None,
        origin: str,
        probes: list[Probe],
    ) -> Loaded | None:
        identity = self.view.identity(found)
        held = self._files.get(identity)
        if held is not None:
            if "/" not in name:
                self._short.setdefault(posixpath.basename(held.name), held)
            self._map.requests.append(Request(asker, name, held, origin))
            return held
        try:
            elf = self._accept(found)
        except FormatError as error:
            self._unreadable(name, asker, probes, error)
            return None
        if elf is None:
            probes[-1] = Probe(path=path, origin=origin, outcome="Exec format error")
            self._fails(name, asker, probes, f"{path}: Exec format error")
            return None
        if {b"__libc_start_main", b"stdin"} <= elf.exports().default:
            return self._itself(name, asker)  # another C library is replaced by this one
        loaded = Loaded(found.path, elf, elf.facts, path, loader=needed_by, origin=posixpath.dirname(path))
        self._files[identity] = loaded
        self._map.objects.append(loaded)
        if "/" not in name:
            self._short.setdefault(posixpath.basename(path), loaded)
        self._map.by_name.setdefault(name, loaded)
        self._map.requests.append(Request(asker, name, loaded, origin))
        return loaded

    def _itself(self, name: str, asker: Loaded) -> Loaded | None:
        """Return the loader, which is the C library too; it joins the scope at the first request."""
        if self._ldso is None:
            try:
                resolved = self.view.resolve(self._interpreter)
                elf = self.view.elf(resolved.path)
            except (OSError, FormatError):
                return None
            self._ldso = Loaded(resolved.path, elf, elf.facts, self._interpreter, is_ldso=True)
            self._map.objects.append(self._ldso)
        self._map.by_name.setdefault(name, self._ldso)
        self._map.requests.append(Request(asker, name, self._ldso, "the C library itself"))
        return self._ldso

    def _accept(self, found: Resolved) -> ElfFile | None:
        """Return the file as map_library takes it, None for ENOEXEC: only size and e_type are looked at."""
        if found.entry.kind != "file":
            raise FormatError("is no regular file", path=found.path)
        try:
            elf = self.view.elf(found.path)
        except FormatError:
            head = self.view.content(found.path).pread(0, 64)
            size = 64 if self._arch.elf_class == 64 else 52
            if len(head) < size or int.from_bytes(head[16:18], self._arch.endian) not in (ET_DYN, ET_EXEC):
                return None
            raise
        return elf if elf.facts.header.type in (ET_DYN, ET_EXEC) and elf.facts.dynamic else None

    # -- the search -------------------------------------------------------------------------

    def _find(self, name: str, needed_by: Loaded | None, probes: list[Probe]) -> tuple[Resolved | Loaded | None, str]:
        if "/" in name:
            path = posixpath.join(self.launch.cwd, name)
            return self._open(path, name, "path in DT_NEEDED", probes), "path in DT_NEEDED"
        held = self._short.get(name)
        if held is not None:
            return held, "already loaded"
        if len(name) > _NAME_MAX:
            return None, ""
        for origin, path in self._paths(needed_by):
            for directory in re.split("[:\n]", path):
                if directory:
                    shown = f"{directory}/{name}"
                    found = self._open(posixpath.join(self.launch.cwd, shown), shown, origin, probes)
                    if found is not None:
                        return found, origin
        return None, ""

    def _paths(self, needed_by: Loaded | None) -> Iterator[tuple[str, str]]:
        """Yield (rule, path): environment, then the requester's and its ancestors' paths, then the system's."""
        if self._env:
            yield "LD_LIBRARY_PATH", self._env
        for link in needed_by.chain() if needed_by else ():
            text = link.facts.runpath if link.facts.runpath is not None else link.facts.rpath
            expanded = self._expand(text, link) if text else ""
            if expanded:
                yield f"RUNPATH of {link.path}", expanded
        yield "system path", self._system_path()

    def _open(self, path: str, shown: str, origin: str, probes: list[Probe]) -> Resolved | None:
        try:
            found = self.view.resolve(path)
        except OSError as error:
            outcome = "not found" if error.errno == errno.ENOENT else error.strerror or "cannot be opened"
            probes.append(Probe(path=shown, origin=origin, outcome=outcome))
            if error.errno in _GOES_ON:
                return None
            raise _Inhibited(f"{shown}: {error.strerror}") from error
        probes.append(Probe(path=shown, origin=origin, outcome="found"))
        return found

    def _expand(self, text: str, owner: Loaded) -> str:
        """Replace $ORIGIN; any other ``$`` voids the whole path (fixup_rpath)."""
        if "$" not in text:
            return text
        if re.search(r"\$(?!ORIGIN|\{ORIGIN\})", text):
            self._drop(owner, text, "it holds a token that musl does not know")
            return ""
        if owner.is_main and (self.launch.secure or not self.launch.proc):
            why = "the program is started with raised privileges" if self.launch.secure else "/proc is not mounted"
            self._drop(owner, text, why)
            return ""
        return re.sub(r"\$(?:ORIGIN|\{ORIGIN\})", lambda _: owner.origin, text)

    def _drop(self, owner: Loaded, text: str, why: str) -> None:
        event = Event(stage="load", kind="path-dropped", text=f"search path {text} is dropped: {why}", by=owner.path)
        if event not in self._map.steps:
            self._map.steps.append(event)

    def _system_path(self) -> str:
        """Return the path file's text, or the built-in path when there is no such file.

        It lies in ``etc`` beside the directory that holds the loader, by the name the program calls it.
        """
        if self._system is None:
            prefix = posixpath.dirname(posixpath.dirname(self._interpreter)).rstrip("/")
            name = posixpath.basename(self._arch.musl_loader).removeprefix("ld-musl-").removesuffix(".so.1")
            try:
                data = self.view.read(f"{prefix}/etc/ld-musl-{name}.path")
                self._system = data.split(b"\0")[0].decode("utf-8", "surrogateescape")
            except FileNotFoundError:
                self._system = _DEFAULT_PATH
            except (OSError, FormatError):
                self._system = ""
        return self._system

    # -- what goes wrong --------------------------------------------------------------------

    def _fails(self, name: str, asker: Loaded, probes: list[Probe], detail: str) -> None:
        need = Need(kind="library", name=name, by=asker.path, evidence=Evidence(file=asker.path, section=".dynamic"))
        if detail or "/" in name or self.target.absent(name):
            answer = Answer.UNMET
        elif self.target.assumes(name):
            answer = Answer.MET
        else:
            answer = Answer.UNKNOWN
        step = Step(
            stage="load",
            need=need,
            answer=answer,
            met_by="stated to be present" if answer is Answer.MET else None,
            why="outside-core" if answer is Answer.UNKNOWN else None,
            searched=tuple(probes),
            detail=detail,
        )
        self._map.missing.setdefault(name, step)
        self._map.steps.append(step)

    def _unreadable(self, name: str, asker: Loaded, probes: list[Probe], error: FormatError) -> None:
        need = Need(kind="library", name=name, by=asker.path, evidence=Evidence(file=asker.path, section=".dynamic"))
        step = Step(
            stage="load",
            need=need,
            answer=Answer.UNKNOWN,
            why="unreadable",
            searched=tuple(probes),
            detail=str(error),
        )
        self._map.missing.setdefault(name, step)
        self._map.steps.append(step)
