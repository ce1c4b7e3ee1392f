"""Targets of the catalogue against the real roots of the same release, and the loaders in them.

How they are made comparable: the judge roots hold the same package versions as the catalogue's images, but not the same
packages. A library that only one of the two has is hidden from both, by that rule and no list: from the judge by a
whiteout over its root, from the model by an overlay. What is left is compared as exact sets.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pytest

from runworthy.formats.content import FileContent
from runworthy.formats.elf import is_elf, read_elf
from runworthy.model.arch import Architecture, architecture
from runworthy.model.elf import Exports
from runworthy.model.errors import FormatError
from runworthy.model.machine import baseline
from runworthy.model.trace import Answer as Met
from runworthy.model.trace import Step
from runworthy.simulate.launch import Launch
from runworthy.simulate.process import Machinery
from runworthy.targets.catalogue import CatalogueTarget, open_catalogue
from runworthy.targets.directory import DirectoryView
from runworthy.targets.overlay import Overlay
from runworthy.targets.target import Target
from runworthy.targets.view import FileView
from tests.differential.model import UNSEEN, Model, Said, judged
from tests.judges import panel, roots
from tests.judges.answer import Answer
from tests.judges.roots import Root

pytestmark = pytest.mark.judge

_AT = "/mnt"
_GLIBC = {
    "bullseye-amd64": "debian:11",
    "bookworm-amd64": "debian:12",
    "trixie-amd64": "debian:13",
    "trixie-i386": "debian:13",
    "bullseye-arm64": "debian:11",
    "trixie-arm64": "debian:13",
}
_ALPINE = [
    ("musl-1.2.2-x86_64", "alpine:3.13"),
    ("musl-1.2.2-x86_64", "alpine:3.14"),
    ("musl-1.2.2-x86_64", "alpine:3.15"),
    ("musl-1.2.3-x86_64", "alpine:3.16"),
    ("musl-1.2.3-x86_64", "alpine:3.17"),
    ("musl-1.2.5-x86_64", "alpine:3.20"),
    ("musl-1.2.5-aarch64", "alpine:3.20"),
    ("musl-1.2.5-i386", "alpine:3.20"),
]

# The judges are Debian's builds of musl. Where they have other patches than Alpine's: (only Alpine's, only Debian's).
_FTS = {"fts_children", "fts_close", "fts_open", "fts_read", "fts_set"}
_CRYPT = {"crypt", "crypt_r", "encrypt", "setkey"}
_PATCHED: dict[str, tuple[set[str], set[str]]] = {
    "alpine:3.13": (set(), set()),
    "alpine:3.14": (set(), set()),
    "alpine:3.15": ({"qsort_r"}, set()),
    "alpine:3.16": (_CRYPT, _FTS),
    "alpine:3.17": (_CRYPT, _FTS),
    "alpine:3.20": (set(), {*_FTS, "renameat2"}),
}

# Every n-th file of a tree, other ones for each target, so that all of them together take less than a minute. A file
# takes some twenty times as long in qemu, and Alpine's targets are many for what the musl judges have: one library.
_STEPS = {"bin": 5, "lib": 15, "trixie": 6, "corpus": 4}
_STEPS_QEMU = {"trixie": 6, "corpus": 1}
_STEPS_ALPINE = {"bin": 11, "lib": 37, "trixie": 13, "corpus": 7}


# -- roots and subjects -------------------------------------------------------------------------


class CatalogueModel(Model):
    """The model of a catalogue target, asked in the words of a judge root."""

    def __init__(
        self, root: Root, found: CatalogueTarget, *, binds: Mapping[str, Path], hidden: frozenset[str]
    ) -> None:
        view = _hiding(found.view, found.loader_directories, hidden)
        for at, host in binds.items():
            view.mount(at, DirectoryView("/"), str(host.resolve()))
        self.root = root
        self.view = view
        self.target = Target(
            name=found.name,
            view=view,
            machine=baseline(found.arch),
            completeness=found.completeness,
            libcs={found.libc.loader: found.libc} if found.libc.loader else {},
            system_directories=found.loader_directories,
            cache_from_configuration=found.cache_from_configuration,
        )
        self.machinery = Machinery(self.target, Launch(trace=False, until="bind"), lambda _: False)


class RealModel(Model):
    """The model of a judge root without what is hidden."""

    def __init__(
        self, root: Root, directories: tuple[str, ...], *, binds: Mapping[str, Path], hidden: frozenset[str]
    ) -> None:
        super().__init__(root, binds=binds)
        view = _hiding(self.view, directories, hidden)
        self.view = view
        self.target = Target(name=root.name, view=view, machine=self.target.machine)
        self.machinery = Machinery(self.target, Launch(trace=False, until="bind"), lambda _: False)


def _hiding(base: FileView, directories: tuple[str, ...], hidden: frozenset[str]) -> Overlay:
    view = Overlay(base)
    for path in _libraries(base, directories):
        if path.rpartition("/")[2] in hidden:
            view.remove(path)
    return view


def _libraries(view: FileView, directories: tuple[str, ...]) -> frozenset[str]:
    """Return the paths of the libraries that the loader finds by default, in real directories, links not followed."""
    real = {view.real_directory(directory) for directory in directories}
    return frozenset(
        f"{directory}/{name}"
        for directory in real
        if directory is not None
        for name in view.readdir(directory)
        if ".so" in name
    )


def _names(view: FileView, directories: tuple[str, ...]) -> frozenset[str]:
    return frozenset(path.rpartition("/")[2] for path in _libraries(view, directories))


@dataclass(frozen=True)
class Bench:
    """One judge root made comparable with one closed target: the subjects, and what the judge says of them."""

    root: Root
    arch: Architecture
    closed: CatalogueTarget
    binds: Mapping[str, Path]
    hidden: frozenset[str]
    answers: Mapping[str, Answer]
    real: Model

    def model(self, found: CatalogueTarget) -> CatalogueModel:
        """Return the model of a target with the subjects in it."""
        return CatalogueModel(self.root, found, binds=self.binds, hidden=self.hidden)

    @cached_property
    def there(self) -> Mapping[str, Said]:
        """What the model says of each subject in the judge's own root."""
        return {path: self.real.say(path) for path in self.answers}

    @cached_property
    def heard(self) -> Mapping[str, Said]:
        """What the judge says of each subject that it comes to an end with."""
        alive = {path: answer for path, answer in self.answers.items() if not answer.died}
        return {path: judged(self.real, answer, self.there[path]) for path, answer in alive.items()}


