"""A remedy as a script for any POSIX shell with the usual commands, which can be run again and takes itself back.

What was there before is kept below /var/lib/runworthy until it is taken back. With ROOT the files of a root in a
directory are changed and this kernel is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runworthy.model.edit import (
    CopyFile,
    DisableHandler,
    EditText,
    EnableHandler,
    FileEdit,
    InstallPackages,
    LinkFile,
    PortableEdit,
    RegisterHandler,
    RemoveDirectory,
    RemoveFile,
    RemovePackages,
    RunCommand,
    SetMode,
    SwitchHandlers,
    UnregisterHandler,
    WriteFile,
    WriteLoader,
    actions,
    acts_on,
)
from runworthy.model.finding import Remedy
from runworthy.remedies.export.portable import portable
from runworthy.remedies.export.words import argv_of, base64_lines, comment, kernel_line, octal, quoted, readable

__all__ = ["script"]

_HEAD = """\
#!/bin/sh
# {title}
#
#   sh FILE        makes the change; made again, it changes nothing more
#   sh FILE undo   takes it back
#
# With ROOT=DIRECTORY in the environment it changes that root instead, and leaves this kernel alone.
set -eu
umask 022
ROOT=${{ROOT-}}
KEPT=$ROOT/var/lib/runworthy/{name}
new=
"""
_FUNCTIONS = r"""
fail() { printf '%s\n' "$*" >&2; exit 1; }
tidy() { [ -z "$new" ] || rm -f -- "$new"; }
trap tidy EXIT
there() { [ -e "$1" ] || [ -L "$1" ]; }

