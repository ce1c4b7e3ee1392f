"""Wheels against their promise, and what an installer takes: what no page of a rule shows."""

from __future__ import annotations

import pytest

from runworthy.formats.wheel import parse_wheel_name
from runworthy.model.arch import architecture
from runworthy.model.layout import Platform
from runworthy.model.program import FileFacts, MachoFacts
from runworthy.model.trace import Answer, Step
from runworthy.model.wheel import WheelFacts
from runworthy.simulate.wheel import accepts, choose, promise
from runworthy.simulate.wheel.tags import platform_tag
from runworthy.simulate.wheel.versions import version_key
from tests.elfwriter import MACHINES, Symbol, elf, gnu_property
from tests.wheels import judge_wheel, open_wheel, pack_wheel, platform_of, promises_on

GNU = "demo/_core.cpython-312-x86_64-linux-gnu.so"


def wheel_of(tag: str, members: dict[str, bytes], **changes: str) -> list[Step]:
    name = f"demo-1.0-cp312-cp312-{tag}.whl"
    wheel = open_wheel(name, pack_wheel(name, members, **changes))  # type: ignore[arg-type]
    return [step for step in wheel.promise().needs if step.answer is not Answer.MET and step.because is None]


def told(steps: list[Step]) -> list[tuple[str, str | None, str, str]]:
    return [(step.need.by, step.need.version, step.answer.value, step.detail) for step in steps]


def gnu(*imports: Symbol, needed: tuple[str, ...] = ("libc.so.6",), **more: object) -> bytes:
    return elf(needed=needed, imports=[Symbol("memcpy", "GLIBC_2.14", "libc.so.6"), *imports], **more)  # type: ignore[arg-type]


def test_versions_of_carried_libraries_do_not_count() -> None:
    core = gnu(Symbol("f", "GFORTRAN_99", "libgfortran-ab.so.5"), needed=("libc.so.6", "libgfortran-ab.so.5"))
    carried = gnu(soname="libgfortran-ab.so.5")
    assert not wheel_of("manylinux_2_17_x86_64", {GNU: core, "demo.libs/libgfortran-ab.so.5": carried})
    assert told(wheel_of("manylinux_2_17_x86_64", {GNU: core})) == [(GNU, "libgfortran-ab.so.5", "unmet", "library:")]


def test_libraries_of_x11_are_lent_and_their_versions_not_known() -> None:
    core = gnu(Symbol("f", "X_99", "libX11.so.6"), needed=("libc.so.6", "libX11.so.6"))
    assert not wheel_of("manylinux_2_17_x86_64", {GNU: core})


def test_a_library_of_a_required_distribution_is_unknown() -> None:
    core = gnu(needed=("libc.so.6", "libcudnn.so.9"), runpath="$ORIGIN/../nvidia/cudnn/lib")
    requires = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nRequires-Dist: nvidia-cudnn-cu12\n"
    alone = wheel_of("manylinux_2_17_x86_64", {GNU: core})
    with_it = wheel_of("manylinux_2_17_x86_64", {GNU: core}, metadata=requires)
    assert [step.answer for step in alone] == [Answer.UNMET]
    assert told(with_it) == [(GNU, "libcudnn.so.9", "unknown", "library: through $ORIGIN/../nvidia/cudnn/lib")]


def test_a_path_out_of_the_project_is_told_from_one_inside() -> None:
    core = gnu(needed=("libc.so.6", "libx.so.1"), runpath="$ORIGIN/../demo.libs:$ORIGIN/../../../..:$ORIGIN/lib")
    requires = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nRequires-Dist: other\n"
    (step,) = wheel_of("manylinux_2_17_x86_64", {"demo/a/b/x.so": core}, metadata=requires)
    assert step.answer is Answer.UNMET


def test_names_without_versions_are_looked_up_in_what_is_promised() -> None:
    core = elf(needed=["libc.so.6"], imports=["fcntl64", "PyModule_Create2", "my_own"])
    found = told(wheel_of("manylinux_2_17_x86_64", {GNU: core}))
    assert found == [(GNU, "fcntl64", "unmet", "symbol:")]


