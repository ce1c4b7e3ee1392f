"""Remedies as edits of a Dockerfile: another base image, packages that are installed, small changes of files.

What is proved of a remedy was judged on the target that the base image stands for; the edit of the Dockerfile has the
same done when the image is built. Nothing is built here, and no registry is asked whether an image is there.
"""

from __future__ import annotations

import os
import posixpath
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from runworthy.formats.dockerfile import SIZE_LIMIT, Dockerfile, Instruction, Stage, parse_dockerfile
from runworthy.model.arch import Architecture, architecture
from runworthy.model.edit import Edit, EditText, InstallPackages, LinkFile, SetMode
from runworthy.model.errors import FormatError
from runworthy.model.finding import Remedy
from runworthy.model.records import dataclass, replace
from runworthy.remedies.images import Meant, image_on, meant_by
from runworthy.remedies.situation import Proposal
from runworthy.targets.catalogue.naming import split_architecture
from runworthy.targets.overlay import Overlay
from runworthy.targets.placement import SUBJECT_ROOT
from runworthy.targets.target import Target

__all__ = ["BaseImage", "base_images", "dockerfile_path", "in_dockerfile", "placed", "read_dockerfile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseImage:
    """What a stage is built on.

    ``stage`` is its name, or its number where it has none; ``image`` what FROM names in the end, through other stages
    and the defaults of ARGs. ``target`` is the target that this image stands for, empty where that is not known;
    ``note`` says why, or how far it does. ``platform`` is the architecture that FROM states. ``chosen``: it is the
    stage that is meant.
    """

    stage: str
    image: str
    target: str
    note: str = ""
    platform: Architecture | None = None
    chosen: bool = False


def read_dockerfile(path: str) -> bytes:
    """Return the bytes of a Dockerfile of this machine. Raises FormatError, OSError."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would never end
        raise FormatError("it is no regular file", path=path)
    with open(path, "rb") as file:
        data = file.read(SIZE_LIMIT + 1)
    if len(data) > SIZE_LIMIT:
        raise FormatError(f"more than {SIZE_LIMIT} bytes are not read", path=path)
    return data


def dockerfile_path(path: str) -> str:
    """Return the path by which edits name a Dockerfile of this machine. Raises OSError."""
    real = os.path.realpath(path, strict=True)
    return SUBJECT_ROOT + os.path.splitdrive(real)[1].replace(os.sep, "/")


def placed(target: Target, path: str, text: bytes) -> Target:
    """Return the target with the Dockerfile in it, so that an edit of it can be shown and taken back. Raises OSError.

    ``path`` is that of :func:`dockerfile_path`. Nothing that is judged looks there.
    """
    overlay = Overlay(target.view)
    overlay.add_file(path, text, mode=0o644)
    return replace(target, view=overlay)


def base_images(text: bytes, *, stage: str = "", subject: str = "") -> tuple[BaseImage, ...]:
    """Return what each stage of a Dockerfile is built on. Raises FormatError.

    ``stage`` names the one that is meant, as ``docker build --target`` does; where it is empty, it is the one into
    which ``subject``, a path in the build's context, is copied, else the last.
    """
    file = parse_dockerfile(text)
    stages = file.stages()
    chosen = _chosen(stages, stage, subject)
    found = []
    for one in stages:
        root = _root(stages, one)
        meant = meant_by(root.image) if root.image else Meant("", "", "a variable in it has no default")
        found.append(
            BaseImage(
                stage=one.name or str(one.index),
                image=root.image or root.written.text,
                target=meant.target,
                note=meant.note,
                platform=architecture(root.platform) if root.platform else None,
                chosen=one is chosen,
            )
        )
    return tuple(found)


def in_dockerfile(
    path: str, text: bytes, remedy: Remedy | Proposal, *, stage: str = "", subject: str = ""
) -> EditText | str:
    """Return the edit of the Dockerfile ``path`` (see :func:`dockerfile_path`) that does what a remedy does.

    Where no line of a Dockerfile does, or none that keeps it working, the answer says why in words. ``stage`` and
    ``subject`` are those of :func:`base_images`.
    """
    try:
        file = parse_dockerfile(text)
        stages = file.stages()
        chosen = _chosen(stages, stage, subject)
        changed = _change(file, stages, chosen, remedy)
        after = changed.applied(file.text)
        _same_otherwise(file, parse_dockerfile(after), changed)
    except FormatError as error:
        return f"the Dockerfile cannot be understood: {error.message}"
    except _NoLineError as error:
        return str(error)
    return EditText(path=path, before=text, after=after, what=changed.what)


def _change(file: Dockerfile, stages: Sequence[Stage], chosen: Stage, remedy: Remedy | Proposal) -> _Change:
    elsewhere = remedy.elsewhere if isinstance(remedy, Remedy) else remedy.target.name if remedy.target else ""
    if not elsewhere:
        return _with_lines(file, stages, chosen, remedy.edits)
    if remedy.edits:
        raise _NoLineError("it is more than another base image")
    return _based_on(stages, chosen, elsewhere)


class _NoLineError(Exception):
    """Why no line of a Dockerfile does what is wanted."""


class _Change(NamedTuple):
    """Texts that take the place of others, by their places in the file. ``what`` says what changes.

    ``stage`` is the number of the one that gets another ``image``, where one does.
    """

    parts: tuple[tuple[int, int, str], ...]
    what: str
    stage: int = -1
    image: str = ""

    def applied(self, text: str) -> bytes:
        for start, end, new in sorted(self.parts, reverse=True):
            text = text[:start] + new + text[end:]
        return text.encode("utf-8", "surrogateescape")


def _same_otherwise(before: Dockerfile, after: Dockerfile, change: _Change) -> None:
    """Make sure that one instruction at most reads otherwise, and that no image changes but the one that is to."""
    old, new = (
        [(one.name, one.flags, _text(one), one.heredocs) for one in file.instructions] for file in (before, after)
    )
    pairs = [zip(old, new, strict=False), zip(reversed(old), reversed(new), strict=False)]
    same = [next((at for at, (one, other) in enumerate(pair) if one != other), len(old)) for pair in pairs]
    images = [change.image if stage.index == change.stage else stage.image for stage in before.stages()]
    if len(old) - sum(same) > 1 or [stage.image for stage in after.stages()] != images:
        raise _NoLineError("the Dockerfile would read otherwise in more than one place")


def _text(one: Instruction) -> tuple[str, ...]:
    return one.listed if one.listed is not None else tuple(word.text for word in one.words)


# -- stages ----------------------------------------------------------------------------------


def _chosen(stages: Sequence[Stage], wanted: str, subject: str) -> Stage:
    if not stages:
        raise FormatError("there is no FROM in it")
    if wanted:
        # As BuildKit finds it: by name, else by number.
        named = [one for one in stages if one.name == wanted.lower()]
        named += [one for one in stages if wanted.isdecimal() and one.index == int(wanted)]
        if not named:
            raise FormatError(f"there is no stage {wanted!r} in it")
        return named[-1] if named[0].name == wanted.lower() else named[0]
    last = stages[-1]
    if subject:
        holders = [one for one in stages if any(_brings(copy, subject) for copy in one.instructions)]
        if len(holders) == 1 and not _takes_from(stages, last, holders[0]):
            return holders[0]
    return last


def _takes_from(stages: Sequence[Stage], stage: Stage, other: Stage) -> bool:
    """Whether a stage is built on another, or has files copied out of it, perhaps through others."""
    pending, seen = [stage.index], set[int]()
    while pending:
        index = pending.pop()
        if index in seen:
            continue
        seen.add(index)
        one = stages[index]
        sources = [copy.flag("from").lower() for copy in one.instructions if copy.name in ("COPY", "ADD", "RUN")]
        sources += [
            part[5:]
            for copy in one.instructions
            for flag in copy.flags
            for part in flag.split(",")
            if part.startswith("from=")
        ]
        pending += [held.index for held in stages[:index] if held.name and held.name in sources]
        pending += [held.index for held in stages[:index] if str(held.index) in sources]
        pending += [one.parent] if one.parent is not None else []
    return other.index in seen


def _brings(copy: Instruction, subject: str) -> bool:
    """Whether an instruction copies a file of the build's context, by its own name or with its directory."""
    if copy.name not in ("COPY", "ADD") or copy.flag("from"):
        return False
    import fnmatch

    for source in _text(copy)[:-1]:
        name = posixpath.normpath(source.lstrip("/"))
        if name == "." or fnmatch.fnmatchcase(subject, name) or subject.startswith(f"{name}/"):
            return True
    return False


def _root(stages: Sequence[Stage], stage: Stage) -> Stage:
    """Return the stage that names the image on which a stage is built in the end."""
    while stage.parent is not None:
        stage = stages[stage.parent]
    return stage


def _line(stages: Sequence[Stage], stage: Stage) -> list[Stage]:
    """Return a stage and those that it is built on, the first of them first."""
    found = [stage]
    while found[0].parent is not None:
        found.insert(0, stages[found[0].parent])
    return found


# -- another base image ----------------------------------------------------------------------


def _based_on(stages: Sequence[Stage], chosen: Stage, elsewhere: str) -> _Change:
    root = _root(stages, chosen)
    name, arch = next((pair for pair in reversed([*split_architecture(elsewhere)])), (elsewhere, ""))
    if not root.image:
        raise _NoLineError(f"line {root.start.line}: what FROM {root.written.text} comes to is not known")
    old = meant_by(root.image)
    platform = _platform(root, architecture(arch) if arch else None)
    if old.target and meant_by(name).base == old.base:
        if platform is None:
            raise _NoLineError(f"line {root.start.line}: it is built on {name} already")
        return _Change((platform,), f"line {root.start.line}: {platform[2].strip()}", root.index, root.image)
    image = image_on(root.image, name)
    if not image.target:
        raise _NoLineError(f"line {root.start.line}: {image.note}")
    derived = [one for one in stages if _root(stages, one) is root]
    manager = _MANAGER_OF.get(_family(image.base), "")  # an image of busybox has none
    for one in derived:
        for run in one.instructions:
            used = _managers(run)
            if used and not used & {manager, *_ALSO.get(manager, ())}:
                raise _NoLineError(
                    f"line {run.line} installs with {'/'.join(sorted(used))}, which {image.target} has not: "
                    f"FROM {image.target} needs that line to be rewritten"
                )
    part, what = _renamed(stages, root, image.target)
    parts = (part,) if platform is None else (part, platform)
    lost = "; the digest of the old image is dropped" if "@" in root.image and "@" not in image.target else ""
    return _Change(parts, f"{what}{lost}", root.index, image.target)


def _renamed(stages: Sequence[Stage], root: Stage, image: str) -> tuple[tuple[int, int, str], str]:
    """Return what changes the image that a stage names: the default of its ARG, where no other stage uses that."""
    line, variable = root.start.line, root.variable
    if variable is not None and image.startswith(variable.before) and image.endswith(variable.after):
        value = image[len(variable.before) : len(image) - len(variable.after) or None]
        alone = all(one is root or not _uses(one, variable.name) for one in stages)
        plain = not set(variable.default.text) & {"'", '"', "$"}
        if alone and plain and value and len(image) >= len(variable.before) + len(variable.after):
            held = variable.default
            return (held.start, held.end, value), f"ARG {variable.name}={value}, and so FROM {image}"
    return (root.written.start, root.written.end, image), f"line {line}: FROM {image}"


def _uses(stage: Stage, name: str) -> bool:
    """Whether FROM, or an ARG that has no value of its own, takes a variable from above the stages."""
    texts = [stage.written.text, *stage.start.flags]
    inside = [word.text for one in stage.instructions if one.name == "ARG" for word in one.words]
    pattern = re.compile(rf"\$\{{?{re.escape(name)}\b")
    return any(pattern.search(text) for text in texts) or name in inside


def _platform(root: Stage, arch: Architecture | None) -> tuple[int, int, str] | None:
    """Return what has FROM name a platform, None where it need not."""
    if arch is None or (root.platform and architecture(root.platform) is arch):
        return None
    if root.start.flags:
        raise _NoLineError(f"line {root.start.line}: FROM states another platform than {arch.docker}")
    return root.written.start, root.written.start, f"--platform={arch.docker} "


# -- lines that are added ----------------------------------------------------------------------

_MANAGER_OF: Mapping[str, str] = {
    "alpine": "apk",
    "debian": "apt",
    "ubuntu": "apt",
    **dict.fromkeys(
        ("almalinux", "amazonlinux", "anolisos", "centos", "fedora", "mageia", "opencloudos", "openeuler"), "dnf"
    ),
    **dict.fromkeys(("oraclelinux", "rhel", "rockylinux"), "dnf"),
    "photon": "tdnf",
    "opensuse/leap": "zypper",
    "opensuse/tumbleweed": "zypper",
    "archlinux": "pacman",
}
_ALSO: Mapping[str, tuple[str, ...]] = {"dnf": ("yum", "microdnf")}
_COMMAND = re.compile(
    r"(?:^|[\s;&|(])(apk|apt-get|apt|aptitude|dnf|microdnf|tdnf|yum|zypper|pacman)\s+(?:-\S+\s+)*"
    r"(?:add|install|update|upgrade|makecache|in|-S\w*)\b"
)
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_:~-]*")
_APK_ADD = re.compile(r"(?<![\w/.-])apk(?:\s+-\S+)*\s+add(?=\s)")
_APT_INSTALL = re.compile(r"(?<![\w/.-])apt-get(?:\s+-\S+)*\s+install(?=\s)")
_DNF_INSTALL = re.compile(r"(?<![\w/.-])(?:dnf|microdnf|yum)(?:\s+-\S+)*\s+install(?=\s)")
_REMOVES = re.compile(
    r"\b(?:apk\s+(?:\S+\s+)*?del|purge|autoremove|(?:apt-get|dnf|yum|microdnf)\s+(?:-\S+\s+)*(?:remove|erase))\b"
)
_EXTENDED = {"apk": _APK_ADD, "apt": _APT_INSTALL, "dnf": _DNF_INSTALL}
_SHELLS = frozenset(("sh", "bash", "ash", "dash"))
_PREAMBLE = frozenset(("ARG", "ENV", "LABEL", "SHELL"))
_TRAILING = frozenset(("CMD", "ENTRYPOINT", "EXPOSE", "HEALTHCHECK", "LABEL", "ONBUILD", "STOPSIGNAL", "VOLUME"))
_ROOT = frozenset(("root", "0"))


