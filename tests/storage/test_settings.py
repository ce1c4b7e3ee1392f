"""What installers are told: by variables, by files of the project and of the user, and by records."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from runworthy.formats.environment.configured import parse_condarc, parse_npmrc, parse_pixi_config, parse_pnpm, parse_uv
from runworthy.model.errors import FormatError
from runworthy.model.storage import Environment, EnvironmentKind
from runworthy.targets.storage.places import Places
from runworthy.targets.storage.settings import Setting, settings_of


def _settings(path: Path, kind: EnvironmentKind, **variables: str) -> dict[str, Setting]:
    """Return what is told, by installer, in a home directory without anything."""
    path.mkdir(parents=True, exist_ok=True)
    places = Places()
    environment = Environment(path=str(path), kind=kind, place=places.place(str(path)))
    home = {"HOME": str(path.parents[-2] / "no-such-home"), "XDG_CONFIG_DIRS": ""}
    found = settings_of([environment], home | variables, places)
    return {one.installer: one for one in found.get(str(path), ())}


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_nothing_is_said_where_nobody_says_anything(tmp_path: Path) -> None:
    assert _settings(tmp_path / "project" / ".venv", "venv") == {}
    assert _settings(tmp_path / "cache", "uv-cache", UV_LINK_MODE="copy") == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("uv.toml", 'link-mode = "copy"\ncache-dir = "../cache"\n'),
        ("uv.toml", 'cache-dir = "../cache"\n[pip]\nlink-mode = "copy"\n'),
        ("pyproject.toml", '[project]\nname = "x"\n[tool.uv]\nlink-mode = "copy"\ncache-dir = "../cache"\n'),
    ],
)
def test_uv_is_told_by_the_nearest_file_of_a_project(tmp_path: Path, name: str, text: str) -> None:
    """A pyproject.toml without a table of uv is passed over; relative paths are below the file."""
    file = _write(tmp_path / "project" / name, text)
    _write(tmp_path / "project" / "inner" / "pyproject.toml", '[project]\nname = "y"\n')
    _write(tmp_path / "uv.toml", 'link-mode = "symlink"\n')
    told = _settings(tmp_path / "project" / "inner" / ".venv", "venv")["uv"]
    assert (told.links, told.said, told.cache_said) == ("copy", str(file), str(file))
    assert told.cache is not None
    assert told.cache.path == str(tmp_path / "cache")


def test_variables_come_before_files(tmp_path: Path) -> None:
    _write(tmp_path / "uv.toml", 'link-mode = "copy"\n')
    venv = tmp_path / ".venv"
    assert _settings(venv, "venv", UV_LINK_MODE="hardlink")["uv"].said == "UV_LINK_MODE"
    assert _settings(venv, "venv", UV_NO_CONFIG="1") == {}
    user = _write(tmp_path / "user" / "uv" / "uv.toml", 'link-mode = "clone"\n')
    assert _settings(venv, "venv", XDG_CONFIG_HOME=str(tmp_path / "user"))["uv"].links == "copy"
    (tmp_path / "uv.toml").unlink()
    told = _settings(venv, "venv", XDG_CONFIG_HOME=str(tmp_path / "user"))["uv"]
    assert (told.links, told.said) == ("clone", str(user))


def test_a_file_of_a_project_is_not_read_through_a_link(tmp_path: Path) -> None:
    """A project may point anywhere; a person's own file may be a link to another one."""
    elsewhere = _write(tmp_path / "elsewhere" / "uv.toml", 'link-mode = "copy"\n')
    project, user = tmp_path / "project", tmp_path / "user" / "uv"
    for directory in (project, user):
        directory.mkdir(parents=True)
        (directory / "uv.toml").symlink_to(elsewhere)
    assert _settings(project / ".venv", "venv") == {}
    assert _settings(project / ".venv", "venv", XDG_CONFIG_HOME=str(user.parent))["uv"].said == str(elsewhere)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")
def test_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "uv.toml")
    (tmp_path / "pyproject.toml").mkdir()
    assert _settings(tmp_path / ".venv", "venv") == {}


def test_a_record_of_conda_says_where_its_cache_was(tmp_path: Path) -> None:
    """Settings come after it."""
    pkgs = tmp_path / "pkgs"
    record = {"name": "zlib", "extracted_package_dir": f"{pkgs}/zlib-1.3.1-h1"}
    file = _write(tmp_path / "env" / "conda-meta" / "zlib-1.3.1-h1.json", json.dumps(record))
    _write(tmp_path / "env" / ".condarc", "always_copy: True  # said so\npkgs_dirs:\n  - /other/pkgs\n")
    told = _settings(tmp_path / "env", "conda")["conda"]
    assert told.cache is not None
    assert (told.cache.path, told.cache_said) == (str(pkgs), str(file))
    assert (told.links, told.said) == ("copy", str(tmp_path / "env" / ".condarc"))