def test_a_library_in_the_directory_of_a_cpu_level_is_the_loaders_choice() -> None:
    marked = gnu(notes=[gnu_property(MACHINES["x86_64"], {0xC0008002: 7})])
    hwcaps = "demo.libs/glibc-hwcaps/x86-64-v3/libx.so.1"
    assert not wheel_of("manylinux_2_17_x86_64", {GNU: gnu(), hwcaps: marked})
    assert wheel_of("manylinux_2_17_x86_64", {GNU: gnu(), "demo.libs/libx.so.1": marked})


def test_data_for_other_machines_is_no_fault_beside_what_is_right() -> None:
    other = elf(machine="aarch64", needed=["libc.so.6"])
    assert not wheel_of("manylinux_2_17_x86_64", {GNU: gnu(), "demo/data/agent.so": other})
    found = told(wheel_of("manylinux_2_17_x86_64", {GNU: gnu(), "demo/_a.abi3.so": other}))
    assert found == [("demo/_a.abi3.so", "aarch64", "unmet", "machine: aarch64")]


@pytest.mark.parametrize(
    ("files", "tags"),
    [
        ({GNU: gnu()}, ["manylinux_2_17_x86_64"]),
        ({GNU: gnu(Symbol("f", "GLIBC_2.33", "libc.so.6"))}, ["manylinux_2_34_x86_64"]),
        ({GNU: gnu(needed=("libc.so.6", "libfoo.so.1"))}, ["linux_x86_64"]),
        ({GNU: gnu(needed=("libc.so.6", "libmvec.so.1"))}, ["manylinux_2_24_x86_64"]),
        ({GNU: elf(needed=["libc.musl-x86_64.so.1"])}, ["musllinux_1_1_x86_64"]),
        ({GNU: elf(needed=["libc.musl-x86_64.so.1"], imports=["gettid"])}, ["musllinux_1_2_x86_64"]),
        ({"demo/x": elf(kind=2)}, ["manylinux_2_5_x86_64", "musllinux_1_1_x86_64"]),
        ({"demo/x": elf(kind=2, machine="aarch64", align=65536)}, ["manylinux_2_17_aarch64", "musllinux_1_1_aarch64"]),
        ({"demo/x.o": elf(kind=1)}, []),
    ],
)
def test_the_tag_that_files_deserve(files: dict[str, bytes], tags: list[str]) -> None:
    name = "demo-1.0-cp312-cp312-linux_x86_64.whl"
    assert [one.tag for one in open_wheel(name, pack_wheel(name, files)).deserved()] == tags


def mac(tag: str, *parts: tuple[str, str]) -> list[tuple[str, str | None, str, str]]:
    held = tuple(MachoFacts(cpu=0, arch=arch, offset=0, size=1, filetype=8, minimum=least) for arch, least in parts)
    name = f"demo-1.0-cp312-cp312-{tag}.whl"
    facts = WheelFacts(file=name, name=parse_wheel_name(name), info="x", wheel={}, metadata={}, members={}, record=())
    other = FileFacts(type="mach-o", size=1, head=b"", machos=held)
    trace = promise(facts, {}, promises_on, others={"demo/_core.cpython-312-darwin.so": other})
    return [row for row in told(list(trace.stretches[1].needs)) if "unknown" not in row]


def test_wheels_for_macos() -> None:
    core = "demo/_core.cpython-312-darwin.so"
    assert mac("macosx_11_0_arm64", ("arm64", "11.0")) == []
    assert mac("macosx_10_13_universal2", ("arm64", "11.0"), ("x86_64", "10.13")) == []
    assert mac("macosx_10_9_x86_64", ("x86_64", "10.13")) == [(core, "macOS 10.13", "unmet", "minimum: macOS 10.13")]
    assert mac("macosx_10_13_universal2", ("x86_64", "10.13")) == [(core, "x86_64", "unmet", "machine: x86_64")]
    assert mac("manylinux_2_17_x86_64", ("x86_64", "10.13")) == [(core, "macos", "unmet", "system: macos")]


