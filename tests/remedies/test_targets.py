"""The nearest targets on which something runs: what is proposed is judged, and real roots say the same."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from runworthy.model.arch import ARCHITECTURES
from runworthy.remedies.situation import Proposal, Situation
from runworthy.remedies.target_sizes import SIZES
from runworthy.remedies.targets import nearest, unpacked_size, whole
from runworthy.targets.catalogue import open_catalogue
from tests.elfwriter import elf
from tests.judges import roots
from tests.judges.process import Jail
from tests.remedies.placing import situation_on

REPOSITORY = Path(__file__).parents[2]
FACTS = REPOSITORY.parent / "shared" / "targets"
TODAY = date(2026, 11, 1)
GLIBC, MUSL = "/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1"


def program(path: Path, version: str = "GLIBC_2.34", name: str = "__libc_start_main", **more: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    given = {
        "kind": 2,
        "interpreter": GLIBC,
        "needed": ["libc.so.6"],
        "imports": [(name, version, "libc.so.6")],
        **more,
    }
    path.write_bytes(elf(**given))  # type: ignore[arg-type]
    path.chmod(0o755)
    return path


def proposals(situation: Situation) -> list[Proposal]:
    found = list(whole(situation))
    for one in found:
        assert one.target is not None
        assert one.approach == "target"
        verdict = situation.judge(one.target, one.path or situation.path).verdict
        assert (verdict == "runs") is not bool(one.unprovable)
        assert verdict != "fails"
    return found


def names(situation: Situation) -> list[str]:
    return [one.target.name for one in proposals(situation) if one.target and not one.unprovable]


def test_the_next_release_of_a_family_comes_first(tmp_path: Path) -> None:
    app = program(tmp_path / "home" / "app")
    assert names(situation_on(app, "ubuntu:20.04"))[0] == "ubuntu:22.04"
    assert names(situation_on(app, "debian:11"))[0] == "debian:12"
    assert names(situation_on(app, "rhel:8"))[0] == "rhel:9"


def test_another_family_where_no_release_will_do(tmp_path: Path) -> None:
    app = program(tmp_path / "home" / "app")
    found = proposals(situation_on(app, "alpine:3.20"))
    assert [one.target.name.partition(":")[0] for one in found if one.target] == ["debian", "ubuntu", "busybox"]
    before, after = (unpacked_size(name, ARCHITECTURES[0]) for name in ("alpine:3.20", "debian:13"))
    assert before is not None
    assert after is not None
    assert found[0].cost.size == after - before > 0
    assert found[1].cost.size is None  # of core targets nobody knows it
    assert found[2].cost.size is not None
    assert found[2].cost.size < 0


def test_an_older_release_of_a_family(tmp_path: Path) -> None:
    """A program for musl that needs a symbol which newer releases of musl have taken away."""
    app = program(tmp_path / "home" / "app", interpreter=MUSL, needed=["libc.musl-x86_64.so.1"], imports=["lseek64"])
    found = names(situation_on(app, "alpine:3.20"))
    assert all(name.startswith("alpine:3.") for name in found)


def test_images_of_other_software_keep_it(tmp_path: Path) -> None:
    app = program(tmp_path / "home" / "app")
    assert names(situation_on(app, "python:3.12-alpine3.20"))[0] == "python:3.12-slim-trixie"


def test_another_architecture_of_the_same(tmp_path: Path) -> None:
    loader = "/lib/ld-linux-aarch64.so.1"
    app = program(tmp_path / "home" / "app", version="GLIBC_2.34", machine="aarch64", interpreter=loader)
    assert names(situation_on(app, "debian:12/amd64"))[0] == "debian:12/aarch64"


def test_what_comes_with_the_subject_goes_along(tmp_path: Path) -> None:
    app = program(
        tmp_path / "home" / "dist" / "bin" / "app", needed=["libown.so.1", "libc.so.6"], runpath="$ORIGIN/../lib"
    )
    (tmp_path / "home" / "dist" / "lib").mkdir()
    (tmp_path / "home" / "dist" / "lib" / "libown.so.1").write_bytes(elf(soname="libown.so.1"))
    assert names(situation_on(app, "debian:11"))[0] == "debian:12"


def test_a_subject_that_lies_in_its_root_is_placed_elsewhere(tmp_path: Path) -> None:
    root = tmp_path / "root"
    app = program(root / "opt" / "app")
    (root / "etc").mkdir()
    (root / "etc" / "os-release").write_text('ID=debian\nVERSION_ID="11"\n')
    (root / "lib").mkdir()
    situation = situation_on(app, f"rootfs:{root}")
    assert situation.inside
    found = proposals(situation)
    assert next(one.target.name for one in found if one.target) == "debian:12"
    assert found[0].path == "/subject/opt/app"


def test_what_is_only_known_in_part_is_not_proved(tmp_path: Path) -> None:
    app = program(tmp_path / "home" / "app", needed=["libc.so.6", "libcurl.so.4"])
    found = proposals(situation_on(app, "ubuntu:20.04"))
    assert found
    assert all("libcurl.so.4" in one.unprovable for one in found)


def test_nothing_is_gained_where_the_same_is_not_known(tmp_path: Path) -> None:
    app = program(tmp_path / "home" / "app", needed=["libc.so.6", "libcurl.so.4"])
    assert not proposals(situation_on(app, "rockylinux:9"))
    app = program(tmp_path / "home" / "app2", interpreter="/lib/no-loader.so.2")
    assert not proposals(situation_on(app, "debian:12"))


def test_a_script_and_what_runs_nowhere(tmp_path: Path) -> None:
    script = tmp_path / "home" / "run"
    script.parent.mkdir()
    script.write_text("#!/bin/bash\n")
    script.chmod(0o755)
    assert "debian:13/x86_64" in names(situation_on(script, "alpine:3.20"))
    app = program(tmp_path / "home" / "app", version="GLIBC_2.99")
    assert proposals(situation_on(app, "debian:12")) == []


def test_what_may_not_be_executed_here_may_not_elsewhere(tmp_path: Path) -> None:
    root = tmp_path / "root"
    app = program(root / "opt" / "app")
    (root / "etc").mkdir()
    (root / "etc" / "os-release").write_text('ID=debian\nVERSION_ID="11"\n')
    app.chmod(0o644)
    assert proposals(situation_on(app, f"rootfs:{root}")) == []


def test_what_is_missed_and_not_known_to_be_there_is_no_reason_to_go(tmp_path: Path) -> None:
    """Ubuntu's files are known in part: that leaves open whether it has a library that nobody knows."""
    app = program(tmp_path / "home" / "app", version="GLIBC_2.17", name="puts", needed=["libc.so.6", "libnobody.so.9"])
    assert proposals(situation_on(app, "debian:12")) == []


