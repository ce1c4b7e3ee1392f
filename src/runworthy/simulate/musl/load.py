"""Which files musl maps for a program and what it needs.

Source: musl ``ldso/dynlink.c`` (load_library, path_open, fixup_rpath, map_library, load_deps).
"""

from __future__ import annotations

import errno
import posixpath
import re
from collections.abc import Hashable, Iterator, Sequence

from runworthy.formats.content import Content, Spliced
from runworthy.formats.elf import read_elf, read_header
from runworthy.model.arch import Architecture
from runworthy.model.elf import ET_DYN, ET_EXEC, ElfFacts, ElfFile
from runworthy.model.errors import FormatError
from runworthy.model.records import dataclass
from runworthy.model.trace import Event, Probe
from runworthy.simulate.launch import Launch
from runworthy.simulate.library import library_need, missing_step, refused_step, unjudged_step
from runworthy.simulate.linkmap import LinkMap, Loaded, Request, start_origin
from runworthy.targets.target import Target
from runworthy.targets.view import Resolved, UnseenError, reason

__all__ = ["Itself", "Loader"]

# Names that are the C library itself: "lib" and one of these, up to and including the dot.
_RESERVED = tuple(f"lib{stem}." for stem in ("c", "pthread", "rt", "m", "dl", "util", "xnet"))
_OF_GLIBC = re.compile(r"lib(?:c\.so\.6(?:\.1)?|m\.so\.6(?:\.1)?|pthread\.so\.0|dl\.so\.2|rt\.so\.1|util\.so\.1)")
_DEFAULT_PATH = "/lib:/usr/local/lib:/usr/lib"
_NAME_MAX = 255
_GOES_ON = frozenset((errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ENAMETOOLONG))


