"""Remedies as a Dockerfile has them: what its COPY lines would have to bring is not proved."""

from __future__ import annotations

from pathlib import Path

import runworthy
from runworthy.engine import Wishes
from runworthy.library.asking import target_names
from runworthy.model.edit import BringFile, InstallPackages, PatchElf
from runworthy.model.finding import Remedy
from runworthy.remedies.fixing import for_dockerfile, plans
from runworthy.remedies.situation import Means, Situation
from tests.world import make


def situations(directory: Path) -> tuple[Situation, ...]:
    """Return the situation of a program that does not run on Alpine."""
    make(directory)
    app = str(directory / "app")
    report = runworthy.check(app, "alpine:3.20")
    (planned,) = plans(report, target_names(["alpine:3.20"]), Wishes(), Means(scratch=str(directory)))
    return planned.situations


def test_files_that_no_line_copies_prove_nothing(tmp_path: Path) -> None:
    found = situations(tmp_path)
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("FROM alpine:3.20\nCOPY app /app\n", encoding="utf-8")
    path = found[0].path
    patch = PatchElf(path=path, arguments=("--set-rpath", "$ORIGIN"), before="0" * 64, made="/m", after="1" * 64)
    bring = BringFile(path=f"{path}.libs/libx.so.1", source="/x", sha256="0" * 64, origin="libx.so.1")
    alone = for_dockerfile(Remedy(title="patch", proved=True, edits=(patch,)), str(dockerfile), found)
    assert alone.proved
    beside = for_dockerfile(Remedy(title="bring", proved=True, edits=(bring, patch)), str(dockerfile), found)
    assert not beside.proved
    assert beside.leaves == (f"that the Dockerfile copies {tmp_path}/app.libs/libx.so.1",)


def test_packages_that_are_named_already_are_not_named_again(tmp_path: Path) -> None:
    found = situations(tmp_path)
    dockerfile = tmp_path / "Dockerfile"
    install = Remedy(title="install", proved=True, edits=(InstallPackages(manager="apk", names=("libgcc",)),))
    dockerfile.write_text("FROM alpine:3.20\nCOPY app /app\n", encoding="utf-8")
    assert for_dockerfile(install, str(dockerfile), found).proved
    dockerfile.write_text("FROM alpine:3.20\nRUN apk add libgcc\nCOPY app /app\n", encoding="utf-8")
    known = for_dockerfile(install, str(dockerfile), found)
    assert (known.proved, known.applicability) == (False, "manual")
