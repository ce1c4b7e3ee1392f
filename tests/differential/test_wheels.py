"""Wheels against auditwheel, pip, installer and packaging; where they and the model differ, real loaders settle it.

Differences are listed with their reasons: each list is compared with what is found, so that none can hide.
"""

from __future__ import annotations

import json
import random
import subprocess
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path
from zipfile import ZipFile

import pytest

from runworthy.formats.wheel import parse_wheel_name
from runworthy.model.arch import ARCHITECTURES, architecture
from runworthy.model.layout import Platform
from runworthy.model.trace import Answer, Step
from runworthy.simulate.wheel import choose
from runworthy.simulate.wheel.tags import supported
from runworthy.simulate.wheel.versions import version_key
from runworthy.targets.promises import _LENT
from tests.elfwriter import elf
from tests.judges.panel import Judge
from tests.judges.roots import requires, requires_environment, requires_tool
from tests.wheels import judge_wheel, open_wheel, pack_wheel, promises_on

pytestmark = [pytest.mark.judge, pytest.mark.slow]

GNU = "demo/_core.cpython-312-x86_64-linux-gnu.so"


def auditwheel() -> Path:
    return requires_environment("auditwheel") / "bin" / "python"


def policies(kind: str) -> list[Mapping[str, object]]:
    (found,) = auditwheel().parents[1].glob(f"lib/python3*/site-packages/auditwheel/policy/{kind}-policy.json")
    rows: list[Mapping[str, object]] = json.loads(found.read_text("utf-8"))
    return [row for row in rows if row["name"] != "linux"]


def wheels() -> list[Path]:
    found = sorted(requires_environment("wheels").glob("*.whl"))
    assert len(found) > 60
    return found


def numbers(policy: Mapping[str, object]) -> tuple[int, int]:
    major, minor = map(int, str(policy["name"]).split("_")[1:])
    return major, minor


# -- what tags promise -----------------------------------------------------------------------

EXPECTED = {
    # We promise more: every distribution of the catalogue with that glibc has it.
    **dict.fromkeys(
        [("x86_64", node, "2.26") for node in ("CXXABI_1.3.11", "GCC_7.0.0", "GLIBCXX_3.4.23", "GLIBCXX_3.4.24")],
        "openSUSE Leap 15 and Amazon Linux 2, which have glibc 2.26, have GCC 7; auditwheel has it on aarch64 itself",
    ),
    **dict.fromkeys(
        [(arch, "GLIBCXX_3.4.25", at) for arch in ("x86_64", "i386", "aarch64", "armv7", "ppc64le", "s390x")
         for at in ("2.27", "2.28")],
        "Ubuntu 18.04, Debian 10 and EL 8 have GCC 8",
    ),
    **dict.fromkeys(
        [(arch, node, "2.38") for arch in ("i386", "armv7", "ppc64le", "s390x")
         for node in ("CXXABI_1.3.14", "GLIBCXX_3.4.31", "GLIBCXX_3.4.32")]
        + [("i386", "GCC_13.0.0", "2.38"), ("ppc64le", "GLIBCXX_IEEE128_3.4.31", "2.38"),
           ("ppc64le", "GLIBCXX_LDBL_3.4.31", "2.38"), ("s390x", "GLIBCXX_LDBL_3.4.31", "2.38")],
        "what has glibc 2.38 and an older GCC (openEuler, Anolis) is not made for these architectures",
    ),
    ("loongarch64", "GLIBCXX_3.4.33", "2.39"): "no distribution for it has glibc 2.39 and an older GCC",
    **dict.fromkeys(
        [("riscv64", "GLIBC_ABI_DT_RELR", at) for at in ("2.36", "2.37")],
        "glibc has the mark since 2.36 on all architectures (elf/Versions)",
    ),
    **dict.fromkeys(
        [("x86_64", f"LIBATOMIC_1.{n}", at) for n in (0, 1) for at in ("2.12", "2.17")]
        + [("i386", "LIBATOMIC_1.0", "2.12"), ("i386", "LIBATOMIC_1.1", "2.12"), ("i386", "LIBATOMIC_1.1", "2.17")]
        + [(arch, "LIBATOMIC_1.1", "2.17") for arch in ("aarch64", "armv7", "s390x")]
        + [("aarch64", "LIBATOMIC_1.2", "2.17"), ("s390x", "LIBATOMIC_1.0", "2.17")],
        "where a distribution has libatomic.so.1, it has these; auditwheel lends the library, and none of its versions",
    ),
    **dict.fromkeys(
        [(arch, "ZLIB_1.2.12", "2.36") for arch in ("x86_64", "aarch64", "armv7", "ppc64le", "s390x", "riscv64",
                                                    "loongarch64")]
        + [("i386", "ZLIB_1.2.12", "2.34"), ("i386", "ZLIB_1.2.12", "2.35")],
        "Debian 12 has zlib 1.2.13, and nothing with glibc 2.36 an older one",
    ),
    **dict.fromkeys(
        [(arch, "ZLIB_1.2.7.1", "2.24") for arch in ("i386", "armv7", "ppc64le", "s390x")],
        "Debian 9 has zlib 1.2.8",
    ),
    # They promise more.
    **dict.fromkeys([("loongarch64", "GCC_4.4.0", f"2.{n}") for n in range(36, 42)],
                    "libgcc of Debian and openEuler for it does not have the node"),
    **dict.fromkeys([("ppc64", f"GCC_4.{n}.0", "2.17") for n in (4, 5)],
                    "nothing is known of big-endian PowerPC, and libgcc on x86-64 has no such node"),
    **dict.fromkeys([(arch, "ZLIB_1.2.9", "2.26") for arch in ("i386", "armv7", "ppc64le", "s390x")],
                    "Amazon Linux 2 and openSUSE Leap 15 are not made for it: it is taken to be as on x86-64"),
}  # fmt: skip


