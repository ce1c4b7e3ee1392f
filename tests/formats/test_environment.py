"""Records of installers: as they write them, in their older forms, and as nobody should."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from hashlib import sha256, sha512

import pytest

from runworthy.formats.environment import loading
from runworthy.formats.environment.conda import parse_history, parse_index, parse_paths, parse_pixi, parse_prefix_record
from runworthy.formats.environment.distribution import (
    RECORD_MAX,
    hash_of_row,
    parse_direct_url,
    parse_installed_files,
    parse_installer,
    parse_metadata,
    parse_record,
)
from runworthy.formats.environment.loading import load_object
from runworthy.formats.environment.node import parse_modules, parse_package
from runworthy.formats.environment.stores import digests_of, package_of_key, parse_store_entry
from runworthy.formats.environment.system import parse_apk, parse_diversions, parse_list, parse_versions
from runworthy.formats.environment.venv import Venv, parse_pyvenv
from runworthy.model.errors import FormatError

HASH = "a" * 64


# -- virtual environments --------------------------------------------------------------------


def test_uv_tells_its_version() -> None:
    text = b"home = /usr/bin\nimplementation = CPython\nuv = 0.8.3\nversion_info = 3.12.4\n"
    assert parse_pyvenv(text) == Venv(home="/usr/bin", python="3.12", uv="0.8.3")


def test_virtualenv_tells_its_version() -> None:
    text = b"home = /opt/py/bin\r\nversion_info = 3.11.7.final.0\r\nvirtualenv = 20.26.1\r\n"
    text += b"include-system-site-packages = true\r\n"
    assert parse_pyvenv(text) == Venv(home="/opt/py/bin", python="3.11", virtualenv="20.26.1", system=True)


def test_venv_tells_python() -> None:
    assert parse_pyvenv(b"HOME=/usr/bin\nversion = 3.13.0\n") == Venv(home="/usr/bin", python="3.13")


@pytest.mark.parametrize("text", [b"", b"\xff\xfe=\x00", b"home", b"version = three\n", b"=" * 100_000])
def test_what_is_no_pyvenv_cfg(text: bytes) -> None:
    assert not parse_pyvenv(text).home
    assert not parse_pyvenv(text).python


# -- distributions ---------------------------------------------------------------------------


def test_rows_of_a_record() -> None:
    text = (
        b'a/b.py,sha256=AA,3\r\n"a/with,comma",sha384=BB,1\n"two\nlines",,\n"say ""so""",,4\n../../../bin/a,sha256=CC,9'
    )
    assert list(parse_record(text)) == [
        ("a/b.py", "sha256=AA"),
        ("a/with,comma", "sha384=BB"),
        ("two\nlines", ""),
        ('say "so"', ""),
        ("../../../bin/a", "sha256=CC"),
    ]


def test_rows_without_quotes_are_read_alike() -> None:
    text = b"a/b.py,sha256=AA,3\r\n\nlone\nb\xff,,\n"
    assert list(parse_record(text)) == [("a/b.py", "sha256=AA"), ("lone", ""), ("b\udcff", "")]


@pytest.mark.parametrize("text", [b"a\n" * 400_001, b'"' + b"a" * 200_000 + b'"', b" " * (RECORD_MAX + 1)])
def test_a_record_of_nonsense_is_refused(text: bytes) -> None:
    with pytest.raises(FormatError):
        list(parse_record(text))


def test_hashes_of_rows() -> None:
    data = b"what is there"
    small, large = sha256(data).digest(), sha512(data).digest()
    assert hash_of_row(f"sha256={urlsafe_b64encode(small).decode().rstrip('=')}") == f"sha256:{small.hex()}"
    assert hash_of_row(f"sha512={urlsafe_b64encode(large).decode()}") == f"sha512:{large.hex()}"


@pytest.mark.parametrize(
    "row", ["", "sha256", "sha256=", "sha256=AA", "md5=AAAAAAAAAAAAAAAAAAAAAA", "sha256=\u00e9" * 9]
)
def test_what_is_no_hash(row: str) -> None:
    assert not hash_of_row(row)


def test_metadata_up_to_the_first_empty_line() -> None:
    assert parse_metadata(b"Metadata-Version: 2.1\r\nname: Demo_X\r\nVersion:1.0\r\n\r\nName: no\n") == (
        "Demo_X",
        "1.0",
    )
    assert parse_metadata(b"\n\nName: no\n") == ("", "")


