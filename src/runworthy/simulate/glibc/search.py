"""Where glibc looks for a library, in which order.

Source: glibc ``elf/dl-load.c`` (_dl_map_object, open_path, fillin_rpath, _dl_dst_substitute),
``elf/dl-cache.c`` (search_cache), ``elf/dl-hwcaps_subdirs.c`` and each port's.
"""

from __future__ import annotations

import errno
import posixpath
import re
from collections.abc import Collection, Hashable, Iterator, Mapping

from runworthy.formats.ld_so_cache import CacheEntry, read_ld_so_cache
from runworthy.model.arch import X86_64_LEVELS, Architecture
from runworthy.model.elf import DF_1_NODEFLIB, ElfFile
from runworthy.model.errors import FormatError
from runworthy.model.libc import Libc
from runworthy.model.records import dataclass, replace
from runworthy.model.trace import Event, Probe
from runworthy.simulate.glibc.accept import Accepted, Outcome, Refused, Skipped, Unjudged, accept
from runworthy.simulate.glibc.configuration import cache_by_configuration, cache_of, configured_directories, merged
from runworthy.simulate.launch import Launch
from runworthy.simulate.linkmap import Loaded, Place
from runworthy.targets.libc import default_directories
from runworthy.targets.target import Target
from runworthy.targets.view import Resolved, reason

__all__ = ["CACHE_FLAGS", "CACHE_PATH", "Found", "Search", "StopError"]

CACHE_PATH = "/etc/ld.so.cache"
LD_SO_PRELOAD = "/etc/ld.so.preload"
_CACHE_LIMIT = 64 << 20
_TOKEN = re.compile(r"\$(?:\{(ORIGIN|PLATFORM|LIB)\}|(ORIGIN|PLATFORM|LIB)(?![A-Za-z0-9_]))")

# _DL_CACHE_DEFAULT_ID of each port (sysdeps/**/dl-cache.h); others use FLAG_ELF_LIBC6 alone.
CACHE_FLAGS = {
    "x86_64": 0x303,
    "x32": 0x803,
    "aarch64": 0xA03,
    "armv7": 0x903,
    "armv6": 0x903,
    "armel": 0xB03,
    "s390x": 0x403,
    "ppc64": 0x503,
    "ppc64le": 0x503,
    "riscv64": 0x1003,
    "loongarch64": 0x1103,
    "mips64le": 0x703,
}

# glibc-hwcaps subdirectories by x86-64 level, best first (sysdeps/x86_64/dl-hwcaps_subdirs.c), since 2.33.
_X86_64_SUBDIRS = ("x86-64-v4", "x86-64-v3", "x86-64-v2")

# HWCAP_IMPORTANT of each port, lowest bit first (dl-hwcap.h): names of subdirectories until 2.36.
_LEGACY_CAPABILITIES = {"x86_64": ("x86_64",), "i386": ("sse2",)}
_AVX512 = "avx512_1"


@dataclass(frozen=True, slots=True)
class Found:
    """A file that the loader uses, the path by which it got there, and the rule that led to it."""

    resolved: Resolved
    path: str
    outcome: Accepted
    origin: str


class StopError(Exception):
    """The loader gives up: ``outcome`` says why."""

    def __init__(self, path: str, outcome: Refused | Unjudged) -> None:
        super().__init__(path)
        self.path = path
        self.outcome = outcome


