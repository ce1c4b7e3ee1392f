"""The floor against real loaders: the release that is named runs, the ones below do not."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from runworthy.engine.floor import floors
from runworthy.model.errors import FormatError
from runworthy.model.floor import Floor, Kind
from runworthy.targets.directory import DirectoryView
from tests.judges import roots
from tests.judges.panel import Judge, ask_many
from tests.judges.process import Outcome

_AT = "/mnt/subject"
_GLIBC = {"bullseye-amd64": (2, 31), "bookworm-amd64": (2, 36), "trixie-amd64": (2, 41)}
_MUSL = {"musl-1.2.2-x86_64": (1, 2, 2), "musl-1.2.3-x86_64": (1, 2, 3), "musl-1.2.5-x86_64": (1, 2, 5)}
_RELR = "-Wl,-z,pack-relative-relocs"
_POINTERS = "static int x = 7; int *volatile p = &x; int main(void) { return *p != 7; }"
# A start of its own: without it every program has __libc_start_main@GLIBC_2.34.
_START = "void exit(int); int never; %s void _start(void) { %s exit(0); }"
_OWN = ("-nostdlib", "-fno-stack-protector", "-mstackrealign", "-Wl,-z,lazy", "stub/libc.so.6")
_OWN_MUSL = (*_OWN[:-1], "stub/libc.so")


class Made(NamedTuple):
    """A program to compile, and the release that must be its floor: "" where it runs on all that is known."""

    name: str
    source: str
    options: tuple[str, ...]
    floor: str
    starts: str = ""


_PROGRAMS = [
    Made("plain", "int main(void) { return 0; }", (), "2.34"),
    Made("new", "unsigned arc4random(void); int main(void) { return arc4random() == 7; }", (), "2.36"),
    Made(
        "weak",
        "__attribute__((weak)) unsigned arc4random(void); int main(void) { return !arc4random; }",
        (),
        "2.36",
    ),
    Made("packed", _POINTERS, (_RELR,), "2.36"),
    Made("old", _START % ("", ""), _OWN, ""),
    Made("lazy", _START % ("unsigned arc4random(void);", "if (never) arc4random();"), _OWN, "2.36", "2.17"),
    Made(
        "bundled",
        _START % ("void late(void);", "late();"),
        (*_OWN, "liblate.so", "-Wl,-rpath,$ORIGIN", "-Wl,--allow-shlib-undefined"),
        "2.36",
    ),
    Made("static", "int main(void) { return 0; }", ("-static",), ""),
]
_MUSL_PROGRAMS = [
    Made("plain", 'int puts(); int main(void) { return puts("x") < 0; }', (), ""),
    Made("fork", _START % ("int _Fork();", "if (never) _Fork();"), _OWN_MUSL, "1.2.2"),
    Made("sort", _START % ("int qsort_r();", "if (never) qsort_r();"), _OWN_MUSL, "1.2.3"),
    Made("statx", _START % ("int statx();", "if (never) statx();"), _OWN_MUSL, "1.2.5"),
    Made("packed", _POINTERS, (_RELR,), "1.2.4"),
]


def _compile(directory: Path, made: Made, compiler: str = "gcc") -> Path:
    """Compile a program; what stands for a C library that has everything is linked with, and not what runs."""
    (directory / "stub").mkdir()
    _gcc(directory, "stub/libc.so.6", "void exit(int a) {} int arc4random(void) { return 0; }", "-shared", "-fPIC",
        "-nostdlib", "-Wl,-soname,libc.so.6")  # fmt: skip
    names = ("_Fork", "qsort_r", "statx", "exit")
    _gcc(directory, "stub/libc.so", "".join(f"int {name}(void) {{ return 0; }}" for name in names), "-shared", "-fPIC",
        "-nostdlib", "-Wl,-soname,libc.so")  # fmt: skip
    late = "unsigned arc4random(void); void late(void) { arc4random(); }"
    _gcc(directory, "liblate.so", late, "-shared", "-fPIC", "-Wl,-soname,liblate.so")
    return _gcc(directory, made.name, made.source, *made.options, compiler=compiler)


def _gcc(directory: Path, name: str, source: str, *options: str, compiler: str = "gcc") -> Path:
    written = directory / f"{name}.c"
    written.write_text(source, "utf-8")
    command = [compiler, "-O1", "-w", f"{name}.c", "-o", name, *options]
    subprocess.run(command, check=True, cwd=directory)
    return directory / name


def _floor(kind: Kind, path: Path) -> Floor:
    (shipped,) = floors([str(path)]).shipped
    return shipped.floor(kind)


def _started(name: str, directory: Path, *argv: str, **options: object) -> Outcome:
    with Judge(roots.requires(name), binds={_AT: directory}) as judge:
        return judge.run([f"{_AT}/{argv[0]}", *argv[1:]], **options)  # type: ignore[arg-type]


def _runs_from(floor: Floor, made: Made) -> None:
    if made.floor:
        assert (floor.state, floor.release, floor.judged, floor.starts) == ("at", made.floor, True, made.starts)
    else:
        assert floor.state == "any" or floor.open_below or not floor.judged


@pytest.mark.judge
@pytest.mark.parametrize("made", _PROGRAMS, ids=[made.name for made in _PROGRAMS])
def test_programs_run_on_glibc_from_their_floor_on(tmp_path: Path, made: Made) -> None:
    floor = _floor("glibc", _compile(tmp_path, made))
    _runs_from(floor, made)
    for name, version in _GLIBC.items():
        env = {"LD_BIND_NOW": "1"} if made.starts else {}
        assert (_started(name, tmp_path, made.name, env=env).rc == 0) is (version >= floor.order), name
        if made.starts:  # as long as the symbol is not used
            assert _started(name, tmp_path, made.name).rc == 0


@pytest.mark.judge
@pytest.mark.parametrize("made", _MUSL_PROGRAMS, ids=[made.name for made in _MUSL_PROGRAMS])
def test_programs_run_on_musl_from_their_floor_on(tmp_path: Path, made: Made) -> None:
    roots.requires_tool("musl-gcc", package="musl-tools")
    floor = _floor("musl", _compile(tmp_path, made, "musl-gcc"))
    _runs_from(floor, made)
    for name, version in _MUSL.items():
        assert (_started(name, tmp_path, made.name).rc == 0) is (version >= floor.order), name


@pytest.mark.judge
def test_plugins_load_up_to_their_ceiling(tmp_path: Path) -> None:
    opener = "#include <dlfcn.h>\nint main(int n, char **w) { return dlopen(w[1], RTLD_NOW) ? 0 : 3; }"
    _gcc(tmp_path, "opener", opener)
    plugin = _gcc(tmp_path, "x.so", "int PyInit_x;", "-shared", "-fPIC", "-z", "execstack")
    floor = _floor("glibc", plugin)
    assert floor.ceiling == "2.40"
    assert _started("bookworm-amd64", tmp_path, "opener", f"{_AT}/x.so").rc == 0
    assert _started("trixie-amd64", tmp_path, "opener", f"{_AT}/x.so").rc == 3


@pytest.mark.judge
def test_packed_relocations_of_a_published_wheel_crash_below_their_floor(tmp_path: Path) -> None:
    """A musllinux_1_2 wheel of numpy brings a libgcc that musl 1.2.2 and 1.2.3 load, and then die of."""
    wheel = roots.requires_corpus("numpy-musllinux-x86_64")
    roots.requires_tool("musl-gcc", package="musl-tools")
    opener = "#include <dlfcn.h>\nint main(int n, char **w) { return dlopen(w[1], RTLD_NOW) ? 0 : 3; }"
    _gcc(tmp_path, "opener", opener, compiler="musl-gcc")
    floor = _floor("musl", wheel)
    assert floor.release == "1.2.4"
    packed = [reason.file for reason in floor.rungs[0].reasons if reason.need == "DT_RELR"]
    library = next(name for name in packed if os.path.basename(name).startswith("libgcc_s"))
    for name, version in _MUSL.items():
        with Judge(roots.requires(name), binds={_AT: tmp_path, "/mnt/lib.so": Path(library)}) as judge:
            ended = judge.run([f"{_AT}/opener", "/mnt/lib.so"]).rc
        assert ended == (0 if version >= floor.order else -signal.SIGSEGV), name


# -- files that others have made -------------------------------------------------------------

_CORPUS = [
    "cryptography-manylinux-x86_64",
    "psycopg2-manylinux-x86_64",
    "scipy-manylinux-x86_64",
    "rollup-linux-x64-gnu",
    "sharp-libvips-linux-x64",
    "root:trixie-amd64",
    "/usr/bin",
]
_MUSL_CORPUS = ["pyarrow-musllinux-x86_64", "rollup-linux-x64-musl", "sharp-libvips-linuxmusl-x64"]
_NEW = ("root:trixie-amd64", "/usr/bin")
"""Trees of files that do not run on Debian 11."""
_SAMPLE = 25


def _tree(name: str) -> Path:
    if name.startswith("root:"):
        return roots.requires(name[5:]).path / "usr/bin"
    return Path(name) if name.startswith("/") else roots.requires_corpus(name)


def _sample(tree: Path) -> list[Path]:
    """Return some dynamic ELF files of a tree, spread over it."""
    view = DirectoryView("/")
    found = []
    for path in sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()):
        try:
            facts = view.elf(str(path)).facts
        except (FormatError, OSError):
            continue
        if facts.needed and facts.architecture and facts.architecture.name == "x86_64":
            found.append(path)
    return found[:: max(1, len(found) // _SAMPLE)]


@pytest.mark.judge
@pytest.mark.slow
@pytest.mark.parametrize("name", _CORPUS)
def test_glibc_misses_a_version_below_the_floor_and_none_from_it_on(name: str) -> None:
    """What the real ld.so misses of glibc for a file itself; libraries from elsewhere are the file's own affair."""
    tree = _tree(name)
    floors = {_inside(path, tree): _floor("glibc", path) for path in _sample(tree)}
    files = {path: floor for path, floor in floors.items() if floor.state != "unknown"}  # libc's own tools
    missed: set[str] = set()
    for root, version in _GLIBC.items():
        for path, answer in ask_many(roots.requires(root), sorted(files), binds={_AT: tree}):
            versions = {one.version for one in answer.missing_versions if one.required_by == path}
            late = {version for version in versions if version.startswith("GLIBC_")}
            floor = files[path]
            above = {
                reason.need
                for rung in floor.rungs
                if rung.order > version
                for reason in rung.reasons
                if f"{_AT}/{os.path.relpath(reason.file, tree)}" == path
            }
            missed |= late
            assert late == above, (root, path)
            assert not late or version < floor.order, (root, path)
    assert files
    assert missed or name not in _NEW


