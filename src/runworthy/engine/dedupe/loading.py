"""What processes of an environment load: simulated once, and asked for two files at a time."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from runworthy.engine.context import launch_on, runtime_names
from runworthy.model.arch import Architecture
from runworthy.model.elf import ET_DYN, ET_EXEC, ElfFacts
from runworthy.model.errors import FormatError, TargetError
from runworthy.model.libc import Libc
from runworthy.model.records import dataclass
from runworthy.model.storage import Environment, Together
from runworthy.simulate.launch import Launch
from runworthy.simulate.opened import Process, start_process
from runworthy.simulate.process import Machinery
from runworthy.storage.together import Reach, together
from runworthy.targets.directory import DirectoryView
from runworthy.targets.storage.comparing import open_quietly
from runworthy.targets.storage.mentions import Mentions, look_for
from runworthy.targets.view import UnseenError

__all__ = ["Loading", "Object"]

_HEAD = 20
_NO_CODE = tuple(
    ".py .pyc .pyi .js .mjs .cjs .ts .json .md .rst .txt .html .css .h .hpp .c .cpp .pyx .pxd .map .svg .png .gz .zip "
    ".toml .yaml .yml .csv .npy .npz .mo .po".split()
)
_FOREIGN = (
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    b"MZ",
)
_PYTHON_SUFFIX = re.compile(r"\.(?:cpython-\d+[a-z]*(?:-[\w-]+)?|abi3(?:-[\w-]+)?|pypy\d+-\w+(?:-[\w-]+)?)\.so$")
_PROGRAMS = {
    "node_modules": ("/usr/local/bin/node", "/usr/bin/node", "/bin/node"),
    "": ("/usr/bin/python3", "/usr/local/bin/python3", "/usr/bin/env", "/bin/sh", "/bin/busybox"),
}
_OPENS = (b"dlopen", b"dlmopen")
_TRIES = 32
_TOLD = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """An ELF file of an environment. ``path`` is where it lies on this machine, ``real`` in the root.

    ``module`` is the name by which an interpreter imports it, empty where none does.
    """

    path: str
    real: str
    identity: tuple[int, int]
    facts: ElfFacts
    module: str = ""


class Loading:
    """What processes of one environment load. Nothing is looked at before the first question.

    ``files`` are the paths that will be asked about: texts are read once for all of them. ``root`` is the directory of
    the system whose loader serves the environment: "/" for this machine's own. ``machinery`` is that of its target,
    where that has been opened already.
    """

    def __init__(
        self,
        environment: Environment,
        files: Sequence[str] = (),
        *,
        root: str = "/",
        machinery: Machinery | None = None,
    ) -> None:
        self.environment = environment
        self._opened_before = machinery
        self._root = os.path.realpath(root)
        self._files = tuple(files)
        self._texts: list[str] = []
        self._links: list[str] = []
        self._problems = 0
        self._unread: list[str] = []
        self._opened: dict[str, frozenset[str]] = {}
        self._reached: dict[str, Reach] = {}
        self._looked_for: frozenset[str] = frozenset()
        self._asked: frozenset[str] = frozenset()
        self._told = Mentions(by={})

    # -- the question -----------------------------------------------------------------------

    def together(self, first: str, second: str) -> Together:
        """Return whether a process of the environment may load two paths of it as two libraries."""
        if self._identity(first) == self._identity(second) is not None:
            return Together(answer="no", why=("they are one file already",))
        return together(self._reach(first), self._reach(second), lambda: self._both(first, second))

    def loaded(self, paths: Sequence[str]) -> tuple[str, ...]:
        """Return what a process of the environment's interpreter has mapped after it has opened ``paths`` in order.

        The paths are those of this machine, in load order, with the program first; nothing where no loader is modelled.
        """
        process = self._process()
        if process is None:
            return ()
        for path in paths:
            process.open(self._real(path))
        return tuple(self._path(real) for _, real in process.loaded)

    def loaded_by(self, program: str) -> tuple[str, ...]:
        """Return what a program of the environment, given by its path, has mapped when it starts."""
        process = self._process(self._real(program))
        return tuple(self._path(real) for _, real in process.loaded) if process else ()

    @property
    def libc(self) -> Libc | None:
        """The C library of the environment's interpreter, None where none is modelled."""
        return self._first.libc if self._first else None

    @property
    def objects(self) -> Mapping[str, Object]:
        """The ELF files of the environment, by path."""
        return self._objects

    @cached_property
    def modules(self) -> Mapping[str, str]:
        """What the interpreter opens: paths, by which names they are imported. Those of its own library come last."""
        own = {one.path: one.module for one in self._objects.values() if one.module}
        return {**own, **self._library_modules()}

    @cached_property
    def alone(self) -> frozenset[str]:
        """What the interpreter has mapped before it opens anything."""
        return frozenset(self.loaded(()))

    def facts(self, path: str) -> ElfFacts | None:
        """Return the facts of a file of this machine that a process of the environment maps, None where it has none."""
        try:
            return self._view.elf(self._real(path)).facts
        except (FormatError, OSError, UnseenError):
            return None

    def needed_with(self, path: str) -> frozenset[str]:
        """Return what a process has mapped that the interpreter alone has not, after it has opened ``path``."""
        held = self._opened.get(path)
        if held is None:
            held = self._opened[path] = frozenset(self.loaded((path,))) - self.alone
        return held

    # -- how files are reached --------------------------------------------------------------

    def _reach(self, path: str) -> Reach:
        held = self._reached.get(path)
        if held is None:
            held = self._reached[path] = self._found(path)
        return held

    def _found(self, path: str) -> Reach:
        held = self._objects.get(path)
        if held is None:
            return self._of_no_elf(path)
        refusal = self._refusal(held)
        if refusal:
            return Reach(path=path, refused=refusal)
        ours = [one for one in self._objects.values() if one.identity == held.identity]
        names = frozenset(name for one in ours for name in self._names(one.path))
        module = next((one.module for one in ours if one.module), "")
        if module:
            return Reach(path=path, host=self.host, opened=_imports(module), named=names & self._needed)
        return Reach(path=path, named=names & self._needed, doubts=tuple(self._doubts(ours, names)))

    def _of_no_elf(self, path: str) -> Reach:
        head = _head(path)
        if head is None:
            return Reach(path=path, doubts=("it cannot be read",))
        if head.startswith(_FOREIGN) and self._machinery is None:
            return Reach(path=path, doubts=("the loader of its system is not modelled",))
        if head.startswith(b"\x7fELF"):
            return Reach(path=path, doubts=("what it holds cannot be read as an ELF file",))
        return Reach(path=path, refused="it is neither a program nor a library")

    def _refusal(self, held: Object) -> str:
        """Return why no loader maps a file as a library, empty where one may."""
        if held.facts.header.type not in (ET_EXEC, ET_DYN):
            return "it is neither a program nor a library"
        process = self._first
        if process is None or held.facts.architecture is not self._architecture:
            return ""  # another loader may take it
        try:
            return process.refusal(held.real)
        except (FormatError, OSError, UnseenError):
            return ""

    def _doubts(self, ours: list[Object], names: frozenset[str]) -> Iterator[str]:
        """Yield what may open a library by its path."""
        if self._first is None:
            yield "no loader of its system is modelled"
        if self._problems:
            yield "not everything in the environment can be read"
        by_path = [one.path for one in self._objects.values() if not names.isdisjoint(_by_path(one.facts))]
        yield from [f"`{path}` needs it by a path" for path in by_path[:_TOLD]]
        paths = frozenset(one.path for one in ours)
        mentions = self._mentions(names, paths)
        by = dict.fromkeys(file for name in sorted(names) for file in mentions.by.get(name, ()))
        yield from [f"`{file}` names it" for file in list(by)[:_TOLD]]
        for maker, begin, part in mentions.makers:
            if any(path.startswith(begin) and part in path[len(begin) :] for path in paths):
                yield f"`{maker}` opens libraries by names that it makes"
                break
        if not mentions.complete:
            yield "there is more in the environment than is looked through"
        if not names & self._needed and ours[0].facts.soname not in self._needed:
            yield "nothing needs it by a name, as it is with plug-ins"
        if not names & self._needed:
            yield from [f"`{path}` may need it, and cannot be read" for path in self._unread[:_TOLD]]

    def _names(self, path: str) -> set[str]:
        """Return the names by which a search finds a file: its own, and those of links that lead to it."""
        return {os.path.basename(path), *self._aliases.get(path, ())}

    @cached_property
    def _aliases(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for link in self._links:
            try:
                leads = self._path(self._view.resolve(self._real(link)).path)
            except (OSError, UnseenError):
                continue
            found.setdefault(leads, []).append(os.path.basename(link))
        return found

    @cached_property
    def _needed(self) -> frozenset[str]:
        """The names that any file of the environment needs, however it writes them."""
        lists = ((*o.facts.needed, *o.facts.filters, *o.facts.auxiliaries) for o in self._objects.values())
        return frozenset(os.path.basename(name) for names in lists for name in names)

    def _mentions(self, names: frozenset[str], paths: frozenset[str]) -> Mentions:
        """Return what names libraries at these paths by these names. Texts are read again for what nobody announced."""
        if not (names <= self._looked_for and paths <= self._asked):
            self._asked |= paths.union(path for path in self._files if path in self._objects)
            self._looked_for |= names.union(*map(self._names, self._asked))
            programs = {
                one.path: frozenset((*one.facts.needed, one.facts.soname or ""))
                for one in self._objects.values()
                if self._calls_dlopen(one)
            }
            self._told = look_for(sorted(self._looked_for), self._texts, programs, _package_of, sorted(self._asked))
        return self._told

    def _calls_dlopen(self, one: Object) -> bool:
        """Whether a file calls dlopen; what cannot be read is taken to."""
        try:
            groups = self._view.elf(one.real).imports()
        except (FormatError, OSError, UnseenError):
            return True
        return any(name in group.strong or name in group.weak for group in groups for name in _OPENS)

    # -- processes --------------------------------------------------------------------------

    def _both(self, first: str, second: str) -> str:
        """Return in words a process that loads both, as simulated; empty where none is found."""
        openers = [self._openers(path) for path in (first, second)]
        tried = 0
        for one in openers[0]:
            for other in openers[1]:
                for order in ((one, other), (other, one)):
                    tried += 1
                    if tried > _TRIES:
                        return ""
                    if {first, second} <= {*self.loaded([path for path, _ in order])}:
                        what = " and then ".join(dict.fromkeys(words for _, words in order))
                        return f"a process of {self.host} that {what}"
        return ""

    def _openers(self, path: str) -> list[tuple[str, str]]:
        """Return (path, what a process does) of modules with which a file is loaded: itself, or those that need it."""
        own = self._objects.get(path)
        if own is not None and own.module:
            return [(path, _imports(own.module))]
        return [
            (one.path, _imports(one.module))
            for one in self._objects.values()
            if one.module and path in self.needed_with(one.path)
        ][:8]

    @cached_property
    def host(self) -> str:
        """The interpreter of the environment, or whatever program of its system stands in its place, by its path."""
        program = self._program
        return f"`{self._path(program)}`" if program else "the environment's interpreter"

    @cached_property
    def _machinery(self) -> Machinery | None:
        if self._opened_before is not None:
            return self._opened_before
        from runworthy.targets.host import directory_target, host_target

        try:
            whole = self._root == os.sep
            target = host_target() if whole else directory_target(self._root, self._root, None, None)
        except TargetError:
            return None
        launch = launch_on(target, Launch(until="load"))
        return Machinery(target, launch, runtime_names(target.arch))

    @cached_property
    def _view(self) -> DirectoryView:
        machinery = self._machinery
        if machinery is not None and isinstance(machinery.target.view, DirectoryView):
            return machinery.target.view
        return DirectoryView(self._root)

    @cached_property
    def _program(self) -> str:
        """The real path, in the root, of the program whose process opens the environment's modules."""
        own = self._real(self.environment.path).rstrip("/")
        kind = self.environment.kind if self.environment.kind in _PROGRAMS else ""
        inside = [f"{own}/bin/{name}" for name in ("python", "python3", "node")]
        for path in (*inside, *_PROGRAMS[kind], *_PROGRAMS[""]):
            try:
                found = self._view.resolve(path)
                if found.entry.kind == "file" and self._view.elf(found.path).facts.interpreter is not None:
                    return found.path
            except (OSError, FormatError, UnseenError):
                continue
        return ""

    @cached_property
    def _architecture(self) -> Architecture | None:
        try:
            return self._view.elf(self._program).facts.architecture if self._program else None
        except (OSError, FormatError, UnseenError):
            return None

    def _process(self, program: str = "") -> Process | None:
        """Return a process of a program at a real path, of the environment's interpreter where none is named."""
        machinery, program = self._machinery, program or self._program
        if machinery is None or not program:
            return None
        try:
            return start_process(machinery, program)
        except (OSError, FormatError, UnseenError):
            return None

    @cached_property
    def _first(self) -> Process | None:
        """A process that has opened nothing."""
        return self._process()

    def _library_modules(self) -> dict[str, str]:
        """Return the extension modules of Python's standard library that lie beside the interpreter's own prefix."""
        prefix = self._program.rpartition("/bin/")[0]
        found: dict[str, str] = {}
        for name in sorted(self._names_in(f"{prefix}/lib")):
            directory = f"{prefix}/lib/{name}/lib-dynload"
            for file in self._names_in(directory) if name == os.path.basename(self._program) else ():
                stem = _PYTHON_SUFFIX.sub("", file)
                if stem != file:
                    found[self._path(f"{directory}/{file}")] = stem
        return {path: name for path, name in found.items() if path not in self._objects}

    def _names_in(self, directory: str) -> list[str]:
        try:
            return self._view.readdir(directory)
        except (OSError, UnseenError):
            return []

    # -- the files --------------------------------------------------------------------------

    def _real(self, path: str) -> str:
        return path if self._root == os.sep else path[len(self._root) :] or "/"

    def _path(self, real: str) -> str:
        return self._view.host_path(real)

    def _identity(self, path: str) -> tuple[int, int] | None:
        try:
            status = os.lstat(path)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    @cached_property
    def _objects(self) -> dict[str, Object]:
        found: dict[str, Object] = {}
        pending = [self.environment.path]
        while pending:
            directory = pending.pop()
            try:
                with os.scandir(directory) as entries:
                    listed = sorted(entries, key=lambda entry: entry.name)
            except OSError:
                self._problems += 1
                continue
            for entry in listed:
                try:
                    if entry.is_symlink():
                        self._links.append(entry.path)
                    elif entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        self._enter(entry.path, found)
                except OSError:
                    self._problems += 1
        return found

    def _enter(self, path: str, found: dict[str, Object]) -> None:
        head = b"" if path.endswith(_NO_CODE) else _head(path)
        if head is None:
            self._problems += 1
        elif head.startswith(b"\x7fELF"):
            held = self._object(path)
            if held is not None:
                found[path] = held
            else:
                self._unread.append(path)
        else:
            self._texts.append(path)

    def _object(self, path: str) -> Object | None:
        identity, real = self._identity(path), self._real(path)
        try:
            elf = self._view.elf(real)
        except (FormatError, OSError, UnseenError):
            return None
        if identity is None:
            return None
        module = "" if elf.facts.is_program else self._module(path, real)
        return Object(path=path, real=real, identity=identity, facts=elf.facts, module=module)

    def _module(self, path: str, real: str) -> str:
        """Return by which name an interpreter imports a library, empty where none does.

        Sources: importlib.machinery.EXTENSION_SUFFIXES and PyInit_<name> (CPython, "Building C extensions"); Node.js,
        "Addons" (require of a file that ends in .node).
        """
        if path.endswith(".node"):
            return os.path.relpath(path, self.environment.path)
        if not path.endswith(".so"):
            return ""
        stem = _PYTHON_SUFFIX.sub("", path)
        if stem == path:
            stem = path[: -len(".so")]
            entry = f"PyInit_{os.path.basename(stem)}".encode("utf-8", "surrogateescape")
            try:
                if entry not in self._view.elf(real).exports().names:
                    return ""
            except FormatError:
                return ""
        return _dotted(stem, self.environment.path)


def _imports(module: str) -> str:
    return f"{'requires' if module.endswith('.node') else 'imports'} `{module}`"


def _by_path(facts: ElfFacts) -> set[str]:
    """Return the file names of what a library needs by a path: a name with a slash is not searched for."""
    return {os.path.basename(name) for name in (*facts.needed, *facts.filters, *facts.auxiliaries) if "/" in name}


def _dotted(stem: str, top: str) -> str:
    """Return the name of a module by its path without suffixes."""
    for mark in ("/site-packages/", "/dist-packages/", "/lib-dynload/"):
        before, found, below = stem.rpartition(mark)
        if found and before:
            return below.replace("/", ".")
    return os.path.relpath(stem, top).replace("/", ".")


def _package_of(path: str) -> str:
    """Return the directory of the package that a path lies in: the one below site-packages or node_modules."""
    for mark in ("/site-packages/", "/dist-packages/", "/node_modules/"):
        before, found, below = path.rpartition(mark)
        parts = below.split("/")
        depth = 2 if below.startswith("@") else 1
        if found and len(parts) > depth:
            return f"{before}{mark}{'/'.join(parts[:depth])}"
        if found:
            return ""
    return os.path.dirname(path)


def _head(path: str) -> bytes | None:
    """Return the first bytes of a regular file, None where it cannot be read; none of what has gone or is no file."""
    try:
        descriptor = open_quietly(path)
    except FileNotFoundError:
        return b""
    except OSError:
        return None
    try:
        return os.read(descriptor, _HEAD) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    except OSError:
        return None
    finally:
        os.close(descriptor)
