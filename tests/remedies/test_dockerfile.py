"""Edits of Dockerfiles: what changes, what does not, and what no line of a Dockerfile does."""

from __future__ import annotations

import os
import random
from pathlib import Path

import dockerfile as buildkit
import pytest

from runworthy.model.edit import BringFile, Edit, EditText, InstallPackages, LinkFile, SetMode
from runworthy.model.errors import FormatError
from runworthy.model.finding import Remedy
from runworthy.remedies.dockerfile import base_images, dockerfile_path, in_dockerfile, placed, read_dockerfile
from runworthy.remedies.images import image_on, meant_by
from runworthy.targets.edits import edited, inverse
from runworthy.targets.names import TargetName

PATH = "/subject/srv/app/Dockerfile"


def install(manager: str, *names: str) -> Remedy:
    return Remedy(title="install", edits=(InstallPackages(manager=manager, names=names),))


def on(target: str) -> Remedy:
    return Remedy(title="another target", elsewhere=target)


def of(*edits: Edit) -> Remedy:
    return Remedy(title="edits", edits=edits)


LIBGCC = install("apk", "libgcc")

CHANGES: dict[str, tuple[str, Remedy, str]] = {
    "a line behind FROM": (
        "FROM alpine:3.20\nCOPY app /app\n",
        LIBGCC,
        "FROM alpine:3.20\nRUN apk add --no-cache libgcc\nCOPY app /app\n",
    ),
    "behind what sets variables": (
        "FROM alpine:3.20\nARG A\nENV B=c\n\n# the program\nCOPY app /app\n",
        LIBGCC,
        "FROM alpine:3.20\nARG A\nENV B=c\nRUN apk add --no-cache libgcc\n\n# the program\nCOPY app /app\n",
    ),
    "more for a line that installs": (
        "FROM alpine:3.20\nRUN apk add --no-cache \\\n    curl \\\n    'x' \n",
        install("apk", "libgcc", "libstdc++"),
        "FROM alpine:3.20\nRUN apk add --no-cache \\\n    curl \\\n    'x' \nRUN apk add --no-cache libgcc libstdc++\n",
    ),
    "more in a list over several lines": (
        "FROM alpine:3.20\nRUN apk add --no-cache \\\n    # for the web\n    curl \\\n    bash=5.2 && ls\n",
        install("apk", "libgcc", "libstdc++"),
        (
            "FROM alpine:3.20\nRUN apk add --no-cache \\\n    # for the web\n    curl \\\n    bash=5.2 && ls\n"
            "RUN apk add --no-cache libgcc libstdc++\n"
        ),
    ),
    "more in a plain list": (
        "FROM alpine:3.20\nRUN apk add --no-cache \\\n    curl \\\n    bash>5.2 && ls\n",
        install("apk", "libgcc", "libstdc++"),
        "FROM alpine:3.20\nRUN apk add --no-cache \\\n    curl \\\n    bash>5.2 libgcc libstdc++ && ls\n",
    ),
    "not for packages that go again": (
        "FROM alpine:3.20\nRUN apk add --virtual .b gcc && make && apk del .b\nUSER me\n",
        LIBGCC,
        (
            "FROM alpine:3.20\nRUN apk add --virtual .b gcc && make && apk del .b\n"
            "RUN apk add --no-cache libgcc\nUSER me\n"
        ),
    ),
    "not where nobody can tell whether it runs": (
        "FROM alpine:3.20\nRUN if x; then apk add b; fi\nRUN apk add c || true\n",
        LIBGCC,
        "FROM alpine:3.20\nRUN if x; then apk add b; fi\nRUN apk add c || true\nRUN apk add --no-cache libgcc\n",
    ),
    "not for words of another command": (
        "FROM alpine:3.20\nRUN echo apk add b\n",
        LIBGCC,
        "FROM alpine:3.20\nRUN echo apk add b\nRUN apk add --no-cache libgcc\n",
    ),
    "more behind another command": (
        "FROM alpine:3.20\nRUN x && \\\n  apk add b\n",
        LIBGCC,
        "FROM alpine:3.20\nRUN x && \\\n  apk add b libgcc\n",
    ),
    "as root, and back": (
        "FROM alpine:3.20 AS base\nUSER me:us\nFROM base\nCOPY app /app",
        LIBGCC,
        (
            "FROM alpine:3.20 AS base\nUSER me:us\nFROM base\nUSER root\nRUN apk add --no-cache libgcc\nUSER me:us\n"
            "COPY app /app"
        ),
    ),
    "in the last stage": (
        "FROM alpine:3.20 AS b\nRUN apk add git\nFROM alpine:3.20\nCOPY --from=b /app /app",
        LIBGCC,
        (
            "FROM alpine:3.20 AS b\nRUN apk add git\nFROM alpine:3.20\nRUN apk add --no-cache libgcc\n"
            "COPY --from=b /app /app"
        ),
    ),
    "with another escape and other ends of lines": (
        "# escape=`\r\nFROM debian:12\r\nRUN x `\r\n  y\r\n",
        install("apt", "libssl3"),
        (
            "# escape=`\r\nFROM debian:12\r\nRUN apt-get update `\r\n    && apt-get install -y --no-install-recommends "
            "libssl3 `\r\n    && rm -rf /var/lib/apt/lists/*\r\nRUN x `\r\n  y\r\n"
        ),
    ),
    "behind a file without a last newline": (
        "FROM fedora:40",
        install("dnf", "libstdc++"),
        "FROM fedora:40\nRUN dnf install -y --setopt=install_weak_deps=False libstdc++ \\\n    && dnf clean all\n",
    ),
    "with the small dnf": (
        "FROM registry.access.redhat.com/ubi9/ubi-minimal:9.4\n",
        install("dnf", "libstdc++"),
        (
            "FROM registry.access.redhat.com/ubi9/ubi-minimal:9.4\nRUN microdnf install -y "
            "--setopt=install_weak_deps=0 libstdc++ \\\n    && microdnf clean all\n"
        ),
    ),
    "with the program that is used": (
        "FROM rockylinux:8\nRUN yum install -y a && yum clean all\n",
        install("dnf", "libstdc++"),
        "FROM rockylinux:8\nRUN yum install -y a libstdc++ && yum clean all\n",
    ),
    "before what is said of a start": (
        "FROM alpine:3.20\nCOPY x /x\nCMD x\n",
        of(LinkFile(path="/lib/libx.so.1", text="libx.so.2"), SetMode(path="/x", mode=0o755)),
        "FROM alpine:3.20\nCOPY x /x\nRUN ln -sf libx.so.2 /lib/libx.so.1\nRUN chmod 0755 /x\nCMD x\n",
    ),
    "another image": (
        "FROM alpine:3.20 AS x\nCOPY app /app\n",
        on("debian:12"),
        "FROM debian:12-slim AS x\nCOPY app /app\n",
    ),
    "the default of its ARG": (
        "ARG BASE='a'\nARG BASE=alpine:3.18 # no comment\nFROM ${BASE}\n",
        on("alpine:3.20"),
        "ARG BASE='a'\nARG BASE=alpine:3.20 # no comment\nFROM ${BASE}\n",
    ),
    "a release in an ARG": (
        "ARG V=11\nFROM --platform=linux/amd64 debian:${V:-x}-slim AS y\n",
        on("debian:12"),
        "ARG V=12\nFROM --platform=linux/amd64 debian:${V:-x}-slim AS y\n",
    ),
    "FROM, where another stage has the same ARG": (
        "ARG V=3.18\nFROM golang:1-alpine$V AS b\nFROM alpine:${V}\n",
        on("alpine:3.20"),
        "ARG V=3.18\nFROM golang:1-alpine$V AS b\nFROM alpine:3.20\n",
    ),
    "the stage that it is built on": (
        "FROM debian:bullseye-slim AS base\nFROM base AS final\n",
        on("debian:12"),
        "FROM debian:bookworm-slim AS base\nFROM base AS final\n",
    ),
    "without the old digest": (
        "FROM alpine:3.18@sha256:0123 AS x\n",
        on("alpine:3.20"),
        "FROM alpine:3.20 AS x\n",
    ),
    "the same software elsewhere": (
        "FROM docker.io/library/python:3.12-alpine3.20\n",
        on("debian:12"),
        "FROM docker.io/library/python:3.12-slim-bookworm\n",
    ),
    "another architecture": ("FROM debian:12\n", on("debian:12/aarch64"), "FROM --platform=linux/arm64 debian:12\n"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes(name: str) -> None:
    before, remedy, after = CHANGES[name]
    edit = in_dockerfile(PATH, before.encode(), remedy)
    assert isinstance(edit, EditText), edit
    assert edit.after.decode() == after
    assert (edit.path, edit.before) == (PATH, before.encode())
    assert edit.what
    buildkit.parse_string(after)


REFUSALS: dict[str, tuple[str, Remedy, str]] = {
    "scratch": ("FROM scratch\nCOPY app /\n", LIBGCC, "no shell"),
    "distroless": ("FROM gcr.io/distroless/base-debian12\n", install("apt", "x"), "no shell"),
    "powershell": ('FROM alpine:3.20\nSHELL ["pwsh", "-c"]\n', LIBGCC, "for pwsh"),
    "a user nobody knows": ("FROM alpine:3.20\nUSER $U\nRUN apk add --virtual a b\n", LIBGCC, "who the user is"),
    "lines for another manager": ("FROM alpine:3.18\nRUN apk add x\n", on("debian:12"), "line 2 installs with apk"),
    "lines for a manager that an image without any has not": (
        "FROM alpine:3.18\nRUN apk add x\n",
        on("busybox:glibc"),
        "line 2 installs with apk, which busybox:glibc has not",
    ),
    "lines of a stage above": (
        "FROM alpine:3.18 AS a\nFROM a AS b\nRUN <<E\napk add x\nE\nFROM a\n",
        on("debian:12"),
        "line 3 installs with apk",
    ),
    "an image nobody knows": ("FROM me/base:1\n", on("debian:12"), "not known"),
    "a variable nobody sets": ("ARG B\nFROM $B\n", on("debian:12"), "not known"),
    "the same": ("FROM debian:12-slim\n", on("debian:12"), "already"),
    "no image": ("FROM debian:12\n", on("glibc:2.36"), "is no image"),
    "an edit for another": (
        "FROM debian:12\n",
        of(BringFile(path="/x", source="/y", sha256="", origin="y")),
        "no line of a Dockerfile does it",
    ),
    "a file of this machine": ("FROM debian:12\n", of(SetMode(path="/subject/a", mode=0o755)), "no line"),
    "names that are none": ("FROM alpine:3.20\n", install("apk", "a; rm -rf /"), "no name of a package"),
    "names that are none in a list": ("FROM alpine:3.20\nRUN apk add b\n", install("apk", "--x"), "no name"),
    "characters of a shell": ("FROM alpine:3.20\n", of(LinkFile(path="/a$(b)", text="c")), "for its own"),
    "a file that is none": ("RUN <<E\n", LIBGCC, "cannot be understood"),
    "no stage": ("ARG a\n", LIBGCC, "no FROM"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name: str) -> None:
    text, remedy, words = REFUSALS[name]
    answer = in_dockerfile(PATH, text.encode(), remedy)
    assert isinstance(answer, str)
    assert words in answer


LINES = (
    *(
        "RUN apk add --no-cache a b",
        "RUN apk add \\\n  a \\\n  b",
        "RUN apk add a && rm x",
        "RUN echo apk add",
        "RUN <<E\nx\nE",
    ),
    *(
        "RUN apk add $X",
        "COPY a /b",
        "USER me",
        "USER 0:0",
        "ENV A=b",
        "ARG V=1",
        "# comment",
        "",
        "CMD x",
        'RUN ["apk"]',
    ),
    *("LABEL a=b", "WORKDIR /x", "ONBUILD RUN apk add y", "RUN apk add -t .x y", "RUN a \\\n\n  # c\n  && apk add z"),
)
STARTS = (
    "FROM alpine:3.19",
    "FROM alpine:$R",
    "FROM --platform=linux/amd64 alpine:3.18@sha256:ab AS s",
    "FROM s",
    "from s as t",
)


def test_what_is_not_meant_stays_as_it_is() -> None:
    """In many files made by chance, BuildKit's parser sees one instruction changed, or new ones in one place."""
    chance = random.Random(5)  # noqa: S311 - no secret
    changed = 0
    for _ in range(1500):
        stages = [chance.choice(STARTS) for _ in range(chance.randrange(1, 4))]
        lines = ["ARG R=3.19"] + [
            line for start in stages for line in (start, *chance.choices(LINES, k=chance.randrange(6)))
        ]
        text = chance.choice(("\n", "\r\n")).join(lines) + chance.choice(("", "\n"))
        remedy = chance.choice((LIBGCC, on("alpine:3.20")))
        edit = in_dockerfile(PATH, text.encode(), remedy)
        if isinstance(edit, str):
            continue
        changed += 1
        old, new = (
            [(one.cmd, one.flags, one.value, one.heredocs) for one in buildkit.parse_string(held)]
            for held in (text, edit.after.decode())
        )
        head = next((at for at, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), len(old))
        tail = len(old) - head
        while tail and old[len(old) - tail :] != new[len(new) - tail :]:
            tail -= 1
        gone, come = old[head : len(old) - tail], new[head : len(new) - tail]
        if remedy is LIBGCC:
            assert len(gone) <= 1
            assert "libgcc" in " ".join(come[len(come) // 2][2])
            assert [one[0] for one in come] in (["RUN"], ["USER", "RUN", "USER"])
        else:
            assert len(gone) == len(come) == 1
            assert come[0][0] in ("FROM", "ARG")
            assert edit.before.replace(b"\r\n", b"\n").count(b"\n") == edit.after.replace(b"\r\n", b"\n").count(b"\n")
    assert changed > 700


# -- images ----------------------------------------------------------------------------------

MEANT = {
    "alpine:3.20": "alpine:3.20",
    "docker.io/library/alpine:3.20.1": "alpine:3.20",
    "alpine:3.20@sha256:ab": "alpine:3.20",
    "debian:bookworm-20240812-slim": "debian:12",
    "debian:12.5-slim": "debian:12",
    "ubuntu:noble": "ubuntu:24.04",
    "python:3.12-alpine3.20": "python:3.12-alpine3.20",
    "node:22-bookworm-slim": "node:22-bookworm-slim",
    "registry.access.redhat.com/ubi9/ubi-minimal:9.4": "rhel:9",
    "almalinux:9.3": "almalinux:9",
    "quay.io/pypa/manylinux2014_x86_64": "manylinux_2_17",
    "mcr.microsoft.com/dotnet/runtime:8.0-alpine3.20": "alpine:3.20",
    "eclipse-temurin:21-jre-jammy": "ubuntu:22.04",
    **dict.fromkeys(
        (
            *("alpine", "alpine:latest", "golang:1.23-alpine", "python:3.12-slim", "scratch", "me/app:1-bookworm"),
            *("gcc:13-bookworm", "localhost:5000/alpine:3.20", "alpine@sha256:ab", "centos:5"),
        ),
        "",
    ),
}


@pytest.mark.parametrize("image", MEANT)
def test_which_target_an_image_stands_for(image: str) -> None:
    meant = meant_by(image)
    assert meant.target == MEANT[image]
    assert meant.target or meant.note
    if meant.target:
        TargetName(meant.target).open(TargetName("debian:12/x86_64").open(None).arch)


@pytest.mark.parametrize(
    ("image", "target", "other"),
    [
        ("golang:1.22-bookworm", "alpine:3.20", "golang:1.22-alpine3.20"),
        ("node:20-alpine3.19", "debian:12", "node:20-bookworm-slim"),
        ("nginx:1.27-alpine3.20", "debian:12", "nginx:1.27-bookworm"),
        ("ubuntu:focal", "ubuntu:22.04", "ubuntu:jammy"),
        ("ubuntu:20.04", "debian:12", "debian:12-slim"),
        ("public.ecr.aws/docker/library/alpine:3.20", "debian:12", "public.ecr.aws/docker/library/debian:12-slim"),
        ("docker.io/library/alpine:3.20", "rhel:9", "registry.access.redhat.com/ubi9/ubi"),
        ("registry.access.redhat.com/ubi8/ubi-minimal:8.9", "rhel:9", "registry.access.redhat.com/ubi9/ubi-minimal"),
        ("python:3.12-slim-bookworm", "fedora:40", ""),
    ],
)
def test_which_image_takes_the_place_of_another(image: str, target: str, other: str) -> None:
    assert image_on(image, target).target == other


def test_bases_of_stages() -> None:
    text = (
        b"ARG V=3.20\nFROM golang:1-alpine AS b\nFROM --platform=linux/arm64 alpine:$V AS c\nFROM c\nCOPY bin/app /\n"
    )
    held = [(one.stage, one.image, one.target, one.chosen) for one in base_images(text)]
    assert held == [
        ("b", "golang:1-alpine", "", False),
        ("c", "alpine:3.20", "alpine:3.20", False),
        ("2", "alpine:3.20", "alpine:3.20", True),
    ]
    assert [one.platform.name if one.platform else "" for one in base_images(text)] == ["", "aarch64", "aarch64"]
    assert [one.chosen for one in base_images(text, stage="B")] == [True, False, False]
    assert [one.chosen for one in base_images(text, stage="1")] == [False, True, False]


@pytest.mark.parametrize(
    ("lines", "chosen"),
    [
        ("FROM a:1 AS x\nCOPY bin/app /\nFROM b:1\nCOPY other /\n", 0),
        ("FROM a:1 AS x\nCOPY bin /\nFROM b:1\nCOPY other /\n", 0),
        ("FROM a:1 AS x\nCOPY . /\nFROM b:1\nCOPY --from=x /app /\n", 1),
        ("FROM a:1 AS x\nCOPY . /\nFROM b:1 AS y\nCOPY --from=0 /app /\nFROM c:1\nRUN --mount=type=bind,from=y x\n", 2),
        ("FROM a:1 AS x\nCOPY bin/* /\nFROM x\n", 1),
        ("FROM a:1 AS x\nCOPY . /\nFROM b:1\nCOPY . /\n", 1),
    ],
)
def test_the_stage_that_gets_the_subject(lines: str, chosen: int) -> None:
    held = [one.chosen for one in base_images(lines.encode(), subject="bin/app")]
    assert held.index(True) == chosen


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "Dockerfile")
    with pytest.raises(FormatError, match="no regular file"):
        read_dockerfile(os.fspath(tmp_path / "Dockerfile"))


def test_edits_of_a_file_of_this_machine_can_be_shown_and_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "Dockerfile"
    path.write_bytes(b"FROM alpine:3.20\n")
    text = read_dockerfile(str(path))
    edit = in_dockerfile(dockerfile_path(str(path)), text, LIBGCC)
    assert isinstance(edit, EditText)
    target = placed(TargetName("alpine:3.20/x86_64").open(None), edit.path, text)
    after = edited(target, (edit,))
    assert after.view.read(edit.path) == edit.after
    back = inverse(target, (edit,))
    assert edited(after, back).view.read(edit.path) == text
