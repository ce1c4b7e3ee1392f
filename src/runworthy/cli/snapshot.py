"""`runworthy snapshot`: capture a target into one file."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from runworthy.model.errors import UsageError

if TYPE_CHECKING:
    from runworthy.targets.snapshot.capture import Captured
    from runworthy.targets.snapshot.make import Maker, Progress

__all__ = ["DESCRIPTION", "EPILOG", "USAGE", "add_arguments", "run"]

USAGE = "host|DIR|- -o FILE [--exclude DIR]... | --script"
DESCRIPTION = """\
Capture this machine, the root in a directory, or what comes on standard input into one file. A check against the file
gives the answers that a check against the target itself would give.

Standard input is a tar archive of a root, packed or not, or the output of a shell script that --script prints: it needs
no Python on the other side, a busybox is enough, changes nothing there, and tells of the machine too."""
EPILOG = """\
What is kept: the names, kinds, modes, sizes and link texts of all entries; what ELF files export, import and say of
themselves; the configuration of the loaders; the first 256 bytes of programs that are no ELF files; of `host` also
kernel, processor, binfmt_misc, mounts and GPUs. Nothing else of any file.

example: runworthy snapshot host -o prod.runworthy
         runworthy check ./app --on prod.runworthy
         docker export CONTAINER | runworthy snapshot - -o image.runworthy
         runworthy snapshot --script > collect.sh
         ssh HOST sh -s < collect.sh | runworthy snapshot - -o host.runworthy
         kubectl exec -i POD -- sh -s < collect.sh | runworthy snapshot - -o pod.runworthy
         sh -s -- /mnt/image /srv/data < collect.sh    a root below a directory, without one of its directories
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("source", nargs="?", metavar="host|DIR|-", help="this machine, the directory of a root, or standard input")
    add("-o", "--output-file", metavar="FILE", help="the file to write, as NAME.runworthy")
    add("--script", action="store_true", help="print the shell script that tells of a machine, and do nothing else")
    add("--exclude", action="append", default=[], metavar="DIR",
        help="a directory of the root to leave out: what lies there is unknown; may be repeated")  # fmt: skip
    add("-q", "--quiet", action="count", default=0, help="say nothing of what was captured")


def run(options: Namespace) -> int:
    """Write the file and say what is in it. Raises UsageError."""
    from runworthy.cli.progress import progress
    from runworthy.cli.terminal import give_up
    from runworthy.targets.snapshot.make import write_file

    if options.script:
        return _print_script(options)
    if options.source is None or options.output_file is None:
        what = "what to capture" if options.source is None else "the file to write"
        raise UsageError(f"the command does not name {what}", hint="as in `runworthy snapshot host -o NAME.runworthy`")
    if options.output_file == "-" and sys.stdout.isatty():
        raise UsageError("a snapshot is not for a terminal", hint="write it to a file, as in -o NAME.runworthy")
    with progress(quiet=bool(options.quiet)) as watch:
        tell = None if watch is None else lambda entries, _: watch("capture", entries, 0)
        heard = None if watch is None else lambda entries, _: watch("receive", entries, 0)
        make = _maker(options, tell, heard)
        if options.output_file == "-":
            try:
                made = make(sys.stdout.buffer)
                sys.stdout.buffer.flush()
            except OSError as error:
                give_up(sys.stdout, error)
                return 0
        else:
            made = write_file(options.output_file, make)
    if not options.quiet:
        _say(made, options.output_file)
    return 0


def _print_script(options: Namespace) -> int:
    from runworthy.cli.terminal import deliver
    from runworthy.targets.stream.reading import collector

    if options.source is not None or options.exclude:
        raise UsageError(
            "--script prints a script, and captures nothing",
            hint="the script itself takes a root and what to leave out: `sh -s -- /mnt/image /srv/data < SCRIPT`",
        )
    deliver(collector(), options.output_file)
    return 0


def _maker(options: Namespace, tell: Progress | None, heard: Progress | None) -> Maker:
    from runworthy.targets.snapshot.make import snapshot_directory, snapshot_host

    if options.source == "host":
        return snapshot_host(options.exclude, tell)
    if options.source == "-":
        return _received(options, tell, heard)
    directory = os.path.expanduser(options.source.removeprefix("rootfs:"))
    return snapshot_directory(directory, options.exclude, tell)


def _received(options: Namespace, tell: Progress | None, heard: Progress | None) -> Maker:
    """Read standard input to its end; return what writes the snapshot of it. Raises UsageError, TargetError."""
    from runworthy.targets.stream.making import snapshot_stream

    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError(
            "standard input is a terminal, and not a root",
            hint="as in `docker export CONTAINER | runworthy snapshot - -o NAME.runworthy`",
        )
    return snapshot_stream(sys.stdin.buffer.read, options.exclude, tell, heard)


def _say(made: Captured, path: str) -> None:
    """Tell what was captured: on stdout, unless the snapshot itself goes there."""
    from runworthy.cli.terminal import emit
    from runworthy.report.words import clean, count

    told = [f"{count(made.entries, 'entry', 'entries')}, {count(made.elf_files, 'ELF file')}"]
    told += [f"{count(made.unreadable, 'entry', 'entries')} could not be read"] if made.unreadable else []
    told += [f"nothing is known of {', '.join(map(clean, made.left_out))}"] if made.left_out else []
    text = f"{clean(path)}: {made.size / 1e6:.1f} MB, {'; '.join(told)}\n"
    if path == "-":
        print(text, end="", file=sys.stderr)
    else:
        emit(text)
