"""Files that were cut off, libraries that dlopen refuses, preloads that cannot be loaded: verdicts and real ends."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from runworthy.engine import verdict_of
from runworthy.simulate.launch import Launch
from runworthy.simulate.process import simulate
from tests.differential.model import Model
from tests.judges import roots
from tests.judges.panel import Judge
from tests.judges.process import Outcome

_AT = "/subject"
_OPENER = r"""
#include <dlfcn.h>
int main(int count, char **words) { return count < 2 || dlopen(words[1], RTLD_LAZY) ? 0 : 3; }
"""
_BIG = "char big[3000000] = {1}; int tail(void) { return big[2999999]; }"
_TLS = '__thread char place[%d] __attribute__((tls_model("initial-exec"))); char *where(void) { return place; }'

# (name, source, further options of gcc, does dlopen take it)
_OPENED = [
    ("plain", "int here;", (), True),
    ("nodlopen", "int here;", ("-Wl,-z,nodlopen",), False),
    ("small-tls", _TLS % 100, (), True),
    ("large-tls", _TLS % 5000, (), False),
]


def _gcc(directory: Path, name: str, source: str, *options: str, compiler: str = "gcc") -> Path:
    made = directory / name
    written = directory / f"{name}.c"
    written.write_text(source, "utf-8")
    subprocess.run([compiler, "-O1", "-w", str(written), "-o", str(made), *options], check=True)
    return made


def _model(name: str, directory: Path, **launch: object) -> Model:
    return Model(roots.requires(name), binds={_AT: directory}, launch=Launch(**launch))  # type: ignore[arg-type]


def _verdict(model: Model, name: str) -> str:
    path = model.view.resolve(f"{_AT}/{name}").path
    return verdict_of(simulate(model.machinery, path, model.view.elf(path)))[0]


def _started(name: str, directory: Path, *argv: str, env: dict[str, str] | None = None) -> Outcome:
    with Judge(roots.requires(name), binds={_AT: directory}) as judge:
        return judge.run([f"{_AT}/{argv[0]}", *argv[1:]], env=env)


@pytest.mark.judge
@pytest.mark.parametrize("kind", ["static", "library"])
def test_file_that_was_cut_off(tmp_path: Path, kind: str) -> None:
    """Half a file is mapped without a word, and kills the process that uses it."""
    if kind == "static":
        program = _gcc(tmp_path, "app", f"{_BIG} int main(void) {{ return tail(); }}", "-static")
        cut = program
    else:
        cut = _gcc(tmp_path, "libbig.so", _BIG, "-shared", "-fPIC")
        main = "int tail(void); int main(void) { return tail(); }"
        _gcc(tmp_path, "app", main, f"-L{tmp_path}", "-lbig", "-Wl,-rpath,$ORIGIN")
    whole = _model("trixie-amd64", tmp_path)
    assert _verdict(whole, "app") == "runs"
    assert _started("trixie-amd64", tmp_path, "app").rc == 0
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    assert _verdict(_model("trixie-amd64", tmp_path), "app") == "fails"
    rc = _started("trixie-amd64", tmp_path, "app").rc
    assert rc is not None
    assert rc < 0


@pytest.mark.judge
@pytest.mark.parametrize(("name", "source", "options", "taken"), _OPENED, ids=[row[0] for row in _OPENED])
def test_what_dlopen_takes(tmp_path: Path, name: str, source: str, options: tuple[str, ...], *, taken: bool) -> None:
    """A library with ``loaded_by`` runs where the real dlopen takes it, and fails where it does not."""
    _gcc(tmp_path, "opener", _OPENER)
    _gcc(tmp_path, f"{name}.so", source, "-shared", "-fPIC", *options)
    model = _model("trixie-amd64", tmp_path, loaded_by=f"{_AT}/opener")
    assert _started("trixie-amd64", tmp_path, "opener", f"{_AT}/{name}.so").rc == (0 if taken else 3)
    assert _verdict(model, f"{name}.so") == ("runs" if taken else "fails")


@pytest.mark.judge
def test_dlopen_refuses_programs_and_other_machines(tmp_path: Path) -> None:
    """A program, and a library of another class, are no libraries to open."""
    roots.requires_tool("i686-linux-gnu-gcc", package="gcc-i686-linux-gnu")
    _gcc(tmp_path, "opener", _OPENER)
    _gcc(tmp_path, "other.so", "int here;", "-shared", "-fPIC", "-nostdlib", compiler="i686-linux-gnu-gcc")
    model = _model("trixie-amd64", tmp_path, loaded_by=f"{_AT}/opener")
    for name in ("opener", "other.so"):
        assert _started("trixie-amd64", tmp_path, "opener", f"{_AT}/{name}").rc == 3
        assert _verdict(model, name) == "fails"


@pytest.mark.judge
@pytest.mark.parametrize("preload", ["garbage", "nothing", "opener"])
def test_preload_that_cannot_be_loaded(tmp_path: Path, preload: str) -> None:
    """ld.so says that it ignores such a preload, and goes on."""
    _gcc(tmp_path, "opener", _OPENER)
    (tmp_path / "garbage").write_text("no library at all, but long enough to be looked at by the loader")
    env = {"LD_PRELOAD": f"{_AT}/{preload}"}
    assert _started("trixie-amd64", tmp_path, "opener", env=env).rc == 0
    assert _verdict(_model("trixie-amd64", tmp_path, env=env), "opener") == "runs"
