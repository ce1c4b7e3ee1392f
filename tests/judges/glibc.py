"""glibc's ld.so as a judge.

The loader is started as a program with the subject as its argument and

    LD_TRACE_LOADED_OBJECTS=1  map everything, print it, start nothing
    LD_WARN=yes                bind every symbol too and report what is undefined
    LD_BIND_NOW=yes            functions that would be bound lazily as well

(elf/rtld.c, `dl_main`, the branch for `rtld_mode_trace`). `--list` is not used:
in 2.31 it is another mode, which stops at the first missing library.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from .answer import Answer, BadRelocation, Missing, MissingVersion, Undefined, ending
from .process import Jail, Outcome
from .qemu import Emulator, is_noise
from .roots import Root

TRACE = {"LD_TRACE_LOADED_OBJECTS": "1", "LD_WARN": "yes", "LD_BIND_NOW": "yes"}

# elf/rtld.c, rtld_mode_trace: "\t%s => %s (0x%0*zx)", or without the arrow
# where the name asked for is the path.
_FOUND = re.compile(r"\t(?P<name>.+?)(?: => (?P<path>.+))? \(0x[0-9a-f]+\)")
_NOT_FOUND = re.compile(r"\t(?P<name>.+) => not found")
_VDSO = ("linux-vdso", "linux-gate")
# elf/rtld.c: "\tstatically linked\n" when there is no PT_DYNAMIC.
_STATIC = "\tstatically linked"
# elf/rtld.c, print_unresolved: "%s	(%s)\n"; the text before the tab is from
# elf/dl-lookup.c, _dl_lookup_symbol_x: "undefined symbol: %s%s%s".
# The version is empty where the tracing loader has lost it (elf/dl-version.c: versions of a faked object).
_UNDEFINED = re.compile(r"undefined symbol: (?P<symbol>.+?)(?:, version (?P<version>.*))?\t\((?P<object>.+)\)")
# elf/rtld.c, print_missing_version: "%s: %s: %s\n", with the text from
# elf/dl-version.c, match_symbol: "version `%s' not found (required by %s)".
_VERSION = re.compile(r".+?: (?P<library>/?[^:]+): version `(?P<version>.+)' not found \(required by (?P<by>.+)\)")
# elf/dl-version.c, match_symbol: the library has no DT_VERDEF at all.
_NO_VERSIONS = re.compile(r".+: no version information available \(required by .+\)")
# elf/dl-version.c, match_symbol: a weak version reference (VER_FLG_WEAK).
_WEAK_VERSION = re.compile(r".+: weak version `.+' not found \(required by .+\)")
# elf/dl-error-skeleton.c, fatal_error: "%s: %s: %s%s%s%s%s\n" after the program's name.
_FATAL = re.compile(r".+?: (?:error while loading shared libraries|symbol lookup error|relocation error): (?P<what>.+)")
# assert/: __assert_fail of the loader (elf/dl-minimal.c).
_ASSERT = re.compile(r"Inconsistency detected by ld\.so: (?P<what>.+)")
# elf/rtld.c and sysdeps/*/dl-sysdep.c: _dl_fatal_printf before anything is loaded.
_EARLY = re.compile(r"FATAL: (?P<what>.+)")
# elf/dl-load.c, do_preload by elf/rtld.c: "ERROR: ld.so: object '%s' from %s cannot be preloaded (%s): ignored."
_PRELOAD = re.compile(r"ERROR: ld\.so: object '.+' from .+ cannot be preloaded.*: ignored\.")
# elf/dl-reloc.c, dl-machine.h: refused relocations, through _dl_signal_error.
_RELOCATION = re.compile(
    r"(?P<object>.+?): (?P<detail>(?:unexpected|unknown|unsupported) .*reloc.*|cannot (?:handle|allocate).*TLS.*)"
)
# elf/dl-lookup.c and sysdeps/*/dl-machine.h: it goes on after saying so.
_WARNING = re.compile(r".+: (?:Symbol `.+' has different size in shared object|Symbol `.+' causes overflow in).*")


def ask(
    jail: Jail,
    root: Root,
    program: str,
    *,
    env: Mapping[str, str] | None = None,
    cwd: str = "/",
    emulator: Emulator | None = None,
    timeout: float = 20.0,
) -> Answer:
    """What the ld.so of `root` says about `program`, a path inside the jail.

    `env` may hold LD_LIBRARY_PATH, LD_PRELOAD, GLIBC_TUNABLES and the like.
    """
    outcome = start(jail, root, program, env={**(env or {}), **TRACE}, cwd=cwd, emulator=emulator, timeout=timeout)
    return parse(outcome, loader=root.loader)


def start(
    jail: Jail,
    root: Root,
    program: str,
    *,
    env: Mapping[str, str],
    cwd: str = "/",
    emulator: Emulator | None = None,
    timeout: float = 20.0,
) -> Outcome:
    """Run the loader of `root` on `program`, through an emulator where one is needed."""
    argv = [root.loader, program]
    emulator = emulator or Emulator.for_root(root)
    if emulator is None:
        return jail.run(argv, env=env, cwd=cwd, timeout=timeout)
    return jail.run(emulator.command(argv, env), cwd=cwd, timeout=timeout * 5)


def parse(outcome: Outcome, *, loader: str) -> Answer:
    """The answer in a trace. Lines are independent, so their order does not matter."""
    found = _Lines(loader)
    for line in (outcome.stdout + "\n" + outcome.stderr).splitlines():
        found.take(line)
    return Answer(
        missing_libraries=frozenset(found.missing),
        missing_versions=frozenset(found.versions),
        undefined=frozenset(found.undefined),
        bad_relocations=frozenset(found.relocations),
        chosen=found.chosen,
        warnings=frozenset(found.warnings),
        fatal=found.fatal or ending(outcome.rc, outcome.errno),
        dynamic=found.dynamic,
        rc=outcome.rc,
        errno=outcome.errno,
        unparsed=tuple(found.unparsed),
        raw=outcome.stdout + outcome.stderr,
    )


class _Lines:
    """Collects what the lines of one trace say."""

    def __init__(self, loader: str) -> None:
        self.loader = loader
        self.missing: set[Missing] = set()
        self.versions: set[MissingVersion] = set()
        self.undefined: set[Undefined] = set()
        self.relocations: set[BadRelocation] = set()
        self.chosen: dict[str, str] = {}
        self.warnings: set[str] = set()
        self.fatal: str | None = None
        self.dynamic = True
        self.unparsed: list[str] = []

    def take(self, line: str) -> None:
        """Account for one line."""
        if not line or is_noise(line):
            return
        if line == _STATIC:
            self.dynamic = False
        elif line.startswith("\t"):
            self._take_object(line)
        elif not (self._take_symbol(line) or self._take_failure(line)):
            self.unparsed.append(line)

    def _take_object(self, line: str) -> None:
        if match := _NOT_FOUND.fullmatch(line):
            self.missing.add(Missing(match["name"]))
        elif match := _FOUND.fullmatch(line):
            name, path = match["name"], match["path"] or match["name"]
            if not name.startswith(_VDSO) and path != self.loader:
                self.chosen[name] = path
        else:
            self.unparsed.append(line)

    def _take_symbol(self, line: str) -> bool:
        if match := _UNDEFINED.fullmatch(line):
            self.undefined.add(Undefined(match["object"], match["symbol"], match["version"]))
        elif _WEAK_VERSION.fullmatch(line) or _NO_VERSIONS.fullmatch(line):
            self.warnings.add(line)
        elif match := _VERSION.fullmatch(line):
            self.versions.add(MissingVersion(match["library"], match["version"], match["by"]))
        else:
            return False
        return True

    def _take_failure(self, line: str) -> bool:
        if match := _FATAL.fullmatch(line) or _ASSERT.fullmatch(line) or _EARLY.fullmatch(line):
            self._take_fatal(match["what"])
        elif _PRELOAD.fullmatch(line) or _WARNING.fullmatch(line):
            self.warnings.add(line)
        else:
            return False
        return True

    def _take_fatal(self, what: str) -> None:
        self.fatal = self.fatal or what
        if match := _RELOCATION.fullmatch(what):
            self.relocations.add(BadRelocation(match["object"], match["detail"]))


# --- where it looked ---------------------------------------------------------

_FIND = re.compile(r"\s*\d+:\s+find library=(?P<name>.+) \[\d+\]; searching")
_TRY = re.compile(r"\s*\d+:\s+trying file=(?P<path>.+)")


def searches(
    jail: Jail,
    root: Root,
    program: str,
    *,
    env: Mapping[str, str] | None = None,
    cwd: str = "/",
) -> Mapping[str, tuple[str, ...]]:
    """The paths that were tried for each library, in order (LD_DEBUG=libs).

    elf/dl-load.c, `_dl_map_object` and `open_path`. A directory that is known
    not to exist is not tried again, so later libraries show fewer paths, and
    hardware capability subdirectories that do not exist show once.
    """
    told = {**(env or {}), **TRACE, "LD_DEBUG": "libs"}
    outcome = start(jail, root, program, env=told, cwd=cwd)
    return {name: tuple(paths) for name, paths in _searches(outcome.stderr.splitlines())}


def _searches(lines: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    name: str | None = None
    paths: list[str] = []
    for line in lines:
        if match := _FIND.fullmatch(line):
            if name is not None:
                yield name, paths
            name, paths = match["name"], []
        elif match := _TRY.fullmatch(line):
            paths.append(match["path"])
    if name is not None:
        yield name, paths
