"""musl's ldso as a judge: `ld-musl-ARCH.so.1 --list FILE`.

Rules cite ldso/dynlink.c of 1.2.5 by function. Everything missing is reported
in one go, because `error()` at start only notes that something failed.
"""

import re
from collections.abc import Mapping

from .answer import Answer, BadRelocation, Missing, Undefined, ending
from .process import Jail, Outcome
from .qemu import Emulator, is_noise
from .roots import Root

# load_library and __dls3, ldd_mode: "\t%s => %s (%p)\n" and "\t%s (%p)\n".
# The loader comes first, under the name in the program's PT_INTERP if it has one.
_FOUND = re.compile(r"\t(?P<name>.+?)(?: => (?P<path>.+))? \((?P<base>(?:0x)?[0-9a-f]+)\)")
# load_direct_deps: "Error loading shared library %s: %m (needed by %s)".
_MISSING = re.compile(r"Error loading shared library (?P<name>.+?): (?P<why>[^:]+) \(needed by (?P<by>.+)\)")
# load_preload: the same without the last part.
_PRELOAD = re.compile(r"Error loading shared library (?P<name>.+?): (?P<why>[^:()]+)")
# do_relocs: "Error relocating %s: %s: symbol not found".
_UNDEFINED = re.compile(r"Error relocating (?P<object>.+): (?P<symbol>[^:]+): symbol not found")
# do_relocs: "unsupported relocation type %d"; "%s: initial-exec TLS resolves to dynamic definition in %s".
_RELOCATION = re.compile(
    r"Error relocating (?P<object>.+?): (?P<detail>unsupported relocation type \d+|.+: initial-exec TLS .+)"
)
# do_relocs / reloc_all: "RELRO protection failed: %m".
_RELRO = re.compile(r"Error relocating (?P<object>.+?): (?P<detail>RELRO protection failed: .+)")
# __dls3: "%s: cannot load %s: %s\n" and "%s: %s: Not a valid dynamic program\n".
_MAIN = re.compile(r".+?: (?P<what>cannot load .+|.+: Not a valid dynamic program)")


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
    """What the musl loader of `root` says about `program`, a path inside the jail."""
    argv = [root.loader, "--list", program]
    emulator = emulator or Emulator.for_root(root)
    if emulator is None:
        outcome = jail.run(argv, env=env, cwd=cwd, timeout=timeout)
    else:
        outcome = jail.run(emulator.command(argv, env or {}), cwd=cwd, timeout=timeout * 5)
    return parse(outcome)


def parse(outcome: Outcome) -> Answer:
    """The answer in what `--list` printed."""
    found = _Lines()
    for line in (outcome.stdout + "\n" + outcome.stderr).splitlines():
        found.take(line)
    return Answer(
        missing_libraries=frozenset(found.missing),
        undefined=frozenset(found.undefined),
        bad_relocations=frozenset(found.relocations),
        chosen=found.chosen,
        warnings=frozenset(found.warnings),
        fatal=found.fatal or ending(outcome.rc, outcome.errno),
        rc=outcome.rc,
        errno=outcome.errno,
        unparsed=tuple(found.unparsed),
        raw=outcome.stdout + outcome.stderr,
    )


class _Lines:
    """Collects what the lines of one listing say."""

    def __init__(self) -> None:
        self.loader_base: str | None = None
        self.missing: set[Missing] = set()
        self.undefined: set[Undefined] = set()
        self.relocations: set[BadRelocation] = set()
        self.chosen: dict[str, str] = {}
        self.warnings: set[str] = set()
        self.fatal: str | None = None
        self.unparsed: list[str] = []

    def take(self, line: str) -> None:
        """Account for one line."""
        if not line or is_noise(line):
            return
        if not (self._take_object(line) or self._take_relocation(line) or self._take_failure(line)):
            self.unparsed.append(line)

    def _take_object(self, line: str) -> bool:
        if match := _FOUND.fullmatch(line):
            if match["path"] is None:
                self.loader_base = match["base"]
            elif match["base"] != self.loader_base:
                self.chosen[match["name"]] = match["path"]
        elif match := _MISSING.fullmatch(line):
            self.missing.add(Missing(match["name"], match["by"]))
            if match["why"] != "No such file or directory":
                self.warnings.add(line)
        else:
            return False
        return True

    def _take_relocation(self, line: str) -> bool:
        if match := _UNDEFINED.fullmatch(line):
            self.undefined.add(Undefined(match["object"], match["symbol"]))
        elif match := _RELOCATION.fullmatch(line) or _RELRO.fullmatch(line):
            self.relocations.add(BadRelocation(match["object"], match["detail"]))
        else:
            return False
        return True

    def _take_failure(self, line: str) -> bool:
        if match := _PRELOAD.fullmatch(line):
            self.missing.add(Missing(match["name"]))
        elif match := _MAIN.fullmatch(line):
            self.fatal = self.fatal or match["what"]
        else:
            return False
        return True