def test_version_nodes_of_the_policies() -> None:
    """Every node of every policy on every architecture, both ways."""
    found: set[tuple[str, str, str]] = set()
    compared = 0
    for arch in ARCHITECTURES:
        promises = promises_on(arch.name)
        rows = {}
        for policy in policies("manylinux"):
            symbols = policy["symbol_versions"]
            assert isinstance(symbols, dict)
            if arch.pypi in symbols:
                groups = symbols[arch.pypi].items()
                rows[numbers(policy)] = {f"{prefix}_{number}" for prefix, held in groups for number in held}
        for release, theirs in rows.items():
            for node in set().union(*rows.values()):
                first = promises.release_with(node)
                compared += 1
                if (node in theirs) != (first is not None and first <= release):
                    found.add((arch.name, node, f"{release[0]}.{release[1]}"))
    assert compared > 10_000
    assert found == EXPECTED.keys()


def test_libraries_of_the_policies() -> None:
    for policy in policies("manylinux"):
        theirs = policy["lib_whitelist"]
        assert isinstance(theirs, list)
        assert {name for name, since in _LENT.items() if since <= numbers(policy)} == set(theirs), policy["name"]
    promises = promises_on("x86_64")
    for policy in policies("musllinux"):
        theirs = policy["lib_whitelist"]
        assert isinstance(theirs, list)
        assert all(promises.musl_lends(name) for name in theirs)


# -- the tag that a wheel deserves -----------------------------------------------------------


WEAK = {"uv-0.13.9-py3-none-manylinux_2_28_aarch64.whl": "manylinux_2_17_aarch64"}
"""Its versions above GLIBC_2.17 are weak: loaders go on without them (test_weak_versions_are_no_needs)."""


