"""The floor of small files: what holds it, where it would be without that, and what is not said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from runworthy.engine.floor import floors, parse_gates
from runworthy.engine.floor.jury import CLEAN, Hindrance, Standing
from runworthy.engine.floor.ladder import _row
from runworthy.model.errors import UsageError
from runworthy.model.floor import Floor, FloorReport, Kind, ShippedFloor
from tests.elfwriter import MACHINES, Symbol, elf, gnu_property
from tests.world import DT_DEBUG, LOADER, MUSL_LOADER, START

Write = Callable[..., str]
ISA_1_NEEDED = 0xC0008002
LIBSTDCXX = "libstdc++.so.6"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file, a program that needs libc.so.6 if nothing else is said, and return its path."""

    def written(name: str, **options: object) -> str:
        made: dict[str, object] = {"interpreter": LOADER, "needed": ["libc.so.6"], "tags": [DT_DEBUG]}
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(elf(**(made | options)))  # type: ignore[arg-type]
        path.chmod(0o755)
        return str(path)

    return written


def of(*paths: str) -> ShippedFloor:
    (shipped,) = floors(paths).shipped
    return shipped


def floor_of(kind: Kind, *paths: str) -> Floor:
    return of(*paths).floor(kind)


def libc(name: str, version: str, *, weak: bool = False) -> Symbol:
    return Symbol(name, version, "libc.so.6", bind="weak" if weak else "global", use="data")


def targets(shipped: ShippedFloor, *families: str) -> dict[str, str]:
    return {one.family: one.target for one in shipped.oldest if one.family in families}


# -- glibc -----------------------------------------------------------------------------------


def test_each_rung_has_its_symbols_and_the_next_is_the_floor_without_the_first(write: Write) -> None:
    strtol = libc("__isoc23_strtol", "GLIBC_2.38")
    floor = floor_of("glibc", write("a", imports=[START, strtol]), write("b", imports=[START]))
    assert (floor.release, floor.judged) == ("2.38", True)
    first, second = floor.rungs
    assert [(r.need, r.library, r.symbols) for r in first.reasons] == [
        ("GLIBC_2.38", "libc.so.6", ("__isoc23_strtol",))
    ]
    assert first.reasons[0].file.endswith("/a")
    assert (second.release, len(second.reasons)) == ("2.34", 2)
    assert floor.lower == second


def test_packed_relocations_need_2_36_and_musl_1_2_4(write: Write) -> None:
    marked = write("marked", relr=True, imports=[START], needs=[("libc.so.6", "GLIBC_ABI_DT_RELR", False)])
    floor = floor_of("glibc", marked)
    assert floor.release == "2.36"
    assert [reason.need for reason in floor.rungs[0].reasons] == ["GLIBC_ABI_DT_RELR"]
    unmarked = write("unmarked.so", interpreter=None, needed=[], tags=[], relr=True, exports=["here"])
    assert floor_of("glibc", unmarked).release == "2.36"
    assert floor_of("musl", unmarked).release == "1.2.4"


@pytest.mark.parametrize(("machine", "release"), [("aarch64", "2.17"), ("riscv64", "2.27")])
def test_the_first_version_of_a_port_is_no_rung_to_go_below(write: Write, machine: str, release: str) -> None:
    loader = {"aarch64": "/lib/ld-linux-aarch64.so.1", "riscv64": "/lib/ld-linux-riscv64-lp64d.so.1"}[machine]
    path = write("app", machine=machine, e_flags=5 if machine == "riscv64" else 0, interpreter=loader,
        imports=[libc("puts", f"GLIBC_{release}")])  # fmt: skip
    floor = floor_of("glibc", path)
    assert (floor.state, floor.release, floor.oldest) == ("at", release, release)


def test_a_symbol_counts_where_its_version_is_older_than_it_is(write: Write) -> None:
    """Aarch64's glibc 2.17 defines GLIBC_2.18 for others, but not this name (auditwheel blacklists it)."""
    options = {"machine": "aarch64", "interpreter": "/lib/ld-linux-aarch64.so.1"}
    late = write("late", imports=[libc("__cxa_thread_atexit_impl", "GLIBC_2.18")], **options)
    assert floor_of("glibc", late).release == "2.18"


