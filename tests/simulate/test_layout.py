"""What is taken of a package on a platform, by each ecosystem's rule."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import pytest

from runworthy.formats.layout import layout_of
from runworthy.formats.layout.claims import claim_of
from runworthy.model.arch import architecture
from runworthy.model.archive import ContainerKind
from runworthy.model.layout import Choice, Claim, Contents, Layout, NpmPackage, Platform, System
from runworthy.model.trace import Answer, Event, Step
from runworthy.simulate.layout import choose, choose_among, fits, rids
from runworthy.simulate.layout.dotnet import variations
from runworthy.simulate.layout.npm import accepts


def _platform(arch: str = "x86_64", libc: str = "glibc", system: System = "linux") -> Platform:
    found = architecture(arch)
    assert found is not None
    return Platform(target="there", arch=found, libc=libc, system=system)  # type: ignore[arg-type]


def _layout(kind: ContainerKind, paths: Iterable[str], **files: object) -> Layout:
    told = {
        name.replace("__", "/").replace("_json", ".json"): json.dumps(value).encode() for name, value in files.items()
    }
    found = layout_of(kind, [*paths, *told], told.get)
    assert found is not None
    return found


def _unmet(choice: Choice) -> list[tuple[str | None, str]]:
    steps = (step for step in choice.steps if isinstance(step, Step))
    return [(step.need.version, step.need.name) for step in steps if step.answer is Answer.UNMET]


@pytest.mark.parametrize(
    ("wanted", "libc", "accepted"),
    [
        ({}, "glibc", True),
        ({"os": ("linux",)}, "glibc", True),
        ({"os": ("darwin", "win32")}, "glibc", False),
        ({"os": ("!win32",)}, "glibc", True),
        ({"os": ("!linux",)}, "glibc", False),
        ({"os": ("!win32", "darwin")}, "glibc", False),
        ({"os": ("any",)}, "glibc", True),
        ({"os": ("any", "win32")}, "glibc", False),
        ({"os": ()}, "glibc", True),
        ({"cpu": ("x64", "arm64")}, "musl", True),
        ({"libc": ("musl",)}, "musl", True),
        ({"libc": ("glibc",)}, "musl", False),
        ({"libc": ("!glibc",)}, "musl", True),
        ({"libc": ("!glibc",)}, "", False),  # npm finds none: whatever is asked for, it is not there
        ({"libc": ("any",)}, "", False),
    ],
)
def test_npm_installs(wanted: Mapping[str, tuple[str, ...]], libc: str, accepted: bool) -> None:  # noqa: FBT001
    assert accepts(NpmPackage(**wanted), _platform(libc=libc)) is accepted  # type: ignore[arg-type]


_PREBUILDS = [
    "prebuilds/linux-x64/a.node",
    "prebuilds/linux-x64/a.musl.node",
    "prebuilds/linux-arm/a.armv6.node",
    "prebuilds/linux-arm/a.armv7.node",
    "prebuilds/linux-arm64/electron.napi.node",
    "prebuilds/linux-arm64/node.napi.node",
    "prebuilds/linux-arm64/node.napi.uv2.node",
    "prebuilds/darwin-x64+arm64/a.node",
    "prebuilds/darwin-arm64/a.node",
    "prebuilds/linux/a.node",
]


@pytest.mark.parametrize(
    ("platform", "taken"),
    [
        (_platform(), "prebuilds/linux-x64/a.node"),
        (_platform(libc="musl"), "prebuilds/linux-x64/a.musl.node"),
        (_platform("armv7"), "prebuilds/linux-arm/a.armv7.node"),
        (_platform("armv6"), "prebuilds/linux-arm/a.armv6.node"),
        (_platform("aarch64"), "prebuilds/linux-arm64/node.napi.node"),
        (_platform("aarch64", "", "macos"), "prebuilds/darwin-arm64/a.node"),
        (_platform("x86_64", "", "macos"), "prebuilds/darwin-x64+arm64/a.node"),
        (_platform("s390x"), None),
    ],
)
def test_prebuilds(platform: Platform, taken: str | None) -> None:
    choice = choose(_layout("npm", _PREBUILDS, package_json={"name": "a"}), platform)
    assert choice.taken == ({taken} if taken else set())
    assert choice.among == set(_PREBUILDS)
    assert _unmet(choice) == ([] if taken else [("build", "prebuilds")])


def test_prebuilds_by_abi_are_not_known() -> None:
    paths = ["prebuilds/linux-x64/node.abi115.node", "prebuilds/linux-x64/node.abi127.node"]
    choice = choose(_layout("npm", paths, package_json={}), _platform())
    assert choice.taken == set(paths)
    assert [step.why for step in choice.steps if isinstance(step, Step)] == ["not-modelled"]


def test_what_lies_in_build_is_taken_first() -> None:
    choice = choose(_layout("npm", ["build/Release/a.node", *_PREBUILDS], package_json={}), _platform())
    assert choice.taken == {"build/Release/a.node"}


def test_package_that_is_refused_is_left_out_whole() -> None:
    layout = _layout("npm", ["a.js", "a.linux-x64-gnu.node"], package_json={"name": "a", "libc": ["glibc"]})
    choice = choose(layout, _platform(libc="musl"))
    assert choice.among == {"a.js", "a.linux-x64-gnu.node", "package.json"}
    assert not choice.taken
    assert _unmet(choice) == [("platform", "a")]


@pytest.mark.parametrize(
    ("platform", "taken"),
    [
        (_platform(), "a.linux-x64-gnu.node"),
        (_platform(libc="musl"), "a.linux-x64-musl.node"),
        (_platform("armv7"), "a.linux-arm-gnueabihf.node"),
        (_platform("aarch64", "musl"), None),
        (_platform("aarch64", "", "macos"), "a.darwin-universal.node"),
        (_platform("x86_64", "", "windows"), "a.win32-x64-msvc.node"),
    ],
)
def test_napi_rs(platform: Platform, taken: str | None) -> None:
    ends = (
        "linux-x64-gnu linux-x64-musl linux-arm-gnueabihf linux-arm64-gnu darwin-universal darwin-arm64 win32-x64-msvc"
    )
    paths = [f"a.{end}.node" for end in ends.split()]
    assert choose(_layout("npm", paths, package_json={}), platform).taken == ({taken} if taken else set())


def test_rids_in_order() -> None:
    """As s_host_rids of the host, and NuGet's walk over the portable graph, have it."""
    assert rids(_platform("aarch64", "musl")) == (
        "linux-musl-arm64", "linux-musl", "linux-arm64", "linux", "unix-arm64", "unix", "any",
    )  # fmt: skip
    assert rids(_platform()) == ("linux-x64", "linux", "unix-x64", "unix", "any")
    assert rids(_platform("aarch64", "", "macos")) == ("osx-arm64", "osx", "unix-arm64", "unix", "any")
    assert rids(_platform("x86_64", "", "windows")) == ("win-x64", "win", "any")