@pytest.mark.judge
@pytest.mark.slow
@pytest.mark.parametrize("name", _MUSL_CORPUS)
def test_musl_misses_symbols_below_the_floor_and_none_from_it_on(name: str) -> None:
    """What ld-musl misses of itself; packed relocations are not told by it, it crashes on them (see the programs)."""
    tree = _tree(name)
    files = {_inside(path, tree): _floor("musl", path) for path in _sample(tree)}
    assert files
    for root, version in _MUSL.items():
        for path, answer in ask_many(roots.requires(root), sorted(files), binds={_AT: tree}):
            floor = files[path]
            above = {
                symbol for rung in floor.rungs if rung.order > version for one in rung.reasons for symbol in one.symbols
            }
            below = {
                symbol
                for rung in floor.rungs
                if rung.order <= version
                for one in rung.reasons
                for symbol in one.symbols
            }
            undefined = {one.symbol for one in answer.undefined}
            assert above <= undefined, (root, path)
            assert not below & undefined, (root, path)


def _inside(path: Path, tree: Path) -> str:
    return f"{_AT}/{path.relative_to(tree)}"


# -- what is not judged because something else tells it ----------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["psycopg2-manylinux-x86_64", "numpy-manylinux-x86_64", "pyarrow-musllinux-x86_64"])
def test_judging_fewer_releases_finds_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Judging every file on every release, and every target of each family from the oldest on, changes no answer."""
    from runworthy.engine.floor import families, ladder

    tree = str(roots.requires_corpus(name))
    quick = floors([tree])

    def every_release(judge: object, count: int) -> Sequence[object]:
        return [judge(at) for at in range(count)]  # type: ignore[operator]

    monkeypatch.setattr(ladder, "_row", every_release)
    monkeypatch.setattr(families, "_reaches", lambda *_: True)
    assert floors([tree]) == quick
