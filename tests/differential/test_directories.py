"""Installed environments as directories: the same sets as the real loaders, file by file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from runworthy.engine import Engine
from runworthy.targets.names import MachineWish, TargetName
from tests.differential.directories import compare_directory
from tests.judges import roots

# The whole table is that of ``python -m tests.differential``.
_CHOSEN = (
    ("bookworm-amd64", "venv"),
    ("musl-1.2.5-x86_64", "venv"),
    ("bullseye-amd64", "node_modules"),
    ("trixie-amd64", "python"),
    ("bookworm-amd64", "/usr/lib/python3"),
)


@pytest.mark.judge
@pytest.mark.parametrize(("name", "environment"), _CHOSEN)
def test_every_file_of_an_environment(name: str, environment: str) -> None:
    found = compare_directory(name, environment)
    assert found.subjects, "nothing to compare"
    assert not found.wrong, f"{len(found.wrong)} of {found.subjects}: {dict(list(found.wrong.items())[:3])}"
    assert found.dead <= max(1, found.subjects // 100)


# Library -> what it is linked with, and its search path. A module with an RPATH, which counts for what the libraries
# beneath it need too; one with a RUNPATH, which does not; a library that counts on another one being loaded before it.
_LINKED = {
    "libs/libinner.so": ((), ""),
    "libs/libouter.so": (("libs/libinner.so",), ""),
    "module.so": (("libs/libouter.so",), "-Wl,--disable-new-dtags,-rpath,$ORIGIN/libs"),
    "server/libfirst.so": ((), ""),
    "liblater.so": (("server/libfirst.so",), ""),
    "forgotten/libbare.so": (("libs/libinner.so",), ""),
    "second.so": (("forgotten/libbare.so",), "-Wl,--enable-new-dtags,-rpath,$ORIGIN/forgotten:$ORIGIN/libs"),
}


def link(directory: Path) -> None:
    """Link the libraries, each calling those that it needs."""
    for path, (needs, option) in _LINKED.items():
        at = directory / path
        at.parent.mkdir(exist_ok=True)
        called = [function(need) for need in needs]
        code = "".join(f"int {name}(void);" for name in called)
        source = at.with_suffix(".c")
        source.write_text(
            f"{code} int {function(path)}(void) {{ return 1{''.join(f' + {name}()' for name in called)}; }}\n"
        )
        words = ["cc", "-shared", "-fPIC", "-nostdlib", f"-Wl,-soname,{at.name}", "-Wl,--allow-shlib-undefined"]
        subprocess.run(
            [*words, *filter(None, [option]), "-o", at, source, *(directory / need for need in needs)], check=True
        )


def function(path: str) -> str:
    return Path(path).stem


@pytest.mark.judge
@pytest.mark.parametrize(
    ("name", "late", "bare"),
    [("bullseye-amd64", "risky", "risky"), ("trixie-amd64", "risky", "risky"), ("musl-1.2.5-x86_64", "fails", "runs")],
)
def test_libraries_that_a_sibling_loads(tmp_path: Path, name: str, late: str, bare: str) -> None:
    """What is said of the process of another file is what happens there.

    musl takes RUNPATH for RPATH, and no library that was loaded by its path for one that is asked for by name.
    """
    link(tmp_path)
    compared = compare_directory(name, str(tmp_path))
    assert (compared.subjects, compared.wrong) == (len(_LINKED), {})
    root = roots.requires(name)
    target = TargetName(text=f"rootfs:{root.path}", wish=MachineWish(platform=root.arch))
    results = Engine().check([str(tmp_path)], [target]).results
    assert {result.subject.removeprefix(f"{tmp_path}/"): result.verdict for result in results} == {
        **dict.fromkeys(_LINKED, "runs"),
        "liblater.so": late,
        "forgotten/libbare.so": bare,
        "second.so": bare,
    }