def test_supported_releases_come_before_others(tmp_path: Path) -> None:
    app = program(tmp_path / "home" / "app", version="GLIBC_2.35", name="x")
    order = [row.name for row in nearest(situation_on(app, "ubuntu:20.04"), TODAY) if row.family == "ubuntu"]
    assert order.index("ubuntu:26.04") < order.index("ubuntu:24.10") < order.index("ubuntu:25.10")
    assert "ubuntu:rolling" not in order
    late = [row.name for row in nearest(situation_on(app, "alpine:3.20"), date(2040, 1, 1))]
    assert not {"debian:12", "ubuntu:22.04"} & set(late)


def test_sizes_are_those_of_closed_targets() -> None:
    closed = {(row.name, row.arch.name) for row in open_catalogue().targets() if row.completeness == "closed"}
    told = {(name, one.partition("=")[0]) for name, sizes in SIZES.items() for one in sizes.split()}
    assert told == closed


if FACTS.is_dir():

    def test_the_script_makes_the_same_sizes() -> None:
        script = [sys.executable, "scripts/build_target_sizes.py", str(FACTS), "--check"]
        done = subprocess.run(script, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


SOURCES = {
    "old": '#include <stdio.h>\nint main(void) { puts("runs"); return 0; }\n',
    "new": "#define _GNU_SOURCE\n#include <stdlib.h>\n#include <stdio.h>\n"
    'int main(void) { return printf("%u", arc4random()) < 1; }\n',
}
_ROOTS = {"debian:11": "bullseye-amd64", "debian:12": "bookworm-amd64", "debian:13": "trixie-amd64"}


@pytest.mark.judge
@pytest.mark.parametrize("source", SOURCES)
def test_real_roots_run_what_is_said_to_run_there(source: str, tmp_path: Path) -> None:
    roots.requires_tool("gcc", package="gcc")
    held = tmp_path / "home"
    held.mkdir()
    (held / "app.c").write_text(SOURCES[source])
    app = held / "app"
    subprocess.run(["gcc", "-o", str(app), str(held / "app.c")], check=True)
    told: dict[str, bool] = {}
    for on in ("alpine:3.20", "debian:11", "ubuntu:20.04"):
        for one in whole(situation_on(app, on)):
            if one.target is not None and not one.unprovable:
                told[one.target.name] = True
    assert {"debian:12", "debian:13"} & told.keys()
    for name in _ROOTS.keys() & told.keys():
        with Jail(roots.requires(_ROOTS[name]).path, binds={"/mnt": held}) as jail:
            assert jail.run(["/mnt/app"]).rc == 0