def _managers(run: Instruction) -> set[str]:
    """Return the package managers that an instruction has install something."""
    if run.name != "RUN":
        return set()
    texts = [" ".join(_text(run)), *(heredoc.content for heredoc in run.heredocs)]
    found = {match[1] for text in texts for match in _COMMAND.finditer(text)}
    return {{"apt-get": "apt", "aptitude": "apt"}.get(one, one) for one in found}


def _with_lines(file: Dockerfile, stages: Sequence[Stage], chosen: Stage, edits: Sequence[Edit]) -> _Change:
    if not edits:
        raise _NoLineError("nothing of it can be done by a Dockerfile")
    _shell_is_there(stages, chosen)
    if len(edits) == 1 and isinstance(edits[0], InstallPackages):
        extended = _extended(file, chosen, edits[0])
        if extended is not None:
            return extended
    commands = [_command(stages, chosen, edit) for edit in edits]
    return _inserted(file, stages, chosen, commands, edits)


def _command(stages: Sequence[Stage], chosen: Stage, edit: Edit) -> list[str]:
    """Return what RUN is to be followed by, one command after another."""
    if isinstance(edit, InstallPackages):
        _check_names(edit)
        if edit.manager not in _INSTALLS:
            raise _NoLineError(f"how {edit.manager} installs packages in a Dockerfile is not known")
        return _INSTALLS[edit.manager](_program(stages, chosen, edit.manager), " ".join(edit.names))
    if isinstance(edit, (LinkFile, SetMode)) and not edit.path.startswith(f"{SUBJECT_ROOT}/"):
        words = (edit.path, edit.text) if isinstance(edit, LinkFile) else (edit.path,)
        if not all(re.fullmatch(r"[A-Za-z0-9._/+@:-]+", word) for word in words):
            raise _NoLineError(f"{edit.path} has characters that a shell takes for its own")
        if isinstance(edit, LinkFile):
            return [f"ln -sf {edit.text} {edit.path}"]
        return [f"chmod {edit.mode:04o} {edit.path}"]
    raise _NoLineError(f"no line of a Dockerfile does it: {edit.words}")


