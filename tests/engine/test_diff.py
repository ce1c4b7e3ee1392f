"""What two ELF files tell differently, which files of two trees belong together, which verdicts can have changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from runworthy.engine.compare import changes_between, lost_exports
from runworthy.engine.diff import compare_builds
from runworthy.engine.opening import open_given
from runworthy.engine.pairing import Build, build_of, paired, touched
from runworthy.formats.content import BytesContent
from runworthy.formats.elf import read_elf
from runworthy.model.difference import Change, Difference
from runworthy.model.elf import Exports
from runworthy.targets.directory import DirectoryView
from runworthy.targets.names import MachineWish, TargetName
from tests.elfwriter import MACHINES, Note, Symbol, elf, gnu_property
from tests.world import LOADER, MUSL_LOADER

PLAIN = elf(soname="libx.so.1", needed=["libc.so.6"], exports=["here"])
ISA_1_NEEDED = 0xC0008002


def changes(old: bytes, new: bytes) -> list[Change]:
    before, after = (read_elf(BytesContent(data)) for data in (old, new))
    return list(changes_between(before, after))


def isa(level: int) -> Note:
    return gnu_property(MACHINES["x86_64"], {ISA_1_NEEDED: (1 << level) - 1})


def program(*imports: Symbol, needed: Sequence[str] = ("libc.so.6",), interpreter: str = LOADER) -> bytes:
    return elf(interpreter=interpreter, needed=needed, tags=[(21, 0)], imports=imports)


def test_the_same_bytes_differ_in_nothing() -> None:
    assert changes(PLAIN, PLAIN) == []


@pytest.mark.parametrize(
    ("old", "new", "kind", "effect", "values"),
    [
        ({}, {"needed": ["libc.so.6", "libz.so.1"]}, "library", "needs-more", (None, "libz.so.1")),
        ({"needed": ["libc.so.6", "libz.so.1"]}, {}, "library", "needs-less", ("libz.so.1", None)),
        ({}, {"soname": "libx.so.2"}, "soname", "offers-less", ("libx.so.1", "libx.so.2")),
        ({"soname": None}, {}, "soname", "offers-more", (None, "libx.so.1")),
        (
            {"soname": "libx-0011aabb.so.1"},
            {"soname": "libx-ccdd2233.so.1"},
            "soname",
            "differs",
            ("libx-0011aabb.so.1", "libx-ccdd2233.so.1"),
        ),
        ({}, {"runpath": "$ORIGIN"}, "runpath", "differs", (None, "$ORIGIN")),
        ({"rpath": "/a"}, {"rpath": "/b"}, "rpath", "differs", ("/a", "/b")),
        ({}, {"interpreter": LOADER}, "interpreter", "needs-more", (None, LOADER)),
        ({}, {"flags": 8}, "flag", "differs", (None, "set")),
        ({"flags": 16}, {}, "flag", "differs", ("set", None)),
        ({}, {"exec_stack": True}, "exec-stack", "needs-more", ("not executable", "executable")),
        ({"exec_stack": True}, {}, "exec-stack", "needs-less", ("executable", "not executable")),
        ({"exec_stack": None}, {}, "exec-stack", "differs", ("not stated", "not executable")),
        ({}, {"relr": True}, "relr", "needs-more", (None, "packed")),
        ({}, {"abi_kernel": (4, 0, 0)}, "kernel", "needs-more", (None, "4.0.0")),
        ({"abi_kernel": (4, 0, 0)}, {"abi_kernel": (3, 10, 0)}, "kernel", "needs-less", ("4.0.0", "3.10.0")),
        ({"abi_kernel": (3, 9, 0)}, {"abi_kernel": (3, 10, 0)}, "kernel", "needs-more", ("3.9.0", "3.10.0")),
        ({}, {"notes": [isa(3)]}, "isa", "needs-more", (None, "x86-64-v3")),
        ({"notes": [isa(4)]}, {"notes": [isa(2)]}, "isa", "needs-less", ("x86-64-v4", "x86-64-v2")),
        ({}, {"needed": ["libc.musl-x86_64.so.1"]}, "libc", "differs", ("glibc", "musl")),
        ({"machine": "aarch64"}, {}, "architecture", "differs", ("aarch64", "x86_64")),
    ],
)
def test_one_fact(
    old: dict[str, object], new: dict[str, object], kind: str, effect: str, values: tuple[str | None, str | None]
) -> None:
    usual = {"soname": "libx.so.1", "needed": ["libc.so.6"], "exports": ["here"]}
    found = [change for change in changes(*(elf(**(usual | said)) for said in (old, new))) if change.kind == kind]  # type: ignore[arg-type]
    assert [(change.effect, change.old, change.new) for change in found] == [(effect, *values)]


def test_the_first_level_of_an_architecture_is_asked_of_nobody() -> None:
    assert changes(PLAIN, elf(soname="libx.so.1", needed=["libc.so.6"], exports=["here"], notes=[isa(1)])) == []


def test_build_ids_and_sections_do_not_count() -> None:
    other = elf(soname="libx.so.1", needed=["libc.so.6"], exports=["here"], build_id=b"\1" * 20, sections={".x": b"y"})
    assert changes(PLAIN, other) == []


def test_a_version_comes_with_the_symbols_that_carry_it() -> None:
    old = program(Symbol("dlopen", "GLIBC_2.2.5", "libc.so.6"), Symbol("plain"))
    new = program(Symbol("dlopen", "GLIBC_2.34", "libc.so.6"), Symbol("plain", "GLIBC_2.34", "libc.so.6"),
        Symbol("new", "GLIBC_2.34", "libc.so.6", bind="weak"))  # fmt: skip
    more = {(c.kind, c.name, c.file): c for c in changes(old, new) if c.effect == "needs-more"}
    carried = more["symbol-version", "GLIBC_2.34", "libc.so.6"].symbols
    assert [(symbol.name, symbol.was, symbol.weak) for symbol in carried] == [
        ("dlopen", ("GLIBC_2.2.5",), False),
        ("new", (), True),
        ("plain", ("",), False),
    ]
    assert [symbol.name for symbol in more["import", "", None].symbols] == ["new"]


def test_a_version_without_symbols_is_told_too() -> None:
    new = elf(soname="libx.so.1", needed=["libc.so.6"], exports=["here"],
        needs=[("libc.so.6", "GLIBC_ABI_DT_RELR", False)])  # fmt: skip
    assert [(change.kind, change.name, change.symbols) for change in changes(PLAIN, new)] == [
        ("symbol-version", "GLIBC_ABI_DT_RELR", ())
    ]


def test_a_library_that_both_builds_bring_may_change_its_name() -> None:
    old, new = (
        read_elf(BytesContent(elf(needed=[name], imports=[Symbol("f", "V1", name)])))
        for name in ("libz-00112233.so.1", "libz-aabbccdd.so.1")
    )
    assert changes_between(old, new, {"libz-00112233.so.1": "libz-aabbccdd.so.1"}) == ()
    assert {change.kind for change in changes_between(old, new)} == {"library", "symbol-version"}


# -- exports ---------------------------------------------------------------------------------

Rows = list[tuple[bytes, int, int]]
NODES = {2: "V1", 3: "V2"}
HIDDEN = 0x8000


@pytest.mark.parametrize(
    ("old", "new", "lost"),
    [
        ([(b"f", 1, 2)], [(b"f", 1, 2)], []),
        ([(b"f", 1, 2)], [], [("f", None)]),
        ([(b"f", 2, 2)], [(b"f", 2, 2)], []),
        # a definition without a version answers for every version
        ([(b"f", 2, 2)], [(b"f", 1, 2)], []),
        # one that got a version answers for references without any
        ([(b"f", 1, 2)], [(b"f", 2, 2)], []),
        ([(b"f", 2, 2)], [(b"f", 3, 2)], [("f", "V1")]),
        # the old version stays for those that were linked with it
        ([(b"f", 2, 2)], [(b"f", 2 | HIDDEN, 2), (b"f", 3, 2)], []),
        ([(b"f", 2 | HIDDEN, 2), (b"f", 3, 2)], [(b"f", 3, 2)], [("f", "V1")]),
    ],
)
def test_what_is_no_longer_offered(old: Rows, new: Rows, lost: list[tuple[str, str | None]]) -> None:
    before, after = (Exports(rows, NODES, versioned=True) for rows in (old, new))
    assert [(symbol.name, symbol.version) for symbol in lost_exports(before, after)] == lost


# -- pairs -----------------------------------------------------------------------------------


def tree(directory: Path, files: dict[str, bytes]) -> str:
    for name, data in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o755)
    return str(directory)


def build(name: str) -> Build:
    return build_of(open_given(name, DirectoryView("/")))


def test_pairs(tmp_path: Path) -> None:
    old = tree(tmp_path / "old", {
        "bin/app": program(),
        "lib/libx.so.1.2": PLAIN,
        "libs/libz-00112233.so.1": elf(soname="libz-00112233.so.1"),
        "m/_core.cpython-311-x86_64-linux-gnu.so": elf(needed=["libc.so.6"]),
        "lib/gone.so": elf(soname="gone.so"),
    })  # fmt: skip
    new = tree(tmp_path / "new", {
        "bin/app": program(needed=["libc.so.6", "libm.so.6"]),
        "lib64/libx.so.1.3": elf(soname="libx.so.1", exports=["here"]),
        "libs/libz-ccddeeff.so.1": elf(soname="libz-ccddeeff.so.1"),
        "m/_core.cpython-312-x86_64-linux-gnu.so": elf(needed=["libc.so.6"]),
        "lib/come.so": elf(soname="come.so"),
    })  # fmt: skip
    found = paired(build(old), build(new))
    assert [(match.old and match.old.path, match.new and match.new.path, match.by) for match in found] == [
        ("bin/app", "bin/app", "path"),
        (None, "lib/come.so", "path"),
        ("lib/gone.so", None, "path"),
        ("lib/libx.so.1.2", "lib64/libx.so.1.3", "soname"),
        ("libs/libz-00112233.so.1", "libs/libz-ccddeeff.so.1", "name"),
        ("m/_core.cpython-311-x86_64-linux-gnu.so", "m/_core.cpython-312-x86_64-linux-gnu.so", "name"),
    ]


def test_a_change_reaches_what_loads_the_file(tmp_path: Path) -> None:
    """At any remove, by soname or file name; what has nothing to do with it is not judged again."""
    files = {
        "a": program(needed=["libb.so"]),
        "alone": program(needed=["libc.so.6"]),
        "libb.so": elf(soname="libb.so", needed=["libc-x.so"]),
        "libc-x.so.1": elf(soname="libc-x.so", exports=["old"]),
    }
    old = tree(tmp_path / "old", files)
    new = tree(tmp_path / "new", files | {"libc-x.so.1": elf(soname="libc-x.so", exports=["new"])})
    matches = paired(build(old), build(new))
    identical = [match.new is not None and match.new.path != "libc-x.so.1" for match in matches]
    reached = [matches[at].new for at in touched(matches, identical)]
    assert [file.path for file in reached if file] == ["a", "libb.so", "libc-x.so.1"]


# -- verdicts --------------------------------------------------------------------------------

DEBIAN = [TargetName("debian:12")]
UBUNTU = [TargetName("ubuntu:22.04")]
Compare = Callable[[bytes, bytes, list[TargetName]], Difference]


@pytest.fixture
def compare(tmp_path: Path) -> Compare:
    def run(old: bytes, new: bytes, targets: list[TargetName]) -> Difference:
        tree(tmp_path, {"old/app": old, "new/app": new})
        return compare_builds(str(tmp_path / "old/app"), str(tmp_path / "new/app"), targets)

    return run


@pytest.mark.parametrize(
    ("old", "new", "targets", "shift", "code"),
    [
        ((), (), DEBIAN, "same", 0),
        ((), ("nowhere.so",), DEBIAN, "worse", 1),
        (("nowhere.so",), (), DEBIAN, "better", 0),
        (("nowhere.so",), ("nor.so",), DEBIAN, "same", 0),
        ((), ("libssl.so.3",), UBUNTU, "unclear", 4),
        (("libssl.so.3",), (), UBUNTU, "better", 0),
        (("libssl.so.3",), ("libssl.so.3",), UBUNTU, "same", 0),
        # both rest on something unknown: what the old one found may be there, what is new may not
        (("libssl.so.3",), ("libssl.so.3", "libfoo.so.1"), UBUNTU, "unclear", 4),
        (("libssl.so.3", "libfoo.so.1"), ("libssl.so.3",), UBUNTU, "same", 0),
    ],
)
def test_which_way_a_verdict_goes(  # noqa: PLR0917 - the columns of the table
    compare: Compare,
    old: tuple[str, ...],
    new: tuple[str, ...],
    targets: list[TargetName],
    shift: str,
    code: int,
) -> None:
    before, after = (program(needed=["libc.so.6", *more]) for more in (old, new))
    difference = compare(before, after, targets)
    (cell,) = difference.pairs[0].cells
    assert (cell.shift, difference.exit_code()) == (shift, code)
    assert {need.name for need in cell.because} == (set(new) - set(old) if shift in ("worse", "unclear") else set())


def test_what_is_assumed_or_optional_is_risky(compare: Compare) -> None:
    v3 = elf(interpreter=LOADER, needed=["libc.so.6"], tags=[(21, 0)], notes=[isa(3)])
    difference = compare(program(), v3, DEBIAN)
    (cell,) = difference.pairs[0].cells
    assert (cell.shift, cell.new.verdict, cell.because[0].kind) == ("worse", "risky", "isa")
    assert [difference.exit_code(), difference.exit_code(fail_on="risky")] == [0, 1]
    stated = [TargetName("debian:12", MachineWish(cpu="x86-64-v2"))]
    assert compare(program(), v3, stated).exit_code() == 1


def test_another_architecture_is_judged_where_the_old_build_ran(compare: Compare) -> None:
    arm = elf(machine="aarch64", interpreter="/lib/ld-linux-aarch64.so.1", needed=["libc.so.6"], tags=[(21, 0)])
    (cell,) = compare(program(), arm, DEBIAN).pairs[0].cells
    assert (cell.shift, cell.new.verdict, cell.new.stage) == ("worse", "fails", "exec")


def test_targets_of_the_catalogue_are_judged_by_default(compare: Compare) -> None:
    difference = compare(program(), program(interpreter=MUSL_LOADER, needed=["libc.musl-x86_64.so.1"]), [])
    shifts = {cell.target: cell.shift for cell in difference.pairs[0].cells}
    assert difference.chosen == "every target of the catalogue"
    assert len(shifts) == len(difference.targets) > 80
    assert (shifts["debian:12"], shifts["alpine:3.20"], shifts["rhel:9"]) == ("worse", "better", "worse")
    places = [cell.place for cell in difference.pairs[0].cells if cell.family == "debian"]
    assert places == sorted(places)
    assert len(places) > 5


def test_an_added_file_can_make_a_tree_worse_and_a_removed_one_only_those_that_need_it(tmp_path: Path) -> None:
    library = elf(soname="liba.so", exports=["a"])
    user = elf(interpreter=LOADER, needed=["liba.so"], runpath="$ORIGIN", tags=[(21, 0)], imports=["a"])
    both = tree(tmp_path / "both", {"app": user, "liba.so": library})
    alone = tree(tmp_path / "alone", {"app": user})
    removed = compare_builds(both, alone, DEBIAN)
    assert {pair.name: [cell.shift for cell in pair.cells] for pair in removed.pairs} == {
        "app": ["worse"],
        "liba.so": [],
    }
    assert removed.pairs[0].identical
    added = compare_builds(alone, both, DEBIAN)
    assert {pair.name: [cell.shift for cell in pair.cells] for pair in added.pairs} == {
        "app": ["better"],
        "liba.so": ["same"],
    }


def test_files_that_nothing_reaches_are_not_judged(tmp_path: Path) -> None:
    files = {"one": program(), "two": program(needed=["libm.so.6"])}
    old, new = (tree(tmp_path / name, files) for name in ("old", "new"))
    difference = compare_builds(old, new, DEBIAN)
    assert [(pair.identical, pair.judged, pair.differs) for pair in difference.pairs] == [(True, False, False)] * 2