def test_installers() -> None:
    assert parse_installer(b"uv") == ("uv", "")
    assert parse_installer(b"Poetry 1.8.2\n") == ("poetry", "1.8.2")
    assert parse_installer(b"\xff\n") == ("\ufffd", "")
    assert parse_installer(b"") == ("", "")


def test_direct_urls() -> None:
    editable = b'{"url": "file:///home/a%20b/c", "dir_info": {"editable": true}}'
    assert parse_direct_url(editable) == ("/home/a b/c", True)
    assert parse_direct_url(b'{"url": "file:///x", "dir_info": {}}') == ("/x", False)
    assert parse_direct_url(b'{"url": "git+ssh://x/y", "vcs_info": {"vcs": "git"}}') == ("", False)
    assert parse_direct_url(b'{"url": "file:///a%00b", "dir_info": {"editable": true}}') == ("", True)
    assert parse_direct_url(b'{"url": "file://[", "dir_info": {"editable": "yes"}}') == ("", False)


def test_installed_files() -> None:
    assert list(parse_installed_files(b"../a/b.py\r\nPKG-INFO\n\n")) == ["../a/b.py", "PKG-INFO"]


# -- JSON ------------------------------------------------------------------------------------


def test_json_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in (b"[" * 100_000, b"[]", b"\xff", b"{", b'"x"', b"nan"):
        with pytest.raises(FormatError):
            load_object(text)
    with pytest.raises(FormatError, match="too large"):
        load_object(b'{"a": [' + b"[]," * 1_000_001 + b"[]]}")
    monkeypatch.setattr(loading, "JSON_MAX", 10)
    with pytest.raises(FormatError, match="too large"):
        load_object(b'{"a":"0123456789"}')


# -- conda -----------------------------------------------------------------------------------


def test_a_record_of_what_is_installed() -> None:
    other = "b" * 64
    paths = [
        {"_path": "lib/liba.so", "path_type": "hardlink", "sha256": HASH, "sha256_in_prefix": HASH},
        {
            "_path": "bin/a",
            "sha256": HASH,
            "sha256_in_prefix": other,
            "prefix_placeholder": "/opt/x",
            "file_mode": "text",
        },
        {"_path": "bin/old", "sha256": HASH, "prefix_placeholder": "/opt/x"},
        {"_path": "lib/liba.so.1", "path_type": "softlink", "sha256": HASH},
        {"_path": "etc/a", "no_link": True, "sha256": "A" * 64},
        {"_path": 7},
        "nothing",
    ]
    held = {
        "name": "a",
        "version": "1.0",
        "build": "h0_0",
        "link": {"source": "/pkgs/a-1.0-h0_0", "type": 1},
        "extracted_package_dir": "/pkgs/a-1.0-h0_0",
        "files": ["lib/liba.so", "lib/__pycache__/a.pyc", 9],
        "paths_data": {"paths": paths, "paths_version": 1},
    }
    package = parse_prefix_record(json.dumps(held).encode())
    assert (package.name, package.version, package.build, package.link) == ("a", "1.0", "h0_0", "hard")
    assert package.extracted == "/pkgs/a-1.0-h0_0"
    assert package.files.hashes == {
        "lib/liba.so": HASH,
        "bin/a": other,
        "bin/old": "",  # what it became is not told
        "lib/liba.so.1": HASH,
        "etc/a": "",
        "lib/__pycache__/a.pyc": "",
    }
    assert package.files.patched == {"bin/a", "bin/old"}
    assert package.files.unlinked == {"etc/a"}
    assert package.files.soft == {"lib/liba.so.1"}


@pytest.mark.parametrize("text", [b"{}", b'{"link": 3, "paths_data": [], "files": 5}', b'{"link": {"type": [1]}}'])
def test_records_that_say_nothing(text: bytes) -> None:
    package = parse_prefix_record(text)
    assert (package.name, package.link, dict(package.files.hashes)) == ("", "", {})


def test_records_of_a_cache() -> None:
    assert parse_index(b'{"name": "a", "version": "1", "build": "h0"}') == ("a", "1", "h0")
    rows = {"paths": [{"_path": "bin/a", "sha256": HASH, "prefix_placeholder": "/opt/x"}]}
    assert parse_paths(json.dumps(rows).encode()).patched == {"bin/a"}