# within PATH: no link above it may lead out of the root that is changed
within() {
  [ -n "$ROOT" ] || return 0
  [ -d "$ROOT" ] || fail "$ROOT is no directory"
  above=$ROOT${1%/*}
  while [ ! -d "$above" ]; do above=${above%/*}; done
  top=$(CDPATH= cd -P -- "$ROOT" && pwd -P)
  case $(CDPATH= cd -P -- "$above" && pwd -P)/ in
    "${top%/}"/*) ;;
    *) fail "$1 leads out of $ROOT" ;;
  esac
}

# plain PATH: it is no link, which could lead anywhere
plain() {
  within "$1"
  if [ -L "$ROOT$1" ]; then fail "$1 is a link"; fi
}

# keep N PATH: keep what is there, once
keep() {
  within "$2"
  if there "$KEPT/$1.was" || [ -e "$KEPT/$1.none" ]; then return 0; fi
  if [ -d "$ROOT$2" ] && [ ! -L "$ROOT$2" ]; then fail "$2 is a directory"; fi
  if there "$ROOT$2"; then
    rm -f -- "$KEPT/$1.part"
    cp -pPR -- "$ROOT$2" "$KEPT/$1.part"
    mv -- "$KEPT/$1.part" "$KEPT/$1.was"
  else
    : >"$KEPT/$1.none"
  fi
}

# directories N DIR...: make them where they are missing
directories() {
  n=$1
  shift
  for d; do
    within "$d"
    if [ ! -d "$ROOT$d" ]; then
      mkdir -- "$ROOT$d"
      : >"$KEPT/$n.made"
    fi
    n=${n}x
  done
}

# undirectories N DIR...: take away those that were made, the deepest first
undirectories() {
  [ $# -gt 1 ] || return 0
  ( n=$1; shift 2; undirectories "${n}x" "$@" )
  if [ -e "$KEPT/$1.made" ]; then rmdir -- "$ROOT$2" 2>/dev/null || :; fi
}

# into PATH: what is in $new takes its place
into() {
  if [ -L "$ROOT$1" ]; then rm -f -- "$ROOT$1"; fi
  mv -f -- "$new" "$ROOT$1"
  new=
}

# put N PATH MODE SHA256 DECODER...: standard input, decoded, becomes the file; with = it keeps its owner and mode
put() {
  keep "$1" "$2"
  file=$2 mode=$3 hash=$4
  shift 4
  new=$ROOT$file.new.$$
  rm -f -- "$new"
  (set -C; "$@" >"$new")
  [ "$(sha256sum <"$new")" = "$hash  -" ] || fail "$file: this script is damaged"
  if [ "$mode" = = ]; then
    chown "$(stat -c %u:%g -- "$ROOT$file")" "$new" 2>/dev/null || :
    mode=$(stat -c %a -- "$ROOT$file")
  fi
  chmod "$mode" "$new"
  into "$file"
}

# copy N PATH SOURCE MODE HEAD: a copy, its first bytes replaced
copy() {
  keep "$1" "$2"
  if [ -n "$ROOT" ]; then plain "$3"; fi
  new=$ROOT$2.new.$$
  rm -f -- "$new"
  (set -C; : >"$new")
  cp -- "$ROOT$3" "$new"
  if [ -n "$5" ]; then printf "$5" | dd of="$new" conv=notrunc 2>/dev/null; fi
  chmod "$4" "$new"
  into "$2"
}

# link N PATH TEXT
link() {
  keep "$1" "$2"
  new=$ROOT$2.new.$$
  rm -f -- "$new"
  ln -s -- "$3" "$new"
  into "$2"
}

# mode N PATH MODE
mode() {
  plain "$2"
  if [ ! -e "$KEPT/$1.mode" ]; then
    stat -c %a -- "$ROOT$2" >"$KEPT/$1.part"
    mv -- "$KEPT/$1.part" "$KEPT/$1.mode"
  fi
  chmod "$3" "$ROOT$2"
}

# unmode N PATH
unmode() {
  plain "$2"
  if [ -e "$KEPT/$1.mode" ]; then chmod "$(cat "$KEPT/$1.mode")" "$ROOT$2"; fi
}

# is PATH SHA256
is() { [ "$(sha256sum <"$ROOT$1")" = "$2  -" ]; }

# restore N PATH
restore() {
  within "$2"
  if there "$KEPT/$1.was"; then
    if [ -L "$ROOT$2" ]; then rm -f -- "$ROOT$2"; fi
    mv -f -- "$KEPT/$1.was" "$ROOT$2"
  elif [ -e "$KEPT/$1.none" ]; then
    rm -f -- "$ROOT$2"
  fi
}

# live COMMAND...: run it, unless it is another root that is changed
live() { [ -n "$ROOT" ] || "$@"; }

# inside COMMAND...: run it in the root that is changed
inside() { if [ -n "$ROOT" ]; then chroot "$ROOT" "$@"; else "$@"; fi; }

# aside COMMAND...: the same for one that also registers handlers, with any kernel that it reaches
aside() {
  if [ -n "$ROOT" ] && [ -e "$ROOT/proc/sys" ]; then fail "$ROOT/proc is mounted: $1 would change this kernel"; fi
  inside "$@"
}
"""
_TAIL = """\
case ${1-} in
  '') change ;;
  undo) undo ;;
  *) fail "usage: sh $0 [undo]" ;;
esac
"""
_END = "end_of_file"


def script(remedy: Remedy) -> str:
    """Return the script that makes a remedy's edits and takes them back."""
    change = [line for number, edit in enumerate(portable(remedy), 1) for line in _change(number, edit)]
    undo = [line for number, edit in reversed([*enumerate(portable(remedy), 1)]) for line in _undo(number, edit)]
    head = _HEAD.format(title=comment(remedy.title), name=_name([*change, *undo]))
    rows = [
        'change() {\n  within "${KEPT#"$ROOT"}"\n  mkdir -p -- "$KEPT"',
        *change,
        '}\n\nundo() {\n  [ -d "$KEPT" ] || fail "nothing of it has been done"',
        *undo,
        '  rm -rf -- "$KEPT"\n  rmdir -- "${KEPT%/*}" 2>/dev/null || :\n}\n',
    ]
    return f"{head}{_FUNCTIONS}\n" + "\n".join(rows) + "\n" + _TAIL


def _name(rows: Sequence[str]) -> str:
    """Return a name for what was kept: the same for the same edits."""
    from hashlib import sha256

    return sha256("\n".join(rows).encode("utf-8", "surrogateescape")).hexdigest()[:16]


# -- forwards ----------------------------------------------------------------------------------


def _change(number: int, edit: PortableEdit) -> Iterator[str]:
    yield f"  # {comment(edit.words)}"
    if isinstance(edit, (RunCommand, InstallPackages, RemovePackages)):
        yield f"  {_runner(edit)} {_command(argv_of(edit))}"
        yield f'  : >"$KEPT/{number}.run"'
    elif isinstance(edit, (RegisterHandler, UnregisterHandler, DisableHandler, EnableHandler, SwitchHandlers)):
        yield f"  live sh -c {quoted(kernel_line(edit))}"
    else:
        if not isinstance(edit, (RemoveFile, RemoveDirectory, SetMode, EditText)):
            yield f"  directories {number} {_command(_parents(edit.path))}".rstrip()
        yield from _file(number, edit)


def _file(number: int, edit: FileEdit) -> Iterator[str]:
    path = quoted(edit.path)
    if isinstance(edit, (WriteFile, WriteLoader)):
        yield _put(number, edit.path, f"{edit.mode:o}", edit.content)
    elif isinstance(edit, CopyFile):
        yield f"  copy {number} {path} {quoted(edit.source)} {edit.mode:o} {quoted(octal(edit.head))}"
    elif isinstance(edit, EditText):
        yield f"  plain {path}"
        yield f"  if ! is {path} {_hash(edit.after)}; then"
        yield f'  is {path} {_hash(edit.before)} || fail {path} "is another file by now"'
        yield _put(number, edit.path, "=", edit.after)
        yield "  fi"
    elif isinstance(edit, LinkFile):
        yield f"  link {number} {path} {quoted(edit.text)}"
    elif isinstance(edit, SetMode):
        yield f"  mode {number} {path} {edit.mode:o}"
    elif isinstance(edit, RemoveDirectory):
        yield f"  within {path}"
        yield f'  if rmdir -- "$ROOT"{path} 2>/dev/null; then : >"$KEPT/{number}.run"; fi'
    else:
        yield f"  keep {number} {path}"
        yield f'  rm -f -- "$ROOT"{path}'


def _put(number: int, path: str, mode: str, content: bytes) -> str:
    """Return the lines that write a file: as text that can be read, where it is such text."""
    plain = content.endswith(b"\n") and readable(content) and _END.encode() not in content
    decoder, text = ("cat", content.decode()) if plain else ("base64 -d", base64_lines(content))
    return f"  put {number} {quoted(path)} {mode} {_hash(content)} {decoder} <<'{_END}'\n{text}{_END}"


# -- backwards ---------------------------------------------------------------------------------


def _undo(number: int, edit: PortableEdit) -> Iterator[str]:
    if isinstance(edit, (InstallPackages, RemovePackages)):
        yield f"  # packages are left as they are: {comment(edit.words)}"
    elif isinstance(edit, RunCommand):
        yield from _undo_command(number, edit)
    elif isinstance(edit, (RegisterHandler, UnregisterHandler, DisableHandler, EnableHandler, SwitchHandlers)):
        yield from _undo_kernel(edit)
    elif isinstance(edit, SetMode):
        yield f"  unmode {number} {quoted(edit.path)}"
    elif isinstance(edit, RemoveDirectory):
        yield f'  if [ -e "$KEPT/{number}.run" ]; then mkdir -- "$ROOT"{quoted(edit.path)}; fi'
    else:
        yield f"  restore {number} {quoted(edit.path)}"
        if not isinstance(edit, (RemoveFile, EditText)):
            yield f"  undirectories {number} {_command(_parents(edit.path))}".rstrip()


def _undo_command(number: int, edit: RunCommand) -> Iterator[str]:
    if edit.undo:
        yield f'  if [ -e "$KEPT/{number}.run" ]; then {_runner(edit)} {_command(edit.undo)}; fi'
        return
    for effect in reversed(actions((edit,))):
        if isinstance(effect, (RegisterHandler, UnregisterHandler, DisableHandler, EnableHandler, SwitchHandlers)):
            yield from _undo_kernel(effect)


def _undo_kernel(edit: PortableEdit) -> Iterator[str]:
    """Yield the opposite. What a handler took the place of comes back at the next boot."""
    if isinstance(edit, RegisterHandler):
        yield f"  live sh -c {quoted(kernel_line(UnregisterHandler(name=edit.handler.name)))}"
    elif isinstance(edit, DisableHandler):
        yield f"  live sh -c {quoted(kernel_line(EnableHandler(name=edit.name)))}"
    elif isinstance(edit, EnableHandler):
        yield f"  live sh -c {quoted(kernel_line(DisableHandler(name=edit.name)))}"
    elif isinstance(edit, SwitchHandlers):
        yield f"  live sh -c {quoted(kernel_line(SwitchHandlers(on=not edit.on)))}"
    else:
        yield f"  # comes back at the next boot: {comment(edit.words)}"


# -- inside --------------------------------------------------------------------------------------


def _runner(edit: RunCommand | InstallPackages | RemovePackages) -> str:
    """Return the function that runs a command: one that speaks to the kernel has nothing to do in another root.

    A command that is known to change no file, such as a mount, is taken to speak to it. One that does both, as the
    scripts of packages that bring handlers do (Debian's postinst runs update-binfmts), must not reach it from there.
    """
    if isinstance(edit, RunCommand) and (not edit.effects or acts_on(edit) == "kernel"):
        return "live"
    emulator = not isinstance(edit, RunCommand) and any(name.startswith("qemu-") for name in edit.names)
    return "aside" if emulator or any(acts_on(one) == "kernel" for one in actions((edit,))) else "inside"


def _command(argv: Sequence[str]) -> str:
    return " ".join(map(quoted, argv))


def _parents(path: str) -> list[str]:
    """Return the directories above a file, the uppermost first."""
    parts = path.split("/")[1:-1]
    return ["/" + "/".join(parts[: end + 1]) for end in range(len(parts))]


def _hash(content: bytes) -> str:
    from hashlib import sha256

    return sha256(content).hexdigest()