def _bench(name: str, target: str, turn: int, scratch: Path) -> Bench:
    """Ask the judge about a sample of all subjects, the ``turn``-th."""
    root = roots.requires(name)
    arch = architecture(root.arch)
    assert arch is not None
    closed = open_catalogue().find(target, arch)
    assert closed.libc.version == tuple(map(int, root.version.split(".")))
    view = DirectoryView(str(root.path))
    hidden = _names(view, closed.loader_directories) ^ _names(closed.view, closed.loader_directories)
    whiteout = scratch / "whiteout"
    whiteout.mkdir()
    for path in _libraries(view, closed.loader_directories):
        if path.rpartition("/")[2] in hidden:  # overlayfs takes a character device 0:0 for a file that was removed
            (whiteout / path[1:]).parent.mkdir(parents=True, exist_ok=True)
            os.mknod(whiteout / path[1:], stat.S_IFCHR)
    trees = _trees(arch)
    binds = {f"{_AT}/{key}": where for key, where in trees.items()}
    steps = _STEPS_QEMU if arch.name == "aarch64" else _STEPS_ALPINE if root.libc == "musl" else _STEPS
    subjects = [
        f"{_AT}/{key}{path}"
        for key, where in trees.items()
        for path in _subjects(where, arch)[turn % steps[key] :: steps[key]]
    ]
    assert len(subjects) >= len(trees), "nothing to compare"
    answers = dict(panel.ask_many(root, subjects, binds=binds, layers=[whiteout]))
    real = RealModel(root, closed.loader_directories, binds=binds, hidden=hidden)
    return Bench(root, arch, closed, binds, hidden, answers, real)