def test_a_c_library_that_does_not_lie_beside_its_loader(write: Write) -> None:
    """Before 2.34 dladdr is libdl's, which is in the process that opens the plug-in: in /lib64, the loader in /lib."""
    plugin = write("x.so", machine="aarch64", interpreter=None, tags=[], exports=["PyInit_x"],
        imports=[Symbol("dladdr", use="data"), Symbol("PyErr_Clear", use="data")])  # fmt: skip
    assert targets(of(plugin), "manylinux", "opensuse/leap") == {
        "manylinux": "manylinux_2_17",
        "opensuse/leap": "opensuse/leap:15.5",
    }


def test_weak_needs_count_only_where_the_version_is_needed(write: Write) -> None:
    weak = libc("pidfd_spawnp", "GLIBC_2.39", weak=True)
    floor = floor_of("glibc", write("strong", imports=[START, weak]))
    assert floor.release == "2.39"
    assert floor.rungs[0].reasons[0].weak
    plain = Symbol("pidfd_spawnp", bind="weak", use="data")
    assert floor_of("glibc", write("plain", imports=[START, plain])).release == "2.34"
    needs = [("libc.so.6", "GLIBC_2.39", True)]
    assert floor_of("glibc", write("weakly", imports=[START], needs=needs)).release == "2.34"


def test_what_is_bound_lazily_leaves_a_lower_release_on_which_it_starts(write: Write) -> None:
    lazy = Symbol("arc4random", use="plt")
    floor = floor_of("glibc", write("app", imports=[libc("puts", "GLIBC_2.2.5"), lazy]))
    assert (floor.release, floor.starts) == ("2.36", "2.17")
    assert [(reason.symbols, reason.lazy) for reason in floor.missing] == [(("arc4random",), True)]
    now = Symbol("arc4random", use="data")
    floor = floor_of("glibc", write("now", imports=[libc("puts", "GLIBC_2.2.5"), now]))
    assert (floor.release, floor.starts) == ("2.36", "")


def test_a_library_that_came_later(write: Write) -> None:
    floor = floor_of("glibc", write("app", needed=["libmvec.so.1", "libc.so.6"], imports=[libc("puts", "GLIBC_2.2.5")]))
    assert floor.release == "2.22"
    assert [reason.need for reason in floor.rungs[0].reasons] == ["libmvec.so.1"]


def test_a_plugin_with_an_executable_stack_has_a_ceiling(write: Write) -> None:
    path = write("x.so", interpreter=None, tags=[], imports=[libc("memcpy", "GLIBC_2.14")], exports=["PyInit_x"],
        exec_stack=True)  # fmt: skip
    floor = floor_of("glibc", path)
    assert (floor.release, floor.ceiling) == ("2.14", "2.40")
    assert [reason.need for reason in floor.above] == ["executable stack"]


def test_older_than_what_is_judged_is_read_off_the_names_of_versions(write: Write) -> None:
    floor = floor_of("glibc", write("app", imports=[libc("memcpy", "GLIBC_2.14"), libc("puts", "GLIBC_2.2.5")]))
    assert (floor.release, floor.judged, floor.oldest) == ("2.14", False, "2.17")
    assert [rung.release for rung in floor.rungs] == ["2.14", "2.2.5"]


def test_a_static_program_asks_for_no_c_library(write: Write) -> None:
    shipped = of(write("app", kind=2, interpreter=None, needed=[], tags=[], dynamic=False, base=0x400000))
    assert [shipped.floor(kind).state for kind in ("glibc", "musl", "libstdc++", "libgcc")] == ["any"] * 4
    assert targets(shipped, "alpine", "debian", "rhel") == {
        "alpine": "alpine:3.12",
        "debian": "debian:8",
        "rhel": "rhel:7",
    }


