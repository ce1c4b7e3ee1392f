"""Libraries that find what they need in the process of a sibling alone."""

from __future__ import annotations

from pathlib import Path

import pytest

import runworthy
from tests.elfwriter import Symbol, elf


@pytest.mark.parametrize("target", ["debian:12", "manylinux_2_28", "rhel:9"])
def test_a_sibling_brings_what_its_library_needs_on_every_kind_of_root(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As scipy's wheels have it: an RPATH counts for the needs of its needs, a system of a known core or not."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wheel/libs").mkdir(parents=True)
    files = {
        "module.so": elf(needed=["libouter.so"], rpath="$ORIGIN/libs", imports=[Symbol("outer", use="data")]),
        "libs/libouter.so": elf(
            soname="libouter.so", needed=["libinner.so"], exports=["outer"], imports=[Symbol("inner", use="data")]
        ),
        "libs/libinner.so": elf(soname="libinner.so", exports=["inner"]),
    }
    for name, data in files.items():
        (tmp_path / "wheel" / name).write_bytes(data)
    results = runworthy.check("wheel", on=target).results
    assert {one.subject: one.verdict for one in results} == {f"wheel/{name}": "runs" for name in files}
    (brought,) = (one for one in results if one.subject.endswith("libouter.so"))
    assert [one.code for one in brought.findings] == ["RW213"]
    (tmp_path / "wheel/module.so").unlink()
    (alone,) = (one for one in runworthy.check("wheel", on=target).results if one.subject.endswith("libouter.so"))
    assert alone.verdict in ("unknown", "fails", "risky")