def _trees(arch: Architecture) -> dict[str, Path]:
    """Return the directories with subjects of an architecture."""
    corpus = roots.requires_corpus("numpy-manylinux-x86_64").parent
    if arch.name == "aarch64":
        return {"trixie": roots.requires("trixie-arm64").path / "usr", "corpus": corpus}
    if arch.name == "i386":
        return {"trixie": roots.requires("trixie-i386").path / "usr"}
    here = {"bin": Path("/usr/bin"), "lib": Path("/usr/lib", arch.multiarch)}
    return {**here, "trixie": roots.requires("trixie-amd64").path / "usr", "corpus": corpus}


@cache
def _subjects(tree: Path, arch: Architecture) -> tuple[str, ...]:
    """Return the dynamic ELF files below ``tree`` that are made for ``arch``, as sorted paths in it."""
    found = []
    for directory, _, names in os.walk(tree):
        for name in names:
            path = os.path.join(directory, name)
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            content = FileContent(path, os.path.getsize(path))
            try:
                facts = read_elf(content).facts if is_elf(content) else None
            except FormatError:
                continue
            if facts and facts.dynamic and facts.architecture is arch:
                found.append(path[len(str(tree)) :])
    return tuple(sorted(found))


@pytest.fixture(scope="module", params=_GLIBC)
def glibc(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Return each glibc judge with all its answers, asked once."""
    name = str(request.param)
    return _bench(name, _GLIBC[name], list(_GLIBC).index(name), tmp_path_factory.mktemp(name))


# -- the same words for both --------------------------------------------------------------------


def _comparable(said: Said) -> dict[str, object]:
    """Return what a catalogue target can know, with paths as they are in a root whose /lib is a link.

    Undefined symbols and relocations of a target's own libraries were not recorded: they are taken to be consistent.
    """
    return {
        "missing": said.missing,
        "versions": {(_merged(library), version, _merged(by)) for library, version, by in said.versions},
        "undefined": {row for row in said.undefined if row[0].startswith(f"{_AT}/")},
        "relocations": {row for row in said.relocations if row[0].startswith(f"{_AT}/")},
        "chosen": {name: _merged(path) for name, path in said.chosen.items()},
    }


def _merged(path: str) -> str:
    return f"/usr{path}" if path.startswith("/lib") else path


def _differences(left: Said, right: Said) -> dict[str, object]:
    if left.fatal or right.fatal:
        return {} if left.fatal and right.fatal else {"fatal": (left.fatal, right.fatal)}
    ours, theirs = _comparable(left), _comparable(right)
    return {key: (ours[key], theirs[key]) for key in ours if ours[key] != theirs[key]}


def _told(wrong: Mapping[str, object], total: int) -> str:
    return f"{len(wrong)} of {total}: {dict(list(wrong.items())[:3])}"


# -- closed roots -------------------------------------------------------------------------------


def test_closed_root_answers_as_the_real_one(glibc: Bench) -> None:
    """Missing libraries and versions, undefined symbols, chosen paths: the catalogue, the directory and its loader."""
    model = glibc.model(glibc.closed)
    wrong: dict[str, object] = {}
    for path, there in glibc.there.items():
        said = model.say(path)
        if found := _differences(said, there):
            wrong[path] = ("the real root", found)
        elif path in glibc.heard and (found := _differences(said, glibc.heard[path])):
            wrong[path] = ("the judge", found)
    assert not wrong, _told(wrong, len(glibc.answers))
    # What only one of the two has is an addition of the judge's, or what an unpacked root leaves out.
    assert glibc.root.arch != "x86_64" or {name.partition(".")[0] for name in glibc.hidden} == {"libgomp"}


def test_closed_root_holds_the_real_libraries(glibc: Bench) -> None:
    """Each library that both have: the same names, needs, versions and exports, whatever any subject asks for."""
    real = DirectoryView(str(glibc.root.path))
    ours = {_merged(path): path for path in _libraries(glibc.closed.view, glibc.closed.loader_directories)}
    compared = 0
    for path in _libraries(real, glibc.closed.loader_directories):
        held = ours.get(_merged(path))
        if held is None or real.lstat(path).entry.kind != "file":
            continue
        try:
            left, right = glibc.closed.view.elf(held), real.elf(path)
        except FormatError:  # a linker script
            continue
        for key in ("soname", "needed", "rpath", "runpath", "dt_flags_1", "interpreter", "size"):
            assert getattr(left.facts, key) == getattr(right.facts, key), (path, key)
        needs = [{(need.file, need.version, need.weak) for need in elf.facts.version_needs} for elf in (left, right)]
        assert needs[0] == needs[1], path
        assert [d.name for d in left.facts.version_defs[1:]] == [d.name for d in right.facts.version_defs[1:]], path
        assert _exported(left.exports()) == _exported(right.exports()), path
        compared += 1
    assert compared >= 20


def _exported(exports: Exports) -> dict[str, frozenset[bytes]]:
    """Return the names by version, and those that a reference without a version finds.

    Without the absolute symbols that some linkers make of the versions themselves: they carry no code, and no file
    refers to them.
    """
    nodes = {version.encode() for version in exports.by_version}
    by_version = {version: names - nodes for version, names in exports.by_version.items()}
    return {
        **{version: names for version, names in by_version.items() if names},
        "": exports.base - nodes,
        "(unversioned)": exports.unversioned - nodes,
    }


# -- composed roots -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Known:
    """What a core root says of one file, kept apart by answer. Symbols are (object, name).

    ``lost``: those of which a tracing ld.so forgets the version. ``private``: those of versions that exist and are not
    known by symbol, GLIBC_PRIVATE above all.
    """

    unmet_libraries: frozenset[str]
    open_libraries: frozenset[str]
    versions: frozenset[tuple[str, str, str]]
    unmet: frozenset[tuple[str, str]]
    open: frozenset[tuple[str, str]]
    lost: frozenset[tuple[str, str]]
    private: frozenset[tuple[str, str]]
    chosen: Mapping[str, str]
    odd: tuple[Step, ...]


def _known(model: CatalogueModel, path: str) -> Known:
    """Return what the model says; ``odd`` are unknowns that the boundary of the core does not explain."""
    trace = model.trace(path)
    said = model.said(trace)
    libraries = [step for step in trace.needs if step.need.kind == "library"]
    symbols = [step for step in trace.needs if step.need.kind == "symbol"]
    unknown = [step for step in trace.needs if step.answer is Met.UNKNOWN]
    return Known(
        unmet_libraries=frozenset(step.need.name for step in libraries if step.answer is Met.UNMET),
        open_libraries=frozenset(step.need.name for step in libraries if step.answer is Met.UNKNOWN),
        versions=frozenset((_soname(model, library), version, by) for library, version, by in said.versions),
        unmet=frozenset((step.need.by, step.need.name) for step in symbols if step.answer is Met.UNMET),
        open=frozenset((step.need.by, step.need.name) for step in symbols if step.answer in (Met.UNKNOWN, Met.HOST)),
        lost=frozenset((by, name) for by, name, version in said.undefined if version == UNSEEN),
        private=frozenset(
            (step.need.by, step.need.name) for step in symbols if step.need.version in model.view.open_versions
        ),
        chosen=said.chosen,
        odd=tuple(step for step in unknown if step.why != "outside-core"),
    )


def _soname(model: Model, path: str) -> str:
    return model.view.elf(model.real(path)).facts.soname or path


def _core_targets(bench: Bench) -> list[CatalogueTarget]:
    """Return the composed roots of the judge's release: the distribution's recipe, and its glibc alone."""
    catalogue = open_catalogue()
    return [
        catalogue.recipe(_GLIBC[bench.root.name], bench.arch),
        catalogue.find(f"glibc:{bench.root.version}", bench.arch),
    ]


@pytest.mark.parametrize("kind", [0, 1], ids=["recipe", "glibc"])
def test_composed_root_answers_as_the_real_one(glibc: Bench, kind: int) -> None:
    """What the core holds is judged as the loader judges it; the rest is unknown, neither unmet nor silently met."""
    found = _core_targets(glibc)[kind]
    assert found.completeness == "core"
    model = glibc.model(found)
    wrong: dict[str, object] = {}
    for path, heard in glibc.heard.items():
        if not heard.fatal and (failed := _broken(model, glibc.real, _known(model, path), heard)):
            wrong[path] = failed
    assert not wrong, _told(wrong, len(glibc.answers))


def _broken(model: CatalogueModel, real: Model, known: Known, heard: Said) -> dict[str, object]:
    """Return the rules of a core root that an answer breaks, with what breaks them."""
    absent = model.target.absent
    there = frozenset(heard.chosen)
    ours = frozenset(known.chosen)
    # Objects that both loaded; of the root's own, only what they lack in a subject's library could be compared.
    objects = {path for path in known.chosen.values() if path.startswith(f"{_AT}/")}
    objects |= {by for by, _ in known.unmet | known.open} | {by for _, _, by in known.versions}
    undefined = {(by, name) for by, name, _ in heard.undefined if by.startswith(f"{_AT}/")}
    reached = {pair for pair in undefined if not known.open_libraries or pair[0] in objects}
    core = {_soname(model, path) for path in known.chosen.values()} | {_soname(model, model.root.loader)}
    versions = {
        (_soname(real, library), version, by)
        for library, version, by in heard.versions
        if by.startswith(f"{_AT}/") and (not known.open_libraries or by in objects or by not in there)
    }
    rules: dict[str, object] = {
        "library unmet though the real root has it": known.unmet_libraries - heard.missing,
        "library unmet though outside the core": {name for name in known.unmet_libraries if not absent(name)},
        "library unknown though inside the core": {name for name in known.open_libraries if absent(name)},
        "library silently met": heard.missing - known.unmet_libraries - known.open_libraries,
        "library from elsewhere": {
            name for name in ours & there if _soname(model, known.chosen[name]) != _soname(real, heard.chosen[name])
        },
        "library that the real root does not load": ours - there,
        "library forgotten": set() if known.open_libraries else there - ours,
        "version of the core": {row for row in versions if row[0] in core} ^ set(known.versions),
        "symbol unmet though the real root has it": known.unmet - known.lost - undefined,
        "symbol silently met": reached - known.unmet - known.open,
        "symbol unknown for no reason": set()
        if known.open_libraries
        else known.open - known.lost - known.private - undefined,
        "unknown for another reason": known.odd,
    }
    return {rule: broken for rule, broken in rules.items() if broken}


# -- Alpine -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "target"), _ALPINE)
def test_alpine_answers_as_musl(name: str, target: str, tmp_path: Path) -> None:
    """Its other libraries hidden, Alpine's root gives the answers of the same musl, patched names aside."""
    bench = _bench(name, target, _ALPINE.index((name, target)), tmp_path)
    model = bench.model(bench.closed)
    only_alpine, only_debian = _PATCHED[target]
    wrong: dict[str, object] = {}
    for path, answer in bench.answers.items():
        said = model.say(path)
        heard = judged(model, answer, said)
        ours, theirs = _comparable(said), _comparable(heard)
        found = {key: (ours[key], theirs[key]) for key in ours if key != "undefined" and ours[key] != theirs[key]}
        beyond = {row for row in said.undefined - heard.undefined if row[1] not in only_debian}
        beyond |= {row for row in heard.undefined - said.undefined if row[1] not in only_alpine}
        if found or beyond:
            wrong[path] = (found, beyond)
    assert not wrong, _told(wrong, len(bench.answers))
    assert any("ld-musl" in name for name in _names(model.view, bench.closed.loader_directories))


@pytest.mark.parametrize(("name", "target"), _ALPINE)
def test_alpine_exports_what_musl_does(name: str, target: str) -> None:
    """To the symbol, but for the patches of either distribution."""
    root = roots.requires(name)
    found = open_catalogue().find(target, architecture(root.arch))
    exports = [
        {symbol.decode() for symbol in view.elf(view.resolve(root.loader).path).exports().default}
        for view in (found.view, DirectoryView(str(root.path)))
    ]
    assert (exports[0] - exports[1], exports[1] - exports[0]) == _PATCHED[target]
