"""`runworthy run`: a command as it is; where it does not start, why, and what helps."""

from __future__ import annotations

import os
import sys

from runworthy.model.errors import RunworthyError, UsageError

TYPE_CHECKING = False  # the command does not wait for typing, nor for what only its failure needs
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Sequence

    from runworthy.model.finding import Report, Result
    from runworthy.running.starting import Attempt

__all__ = ["DESCRIPTION", "EPILOG", "USAGE", "add_arguments", "run", "run_at_once"]

USAGE = "[options] -- COMMAND [ARGS]..."
DESCRIPTION = """\
Start a command, and pass on how it ends. Where it does not start, say why: the kernel refuses it, its loader or a
library is missing, a symbol or its version, an instruction that this processor does not have. It is started first,
and thought about afterwards; a command that starts costs no more than the start of this program."""
EPILOG = """\
The command has the terminal, the descriptors, the environment and the process group; signals are handed on, and where
it stops, this program stops. It is looked up in PATH, and a file in no format is read by /bin/sh, as a shell has it.
The report goes to standard error, or to FILE. A command that starts and fails has its own reasons: of these nothing is
said.

exit codes: the command's own, and 128 + N where signal N ended it; 126 where it cannot be executed, 127 where it is not
found, 2 usage or internal error
"""

_LOADER_GAVE_UP = (126, 127, 255)
"""Exit codes that may mean that a program has not begun: 127 of both loaders (glibc elf/rtld.c and dl-fatal, musl
ldso/dynlink.c), 126 and 127 of env(1) and of shells, 255 of QEMU."""
_CRASHES = ("SIGILL", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGABRT", "SIGTRAP", "SIGSYS", "SIGKILL")
_STARTING = frozenset(("exec", "load", "version", "bind", "machine"))


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    from argparse import REMAINDER

    add = parser.add_argument
    add("command", nargs=REMAINDER, metavar="COMMAND",
        help="after --: the command, by its path or a name in PATH, and its arguments")  # fmt: skip
    add = parser.add_argument_group("the report").add_argument
    add("--format", choices=("text", "json"), default="text", help="text (the default) or json")
    add("-o", "--output-file", metavar="FILE", help="write the report there")
    add("--color", choices=("auto", "always", "never"), default="auto", help="also NO_COLOR and FORCE_COLOR")


def run_at_once(arguments: Sequence[str], parse: Callable[[Sequence[str]], Namespace]) -> int:
    """Run what stands after ``--``, where no option stands before it: options are asked for only if they matter."""
    return _run(arguments, lambda: parse(arguments))


def run(options: Namespace) -> int:
    """Run the command, tell why it does not start, and return the exit code. Raises UsageError."""
    return _run(options.command, lambda: options)


def _run(words: Sequence[str], options: Callable[[], Namespace]) -> int:
    if words[:1] != ["--"] or not words[1:]:
        what = "no command stands after --" if words[:1] == ["--"] else "the command stands after --"
        raise UsageError(what, hint="write it as in `runworthy run -- COMMAND ARGS`")
    if not hasattr(os, "posix_spawn") or sys.platform != "linux":
        raise UsageError("run needs Linux", hint="`runworthy check FILE --on TARGET` works everywhere")
    from runworthy.running.starting import attempt, die_of

    told = attempt(words[1:])
    if told.errno or told.status in _LOADER_GAVE_UP or told.status < 0:
        _explain(words[1], told, options)
    if told.errno:
        import errno

        return 127 if told.errno == errno.ENOENT else 126  # bash 5.2, execute_cmd.c, shell_execve
    if told.status < 0:
        die_of(-told.status)
        return 128 - told.status
    return told.status


def _explain(name: str, told: Attempt, options: Callable[[], Namespace]) -> None:
    """Say why a command did not start, where it did not."""
    import signal

    if not told.errno and told.status < 0 and signal.Signals(-told.status).name not in _CRASHES:
        return
    report, problem = _report(told) if told.path else (None, "")
    result = report.results[0] if report and report.results else None
    if not told.errno and (result is None or not _did_not_start(result, told.status)):
        return
    from runworthy.report.words import clean

    lines = [f"runworthy: {clean(name)}: {_how(told)}"]
    lines += [f"runworthy: {clean(told.path)}: {clean(problem)}"] if problem else []
    print(*lines, sep="\n", file=sys.stderr, flush=True)
    if report is not None and result is not None and (result.findings or result.verdict != "runs"):
        _deliver(report, result, options())


def _how(told: Attempt) -> str:
    if told.errno:
        if not told.path:
            return "not found"
        return os.strerror(told.errno)
    if told.status > 0:
        return f"it did not start, or not wholly (exit status {told.status})"
    import signal

    return f"it did not start, or not wholly ({signal.Signals(-told.status).name})"


def _report(told: Attempt) -> tuple[Report | None, str]:
    """Return what is known of the file on this machine, in this environment; or why nothing is."""
    from runworthy.library import check

    try:
        # We look in PATH and read scripts as dash does.
        return check(told.path, env=_environment(), cwd=_cwd(), secure=_is_secure(told.path), caller="dash"), ""
    except RunworthyError as error:
        return None, "" if told.errno else str(error)


def _environment() -> dict[str, str]:
    from runworthy.library.asking import ENVIRONMENT

    return {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}


def _cwd() -> str:
    try:
        return os.getcwd()
    except OSError:
        return "/"


def _is_secure(path: str) -> bool:
    """Whether the program gets other rights than we have, so that its loader does not listen to us (AT_SECURE)."""
    import stat

    try:
        found = os.stat(path)
    except OSError:
        return False
    other_user = found.st_mode & stat.S_ISUID and found.st_uid != os.geteuid()
    return bool(other_user or (found.st_mode & stat.S_ISGID and found.st_gid != os.getegid()))


def _did_not_start(result: Result, status: int) -> bool:
    """Whether what is known of a file accounts for how it ended."""
    if result.verdict == "fails":
        return result.stage in _STARTING
    import signal

    from runworthy.model.trace import Answer

    unmet = [step for step in result.trace.needs if step.answer is Answer.UNMET]
    if status == -signal.SIGILL:
        return any(step.need.kind == "isa" for step in unmet)
    return status == 127 and any(step.need.lazy for step in unmet)


def _deliver(report: Report, result: Result, options: Namespace) -> None:
    from runworthy.cli.terminal import deliver, style_for

    to_file = options.output_file not in (None, "-")
    if options.format == "json":
        from runworthy.report.json_report import report_json

        text = report_json(report)
    else:
        from runworthy.report.text import report_text

        text = report_text(report, style_for(options.color, to_file=to_file, stream=sys.stderr)) + _advice(result)
    if to_file:
        deliver(text, options.output_file)
        return
    sys.stderr.write(text)
    sys.stderr.flush()


def _advice(result: Result) -> str:
    """Return what `fix` would do first, where something has to be done."""
    import shlex

    from runworthy.library import fix
    from runworthy.report.words import clean

    if result.verdict != "fails":
        return ""
    advice = f"mend it with `runworthy fix {clean(shlex.quote(result.subject))}`"
    try:
        plans = fix(result.subject, env=_environment(), caller="dash").plans
    except RunworthyError:
        return f"{advice}\n"
    best = next((remedy for plan in plans for remedy in plan.remedies), None)
    if best is None:
        return ""
    return f"{advice}: {clean(best.title)}  ({best.applicability}, {'proved' if best.proved else 'unproved'})\n"