class _InhibitedError(Exception):
    """An open failed in a way that ends the whole search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Itself:
    """The loader: where it lies, and the name by which the program asks for it.

    The name is the only one that it knows of itself: the path file lies beside it.
    """

    path: str
    name: str
    version: tuple[int, ...]


class Loader:
    """Maps the objects of one process under the loader ``itself``."""

    def __init__(self, target: Target, arch: Architecture, launch: Launch, itself: Itself) -> None:
        self.target = target
        self.view = target.view
        self.launch = launch
        self._arch = arch
        self._loader = itself.path
        self._interpreter = itself.name
        self._musl = itself.version
        self._map = LinkMap()
        self._files: dict[Hashable, Loaded] = {}
        self._short: dict[str, Loaded] = {}
        self._ldso: Loaded | None = None
        self._system: str | None = None
        self._env = "" if launch.secure else launch.env.get("LD_LIBRARY_PATH", "")

    def start(self, path: str, elf: ElfFile, called: str | None = None) -> LinkMap:
        """Return the objects of a process that begins with the file ``elf`` at the real path ``path``.

        ``called`` is the path that the loader was given when it was started by hand; $ORIGIN comes from it then.
        """
        main = Loaded(path, elf, elf.facts, path, origin=start_origin(path, called, self.launch), is_main=True)
        self._map.objects.append(main)
        if not self.launch.secure:
            for name in re.split(r"[:\s]+", self.launch.env.get("LD_PRELOAD", "")):
                if name and self._load(name, None, main, preload=True) is None:
                    text = f"{name} from LD_PRELOAD cannot be loaded: ignored"
                    self._map.steps.append(Event(stage="load", kind="preload-ignored", text=text))
        self._load_needed(0)
        return self._map

    def open(self, link_map: LinkMap, path: str, elf: ElfFile, by: Loaded) -> Loaded:
        """Add a library opened with dlopen; its needs are searched on behalf of itself and then the program.

        One that is mapped already, by device and inode, is that one.
        """
        del by  # dlopen searches with the head of the list as needed_by, not the caller
        identity = self.view.identity(self.view.resolve(path))
        held = self._files.get(identity)
        if held is not None:
            return held
        first = len(link_map.objects)
        opened = Loaded(path, elf, elf.facts, path, loader=link_map.main, origin=posixpath.dirname(path), local=True)
        self._files[identity] = opened
        link_map.objects.append(opened)
        self._load_needed(first)
        for late in link_map.objects[first:]:
            late.local = True
        return opened

    def refuses(self, path: str, elf: ElfFile) -> str:
        """Return with what words dlopen refuses the file at a real path, empty when it takes it."""
        del elf
        return "" if self._accept(self.view.resolve(path)) else "Exec format error"

    def can_open(self, name: str, by: Loaded) -> bool:
        """Whether ``by`` would find ``name`` with dlopen."""
        if name.startswith(_RESERVED):
            return True
        try:
            return self._find(name, by, [])[0] is not None
        except _InhibitedError:
            return False

    # -- load_deps, load_library ------------------------------------------------------------

    def _load_needed(self, first: int) -> None:
        at = first
        while at < len(self._map.objects):
            by = self._map.objects[at]
            if not by.is_ldso:
                for name in by.facts.needed:
                    self._load(name, by, by)
            at += 1

    def _load(self, name: str, needed_by: Loaded | None, asker: Loaded, *, preload: bool = False) -> Loaded | None:
        before = len(self._map.steps)
        try:
            loaded = self._load_library(name, needed_by, asker)
        except UnseenError as error:  # it may lie there, so that the search is not to go on
            if preload:
                raise
            self._map.miss(unjudged_step(library_need(name, asker.path), (), str(error)))
            return None
        if loaded is None and preload:  # a preload that fails is passed over without a word
            del self._map.steps[before:]
            self._map.missing.pop(name, None)
        return loaded

    def _load_library(self, name: str, needed_by: Loaded | None, asker: Loaded) -> Loaded | None:
        if name.startswith(_RESERVED) or name == self._interpreter:
            return self._itself(name, asker)
        probes: list[Probe] = []
        try:
            found, origin = self._find(name, needed_by, probes)
        except _InhibitedError as error:
            self._map.miss(refused_step(library_need(name, asker.path), probes, str(error)))
            return None
        if found is None:
            self._map.miss(missing_step(self.target, library_need(name, asker.path), probes))
            return None
        if isinstance(found, Loaded):
            self._note(asker, name, found, origin)
            return found
        return self._map_file(name, found, asker, needed_by, probes)

    def _map_file(
        self, name: str, found: Resolved, asker: Loaded, needed_by: Loaded | None, probes: list[Probe]
    ) -> Loaded | None:
        """Map the file that the last probe found, unless it is mapped already."""
        path, origin = probes[-1].path, probes[-1].origin
        identity = self.view.identity(found)
        held = self._files.get(identity)
        if held is not None:
            if "/" not in name:
                self._short.setdefault(posixpath.basename(held.name), held)
            self._note(asker, name, held, origin, probes)
            return held
        try:
            elf = self._accept(found)
        except FormatError as error:
            self._map.miss(unjudged_step(library_need(name, asker.path), probes, str(error)))
            return None
        if elf is None:
            probes[-1] = Probe(path=path, origin=origin, outcome="Exec format error")
            self._map.miss(refused_step(library_need(name, asker.path), probes, f"{path}: Exec format error"))
            return None
        if {b"__libc_start_main", b"stdin"} <= elf.exports().default:
            return self._itself(name, asker)  # another C library is replaced by this one
        loaded = Loaded(found.path, elf, elf.facts, path, loader=needed_by, origin=posixpath.dirname(path), asked=name)
        self._files[identity] = loaded
        self._map.objects.append(loaded)
        if "/" not in name:
            self._short.setdefault(posixpath.basename(path), loaded)
        self._map.by_name.setdefault(name, loaded)
        self._note(asker, name, loaded, origin, probes)
        return loaded

    def _note(self, asker: Loaded, name: str, found: Loaded, origin: str, probes: Sequence[Probe] = ()) -> None:
        if self.launch.trace:
            self._map.requests.append(Request(asker, name, found, origin, tuple(probes)))

    def _itself(self, name: str, asker: Loaded) -> Loaded | None:
        """Return the loader, which is the C library too; it joins the scope at the first request."""
        if self._ldso is None:
            try:
                resolved = self.view.resolve(self._loader)
                elf = self.view.elf(resolved.path)
            except (OSError, FormatError):
                return None
            self._ldso = Loaded(resolved.path, elf, elf.facts, self._interpreter, is_ldso=True, asked=name)
            self._map.objects.append(self._ldso)
        if _OF_GLIBC.fullmatch(name):
            event = Event(stage="load", kind="libc-stands-in", text=f"{name} is answered by musl itself", by=asker.path)
            if event not in self._map.steps:
                self._map.steps.append(event)
        self._map.by_name.setdefault(name, self._ldso)
        self._note(asker, name, self._ldso, "the C library itself")
        return self._ldso

    def _accept(self, found: Resolved) -> ElfFile | None:
        """Return the file as map_library takes it, None where it gives up.

        Only the size, e_type and the program headers are looked at: class, byte order and machine are not, so the
        bytes are read as this loader would read them.
        """
        if found.entry.kind == "dir":
            return None
        if found.entry.kind != "file":
            raise FormatError("is no regular file", path=found.path)
        elf = self._read(found)
        if elf is None:
            return None
        facts = elf.facts
        usable = facts.header.type in (ET_DYN, ET_EXEC) and facts.dynamic and not self._empty_segment(facts)
        return elf if usable else None

    def _read(self, found: Resolved) -> ElfFile | None:
        """Return the file as this loader reads it, None where it ends with ENOEXEC. Raises FormatError."""
        try:
            elf = self.view.elf(found.path)
            head = elf.facts.header
            if (head.elf_class, head.endian) == (self._arch.elf_class, self._arch.endian):
                return elf
        except FormatError:
            pass
        label = b"\x7fELF" + bytes((self._arch.elf_class // 32, 1 if self._arch.endian == "little" else 2))
        content = Spliced(self.view.content(found.path), 0, label)
        try:
            return read_elf(content, found.path)
        except FormatError:
            if self._refuses(content):
                return None
            raise

    def _refuses(self, content: Content) -> bool:
        """Whether map_library ends with ENOEXEC on a file that our reader cannot make sense of."""
        try:
            head = read_header(content)
        except FormatError:
            return True
        outside = head.phoff + head.phentsize * head.phnum > content.size
        return head.type not in (ET_DYN, ET_EXEC) or outside

    def _empty_segment(self, facts: ElfFacts) -> bool:
        """Whether a segment of no bytes on a page boundary is there: mapping it is EINVAL until 1.2.2."""
        page = self.target.machine.page_size
        return self._musl < (1, 2, 3) and any(not s.memsz and s.vaddr % page == 0 for s in facts.load_segments)

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
        found = self.view.find(path)
        number = found if isinstance(found, int) else self._unopened(found)
        if number == 0 and isinstance(found, Resolved):
            probes.append(Probe(path=shown, origin=origin, outcome="found"))
            return found
        outcome = "not found" if number == errno.ENOENT else reason(number)
        probes.append(Probe(path=shown, origin=origin, outcome=outcome))
        if number in _GOES_ON:
            return None
        raise _InhibitedError(f"{shown}: {outcome}")

    def _unopened(self, found: Resolved) -> int:
        """Return the errno of opening a file that is there, 0 when it opens."""
        try:
            if found.entry.kind == "file":
                self.view.elf(found.path)
        except FormatError:
            return 0
        except OSError as error:
            return 0 if error.errno == errno.ENODATA else error.errno or errno.EACCES
        return 0

    def _expand(self, text: str, owner: Loaded) -> str:
        """Replace $ORIGIN; any other ``$`` voids the whole path (fixup_rpath)."""
        if "$" not in text:
            return text
        if re.search(r"\$(?!ORIGIN|\{ORIGIN\})", text):
            self._drop(owner, text, "it holds a token that musl does not know")
            return ""
        if owner.is_main and (self.launch.secure or not owner.origin):
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
