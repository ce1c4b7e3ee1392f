"""What packages hold for which platform: names, manifests, paths; and manifests of bad faith."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runworthy.formats.clr import has_resolver, is_assembly, native_imports
from runworthy.formats.layout import layout_of
from runworthy.formats.layout.claims import claim_of, without_claims
from runworthy.model.archive import ContainerKind
from runworthy.model.errors import FormatError
from runworthy.model.layout import Claim, Layout
from tests.clrwriter import assembly

_ASK = Path(__file__).parents[1] / "differential" / "layouts" / "ask.dll"


def _layout(kind: ContainerKind, files: Mapping[str, str | bytes]) -> Layout:
    data = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
    found = layout_of(kind, data, data.get)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "system", "arch", "libc"),
    [
        ("linux-x64", "linux", "x86_64", ""),
        ("linux-musl-arm64", "linux", "aarch64", "musl"),
        ("@img/sharp-linuxmusl-x64", "linux", "x86_64", "musl"),
        ("@rollup/rollup-linux-arm-gnueabihf", "linux", "arm", "glibc"),
        ("@rollup/rollup-linux-arm-musleabihf", "linux", "arm", "musl"),
        ("app.linux-arm-gnueabi", "linux", "armel", "glibc"),
        ("x86_64-unknown-linux-musl", "linux", "x86_64", "musl"),
        ("aarch64-apple-darwin", "macos", "aarch64", ""),
        ("win32-ia32", "windows", "i386", ""),
        ("win32-x86-64", "windows", "x86_64", ""),
        ("natives-linux-aarch64", "linux", "aarch64", ""),
        ("linux-aarch_64", "linux", "aarch64", ""),
        ("Linux-Musl/x86_64", "linux", "x86_64", "musl"),
        ("META-INF/native/libnetty_tcnative_linux_x86_64.so", "linux", "x86_64", ""),
        ("linux64", "linux", "x86_64", ""),
        ("osx-arm64", "macos", "aarch64", ""),
        ("android-arm", "android", "arm", ""),
        ("linux-bionic-arm64", "android", "aarch64", ""),
        ("linux/ppcle_64", "linux", "ppc64le", ""),
        ("@esbuild/linux-loong64", "linux", "loongarch64", ""),
        ("wasm32-wasi", "browser", "wasm32", ""),
        ("darwin-universal", "macos", "universal", ""),
        ("charm/winter/linuxes/x645", "", "", ""),
    ],
)
def test_names_say_what_they_are_for(name: str, system: str, arch: str, libc: str) -> None:
    assert claim_of(name) == Claim(system=system, arch=arch, libc=libc)  # type: ignore[arg-type]


def test_builds_of_one_thing_have_one_name() -> None:
    names = ["tool-linux-x64", "tool-linux-musl-arm64", "tool-x86_64-unknown-linux-gnu", "tool-aarch64-apple-darwin"]
    assert {without_claims(name) for name in names} == {"tool-*"}
    assert without_claims("linuxes-x645") == "linuxes-x645"


@given(st.text(max_size=200))
def test_any_name_can_be_read(name: str) -> None:
    claim_of(name)
    assert len(without_claims(name)) <= len(name.lower())


def test_manifest_of_npm() -> None:
    layout = _layout(
        "npm",
        {
            "package/package.json": json.dumps(
                {"name": "@a/b", "version": "1", "os": "linux", "cpu": ["!arm", 7], "optionalDependencies": {"c": "2"}}
            ),
            "package/node_modules/x/package.json": "{}",
        },
    )
    assert (layout.name, layout.version, layout.manifest) == ("@a/b", "1", "package/package.json")
    assert layout.npm is not None
    assert (layout.npm.os, layout.npm.cpu, layout.npm.libc) == (("linux",), ("!arm",), None)
    assert layout.npm.optional == {"c": "2"}


def test_each_file_is_in_one_group() -> None:
    layout = _layout(
        "npm",
        {
            "package/package.json": "{}",
            "package/prebuilds/linux-x64/a.node": "",
            "package/prebuilds/linux-x64/a.musl.node": "",
            "package/build/Release/a.node": "",
            "package/b.linux-x64-gnu.node": "",
            "package/bin/linux-x64/tool": "",
            "package/bin/win32-x64/tool.exe": "",
            "package/lib/index.js": "",
        },
    )
    assert [(group.ruling, group.name, len(group.builds), group.always) for group in layout.groups] == [
        ("prebuilds", "package/prebuilds", 2, ("package/build/Release/a.node",)),
        ("napi-rs", "package/b.*.node", 1, ()),
        ("folder", "bin/*/tool", 2, ()),
    ]


def test_package_of_nuget() -> None:
    layout = _layout(
        "nupkg",
        {
            "A.nuspec": "<package xmlns='x'><metadata><id>A</id><version>1.2</version></metadata></package>",
            "lib/net8.0/A.dll": assembly(["a", "kernel32.dll"]),
            "runtimes/linux-x64/native/liba.so": b"",
            "runtimes/linux-x64/liba-too.so": b"",
            "runtimes/win-x64/native/a.dll": b"",
            "runtimes/win/lib/net8.0/A.dll": assembly(["user32"]),
            "runtimes/any/native/_._": b"",
        },
    )
    assert (layout.name, layout.version, layout.manifest) == ("A", "1.2", "A.nuspec")
    assert [[build.tag for build in group.builds] for group in layout.groups] == [
        ["linux-x64", "linux-x64, not native/", "win-x64"]
    ]
    assert [(one.name, one.by) for one in layout.imports] == [
        ("a", "lib/net8.0/A.dll"),
        ("kernel32.dll", "lib/net8.0/A.dll"),
        ("user32", "runtimes/win/lib/net8.0/A.dll"),
    ]


def test_jars_of_known_libraries() -> None:
    paths = [
        "com/sun/jna/linux-x86-64/libjnidispatch.so",
        "com/sun/jna/darwin-aarch64/libjnidispatch.jnilib",
        "org/sqlite/native/Linux-Musl/x86_64/libsqlitejdbc.so",
        "org/xerial/snappy/native/Linux/aarch64/libsnappyjava.so",
        "META-INF/native/libnetty_tcnative_linux_x86_64.so",
        "META-INF/native/netty_tcnative_windows_x86_64.dll",
        "META-INF/native/libnetty_transport_native_epoll_aarch_64.so",
        "linux/amd64/libzstd-jni-1.5.6-4.so",
        "net/jpountz/util/linux/amd64/liblz4-java.so",
        "librocksdbjni-linux64-musl.so",
        "librocksdbjni-osx-arm64.jnilib",
        "natives/linux-aarch64/libother.so",
    ]
    layout = _layout("jar", dict.fromkeys(paths, ""))
    assert [(group.ruling, [build.tag for build in group.builds]) for group in layout.groups] == [
        ("jna", ["linux-x86-64", "darwin-aarch64"]),
        ("xerial", ["Linux-Musl/x86_64"]),
        ("xerial", ["Linux/aarch64"]),
        ("netty", ["linux_x86_64", "windows_x86_64"]),
        ("netty", ["aarch_64"]),
        ("zstd-jni", ["linux/amd64"]),
        ("lz4-java", ["linux/amd64"]),
        ("rocksdb", ["linux64-musl", "osx-arm64"]),
        ("folder", ["linux-aarch64"]),
    ]


@pytest.mark.parametrize("kind", ["wheel", "jar", "zip", "tar", "deb"])
def test_most_archives_choose_nothing(kind: ContainerKind) -> None:
    assert layout_of(kind, ["usr/bin/tool", "README"], lambda _: None) is None


_BAD = [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"a": NaN', b"0" * (9 << 20)]


@pytest.mark.parametrize("data", _BAD, ids=range(len(_BAD)))
@pytest.mark.parametrize(("kind", "path"), [("npm", "package/package.json"), ("zip", "app/app.deps.json")])
def test_damaged_manifest_is_an_error(kind: ContainerKind, path: str, data: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        layout_of(kind, [path], {path: data}.get)
    assert caught.value.path == path


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("native") | st.just("x"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "name version os cpu libc scripts install optionalDependencies runtimeTarget targets x runtimeTargets "
                "native rid assetType".split()
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=30,
)


@given(_JSON, st.sampled_from([("npm", "package.json"), ("zip", "app.deps.json")]))
def test_any_json_is_a_layout_or_an_error(held: object, where: tuple[ContainerKind, str]) -> None:
    kind, path = where
    data = {path: json.dumps(held).encode()}
    try:
        layout_of(kind, [path, "prebuilds/linux-x64/a.node"], data.get)
    except FormatError as error:
        assert error.path == path  # noqa: PT017 - it may also be a layout


def test_document_types_are_refused() -> None:
    text = b"<!DOCTYPE p [<!ENTITY a 'b'>]><package><metadata><id>&a;</id></metadata></package>"
    with pytest.raises(FormatError, match="document type"):
        layout_of("nupkg", ["a.nuspec"], {"a.nuspec": text}.get)


# -- assemblies --------------------------------------------------------------------------------


@pytest.mark.parametrize("wide", [False, True])
def test_native_imports(wide: bool) -> None:  # noqa: FBT001 - a parameter of the test
    data = assembly(["example", "libc", "Example.so.1"], wide=wide)
    assert is_assembly(data)
    assert native_imports(data) == ("example", "libc", "Example.so.1")
    assert not has_resolver(data)


def test_assembly_of_a_real_compiler() -> None:
    """Made by mcs; the recipe stands at the top of its source."""
    data = _ASK.read_bytes()
    assert native_imports(data) == ("example", "libexample.so", "kernel32.dll")


def test_other_files_are_no_assemblies() -> None:
    assert not is_assembly(b"")
    assert not is_assembly(b"MZ")
    assert not is_assembly(b"\x7fELF" + bytes(4096))
    assert not is_assembly(b"MZ" + bytes(4096))


def test_damaged_assemblies_are_errors_at_worst() -> None:
    """Cut at any length; and each byte of the headers turned over."""
    whole = _ASK.read_bytes()
    for length in range(0, len(whole), 7):
        _try(whole[:length])
    for at in range(0, len(whole), 3):
        _try(whole[:at] + bytes((whole[at] ^ 0xFF,)) + whole[at + 1 :])


def _try(data: bytes) -> None:
    is_assembly(data)
    try:
        names = native_imports(data)
    except FormatError:
        return
    assert len(names) < 4096