def _check_names(edit: InstallPackages) -> None:
    wrong = next((name for name in edit.names if not _PACKAGE.fullmatch(name)), None)
    if wrong is not None or not edit.names:
        raise _NoLineError(f"{wrong!r} is no name of a package")


# Alpine's wiki and Docker's guide ("Building best practices"): what leaves no lists behind in the layer.
_INSTALLS: Mapping[str, Callable[[str, str], list[str]]] = {
    "apk": lambda _, names: [f"apk add --no-cache {names}"],
    "apt": lambda _, names: [
        "apt-get update",
        f"apt-get install -y --no-install-recommends {names}",
        "rm -rf /var/lib/apt/lists/*",
    ],
    "dnf": lambda program, names: [f"{program} install -y {_weak(program)}{names}", f"{program} clean all"],
}


def _weak(program: str) -> str:
    """Return the option by which what is only recommended does not come along; yum's repositories know of no such."""
    return {"dnf": "--setopt=install_weak_deps=False ", "microdnf": "--setopt=install_weak_deps=0 "}.get(program, "")


def _program(stages: Sequence[Stage], chosen: Stage, manager: str) -> str:
    """Return the program that a stage has for dnf's packages: what its other lines use, else what its image brings."""
    if manager != "dnf":
        return manager
    for stage in reversed(_line(stages, chosen)):
        for run in stage.instructions:
            held = _managers(run) & {"dnf", "yum", "microdnf"}
            if held:
                return min(held)
    image = _root(stages, chosen).image
    if "minimal" in image:
        return "microdnf"
    base = meant_by(image).base
    return "yum" if base in ("rhel:7", "oraclelinux:7", "oraclelinux:6", "amazonlinux:2", "centos:7") else "dnf"


