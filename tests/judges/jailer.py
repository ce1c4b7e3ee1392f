"""The program on the other side of a jail: `python -I -S jailer.py`.

Reads one JSON line that describes the jail, builds it, answers one JSON line,
then runs one program for each further line.  It lives in mount and process
namespaces of its own: every mount vanishes with it, and whatever a program
leaves behind dies with it.  Standard library only; nothing is imported after
the chroot, where there is no Python.
"""

import ctypes
import json
import os
import resource
import select
import signal
import time
from collections.abc import Callable
from typing import Any, NoReturn, TextIO

# linux/sched.h, linux/mount.h, linux/prctl.h
CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
PR_SET_PDEATHSIG = 1

_DEVICES = ("null", "zero", "urandom")
_OUTPUT_LIMIT = 256 << 20

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str | None = None, flags: int = 0, data: str | None = None) -> None:
    arguments = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    options = None if data is None else os.fsencode(data)
    _checked(_libc.mount(*arguments, ctypes.c_ulong(flags), options), f"mount {source} on {target}")


def _enter_namespaces() -> None:
    """Become process 1 of new namespaces; the caller's process only waits."""
    _checked(_libc.unshare(CLONE_NEWNS | CLONE_NEWPID), "unshare")
    child = os.fork()
    if child:
        for number in (0, 1):
            os.close(number)
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _inside(root: str, work: Callable[[], str]) -> str:
    """What `work` returns when it runs with `root` as its root directory."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chroot(root)
            os.write(writer, os.fsencode(work()))
            os._exit(0)
        except OSError as error:
            os.write(2, f"jailer: {error}\n".encode())
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = os.fsdecode(pipe.read())
    if os.waitpid(child, 0)[1] != 0:
        raise OSError(f"cannot make a mount point in {root}")
    return answer


def _mount_point(root: str, guest: str, *, directory: bool) -> str:
    """The path, seen from outside, of a mount point made inside `root`.

    Made by a process that is confined to the root, so that a symbolic link in
    it cannot lead the mount elsewhere.
    """

    def make() -> str:
        where = guest if directory else os.path.dirname(guest)
        os.makedirs(where, exist_ok=True)
        if not directory and not os.path.exists(guest):
            os.close(os.open(guest, os.O_CREAT | os.O_WRONLY, 0o644))
        return os.path.realpath(guest)

    return root + _inside(root, make)


def _bind(root: str, guest: str, host: str) -> None:
    point = _mount_point(root, guest, directory=os.path.isdir(host))
    _mount(host, point, flags=MS_BIND | MS_REC)


def _overlay(scratch: str, layers: list[str]) -> str:
    """A root in which `layers` lie over each other, first on top; writable.

    What is written goes to a tmpfs of this mount namespace and vanishes.
    """
    _mount("tmpfs", scratch, "tmpfs", data="mode=0755")
    os.chdir(scratch)
    for name in ("upper", "work", "root"):
        os.mkdir(name)
    lowers = []
    for number, layer in enumerate(layers):
        lowers.append(f"l{number}")
        os.mkdir(lowers[-1])
        _mount(layer, lowers[-1], flags=MS_BIND)
    _mount("overlay", "root", "overlay", data=f"lowerdir={':'.join(lowers)},upperdir=upper,workdir=work")
    return os.path.join(scratch, "root")


def _build(description: dict[str, Any]) -> None:
    _mount("none", "/", flags=MS_REC | MS_PRIVATE)
    root = _overlay(description["scratch"], description["layers"])
    for name in _DEVICES:
        _bind(root, f"/dev/{name}", f"/dev/{name}")
    for guest, host in description["binds"].items():
        _bind(root, guest, host)
    if description["proc"]:
        _mount("proc", _mount_point(root, "/proc", directory=True), "proc")
    os.chroot(root)
    os.chdir("/")


def _become_program(request: dict[str, Any], outputs: tuple[int, int], failed: int) -> NoReturn:
    try:
        os.chdir(request["cwd"])
        os.dup2(outputs[0], 1)
        os.dup2(outputs[1], 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (_OUTPUT_LIMIT, _OUTPUT_LIMIT))
        if request["uid"] is not None:
            os.setgroups([])
            os.setgid(request["uid"])
            os.setuid(request["uid"])
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.execve(request["program"], request["argv"], request["env"])
    except OSError as error:
        os.write(failed, str(error.errno).encode())
    finally:
        os._exit(127)


def _wait(child: int, seconds: float) -> int | None:
    """The wait status of `child`, or None when the time is over (it is killed)."""
    handle = os.pidfd_open(child)
    try:
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        in_time = bool(poller.poll(seconds * 1000))
    finally:
        os.close(handle)
    if not in_time:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return status if in_time else None


def _kill_leftovers() -> None:
    """End what the program started: process 1 may signal its whole namespace."""
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        return
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _taken(output: int) -> str:
    """The text written to `output`, which is emptied for the next program."""
    size = os.fstat(output).st_size
    text = os.pread(output, size, 0)
    os.ftruncate(output, 0)
    os.lseek(output, 0, os.SEEK_SET)
    return text.decode("utf-8", "surrogateescape")


def _run(request: dict[str, Any], outputs: tuple[int, int]) -> dict[str, Any]:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _become_program(request, outputs, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        failure = pipe.read()
    status = _wait(child, request["timeout"])
    _kill_leftovers()
    return {
        "rc": None if status is None or failure else os.waitstatus_to_exitcode(status),
        "errno": int(failure) if failure else None,
        "stdout": _taken(outputs[0]),
        "stderr": _taken(outputs[1]),
    }


def _private_channel() -> tuple[TextIO, TextIO]:
    """The way to the client, moved away from what programs inherit as 0 and 1."""
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    nothing = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1):
        os.dup2(nothing, number)
    os.close(nothing)
    return requests, answers


def main() -> None:
    """Serve one jail until the client closes its end."""
    _enter_namespaces()
    requests, answers = _private_channel()

    def say(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    try:
        _build(json.loads(requests.readline()))
    except OSError as error:
        say({"error": str(error)})
        return
    say({})
    outputs = (os.memfd_create("stdout"), os.memfd_create("stderr"))
    for line in requests:
        say(_run(json.loads(line), outputs))


if __name__ == "__main__":
    main()
