"""Which env(1) a root has, and which file execvp(3) executes where it is told a command."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from runworthy.model.errors import FormatError
from runworthy.model.records import replace
from runworthy.model.trace import Answer, Step
from runworthy.simulate.commands import PATH, command_step
from runworthy.simulate.env import EnvStart, busybox_env, gnu_env
from runworthy.simulate.execve import execve
from runworthy.simulate.launch import Launch
from runworthy.simulate.permission import denied
from runworthy.targets.target import Target
from runworthy.targets.view import UnseenError

__all__ = ["env_of", "first_executed", "launch_by_env", "missing_command"]

_DEFAULT_PATH = "/bin:/usr/bin"
"""Where execvp looks without PATH (glibc, confstr); musl looks in /usr/local/bin as well."""

_NAMES = ("env", "gnuenv")
_APPLETS = ("busybox", "coreutils", "toybox")
_SPLITS = b"split-string"
_LARGEST = 1 << 20
_GOES_ON = ("EACCES", "ENOENT", "ENOTDIR")


def env_of(real: str, argv: Sequence[str], target: Target, cwd: str) -> EnvStart | None:
    """Return what a program starts with ``argv``, which begins with argv[0]; None where it is no env."""
    name = posixpath.basename(real)
    if name not in _NAMES and not (name in _APPLETS and argv and posixpath.basename(argv[0]) == "env"):
        return None
    words = argv[1:]
    if name == "toybox" and words and words[0].startswith("-"):
        return EnvStart(unknown="which options this env has")
    started = busybox_env(words) if name == "busybox" else gnu_env(words)
    if started.splits and name in _NAMES and not _can_split(target, real):
        return EnvStart(refused="invalid option -- 'S', and it ends with 125")
    return _entered(started, target, cwd) if started.directory else started


def _can_split(target: Target, real: str) -> bool:
    """Whether a GNU env knows -S: since 8.30 its help tells of it."""
    try:
        content = target.view.content(real)
        data = content.pread(0, min(content.size, _LARGEST))
    except (FormatError, OSError, UnseenError):
        return True
    return _SPLITS in data or b"ignore-environment" not in data


def _entered(env: EnvStart, target: Target, cwd: str) -> EnvStart:
    """Return the same, refused where the directory is not there that env changes to."""
    directory = posixpath.join(cwd, env.directory)
    if target.view.real_directory(directory) is not None:
        return env
    if target.view.authority is not None:
        return EnvStart(unknown=f"whether there is a directory {directory}")
    said = f"cannot change directory to '{env.directory}': No such file or directory"
    return EnvStart(refused=f"{said}, and it ends with 125")


def launch_by_env(env: EnvStart, launch: Launch) -> Launch:
    """Return how a program is started by env."""
    search = {} if env.path is None else {"PATH": env.path or _DEFAULT_PATH}
    directory = posixpath.join(launch.cwd, env.directory)
    stated = launch.cwd_stated or env.directory.startswith("/")
    return replace(launch, callers=("env",), cwd=directory, cwd_stated=stated, env={**launch.env, **search})


def first_executed(target: Target, words: Sequence[str], search: str, cwd: str) -> str | None:
    """Return the path that execvp executes for a command, None where there is none.

    It passes over what the kernel says is missing or forbidden, a script without its interpreter included; where it
    finds nothing better the first such script or program is returned, of which the trace then tells.
    """
    refused = None
    for path in _paths(words[0], search, cwd):
        try:
            found = target.view.find(path)
        except UnseenError:
            continue
        if isinstance(found, int) or found.entry.kind != "file" or denied(target, found.path):
            continue
        if execve(target, path, words, cwd=cwd).errno not in _GOES_ON:
            return path
        refused = refused or path
    return refused


def missing_command(target: Target, env: EnvStart, called: str, by: str, launch: Launch) -> Step:
    """Return that there is no program of the name of a command; ``called`` is what env was called."""
    cwd, search = launch.cwd, launch.env.get("PATH", PATH)
    command = env.words[0]
    absolute = posixpath.join(cwd, command) if "/" in command else command
    step = command_step(target, absolute, by, "", ":".join(posixpath.join(cwd, one) for one in search.split(":")))
    if step.answer is not Answer.UNMET:
        return step
    closed = any(probe.outcome == "is not executable" for probe in step.searched)
    said = "Permission denied, and it ends with 126" if closed else "No such file or directory, and it ends with 127"
    return replace(step, need=replace(step.need, name=command), detail=f"{called}: '{command}': {said}")


def _paths(command: str, search: str, cwd: str) -> list[str]:
    """Return the absolute paths that execvp tries, in order."""
    names = [command] if "/" in command else [f"{directory or '.'}/{command}" for directory in search.split(":")]
    return [posixpath.join(cwd, name) for name in names]