def test_who_wrote_a_history() -> None:
    entry = "==> 2024-03-01 10:00:00 <==\n# cmd: {} create -n a\n# conda version: {}\n+defaults/linux-64::a-1.0-0\n"
    assert parse_history(entry.format("/opt/conda/bin/conda", "24.1.2").encode()) == ("conda", "24.1.2")
    assert parse_history(entry.format("/usr/bin/micromamba", "3.8.0").encode()) == ("micromamba", "")
    assert parse_history(entry.format("C:\\mamba\\mamba.exe", "23.1.0").encode()) == ("mamba", "")
    assert parse_history(b"// not relevant for pixi but for `conda run -p`") == ("", "")
    assert parse_history(b"") == ("", "")


def test_what_pixi_writes() -> None:
    text = b'{"manifest_path": "/p/pixi.toml", "environment_name": "default", "pixi_version": "0.40.0"}'
    assert parse_pixi(text) == ("0.40.0", "/p/pixi.toml")


# -- Node ------------------------------------------------------------------------------------


def test_what_pnpm_writes() -> None:
    text = (
        b'{"layoutVersion": 5, "packageManager": "pnpm@10.1.0", "storeDir": "/h/store/v10", "virtualStoreDir": ".pnpm"}'
    )
    found = parse_modules(text)
    assert (found.manager, found.version, found.store, found.layout) == ("pnpm", "10.1.0", "/h/store/v10", "5")


def test_what_pnpm_wrote_before() -> None:
    text = (
        b"hoistPattern:\n  - '*'\nlayoutVersion: 4\npackageManager: pnpm@5.1.0\nstoreDir: '/it''s/.pnpm-store/v3'\r\n"
    )
    found = parse_modules(text)
    assert (found.manager, found.version, found.store, found.layout) == ("pnpm", "5.1.0", "/it's/.pnpm-store/v3", "4")


def test_modules_without_a_manager() -> None:
    assert parse_modules(b"").manager == ""
    assert parse_modules(b'{"packageManager": "@", "storeDir": ["a"]}').store == ""
    with pytest.raises(FormatError):
        parse_modules(b"{")


def test_packages() -> None:
    assert parse_package(b'\xef\xbb\xbf{"name": "@a/b", "version": "1.0.0"}') == ("@a/b", "1.0.0")
    assert parse_package(b'{"name": ["a"], "version": 1}') == ("", "")


def test_entries_of_a_store() -> None:
    digest = sha512(b"x").digest()
    integrity = f"sha512-{urlsafe_b64encode(digest).decode().replace('-', '+').replace('_', '/')}"
    held = {"name": "a", "version": "1.0.0", "files": {"x": {"integrity": integrity, "mode": 420}, "y": {}, "z": 3}}
    assert parse_store_entry(json.dumps(held).encode()) == ("a", "1.0.0", [digest.hex()])
    assert list(digests_of(b"\xd9\x80" + digest.hex().encode() + b"\xcd")) == [digest.hex()]
    assert package_of_key("sha512-AA==\t@a/b@1.0.0") == ("@a/b", "1.0.0")
    for key in ("nothing", "sha512-AA==\tfile:../a-1.0.0.tgz", "x\tgit+ssh://git@host/a.git"):
        assert package_of_key(key) == ("", "")


# -- systems ---------------------------------------------------------------------------------


def test_what_dpkg_keeps() -> None:
    assert list(parse_list(b"/.\n/bin\n/bin/a\nno\n\n")) == ["/bin", "/bin/a"]
    status = b"Package: a\nArchitecture: amd64\nVersion: 1.0\n\nPackage: a\nArchitecture: i386\nVersion: 2\n"
    versions = parse_versions(status)
    assert (versions["a", "amd64"], versions["a", "i386"], versions["a", ""]) == ("1.0", "2", "1.0")
    assert parse_diversions(b"/bin/sh\n/bin/sh.distrib\ndash\n/torn\n") == {"/bin/sh.distrib": "/bin/sh"}


def test_what_apk_keeps() -> None:
    text = b"C:Q1x\nP:musl\nV:1.2.5-r0\nA:x86_64\nF:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\nF:\nR:top\n\n"
    assert list(parse_apk(text)) == [("musl", "1.2.5-r0", ("/lib/ld-musl-x86_64.so.1", "/top"))]