def test_what_is_not_known_is_no_floor(write: Write) -> None:
    """Which release has a symbol of GLIBC_PRIVATE, and whether a later one still has it, nobody promises."""
    private = libc("_dl_addr", "GLIBC_PRIVATE")
    report = floors([write("private", imports=[START, private])], parse_gates(glibc="2.40"))
    assert report.shipped[0].floor("glibc").state == "unknown"
    assert [breach.unknown for breach in report.breaches] == [True]
    assert report.exit_code() == 4


def test_a_symbol_that_no_release_has(write: Write) -> None:
    report = floors([write("app", imports=[START, Symbol("nowhere_at_all", use="data")])])
    floor = report.shipped[0].floor("glibc")
    assert (floor.state, floor.reasons[0].symbols) == ("nowhere", ("nowhere_at_all",))
    assert report.exit_code() == 1


def test_an_architecture_without_a_c_library_is_a_problem_and_no_end(write: Write) -> None:
    mips = write("mips", machine="mips64el", interpreter="/lib64/ld.so.1")
    report = floors([mips, write("app", imports=[START])])
    assert (list(report.problems), len(report.shipped), report.exit_code()) == ([mips], 1, 4)


# -- musl, and both --------------------------------------------------------------------------


def musl(write: Write, name: str, *symbols: str) -> str:
    imports = [Symbol(symbol, use="data") for symbol in symbols]
    return write(name, interpreter=MUSL_LOADER, needed=["libc.musl-x86_64.so.1"], imports=imports)


@pytest.mark.parametrize(
    ("symbol", "release", "alpine"),
    [
        ("_Fork", "1.2.2", "alpine:3.13"),
        ("qsort_r", "1.2.3", "alpine:3.15"),  # which has musl 1.2.2 with a patch for it
        ("statx", "1.2.5", "alpine:3.20"),
    ],
)
def test_symbols_that_musl_has_since(write: Write, symbol: str, release: str, alpine: str) -> None:
    shipped = of(musl(write, "app", "puts", symbol))
    floor = shipped.floor("musl")
    assert (floor.release, floor.judged) == (release, True)
    assert [reason.symbols for reason in floor.rungs[0].reasons] == [(symbol,)]
    assert shipped.floor("glibc").state == "nowhere"
    assert targets(shipped, "alpine", "debian") == {"alpine": alpine, "debian": ""}


def test_files_for_both_c_libraries_have_floors_of_their_own(write: Write) -> None:
    report = floors([write("gnu", imports=[START]), musl(write, "musl", "statx")], parse_gates(glibc="2.34"))
    assert [(one.libc, one.floor("glibc").release, one.floor("musl").release) for one in report.shipped] == [
        ("glibc", "2.34", ""),
        ("musl", "", "1.2.5"),
    ]
    assert report.exit_code() == 0


# -- what is shipped together ----------------------------------------------------------------


def test_a_library_beside_counts_and_one_of_the_target_does_not(write: Write, tmp_path: Path) -> None:
    app = write("dist/bin/app", needed=["libown.so", "libc.so.6"], runpath="$ORIGIN/../lib", imports=[START])
    write(
        "dist/lib/libown.so", interpreter=None, tags=[], soname="libown.so", imports=[libc("arc4random", "GLIBC_2.36")]
    )
    alone = of(app)
    assert (alone.floor("glibc").release, len(alone.bundled)) == ("2.36", 1)
    assert alone.presumed == ()
    whole = of(str(tmp_path / "dist"))
    assert (whole.floor("glibc").release, len(whole.files), whole.bundled) == ("2.36", 2, ())


def test_what_comes_from_elsewhere_is_presumed_and_named(write: Write) -> None:
    app = write("app", needed=["libssl.so.3", "libc.so.6"],
        imports=[START, Symbol("SSL_new", "OPENSSL_3.0.0", "libssl.so.3", use="data")])  # fmt: skip
    shipped = of(app)
    assert shipped.presumed == ("libssl.so.3",)
    assert shipped.floor("glibc").release == "2.34"
    assert targets(shipped, "debian", "ubuntu") == {"debian": "debian:12", "ubuntu": "ubuntu:22.04"}