def _shell_is_there(stages: Sequence[Stage], chosen: Stage) -> None:
    root = _root(stages, chosen)
    if root.image == "scratch" or "distroless" in root.image or root.image.startswith("cgr.dev/chainguard/static"):
        raise _NoLineError(f"line {root.start.line}: {root.image} has no shell that could run a command")
    for stage in _line(stages, chosen):
        for one in stage.instructions:
            shell = posixpath.basename(one.listed[0]) if one.name == "SHELL" and one.listed else "sh"
            if shell not in _SHELLS:
                raise _NoLineError(f"line {one.line}: its commands are for {shell}")


def _extended(file: Dockerfile, chosen: Stage, edit: InstallPackages) -> _Change | None:
    """Return what asks for more packages in a line that is there, None where no line is plain enough for that."""
    pattern = _EXTENDED.get(edit.manager)
    if pattern is None or any(
        _REMOVES.search(" ".join(_text(run))) for run in chosen.instructions if run.name == "RUN"
    ):
        return None
    _check_names(edit)
    for run in chosen.instructions:
        if run.name != "RUN" or run.listed is not None or run.heredocs or len(run.words) != 1:
            continue
        written = file.text[run.words[0].start : run.words[0].end]
        end = _end_of_list(written, pattern, file.escape)
        if end is not None:
            at = run.words[0].start + end
            names = " ".join(edit.names)
            return _Change(((at, at, f" {names}"),), f"line {file.place(at)[0]}: {names} as well")
    return None