@pytest.mark.parametrize(
    ("target", "tags", "answer"),
    [
        ("debian:12", "manylinux_2_28_x86_64", "manylinux_2_28_x86_64"),
        ("debian:12", "manylinux1_x86_64", "manylinux1_x86_64"),
        ("debian:12", "linux_x86_64", "linux_x86_64"),
        ("debian:12", "any", "any"),
        ("debian:12", "manylinux_2_37_x86_64.manylinux_2_36_x86_64", "manylinux_2_36_x86_64"),
        ("alpine:3.20", "musllinux_1_2_x86_64", "musllinux_1_2_x86_64"),
        ("debian:12", "manylinux_2_4_x86_64", "offer: no installer takes manylinux_2_4_x86_64"),
        ("debian:12", "manylinux_2_28_aarch64", "offer: manylinux_2_28_aarch64 is for aarch64"),
        ("debian:12", "win_amd64", "offer: win_amd64 is for Windows"),
        (
            "debian:12",
            "manylinux_2_37_x86_64.musllinux_1_2_x86_64",
            (
                "offer: manylinux_2_37_x86_64 is for glibc 2.37, debian:12 has glibc 2.36; "
                "musllinux_1_2_x86_64 is for musl, debian:12 has glibc 2.36"
            ),
        ),
        (
            "alpine:3.12",
            "musllinux_1_2_x86_64",
            "offer: musllinux_1_2_x86_64 is for musl 1.2, alpine:3.12 has musl 1.1.24",
        ),
    ],
)
def test_what_an_installer_takes(target: str, tags: str, answer: str) -> None:
    name = f"demo-1.0-py3-none-{tags}.whl"
    facts = open_wheel(name, pack_wheel(name, {"demo/a.py": b""})).facts
    step = accepts(facts, platform_of(target, "x86_64"))
    assert (step.met_by or step.detail) == answer


def test_an_unknown_c_library_leaves_it_unknown() -> None:
    known = architecture("x86_64")
    assert known is not None
    name = "demo-1.0-py3-none-manylinux_2_17_x86_64.whl"
    facts = open_wheel(name, pack_wheel(name, {})).facts
    assert accepts(facts, Platform(target="here", arch=known)).answer is Answer.UNKNOWN
    assert accepts(facts, Platform(target="here", arch=known, libc="glibc")).answer is Answer.UNKNOWN


def test_the_newest_python_of_the_wheels_is_assumed() -> None:
    names = [f"demo-1.0-cp{python}-cp{python}-manylinux_2_17_x86_64.whl" for python in (39, 312, 311)]
    choice = choose({name: parse_wheel_name(name) for name in names}, platform_of("debian:12", "x86_64"))
    assert choice.taken == {names[1]}
    choice = choose({name: parse_wheel_name(name) for name in names}, platform_of("alpine:3.20", "x86_64"))
    assert choice.taken == frozenset()
    assert choice.among == frozenset(names)


def test_spellings_of_one_tag() -> None:
    assert platform_tag("manylinux2014_x86_64").name == "manylinux_2_17_x86_64"
    assert platform_tag("manylinux_2_17_amd64").archs == ()
    assert platform_tag("manylinux_2_x86_64").family == "other"


def test_what_is_no_version_comes_first() -> None:
    assert version_key("not a version") < version_key("0.dev0")


def test_findings_of_one_kind_are_told_apart() -> None:
    """Two things of one member under one rule have a fingerprint each."""
    name = "demo-1.0-cp312-cp312-manylinux_2_17_aarch64.whl"
    core = elf(machine="aarch64", needed=["libc.so.6"], flags=4, exec_stack=True)
    text = "Metadata-Version: 2.1\nName: other\nVersion: 2.0\n"
    found = judge_wheel(name, pack_wheel(name, {GNU: core}, metadata=text)).findings
    assert [finding.code for finding in found] == ["RW515", "RW518", "RW518", "RW515", "RW518"]
    assert len({finding.fingerprint for finding in found}) == len(found)