def test_a_library_that_only_its_user_finds_is_judged_with_that(write: Write, tmp_path: Path) -> None:
    write("dist/app", needed=["liba.so", "libc.so.6"], rpath="$ORIGIN/lib", imports=[START])
    library: dict[str, object] = {"interpreter": None, "tags": []}
    write("dist/lib/liba.so", **library, needed=["libb.so", "libc.so.6"], imports=[Symbol("b", use="data")])
    write("dist/lib/libb.so", **library, needed=[], soname="libb.so", exports=["b"])
    assert of(str(tmp_path / "dist")).presumed == ()
    assert of(str(tmp_path / "dist/lib/liba.so")).presumed == ("libb.so",)


# -- GCC's runtime ---------------------------------------------------------------------------


def runtime(*versions: str) -> list[Symbol]:
    return [START, *(Symbol(f"f{n}", version, LIBSTDCXX, use="data") for n, version in enumerate(versions))]


@pytest.mark.parametrize(
    ("versions", "release", "words"),
    [
        (("GLIBCXX_3.4.29", "GLIBCXX_3.4.9"), "GLIBCXX_3.4.29", "GCC 11.1"),
        (("GLIBCXX_3.4.28", "CXXABI_1.3.13"), "CXXABI_1.3.13", "GCC 11.1"),
        (("CXXABI_1.3.9", "GLIBCXX_3.4.21"), "GLIBCXX_3.4.21", "GCC 5.1"),
        (("GLIBCXX_3.4.99",), "GLIBCXX_3.4.99", "a GCC that is not known yet"),
    ],
)
def test_libstdcxx_is_told_with_the_gcc_that_brought_it(
    write: Write, versions: Sequence[str], release: str, words: str
) -> None:
    floor = floor_of("libstdc++", write("app", needed=[LIBSTDCXX, "libc.so.6"], imports=runtime(*versions)))
    assert (floor.release, floor.words) == (release, words)


def test_a_bundled_libstdcxx_asks_nothing_of_the_target(write: Write) -> None:
    app = write("dist/app", needed=[LIBSTDCXX, "libc.so.6"], runpath="$ORIGIN", imports=runtime("GLIBCXX_3.4.32"))
    assert floor_of("libstdc++", app).release == "GLIBCXX_3.4.32"
    write("dist/libstdc++.so.6", interpreter=None, tags=[], needed=[], soname=LIBSTDCXX,
        exports=[("f0", "GLIBCXX_3.4.32")])  # fmt: skip
    assert floor_of("libstdc++", app).state == "any"


# -- the machine -----------------------------------------------------------------------------


def test_marks_of_the_cpu_and_files_without(write: Write) -> None:
    marked = write("v3", imports=[START], notes=[gnu_property(MACHINES["x86_64"], {ISA_1_NEEDED: 0b101})])
    floor = floor_of("cpu", marked, write("plain", imports=[START]))
    assert floor.release == "x86-64-v3"
    assert [reason.file.rpartition("/")[2] for reason in floor.reasons] == ["plain"]
    assert floor_of("cpu", write("other", imports=[START])).state == "unmarked"


def test_kernels_by_note_and_by_the_oldest_loader_that_fits(write: Write) -> None:
    floor = floor_of("kernel", write("app", imports=[START], abi_kernel=(4, 4, 0)))
    assert [rung.release for rung in floor.rungs] == ["4.4.0", "3.2.0"]
    assert "glibc 2.34" in floor.rungs[1].reasons[0].need
    old = write("old", imports=[libc("puts", "GLIBC_2.2.5")])
    assert floor_of("kernel", old).state == "unmarked"


def test_page_sizes_of_every_file(write: Write) -> None:
    options = {"machine": "aarch64", "interpreter": "/lib/ld-linux-aarch64.so.1"}
    pages = of(
        write("big", align=0x10000, **options), write("small", align=0x1000, base=0x1000, kind=2, **options)
    ).pages
    assert pages is not None
    assert pages.fit == (4096,)
    assert set(pages.refused) == {16384, 65536}
    assert all(files[0].endswith("/small") for files in pages.refused.values())


