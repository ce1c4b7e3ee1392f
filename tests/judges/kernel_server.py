"""The program on the other side of a private kernel: `python -I -S kernel_server.py DIRECTORY`.

It becomes process 1 of new user, mount and process namespaces, mounts a
binfmt_misc of its own on DIRECTORY/binfmt_misc and a tmpfs on DIRECTORY/tmpfs,
says so in one JSON line, then does what each further line asks. Every mount,
handler and process ends with it. Standard library only.
"""

import ctypes
import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn, TextIO

# linux/sched.h, linux/mount.h, linux/prctl.h, linux/capability.h
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
PR_SET_PDEATHSIG = 1
CAPABILITY_VERSION_3 = 0x20080522
AT_EMPTY_PATH = 0x1000

_IDS = 65536
_OUTPUT_LIMIT = 64 << 20

_libc = ctypes.CDLL(None, use_errno=True)


class _ReportedError(Exception):
    """An errno that is the answer to a request."""


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _write(path: str, data: bytes, flags: int = 0) -> int:
    """Write in one call; the errno, 0 when it went well."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC | flags)
    except OSError as error:
        return error.errno or 0
    try:
        os.write(handle, data)
    except OSError as error:
        return error.errno or 0
    finally:
        os.close(handle)
    return 0


def _text(path: str) -> str:
    with open(path, encoding="latin-1", newline="") as file:
        return file.read()


# --- namespaces ------------------------------------------------------------


def _map_ids(process: int | str) -> None:
    """Map 65536 users where that is allowed, else the caller's own onto root."""
    for kind, own in (("uid", os.geteuid()), ("gid", os.getegid())):
        if _write(f"/proc/{process}/{kind}_map", f"0 0 {_IDS}\n".encode()) == 0:
            continue
        _write(f"/proc/{process}/setgroups", b"deny")
        if _write(f"/proc/{process}/{kind}_map", f"0 {own} 1\n".encode()):
            raise OSError(f"/proc/{process}/{kind}_map cannot be written")


def _enter_namespaces() -> None:
    """Return as process 1 of new namespaces; the processes before it only wait."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        _map_when_told(child, reader, writer)
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.close(reader)
    _checked(_libc.unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID), "unshare")
    os.write(writer, b"!")
    os.close(writer)
    while not (_text("/proc/self/uid_map") and _text("/proc/self/gid_map")):
        time.sleep(0.001)
    first = os.fork()
    if first:
        _wait_for(first)
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _map_when_told(child: int, reader: int, writer: int) -> NoReturn:
    os.close(writer)
    if os.read(reader, 1):
        _map_ids(child)
    os.close(reader)
    _wait_for(child)


def _wait_for(child: int) -> NoReturn:
    for number in (0, 1):
        os.close(number)
    _, status = os.waitpid(child, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _mount(source: str, point: str, kind: str | None, flags: int, data: str | None) -> None:
    arguments = [None if text is None else os.fsencode(text) for text in (source, point, kind)]
    options = None if data is None else os.fsencode(data)
    _checked(_libc.mount(*arguments, ctypes.c_ulong(flags), options), f"mount {source} on {point}")


# --- programs --------------------------------------------------------------


def _drop_capabilities() -> None:
    """Give up every capability: permission bits then count as for any owner."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    _checked(_libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")


def _become(request: dict[str, Any], outputs: tuple[int, int], failed: int) -> NoReturn:
    try:
        _prepare(request, outputs)
        argv = [os.fsencode(text) for text in request["argv"]]
        env = {os.fsencode(name): os.fsencode(text) for name, text in request["env"].items()}
        os.write(failed, b"!")
        if request["descriptor"]:
            _execveat(os.fsencode(request["path"]), argv, env)
        elif request["search"]:
            _execvp(os.fsencode(request["path"]), argv, env)
        _execve(os.fsencode(request["path"]), argv, env)
    except OSError as error:
        os.write(failed, str(error.errno).encode())
    finally:
        os._exit(127)


def _prepare(request: dict[str, Any], outputs: tuple[int, int]) -> None:
    """Make the process into which the program is loaded."""
    os.setsid()
    os.dup2(outputs[0], 1)
    os.dup2(outputs[1], 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_OUTPUT_LIMIT, _OUTPUT_LIMIT))
    if request["writing"]:
        os.set_inheritable(os.open(request["writing"], os.O_WRONLY), True)  # noqa: FBT003 - it takes no name
    if request["chroot"]:
        os.chroot(request["chroot"])
    if request["user_namespace"]:
        _checked(_libc.unshare(CLONE_NEWUSER), "unshare")
    if request["uid"]:
        os.setgroups([])
        os.setgid(request["uid"])
        os.setuid(request["uid"])
    os.chdir(request["cwd"])
    if not request["privileged"]:
        _drop_capabilities()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def _strings(values: list[bytes]) -> ctypes.Array[ctypes.c_char_p]:
    return (ctypes.c_char_p * (len(values) + 1))(*values, None)