_INTRICATE = re.compile(r"[#'\"(){}*?]|\|\||(?<![\w.-])(?:if|then|else|for|while|until|case|do|sudo|eval)(?![\w.-])")
"""What makes it hard to tell what a shell runs, and whether it does."""


def _end_of_list(written: str, pattern: re.Pattern[str], escape: str) -> int | None:
    """Return where the names of packages end that a command installs, None where something else stands among them."""
    found = list(pattern.finditer(written))
    if len(found) != 1 or _INTRICATE.search(written):
        return None
    before = written[: found[0].start()].rstrip(f"{escape} \t\r\n")
    if before and not before.endswith(("&&", ";")):  # a word of another command: `echo apk add`
        return None
    end = found[0].end()
    for part in re.finditer(r"\S+", written[end:]):
        word = part[0]
        if word == escape:
            continue
        if word in ("&&", ";", "||", "|"):
            break
        plain = _PACKAGE.fullmatch(word) or re.fullmatch(r"[A-Za-z0-9][\w.+:~-]*[=<>~]+[\w.+:~-]+", word)
        if word in ("-t", "--virtual", "--target-release") or word.startswith(("--virtual=", "--target-release=")):
            return None
        if not plain and word not in _HARMLESS:
            return None
        last = found[0].end() + part.end()
        end = last
    return end