@pytest.mark.parametrize(
    ("platform", "taken"),
    [
        (_platform(), ["linux-x64/native/a.so", "linux-x64/native/b.so"]),
        (_platform(libc="musl"), ["linux-musl-x64/native/a.so"]),  # b.so is not taken from elsewhere
        (_platform("aarch64", "musl"), ["linux-arm64/native/a.so"]),
        (_platform("s390x"), ["unix/native/a.so"]),
        (_platform("x86_64", "", "windows"), []),
    ],
)
def test_nuget_takes_one_rid(platform: Platform, taken: list[str]) -> None:
    paths = [
        "runtimes/linux-x64/native/a.so", "runtimes/linux-x64/native/b.so", "runtimes/linux-musl-x64/native/a.so",
        "runtimes/linux-arm64/native/a.so", "runtimes/unix/native/a.so", "runtimes/alpine.3.18-x64/native/a.so",
    ]  # fmt: skip
    choice = choose(_layout("nupkg", paths), platform)
    assert choice.taken == {f"runtimes/{path}" for path in taken}


@pytest.mark.parametrize(
    ("held", "kinds"),
    [
        (None, ["perhaps-glibc-build"]),
        (Contents(system="linux", archs=frozenset(("x86_64",)), libc="glibc"), ["glibc-build"]),
        (Contents(system="linux", archs=frozenset(("x86_64",))), []),  # static
        (Contents(system="linux", archs=frozenset(("x86_64",)), libc="musl"), []),
    ],
)
def test_build_for_glibc_is_taken_on_musl(held: Contents | None, kinds: list[str]) -> None:
    path = "runtimes/linux-x64/native/a.so"
    choice = choose(_layout("nupkg", [path]), _platform(libc="musl"), {path: held} if held else {})
    assert [step.kind for step in choice.steps if isinstance(step, Event)] == kinds