def _execve(path: bytes, argv: list[bytes], env: dict[bytes, bytes]) -> None:
    """Execute with whatever arguments: os.execve takes no empty ones."""
    variables = _strings([name + b"=" + text for name, text in env.items()])
    _checked(_libc.execve(ctypes.c_char_p(path), _strings(argv), variables), "execve")


def _execveat(path: bytes, argv: list[bytes], env: dict[bytes, bytes]) -> None:
    """Execute an open file whose descriptor is closed by that."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    variables = _strings([name + b"=" + text for name, text in env.items()])
    result = _libc.execveat(handle, ctypes.c_char_p(b""), _strings(argv), variables, AT_EMPTY_PATH)
    _checked(result, "execveat")


def _execvp(path: bytes, argv: list[bytes], env: dict[bytes, bytes]) -> None:
    """Execute as the C library's execvpe does."""
    variables = _strings([name + b"=" + text for name, text in env.items()])
    _checked(_libc.execvpe(ctypes.c_char_p(path), _strings(argv), variables), "execvpe")


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


class Server:
    """What one client may ask for."""

    def __init__(self, outputs: tuple[int, int]) -> None:
        self._outputs = outputs

    def execute(self, request: dict[str, Any]) -> dict[str, Any]:
        """Load a program and wait for its end."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            _become(request, self._outputs, writer)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            said = pipe.read()
        status = _wait(child, request["timeout"])
        _kill_leftovers()
        output, errors = map(_taken, self._outputs)
        if said[:1] != b"!":
            raise _ReportedError(f"the process could not be prepared: errno {said.decode()}")
        failure = said[1:]
        return {
            "rc": None if status is None or failure else os.waitstatus_to_exitcode(status),
            "errno": int(failure) if failure else 0,
            "stdout": output,
            "stderr": errors,
        }

    def write(self, request: dict[str, Any]) -> int:
        """Write bytes in one call."""
        flags = os.O_CREAT | os.O_TRUNC if request["create"] else 0
        return _write(request["path"], request["data"].encode("latin-1"), flags)

    def read(self, request: dict[str, Any]) -> str:
        """Return what a file holds, a character for each byte."""
        return _text(request["path"])

    def names(self, request: dict[str, Any]) -> list[str]:
        """Return the names in a directory in the order in which the kernel gives them."""
        return os.listdir(request["path"])

    def mount(self, request: dict[str, Any]) -> int:
        """Mount a file system; the errno."""
        try:
            _mount(request["source"], request["point"], request["kind"], request["flags"], request["data"])
        except OSError as error:
            return error.errno or 0
        return 0

    def unmount(self, request: dict[str, Any]) -> int:
        """Unmount what is at a path; the errno."""
        return ctypes.get_errno() if _libc.umount2(os.fsencode(request["point"]), 0) else 0


def _private_channel() -> tuple[TextIO, TextIO]:
    """The way to the client, moved away from what programs inherit as 0 and 1."""
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    nothing = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1):
        os.dup2(nothing, number)
    os.close(nothing)
    return requests, answers


def _serve(requests: TextIO, say: Callable[[object], None]) -> None:
    server = Server((os.memfd_create("stdout"), os.memfd_create("stderr")))
    for line in requests:
        request = json.loads(line)
        try:
            say({"answer": getattr(server, request.pop("do"))(request)})
        except (OSError, _ReportedError) as error:
            say({"error": str(error)})


def main(directory: str) -> None:
    """Serve until the client closes its end."""
    answers: TextIO = sys.stdout

    def say(answer: object) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    try:
        _enter_namespaces()
        _mount("none", "/", None, MS_REC | MS_PRIVATE, None)
        for kind in ("binfmt_misc", "tmpfs"):
            _mount("none", f"{directory}/{kind}", kind, 0, None)
    except OSError as error:
        say({"error": str(error)})
        return
    requests, answers = _private_channel()
    say({"answer": _text("/proc/self/uid_map").split()[2] == str(_IDS)})
    _serve(requests, say)


if __name__ == "__main__":
    main(sys.argv[1])