def test_conda_is_told_by_its_variables(tmp_path: Path) -> None:
    told = _settings(tmp_path / "env", "conda", CONDA_ALWAYS_COPY="yes", CONDA_PKGS_DIRS="~/p,/q", HOME="/home/x")
    assert (told["conda"].links, told["conda"].said) == ("copy", "CONDA_ALWAYS_COPY")
    assert told["conda"].cache is not None
    assert told["conda"].cache.path == "/home/x/p"


def test_pixi_is_told_by_its_workspace_and_by_variables(tmp_path: Path) -> None:
    file = _write(tmp_path / ".pixi" / "config.toml", "allow-hard-links = false\nallow-ref-links = false\n")
    environment = tmp_path / ".pixi" / "envs" / "default"
    told = _settings(environment, "pixi", PIXI_CACHE_DIR=str(tmp_path / "cache"))["pixi"]
    assert (told.links, told.said, told.cache_said) == ("copy", str(file), "PIXI_CACHE_DIR")
    told = _settings(environment, "pixi", PIXI_NO_HARD_LINKS="true")["pixi"]
    assert (told.links, told.said) == ("clone", "PIXI_NO_HARD_LINKS")


def test_pnpm_is_told_by_its_record_and_by_files(tmp_path: Path) -> None:
    modules = tmp_path / "node_modules"
    record = _write(modules / ".modules.yaml", json.dumps({"storeDir": f"{tmp_path}/store/v10"}))
    npmrc = _write(tmp_path / ".npmrc", "; pnpm\npackage-import-method=copy\nstore-dir=/else\n")
    told = _settings(modules, "node_modules")["pnpm"]
    assert told.cache is not None
    assert (told.cache.path, told.cache_said) == (f"{tmp_path}/store/v10", str(record))
    assert (told.links, told.said) == ("copy", str(npmrc))
    _write(tmp_path / "pnpm-workspace.yaml", 'packages:\n  - "a"\npackageImportMethod: "clone-or-copy"\n')
    assert _settings(modules, "node_modules")["pnpm"].links == "clone"
    assert _settings(modules, "node_modules", npm_config_package_import_method="hardlink")["pnpm"].links == "hardlink"


def test_values_are_read_as_they_are_written() -> None:
    assert parse_uv(b'link-mode = "reflink"\n') == parse_uv(b"link-mode = 'clone'\n")
    assert parse_uv(b"[tool.other]\n", project=True) is None
    assert parse_uv(b"link-mode = 3\ncache-dir = []\n") is not None
    assert parse_pixi_config(b"allow-ref-links = false\n[cache]\nroot = '/c'\n").cache == "/c"
    assert parse_condarc(b"copy: true\n").links == "copy"
    assert parse_condarc(b"softlink: on\npkgs_dirs: [ '/a b', /c ]\n").cache == "/a b"
    assert parse_condarc(b"channels:\n  - x\nalways_copy: false\n").links == ""
    assert parse_pnpm(b"storeDir: /s # here\npackageImportMethod: auto\n").cache == "/s"
    assert parse_npmrc(b"store-dir=${HOME}/s\n").cache == ""
    assert parse_npmrc(b"\xef\xbb\xbfstore-dir = '/s'\r\n").cache == "/s"


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe",
        b"a" * 100 + b".a" * 40_000 + b" = 1",
        b"[" * 100_000,
        b"x = " + b"[" * 100_000,
        b"x = 1" * 100_000,
        b"a = " + b"9" * 10_000,
    ],
    ids=["no text", "a long key", "brackets", "nested", "one line", "a long number"],
)
def test_what_is_no_toml_is_refused_in_time(data: bytes) -> None:
    begun = time.perf_counter()
    for parse in (parse_uv, parse_pixi_config):
        with pytest.raises(FormatError):
            parse(data)
    assert time.perf_counter() - begun < 2


@pytest.mark.parametrize("data", [b"pkgs_dirs:\n" + b"- x\n" * 50_000, b"a: " + b"'" * 900_000, b"k" * 1_000_000])
def test_what_is_no_yaml_takes_no_time(data: bytes) -> None:
    begun = time.perf_counter()
    for parse in (parse_condarc, parse_pnpm, parse_npmrc):
        parse(data)
    assert time.perf_counter() - begun < 2