# -- gates -----------------------------------------------------------------------------------


def gated(path: str, **gates: str) -> FloorReport:
    return floors([path], parse_gates(**gates))


@pytest.mark.parametrize(
    ("gates", "kept"),
    [
        ({"glibc": "2.34"}, True),
        ({"glibc": "2.33"}, False),
        ({"glibc": "GLIBC_2.34"}, True),
        ({"libstdcxx": "GLIBCXX_3.4.29"}, True),
        ({"libstdcxx": "3.4.28"}, False),
        ({"libstdcxx": "gcc-11"}, True),
        ({"libstdcxx": "11.1"}, True),
        ({"libstdcxx": "gcc-10"}, False),
        ({"kernel": "4.4"}, True),
        ({"kernel": "4.3"}, False),
        ({"cpu": "x86-64-v3"}, True),
        ({"cpu": "v2"}, False),
        ({"musl": "1.2.5"}, False),
        ({"page_size": "4k"}, True),
    ],
)
def test_gates(write: Write, gates: dict[str, str], *, kept: bool) -> None:
    path = write("app", needed=[LIBSTDCXX, "libc.so.6"], imports=runtime("GLIBCXX_3.4.29"), abi_kernel=(4, 4, 0),
        notes=[gnu_property(MACHINES["x86_64"], {ISA_1_NEEDED: 0b100})])  # fmt: skip
    report = gated(path, **gates)
    assert (report.exit_code() == 0, not report.breaches) == (kept, kept)


def test_a_broken_gate_names_everything_above_it(write: Write) -> None:
    imports = [START, libc("strlcpy", "GLIBC_2.38"), libc("fcntl64", "GLIBC_2.28")]
    (breach,) = gated(write("app", imports=imports), glibc="2.28").breaches
    assert [(rung.release, rung.reasons[0].symbols) for rung in breach.rungs] == [
        ("2.38", ("strlcpy",)),
        ("2.34", ("__libc_start_main",)),
    ]


def test_a_gate_below_what_can_be_judged_is_not_called_kept(write: Write) -> None:
    report = gated(musl(write, "app", "puts"), musl="1.1.20")
    assert [breach.unknown for breach in report.breaches] == [True]
    assert report.exit_code() == 4


def test_a_page_size_that_must_fit(write: Write) -> None:
    small = write("small", machine="aarch64", interpreter="/lib/ld-linux-aarch64.so.1", base=0x1000, kind=2)
    report = gated(small, page_size="64k")
    assert report.exit_code() == 1
    assert report.breaches[0].rungs[0].reasons[0].file.endswith("/small")


@pytest.mark.parametrize(
    "gates",
    [{"glibc": "2"}, {"glibc": "new"}, {"musl": "x"}, {"libstdcxx": "latest"}, {"kernel": "x"}, {"cpu": "v9"},
        {"page_size": "3k"}],
)  # fmt: skip
def test_gates_that_mean_nothing(gates: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        parse_gates(**gates)


# -- which releases are judged ---------------------------------------------------------------


def test_both_sides_of_every_change_are_judged_and_little_else() -> None:
    bad = Standing(fatal=frozenset((Hindrance("a", "symbol-version", "libc.so.6", "GLIBC_2.34"),)))
    worse = bad.joined(Standing(fatal=frozenset((Hindrance("a", "symbol-version", "libc.so.6", "GLIBC_2.28"),))))
    truth = [worse] * 11 + [bad] * 6 + [CLEAN] * 10
    asked: set[int] = set()

    def judge(at: int) -> Standing:
        asked.add(at)
        return truth[at]

    assert _row(judge, len(truth)) == truth
    assert {10, 11, 16, 17} <= asked
    assert len(asked) < 14


def test_where_the_newest_is_not_clean_every_release_is_judged() -> None:
    bad = Standing(fatal=frozenset((Hindrance("a", "symbol", "_dl_private"),)))
    truth = [bad] * 5 + [CLEAN] * 3 + [bad] * 5
    assert _row(truth.__getitem__, len(truth)) == truth