class Search:
    """The search of one loader in one root. Answers that do not depend on the requester are remembered."""

    def __init__(self, target: Target, libc: Libc, arch: Architecture, launch: Launch) -> None:
        self.target = target
        self.libc = libc
        self.arch = arch
        self.launch = launch
        self.version = libc.version or (2, 36)
        self.view = target.view
        self.events: list[Event] = []
        self.system = target.system_directories or default_directories(self.view, libc.loader, arch)
        self._subdirs = self._hwcaps()
        # LD_LIBRARY_PATH separates with ``;`` too (_dl_init_paths), and is ignored when secure.
        self._library_path = "" if launch.secure else launch.env.get("LD_LIBRARY_PATH", "").replace(";", ":")
        self._cache: Mapping[str, tuple[CacheEntry, ...]] | None = None
        self._common: dict[str, Found | StopError | None] = {}
        self._accepted: dict[str, Outcome] = {}
        self._paths: dict[tuple[str, str], tuple[str, ...]] = {}
        self._identities: dict[str, Hashable] = {}
        self._loaders: dict[str, tuple[Resolved, ElfFile] | None] = {}
        self._preload: str | None = None
        self._better: Search | None = None
        self._reals: dict[str, tuple[str | None, tuple[str, ...]]] = {}

    # -- the question -----------------------------------------------------------------------

    def find(self, name: str, by: Loaded) -> Found | None:
        """Return the file that ``by`` gets for ``name``, None when there is none. Raises StopError."""
        if "/" in name:
            return self._direct(name, by)
        if by.places is None:
            by.places = tuple(self._own_places(by))
        for place in by.places:
            found = self._open_path(name, place, None)
            if found:
                return found
        key = f"{name}\0nodeflib" if by.facts.dt_flags_1 & DF_1_NODEFLIB else name
        if key not in self._common:
            try:
                self._common[key] = self._find_common(name, by, None)
            except StopError as stop:
                self._common[key] = stop
        held = self._common[key]
        if isinstance(held, StopError):
            raise held
        return held

    def explain(self, name: str, by: Loaded) -> tuple[Probe, ...]:
        """Return every path that :meth:`find` tries, with what is there."""
        probes: list[Probe] = []
        try:
            if "/" in name:
                found = self._direct(name, by)
                path = self.expand(name, by)
                probes.append(Probe(path=path, origin="path in DT_NEEDED", outcome="found" if found else "not found"))
                return tuple(probes)
            for place in self._own_places(by):
                found = self._open_path(name, place, probes)
                if found:
                    return tuple(probes)
            self._find_common(name, by, probes)
        except StopError as stop:
            probes.append(Probe(path=stop.path, origin="", outcome=_refusal(stop.outcome)))
        return tuple(probes)

    def on_better_cpu(self, name: str, by: Loaded) -> Probe | None:
        """Return where a library lies that only CPUs above the assumed level find, in a glibc-hwcaps directory."""
        machine = self.target.machine
        if machine.level_stated or not machine.level:
            return None
        if self._better is None:
            best = replace(self.target, machine=replace(machine, level=len(X86_64_LEVELS)))
            self._better = Search(best, self.libc, self.arch, self.launch)
        try:
            found = self._better.find(name, by)
        except StopError:
            return None
        outcome = f"found, but only by CPUs above {machine.cpu}"
        return Probe(path=found.path, origin=found.origin, outcome=outcome) if found else None

    def cached_names(self) -> Collection[str]:
        """Return the names of libraries for which the cache has an entry."""
        return self._load_cache().keys()

    # -- what processes of this loader share --------------------------------------------------

    def identity(self, resolved: Resolved) -> Hashable:
        """Return what is equal for two names of one file."""
        held = self._identities.get(resolved.path)
        if held is None:
            held = self._identities[resolved.path] = self.view.identity(resolved)
        return held

    def loader(self, interpreter: str) -> tuple[Resolved, ElfFile] | None:
        """Return the loader by the path that a program names, None when it cannot be read."""
        if interpreter not in self._loaders:
            try:
                resolved = self.view.resolve(interpreter)
                self._loaders[interpreter] = (resolved, self.view.elf(resolved.path))
            except (OSError, FormatError):  # the exec stage has told what is wrong with it
                self._loaders[interpreter] = None
        return self._loaders[interpreter]

    def preload_file(self) -> str:
        """Return the text of /etc/ld.so.preload, empty when there is none: the loader goes on without it too."""
        if self._preload is None:
            try:
                self._preload = self.view.read(LD_SO_PRELOAD).decode("utf-8", "surrogateescape")
            except (OSError, FormatError):
                self._preload = ""
        return self._preload

    # -- stages of _dl_map_object -----------------------------------------------------------

    def _own_places(self, by: Loaded) -> Iterator[Place]:
        """Yield what comes before the cache: RPATHs of the chain, LD_LIBRARY_PATH, the requester's RUNPATH."""
        if by.facts.runpath is None:
            for link in by.chain():
                # RPATH counts only where there is no RUNPATH (elf/get-dynamic-info.h).
                if link.facts.rpath and link.facts.runpath is None:
                    yield Place(f"RPATH of {link.path}", self._directories(link.facts.rpath, link))
        if self._library_path:
            *_, program = by.chain()
            yield Place("LD_LIBRARY_PATH", self._directories(self._library_path, program))
        if by.facts.runpath:
            yield Place(f"RUNPATH of {by.path}", self._directories(by.facts.runpath, by))

    def _find_common(self, name: str, by: Loaded, probes: list[Probe] | None) -> Found | None:
        no_default = bool(by.facts.dt_flags_1 & DF_1_NODEFLIB)
        found = self._from_cache(name, probes, no_default=no_default)
        if found or no_default:
            return found
        return self._open_path(name, Place("default directory", self.system), probes)

    def _direct(self, name: str, by: Loaded) -> Found | None:
        path = self.expand(name, by)
        if not path:
            return None
        return self._open(posixpath.join(self.launch.cwd, path), path, "path in DT_NEEDED", None)[0]

    def _open_path(self, name: str, place: Place, probes: list[Probe] | None) -> Found | None:
        """Try each directory, its glibc-hwcaps subdirectories first (open_path)."""
        for directory in place.directories:
            real, subdirectories = self._real(directory)
            shown = directory.rstrip("/")
            if real is None:
                if probes is not None:
                    probes.append(Probe(path=f"{shown}/{name}", origin=place.origin, outcome="no such directory"))
                continue
            for below in (*subdirectories, ""):
                at = f"{real}/{below}".rstrip("/")
                path = posixpath.join(shown or "/", below, name)
                found, number = self._open(f"{at}/{name}", path, place.origin, probes)
                if found:
                    return found
                if number not in (errno.ENOENT, errno.EACCES):
                    return None  # ends this list only; the later stages still run
        return None

    def _real(self, directory: str) -> tuple[str | None, tuple[str, ...]]:
        """Return the real path of a directory and those of its glibc-hwcaps subdirectories that exist."""
        held = self._reals.get(directory)
        if held is None:
            real = self.view.real_directory(posixpath.join(self.launch.cwd, directory))
            below = [] if real is None else [sub for sub in self._subdirs if self.view.real_directory(f"{real}/{sub}")]
            held = self._reals[directory] = (real, tuple(below))
        return held

    def _open(self, path: str, shown: str, origin: str, probes: list[Probe] | None) -> tuple[Found | None, int]:
        """Open one file; return (what was found, errno). Raises StopError where the loader gives up."""
        resolved = self.view.find(path)
        if isinstance(resolved, int):
            return None, _note(probes, shown, origin, resolved)
        try:
            outcome = self.accept(resolved)
        except OSError as error:
            return None, _note(probes, shown, origin, error.errno or errno.EACCES)
        if isinstance(outcome, Accepted):
            return Found(resolved, shown, outcome, origin), 0
        if isinstance(outcome, Skipped):
            if probes is not None:
                probes.append(Probe(path=shown, origin=origin, outcome=f"passed over: {outcome.reason}"))
            return None, errno.ENOENT
        raise StopError(shown, outcome)

    def accept(self, resolved: Resolved) -> Outcome:
        """Return what the loader does with a file, judged once."""
        held = self._accepted.get(resolved.path)
        if held is None:
            held = accept(self.view, resolved, self.target.machine, self.arch, self.version)
            self._accepted[resolved.path] = held
        return held

    # -- ld.so.cache ------------------------------------------------------------------------

    def _from_cache(self, name: str, probes: list[Probe] | None, *, no_default: bool) -> Found | None:
        entry = self._best_entry(self._load_cache().get(name, ()))
        if entry is None:
            if probes is not None:
                probes.append(Probe(path=CACHE_PATH, origin="ld.so.cache", outcome=f"no entry for {name}"))
            return None
        if no_default and any(entry.path.startswith(f"{directory}/") for directory in self.system):
            return None
        return self._open(entry.path, entry.path, "ld.so.cache", probes)[0]

    def _best_entry(self, entries: tuple[CacheEntry, ...]) -> CacheEntry | None:
        """Return the entry of this architecture with the best glibc-hwcaps name, as search_cache does."""
        wanted = CACHE_FLAGS.get(self.arch.name, 3)
        usable = [entry for entry in entries if entry.flags == wanted and not entry.legacy]
        levels = [name for name in self._subdirs if name.startswith("glibc-hwcaps/")]
        ranks = {name.rpartition("/")[2]: rank for rank, name in enumerate(levels)}
        plain = len(ranks)
        usable = [entry for entry in usable if not entry.hwcap or entry.hwcap in ranks]
        return min(usable, key=lambda entry: ranks.get(entry.hwcap, plain), default=None)

    def _load_cache(self) -> Mapping[str, tuple[CacheEntry, ...]]:
        if self._cache is None:
            self._cache = self._read_cache()
            if self.view.relisted:  # ldconfig has run again since libraries were added to these directories
                flags = CACHE_FLAGS.get(self.arch.name, 3)
                read = (*configured_directories(self.view), *self.system)
                again = [path for path in read if self.view.real_directory(path) in self.view.relisted]
                added = cache_of(self.view, again, flags, self.arch)
                self._cache = merged(self._cache, added, read)
        return self._cache

    def _read_cache(self) -> Mapping[str, tuple[CacheEntry, ...]]:
        try:
            return read_ld_so_cache(self.view.read(CACHE_PATH, limit=_CACHE_LIMIT))
        except FileNotFoundError:
            if not self.target.cache_from_configuration:
                return {}
            return cache_by_configuration(self.view, self.system, CACHE_FLAGS.get(self.arch.name, 3), self.arch)
        except (OSError, FormatError) as error:
            self.events.append(Event(stage="load", kind="cache-unreadable", text=f"{CACHE_PATH} is not used: {error}"))
            return {}

    # -- directories ------------------------------------------------------------------------

    def _hwcaps(self) -> tuple[str, ...]:
        """Return the subdirectories that are tried in each directory, best first (_dl_important_hwcaps)."""
        found: list[str] = []
        level = self.target.machine.level
        if self.version >= (2, 33) and self.arch.name == "x86_64":
            found += [f"glibc-hwcaps/{name}" for name in _X86_64_SUBDIRS if int(name[-1]) <= level]
        if self.version < (2, 37):
            avx512 = (_AVX512,) if self.arch.name == "x86_64" and level >= 4 else ()
            parts = (*_LEGACY_CAPABILITIES.get(self.arch.name, ()), *avx512, self._platform(), "tls")
            for mask in range((1 << len(parts)) - 1, 0, -1):
                chosen = [name for bit, name in enumerate(parts) if mask >> bit & 1]
                found.append("/".join(reversed(chosen)))
        return tuple(dict.fromkeys(found))

    def _platform(self) -> str:
        """Return $PLATFORM: AT_PLATFORM, or ``haswell`` on x86-64 CPUs that have its instructions (cpu-features.c)."""
        if self.arch.name == "x86_64" and self.target.machine.level >= 3:
            return "haswell"
        return self.arch.platform

    def _directories(self, text: str, owner: Loaded) -> tuple[str, ...]:
        """Return the directories of an RPATH or RUNPATH with tokens replaced (fillin_rpath)."""
        key = (text, owner.origin if "$" in text else "")
        held = self._paths.get(key)
        if held is None:
            parts = []
            for part in text.split(":"):
                expanded = self.expand(part, owner) if part else "."
                if expanded:
                    parts.append(expanded)
            held = tuple(dict.fromkeys(parts))
            self._paths[key] = held
        return held

    def expand(self, text: str, owner: Loaded) -> str:
        """Replace the tokens; the empty string means that the path is dropped (_dl_dst_substitute)."""
        if "$" not in text:
            return text
        used_origin = False
        dropped = False

        def replace(found: re.Match[str]) -> str:
            nonlocal used_origin, dropped
            token = found[1] or found[2]
            if token != "ORIGIN":
                return self._constant(token) or ""
            used_origin = True
            alone = found.start() == 0 and text[found.end() : found.end() + 1] in ("", "/")
            if not owner.origin or (self.launch.secure and not alone):
                dropped = True
            return owner.origin

        expanded = _TOKEN.sub(replace, text)
        if used_origin and self.launch.secure and owner.is_main and not self._trusted(expanded):
            dropped = True
        if dropped:
            event = Event(
                stage="load",
                kind="path-dropped",
                text=f"search path {text} is dropped{self._why_dropped()}",
                by=owner.path,
            )
            if event not in self.events:
                self.events.append(event)
            return ""
        return expanded

    def _why_dropped(self) -> str:
        return ": the program is started with raised privileges" if self.launch.secure else ": /proc is not mounted"

    def _constant(self, token: str) -> str:
        if token == "LIB":
            multiarch = self.system and self.system[0].endswith(self.arch.multiarch)
            return f"lib/{self.arch.multiarch}" if multiarch else self._lib()
        return self._platform() if token == "PLATFORM" else ""

    def _lib(self) -> str:
        """Return DL_DST_LIB: the directory below the prefix that this glibc was configured with."""
        if self.arch.lib != "lib" and any(path.startswith(f"/{self.arch.lib}") for path in self.system):
            return self.arch.lib
        return "lib"

    def _trusted(self, path: str) -> bool:
        """Whether a normalised path lies under a system directory (is_trusted_path_normalize)."""
        normal = posixpath.normpath(path) + "/"
        return any(normal.startswith(f"{directory}/") for directory in self.system)


def _note(probes: list[Probe] | None, path: str, origin: str, number: int) -> int:
    """Write down a path that could not be opened; return the errno."""
    if probes is not None:
        outcome = "not found" if number == errno.ENOENT else reason(number)
        probes.append(Probe(path=path, origin=origin, outcome=outcome))
    return number


def _refusal(outcome: Refused | Unjudged) -> str:
    return outcome.message if isinstance(outcome, Refused) else f"cannot be judged: {outcome.error.message}"