def shown(path: Path) -> str:
    """Return the tag that ``auditwheel show`` gives a wheel."""
    said = subprocess.run(
        [str(auditwheel()), "-m", "auditwheel", "show", "--json", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    return str(json.loads(said.stdout)["overall_tag"]) if said.returncode == 0 else ""


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
@pytest.mark.parametrize("family", ["manylinux", "musllinux"])
def test_deserved_tags(arch: str, family: str) -> None:
    """As auditwheel says; but it has one policy for musl, the newest, and none for a file that asks for no C library.

    Where it says musllinux_1_2 we tell musllinux_1_1 too; musl 1.1.24 exports all that such a wheel asks for.
    """
    paths = [path for path in wheels() if f"{family}_" in path.name and path.name.endswith(f"_{arch}.whl")]
    assert len(paths) >= 10
    for path in paths:
        mine = [one.tag for one in open_wheel(path.name, str(path), hashes=False).deserved()]
        theirs = shown(path) or f"musllinux_1_2_{arch}"  # it refuses wheels whose 1_1 it has no policy for
        if theirs.startswith("musllinux"):
            assert theirs == f"musllinux_1_2_{arch}"
            assert mine[-1] in (theirs, f"musllinux_1_1_{arch}"), path.name
        else:
            assert mine[0] == WEAK.get(path.name, theirs), path.name


def test_real_wheels_keep_what_their_names_promise() -> None:
    """None fails. Some for musl ask for what came after 1.2.0: packed relocations (1.2.4) and qsort_r (1.2.3)."""
    late: dict[str, set[str]] = {}
    for path in wheels():
        trace = open_wheel(path.name, str(path), hashes=False).promise()
        steps = [step for step in trace.needs if step.answer is not Answer.MET and step.because is None]
        assert not any(step.fatal for step in steps), path.name
        for step in steps:
            assert "musllinux" in path.name
            late.setdefault(path.name.partition("-")[0], set()).add(f"{step.need.version} {step.detail}")
    packed = "DT_RELR relr: musl 1.2.4"
    projects = ("cryptography", "greenlet", "numpy", "psycopg2_binary", "shapely")
    sorts = "qsort_r symbol: musl 1.2.3"
    assert late == {**{project: {packed} for project in projects}, "pillow": {packed, sorts}}


def test_weak_versions_are_no_needs(tmp_path: Path) -> None:
    """What has a weak need of a version of glibc 2.38 is loaded by 2.31; auditwheel counts it, as in uv's wheel."""
    core = elf(needed=["libc.so.6"], needs=[("libc.so.6", "GLIBC_2.38", True)])
    (tmp_path / "core.so").write_bytes(core)
    with Judge(requires("bullseye-amd64"), binds={"/subject": tmp_path}) as judge:
        assert not judge.ask("/subject/core.so").missing_versions
    name = "demo-1.0-cp312-cp312-linux_x86_64.whl"
    assert [one.tag for one in open_wheel(name, pack_wheel(name, {GNU: core})).deserved()] == ["manylinux_2_5_x86_64"]


OPENS = "#include <dlfcn.h>\nint main(int c, char **v) { return c > 1 && dlopen(v[1], RTLD_NOW) ? 0 : 3; }\n"


@pytest.mark.parametrize(
    ("root", "opens"), [("musl-1.2.2-x86_64", False), ("musl-1.2.3-x86_64", False), ("musl-1.2.5-x86_64", True)]
)
def test_packed_relocations_need_musl_1_2_4(root: str, *, opens: bool, tmp_path: Path) -> None:
    """Auditwheel says musllinux_1_2; musl before 1.2.4 leaves the relocations out, and the library's start crashes."""
    requires_tool("musl-gcc", package="musl-tools")
    (path,) = (
        path for path in wheels() if path.name.startswith("cryptography-") and "musllinux_1_2_x86_64" in path.name
    )
    with ZipFile(path) as archive:
        (library,) = (name for name in archive.namelist() if "/libgcc_s" in name)
        (tmp_path / "libgcc_s.so").write_bytes(archive.read(library))
    (tmp_path / "opens.c").write_text(OPENS)
    subprocess.run(["musl-gcc", "-o", str(tmp_path / "opens"), str(tmp_path / "opens.c")], check=True)
    with Judge(requires(root), binds={"/subject": tmp_path}) as judge:
        outcome = judge.run(["/subject/opens", "/subject/libgcc_s.so"])
    assert (outcome.rc == 0) is opens


# -- broken wheels ---------------------------------------------------------------------------


def retagged(path: Path, tag: str) -> tuple[str, bytes]:
    """Return a real wheel under another platform tag, its records made anew."""
    with ZipFile(path) as archive:
        members = {
            name: archive.read(name)
            for name in archive.namelist()
            if not name.endswith("/") and ".dist-info/" not in name
        }
    name = f"{path.name.rpartition('-')[0]}-{tag}.whl"
    return name, pack_wheel(name, members)


def codes(name: str, data: bytes) -> dict[str, str]:
    return {finding.code: finding.message for finding in judge_wheel(name, data).findings}


def test_a_wheel_with_too_low_a_tag(tmp_path: Path) -> None:
    """Auditwheel gives it the tag that we propose, and glibc 2.17 to 2.27 lack the version."""
    (path,) = (
        path for path in wheels() if path.name.startswith("cryptography-") and path.name.endswith("2_28_x86_64.whl")
    )
    name, data = retagged(path, "manylinux_2_17_x86_64")
    found = judge_wheel(name, data)
    (finding,) = (one for one in found.findings if one.code == "RW510")
    assert "needs GLIBC_2.28" in finding.message
    assert "manylinux_2_28_x86_64" in finding.remedies[0].title
    (tmp_path / name).write_bytes(data)
    assert shown(tmp_path / name) == "manylinux_2_28_x86_64"


def test_a_library_of_the_other_kind(tmp_path: Path) -> None:
    by_kind = {kind: next(path for path in wheels() if path.name.startswith("markupsafe") and kind in path.name
               and path.name.endswith("x86_64.whl")) for kind in ("manylinux", "musllinux")}  # fmt: skip
    assert codes(*retagged(by_kind["musllinux"], "manylinux_2_17_x86_64")).keys() == {"RW512"}
    assert codes(*retagged(by_kind["manylinux"], "musllinux_1_2_x86_64")).keys() == {"RW512"}


def test_a_wheel_for_another_architecture() -> None:
    path = next(
        path for path in wheels() if path.name.startswith("markupsafe") and "manylinux_2_28_aarch64" in path.name
    )
    assert codes(*retagged(path, "manylinux_2_17_x86_64")).keys() == {"RW513"}


@pytest.mark.parametrize(("root", "opens"), [("bookworm-amd64", True), ("trixie-amd64", False)])
def test_an_executable_stack(root: str, *, opens: bool, tmp_path: Path) -> None:
    """Glibc 2.41 does not open it; auditwheel says manylinux_2_5."""
    requires_tool("gcc", package="gcc")
    (tmp_path / "core.c").write_text("int PyInit__core;\n")
    (tmp_path / "opens.c").write_text(OPENS)
    core = tmp_path / "core.so"
    options = ["-shared", "-fPIC", "-z", "execstack", "-nostartfiles"]
    subprocess.run(["gcc", *options, "-o", str(core), str(tmp_path / "core.c")], check=True)
    subprocess.run(["gcc", "-o", str(tmp_path / "opens"), str(tmp_path / "opens.c")], check=True)
    with Judge(requires(root), binds={"/subject": tmp_path}) as judge:
        outcome = judge.run(["/subject/opens", "/subject/core.so"])
    assert (outcome.rc == 0) is opens
    name = "demo-1.0-cp312-cp312-manylinux_2_5_x86_64.whl"
    assert codes(name, pack_wheel(name, {GNU: core.read_bytes()})).keys() == {"RW518"}


# -- pip and installer on wheels that disagree with themselves -------------------------------

PURE = "demo-1.0-py3-none-any.whl"
FILES = {"demo/__init__.py": b"x = 1\n", "demo/more.py": b"y = 1\n"}


def without(path: str, data: bytes) -> bytes:
    from io import BytesIO

    packed = BytesIO()
    with ZipFile(BytesIO(data)) as old, ZipFile(packed, "w") as new:
        for name in old.namelist():
            if not name.endswith(path):
                new.writestr(name, old.read(name))
    return packed.getvalue()


def with_member(path: str, text: bytes, data: bytes) -> bytes:
    from io import BytesIO

    packed = BytesIO(data)
    with ZipFile(packed, "a") as archive:
        archive.writestr(path, text)
    return packed.getvalue()


def metadata(name: str, version: str) -> str:
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"


SOUND = pack_wheel(PURE, FILES)
CASES = {
    "sound": SOUND,
    "another version inside": pack_wheel(PURE, FILES, metadata=metadata("demo", "1.1")),
    "the same version written otherwise": pack_wheel(PURE, FILES, metadata=metadata("Demo", "1.0.0")),
    "another name inside": pack_wheel(PURE, FILES, metadata=metadata("other", "1.0")),
    "another directory": pack_wheel(PURE, FILES, info="other-1.0.dist-info"),
    "a directory of another version": pack_wheel(PURE, FILES, info="demo-1.1.dist-info"),
    "two directories": with_member("other-1.0.dist-info/WHEEL", b"", SOUND),
    "no WHEEL": without(".dist-info/WHEEL", SOUND),
    "no METADATA": without(".dist-info/METADATA", SOUND),
    "no RECORD": without(".dist-info/RECORD", SOUND),
    "no version of the format": with_member(
        "demo-1.0.dist-info/WHEEL", b"Tag: py3-none-any\n", without("/WHEEL", SOUND)
    ),
    "a later format": with_member("demo-1.0.dist-info/WHEEL", b"Wheel-Version: 2.0\n", without("/WHEEL", SOUND)),
    "other tags": pack_wheel(PURE, FILES, tags=["py2-none-any"]),
    "data that goes nowhere": pack_wheel(PURE, {**FILES, "demo-1.0.data/nowhere/x": b""}),
    "data in no directory": pack_wheel(PURE, {**FILES, "demo-1.0.data/x": b""}),
    "data that goes somewhere": pack_wheel(PURE, {**FILES, "demo-1.0.data/data/x": b""}),
    "not recorded": pack_wheel(PURE, FILES, record=lambda rows: rows[1:]),
    "recorded and not there": pack_wheel(PURE, FILES, record=lambda rows: [["demo/no.py", "sha256=AA", "1"], *rows]),
    "another hash": pack_wheel(PURE, FILES, record=lambda rows: [[rows[0][0], "sha256=AAAA", rows[0][2]], *rows[1:]]),
    "another size": pack_wheel(PURE, FILES, record=lambda rows: [[*rows[0][:2], "9"], *rows[1:]]),
    "without a hash": pack_wheel(PURE, FILES, record=lambda rows: [[rows[0][0], "", ""], *rows[1:]]),
}  # fmt: skip


def unmet(data: bytes, *, kind: str = "") -> list[Step]:
    """Return what is wrong with a wheel, all of its files hashed."""
    wheel = open_wheel(PURE, data, hashes=True, everything=True)
    return [step for step in wheel.promise().needs if step.answer is Answer.UNMET and step.need.kind.startswith(kind)]


@pytest.mark.parametrize("case", CASES)
def test_pip_refuses_what_fails(case: str, tmp_path: Path) -> None:
    (tmp_path / PURE).write_bytes(CASES[case])
    pip = requires_environment("venv") / "bin" / "python"
    command = [str(pip), "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--disable-pip-version-check"]
    said = subprocess.run(
        [*command, "--find-links", str(tmp_path), "--target", str(tmp_path / "into"), "demo==1.0"],
        capture_output=True,
        text=True,
        check=False,
    )
    fatal = [step.detail for step in unmet(CASES[case]) if step.fatal]
    assert bool(fatal) == (said.returncode != 0), said.stderr


INSTALLS = """
import sys
from installer.sources import WheelFile
with WheelFile.open(sys.argv[1]) as source:
    source.validate_record(validate_contents=True)
"""


@pytest.mark.parametrize("case", ["sound", "not recorded", "another hash", "another size", "without a hash"])
def test_installer_refuses_records_that_differ(case: str, tmp_path: Path) -> None:
    """It goes through the files that are there, and so passes over what is recorded and is not."""
    (tmp_path / PURE).write_bytes(CASES[case])
    command = [str(auditwheel()), "-c", INSTALLS, str(tmp_path / PURE)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert bool(unmet(CASES[case], kind="record")) == (said.returncode != 0), said.stderr


# -- what pip takes --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arch", "libc", "release"),
    [
        ("x86_64", "glibc", (2, 36)),
        ("i386", "glibc", (2, 12)),
        ("aarch64", "glibc", (2, 28)),
        ("s390x", "glibc", (2, 17)),
        ("x86_64", "musl", (1, 2)),
        ("aarch64", "musl", (1, 1)),
    ],
)
@pytest.mark.parametrize("python", [(3, 8), (3, 12)])
def test_supported_tags_are_those_of_packaging(
    arch: str, libc: str, release: tuple[int, int], python: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real generator, told that it runs elsewhere."""
    from packaging import _manylinux, _musllinux, tags

    known = architecture(arch)
    assert known is not None
    glibc = release if libc == "glibc" else (-1, -1)
    musl = _musllinux._MuslVersion(*release) if libc == "musl" else None  # noqa: SLF001 - likewise
    monkeypatch.setattr(sysconfig, "get_platform", lambda: f"linux-{known.pypi}")
    monkeypatch.setattr(_manylinux, "_get_glibc_version", lambda: glibc)
    monkeypatch.setattr(_manylinux, "_have_compatible_abi", lambda *_: True)
    monkeypatch.setattr(_musllinux, "_get_musl_version", lambda _: musl)
    platforms = list(tags._linux_platforms(is_32bit=known.elf_class == 32))  # noqa: SLF001 - likewise
    own = f"cp{python[0]}{python[1]}"
    real = [*tags.cpython_tags(python, [own], platforms), *tags.compatible_tags(python, own, platforms)]
    mine = supported(
        Platform(target="x", arch=known, libc="glibc" if musl is None else "musl", release=release), python
    )
    assert list(mine) == [str(tag) for tag in real]


def test_versions_are_ordered_as_packaging_does() -> None:
    from packaging.version import Version

    random_ = random.Random(7)  # noqa: S311 - not for secrets
    parts = ("a1", "b2", "rc1", ".post1", "-1", ".dev3", ".dev", "+local.1", "+local.a", "+2", "c", "-alpha_2", "_r4")
    made: list[tuple[Version, str]] = []
    while len(made) < 400:
        text = ".".join(str(random_.choice((0, 1, 2, 10))) for _ in range(random_.randint(1, 4)))
        text = random_.choice(("", "", "1!", "v")) + text + "".join(random_.choices(parts, k=random_.randint(0, 3)))
        try:
            made.append((Version(text), text))
        except ValueError:
            assert version_key(text)[0] == -1, text
    for left, one in made:
        for right, two in random_.sample(made, 40):
            assert (left < right) == (version_key(one) < version_key(two)), (one, two)


@pytest.mark.parametrize("seed", range(6))
def test_pip_takes_what_is_chosen(seed: int, tmp_path: Path) -> None:
    """Several wheels of one project in a directory, on this machine with this machine's pip."""
    pip = requires_environment("venv") / "bin" / "python"
    told = "import platform, sys; print(*platform.libc_ver(), platform.machine(), *sys.version_info[:2])"
    libc, release, machine, *python = subprocess.run(
        [str(pip), "-c", told], capture_output=True, text=True, check=True
    ).stdout.split()
    known = architecture(machine)
    if libc != "glibc" or known is None:
        pytest.skip("not on glibc")
    names = set(_names(random.Random(seed), known.pypi, python[1]))  # noqa: S311 - not for secrets
    for name in names:
        text = metadata("demo", parse_wheel_name(name).version)
        (tmp_path / name).write_bytes(pack_wheel(name, {}, metadata=text))
    platform = Platform(target="x", arch=known, libc="glibc", release=tuple(map(int, release.split("."))))
    choice = choose(
        {name: parse_wheel_name(name) for name in sorted(names)}, platform, (int(python[0]), int(python[1]))
    )
    options = ["--no-index", "--no-deps", "--disable-pip-version-check", "--find-links", str(tmp_path)]
    command = [str(pip), "-m", "pip", "download", "-q", *options, "-d", str(tmp_path / "into"), "demo"]
    subprocess.run(command, capture_output=True, text=True, check=False)
    got = {path.name for path in (tmp_path / "into").glob("*")} if (tmp_path / "into").is_dir() else set()
    assert got == choice.taken


def _names(random_: random.Random, machine: str, minor: str) -> Iterable[str]:
    platforms = ["manylinux1", "manylinux2014", "manylinux_2_17", "manylinux_2_28", "manylinux_2_35", "manylinux_2_90",
        "musllinux_1_2", "musllinux_1_1"]  # fmt: skip
    pythons = [f"cp3{minor}-cp3{minor}", f"cp3{minor}-abi3", "cp37-abi3", "py3-none", f"py3{minor}-none", "cp399-cp399"]
    for _ in range(random_.randint(2, 12)):
        tags = random_.sample(platforms, random_.randint(1, 2))
        version = random_.choice(("1.0", "1.0", "1.0", "0.9", "1.0.post1"))
        build = random_.choice(("", "", "1-", "2a-", "10-"))
        one = ".".join(f"{tag}_{random_.choice((machine, machine, 'ppc64le'))}" for tag in tags)
        yield f"demo-{version}-{build}{random_.choice(pythons)}-{random_.choice((one, one, 'any'))}.whl"