_HARMLESS = frozenset(
    "--no-cache --update -U --no-install-recommends --no-install-suggests -y -q -qq -qy -yq --yes --quiet".split()
)


def _inserted(
    file: Dockerfile, stages: Sequence[Stage], chosen: Stage, commands: Sequence[Sequence[str]], edits: Sequence[Edit]
) -> _Change:
    """Return lines that are put in, as root: behind the last that has the same manager, else where a stage begins."""
    anchor = chosen.start
    for one in chosen.instructions:
        if one.name not in _PREAMBLE:
            break
        anchor = one
    managers = {edit.manager for edit in edits if isinstance(edit, InstallPackages)}
    managers |= {other for one in managers for other in _ALSO.get(one, ())}
    links = any(not isinstance(edit, InstallPackages) for edit in edits)
    for one in chosen.instructions:
        if _managers(one) & managers or (links and one.name not in _TRAILING):  # a file may come with any line
            anchor = one
    user = _user_at(stages, chosen, anchor)
    newline = "\r\n" if file.text[: anchor.end].endswith("\r\n") else "\n"
    joint = f" {file.escape}{newline}    && "
    lines = [f"RUN {joint.join(command)}" for command in commands]
    if user is None:
        raise _NoLineError(f"line {anchor.line}: who the user is there is not known")
    if user not in _ROOT:
        lines = ["USER root", *lines, f"USER {user}"]
    text = newline.join(lines) + newline
    held = file.text[anchor.start : anchor.end]
    before = "" if held.endswith("\n") else newline
    what = ", ".join(" && ".join(command) for command in commands)
    place = f"after line {anchor.last_line}"
    return _Change(((anchor.end, anchor.end, before + text),), f"{place}: RUN {what}")


def _user_at(stages: Sequence[Stage], chosen: Stage, anchor: Instruction) -> str | None:
    """Return the user as whom commands run behind an instruction, None where a variable names it.

    Base images are taken to leave it at root, as the official ones do.
    """
    user = "root"
    for stage in _line(stages, chosen):
        for one in stage.instructions:
            if stage is chosen and one.start > anchor.start:
                break
            if one.name == "USER" and one.words:
                user = one.words[0].text
    name = user.partition(":")[0]
    if "$" in user:
        return None
    return name if name in _ROOT else user


def _family(base: str) -> str:
    return base.partition(":")[0]