@pytest.mark.parametrize(
    ("rid", "held", "words"),
    [
        ("linux-x64", Contents(system="linux", archs=frozenset(("aarch64",))), "linux-x64: is for aarch64"),
        ("linux-x64", Contents(system="windows", archs=frozenset(("x86_64",))), "linux-x64: is for windows"),
        ("linux-musl-x64", Contents(system="linux", libc="glibc"), "linux-musl-x64: is linked with glibc"),
        ("linux-musl-x64", Contents(system="linux", libc="musl"), ""),
        ("linux-musl-x64", Contents(system="linux"), ""),
    ],
)
def test_contents_are_compared_with_what_is_claimed(rid: str, held: Contents, words: str) -> None:
    path = f"runtimes/{rid}/native/a.so"
    choice = choose(_layout("nupkg", [path]), _platform(libc="musl"), {path: held})
    told = [step.detail for step in choice.steps if isinstance(step, Step) and step.need.version == "contents"]
    assert told == ([words] if words else [])


def test_variations_of_a_name() -> None:
    linux = _platform()
    assert variations("a", linux) == ("a.so", "liba.so", "a", "liba")
    assert variations("liba.so.1", linux) == ("liba.so.1", "libliba.so.1", "liba.so.1.so", "libliba.so.1.so")
    assert variations("a.sock", linux) == ("a.sock.so", "liba.sock.so", "a.sock", "liba.sock")
    assert variations("d/a", linux) == ("d/a.so", "d/a")
    assert variations("a", _platform("aarch64", "", "macos")) == ("a.dylib", "liba.dylib", "a", "liba")
    assert variations("a", _platform("x86_64", "", "windows")) == ("a", "a.dll")
    assert variations("A.DLL", _platform("x86_64", "", "windows")) == ("A.DLL",)


@pytest.mark.parametrize(
    ("platform", "taken"),
    [
        (_platform(), {"com/sun/jna/linux-x86-64/libjnidispatch.so", "natives/linux-x64/libb.so"}),
        (_platform("armv7"), set()),
        (_platform("x86_64", "", "macos"), {"com/sun/jna/darwin-x86-64/libjnidispatch.jnilib"}),
    ],
)
def test_jars(platform: Platform, taken: set[str]) -> None:
    paths = [
        "com/sun/jna/linux-x86-64/libjnidispatch.so",
        "com/sun/jna/darwin-x86-64/libjnidispatch.jnilib",
        "natives/linux-x64/libb.so",
        "META-INF/native/libnetty_transport_native_kqueue_x86_64.jnilib",
    ]
    choice = choose(_layout("jar", paths), platform)
    assert choice.taken - {paths[3]} == taken
    assert (paths[3] in choice.taken) is (platform.system == "macos")


def test_sqlite_knows_musl_where_the_jar_has_builds_for_it() -> None:
    old = ["org/sqlite/native/Linux/x86_64/libsqlitejdbc.so"]
    new = [*old, "org/sqlite/native/Linux-Musl/x86_64/libsqlitejdbc.so"]
    musl = _platform(libc="musl")
    assert choose(_layout("jar", old), musl).taken == set(old)
    assert choose(_layout("jar", new), musl).taken == set(new) - set(old)
    assert choose(_layout("jar", new), _platform()).taken == set(old)


def test_what_no_rule_chooses_is_judged_by_its_name_and_stays_unknown() -> None:
    paths = ["bin/linux-x64/tool", "bin/linux-musl-x64/tool", "bin/win32-x64/tool.exe"]
    choice = choose(_layout("npm", paths, package_json={}), _platform(libc="musl"))
    assert choice.taken == {"bin/linux-musl-x64/tool"}
    assert [step.why for step in choice.steps if isinstance(step, Step)] == ["not-modelled"]


@pytest.mark.parametrize(
    ("arch", "claims"),
    [
        ("armv7", "arm armv7 armv6"),
        ("armv6", "arm armv6"),
        ("armel", "arm armel"),
        ("aarch64", "aarch64"),
        ("ppc64le", "ppc64"),
    ],
)
def test_older_arm_fits_newer_machines(arch: str, claims: str) -> None:
    every = "arm armv7 armv6 armel aarch64 x86_64 ppc64".split()
    assert [name for name in every if fits(Claim(arch=name), _platform(arch))] == claims.split()


# -- projects ----------------------------------------------------------------------------------


def _project(*names: str, libc: bool = True) -> dict[str, Layout]:
    optional = dict.fromkeys([*names, "fsevents"], "1")
    packages = {"main.tgz": _layout("npm", [], package_json={"name": "main", "optionalDependencies": optional})}
    for name in names:
        claim = claim_of(name)
        told: dict[str, object] = {
            "name": name,
            "os": [claim.system],
            "cpu": [{"x86_64": "x64"}.get(claim.arch, "arm64")],
        }
        told |= {"libc": [claim.libc]} if claim.libc and libc else {}
        packages[f"{name}.tgz"] = _layout("npm", [], package_json=told)
    return packages


def test_npm_takes_one_of_a_project() -> None:
    packages = _project("main-linux-x64-gnu", "main-linux-x64-musl", "main-linux-arm64-gnu")
    choice = choose_among(packages, _platform(libc="musl"))
    assert choice.taken == {"main-linux-x64-musl.tgz"}
    assert choice.among == packages.keys() - {"main.tgz"}
    assert [(step.kind, step.text) for step in choice.steps if isinstance(step, Event)] == [
        ("left-out", "npm leaves out main-linux-x64-gnu.tgz, main-linux-arm64-gnu.tgz on there")
    ]


def test_nothing_of_a_project_fits() -> None:
    choice = choose_among(_project("main-linux-x64-gnu", "main-linux-x64-musl"), _platform("aarch64"))
    assert not choice.taken
    assert _unmet(choice) == [("build", "main (main-linux-x64-*)")]


def test_what_was_not_given_is_unknown() -> None:
    packages = _project("main-linux-x64-gnu", "main-linux-x64-musl")
    del packages["main-linux-x64-musl.tgz"]
    choice = choose_among(packages, _platform(libc="musl"))
    assert [step.detail for step in choice.steps if isinstance(step, Step)] == ["the package for it was not given"]


def test_what_npm_installs_may_not_be_what_is_asked_for() -> None:
    """Packages that say nothing of the C library are installed on both; the package's code may ask for another name."""
    choice = choose_among(_project("main-linux-x64-gnu", "main-linux-arm64-gnu", libc=False), _platform(libc="musl"))
    assert choice.taken == {"main-linux-x64-gnu.tgz"}
    assert [step.why for step in choice.steps if isinstance(step, Step)] == ["not-modelled"]
    assert "for-another" in [step.kind for step in choice.steps if isinstance(step, Event)]
