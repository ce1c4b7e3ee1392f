"""Completion for bash, 3.2 and later; nothing else is needed, bash-completion neither."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from runworthy.cli.completion.grammar import Argument, Grammar
from runworthy.cli.words import Takes

__all__ = ["script"]

_SCRIPT = """\
# bash completion for runworthy @VERSION@, written by `runworthy completion bash`

# What an option of a command takes: sets `takes`, empty for a switch.
_runworthy_option() {
    takes=
    case "$1:$2" in
@OPTIONS@
    esac
}

# What the positional argument of a command at this place, from 0, takes: sets `takes`.
_runworthy_positional() {
    takes=anything
    case "$1:$2" in
@POSITIONALS@
    esac
}

# The flags of a command, and the sub-commands that it has: sets `flags` and `below`.
_runworthy_command() {
    flags= below=
    case "$1" in
@COMMANDS@
    esac
}

# The architectures that a target can have after a slash: sets `architectures`.
_runworthy_architectures() {
    architectures=
    case "$1" in
@ARCHITECTURES@
    esac
}

_runworthy_match() {
    local IFS=$' \\t\\n'
    COMPREPLY+=($(compgen -W "$1" -- "$2"))
}

_runworthy_paths() {
    local IFS=$'\\n'
    COMPREPLY=($(compgen -f -- "$1"))
    compopt -o nospace 2>/dev/null # a directory goes on
}

_runworthy_prefix() {
    local at
    for at in "${!COMPREPLY[@]}"; do COMPREPLY[at]=$1${COMPREPLY[at]}; done
}

_runworthy_complete() { # KIND TEXT: candidates for TEXT into COMPREPLY, and how the shell is to go on without any
    local base architectures word
    case "$1" in
        words\\ *) _runworthy_match "${1#words }" "$2" ;;
        files) return ;;
        directories) compopt +o default +o bashdefault -o dirnames 2>/dev/null; return ;;
        targets)
            case "$2" in
                *,*)
                    _runworthy_complete targets "${2##*,}"
                    # A path that is a word of its own is left to the shell; within a list it cannot be.
                    [[ ${#COMPREPLY[@]} -eq 0 ]] && _runworthy_paths "${2##*,}"
                    _runworthy_prefix "${2%,*},"
                    return
                    ;;
                rootfs:* | snapshot:*)
                    _runworthy_paths "${2#*:}"
                    _runworthy_prefix "${2%%:*}:"
                    return
                    ;;
                [./~]*) return ;;
            esac
            _runworthy_match '@NAMES@' "$2"
            if [[ $2 == */* ]]; then
                base=${2%/*}
                _runworthy_architectures "$base"
                for word in $architectures; do _runworthy_match "$base/$word" "$2"; done
            fi
            return
            ;;
    esac
    compopt +o default +o bashdefault 2>/dev/null
}

_runworthy() {
    local words=() line=${COMP_LINE:0:COMP_POINT} word gap last i
    # The shell may take `:` and `=` for words of their own; names of targets hold the one, long options the other.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $i -eq $COMP_CWORD && ( -z $word || $line != *"$word"* ) ]]; then
            word=${line##*[[:space:]]}
            gap=${line%"$word"}
        else
            gap=${line%%"$word"*}
            line=${line#*"$word"}
        fi
        last=$((${#words[@]} - 1))
        if [[ -z $gap && $last -ge 0 ]] && [[ $word == [:=]* || ${words[last]} == *[:=] ]]; then
            words[last]+=$word
        else
            words+=("$word")
        fi
    done

    local command= option= plain= place=0 takes= flags= below=
    last=$((${#words[@]} - 1))
    for ((i = 1; i < last; i++)); do
        word=${words[i]}
        if [[ -z $command ]]; then
            command=$word
        elif [[ -n $option ]]; then
            option=
        elif [[ -z $plain && $word == -- ]]; then
            plain=1
        elif [[ -z $plain && $word == -* ]]; then
            _runworthy_option "$command" "$word"
            [[ -n $takes ]] && option=$word
        else
            _runworthy_command "$command"
            if [[ $place -eq 0 && " $below " == *" $word "* ]]; then command+=" $word"; else place=$((place + 1)); fi
        fi
    done

    local current=${words[last]} head= prefix= separator part
    COMPREPLY=()
    _runworthy_command "$command"
    if [[ -n $option ]]; then
        _runworthy_option "$command" "$option"
        _runworthy_complete "$takes" "$current"
    elif [[ -z $plain && $current == --*=* ]]; then
        head=${current%%=*}=
        _runworthy_option "$command" "${head%=}"
        _runworthy_complete "${takes:-anything}" "${current#*=}"
    elif [[ -z $plain && $current == -* ]]; then
        _runworthy_complete "words $flags" "$current"
    else
        [[ $place -eq 0 && -n $below ]] && _runworthy_match "$below" "$current"
        if [[ -n $command ]]; then
            _runworthy_positional "$command" "$place"
            _runworthy_complete "$takes" "$current"
        fi
    fi

    # What stands before the last separator is on the line already and is not to be written again.
    for separator in : =; do
        part=${current%"${current##*"$separator"}"}
        [[ $COMP_WORDBREAKS == *"$separator"* && ${#part} -gt ${#prefix} ]] && prefix=$part
    done
    for i in "${!COMPREPLY[@]}"; do
        word=$head${COMPREPLY[i]}
        COMPREPLY[i]=${word#"$prefix"}
        [[ $word == *= ]] && compopt -o nospace 2>/dev/null
    done
    return 0
}

complete -o bashdefault -o default -F _runworthy runworthy
"""


def script(grammar: Grammar) -> str:
    """Return the script."""
    filled = {
        "VERSION": grammar.version,
        "OPTIONS": "\n".join(_options(grammar)),
        "POSITIONALS": "\n".join(_positionals(grammar)),
        "COMMANDS": "\n".join(_commands(grammar)),
        "ARCHITECTURES": "\n".join(
            f"        {' | '.join(names)}) architectures='{' '.join(spellings)}' ;;"
            for spellings, names in grammar.architectures.items()
        ),
        "NAMES": " ".join(grammar.names),
    }
    text = _SCRIPT
    for name, value in filled.items():
        text = text.replace(f"@{name}@", value)
    return text


def _options(grammar: Grammar) -> Iterator[str]:
    for spec in grammar.specs:
        for option in spec.options:
            if option.takes:
                cases = " | ".join(f'"{spec.name}:{flag}"' for flag in option.flags)
                yield f"        {cases}) takes={_quoted(option.takes)} ;;"


def _positionals(grammar: Grammar) -> Iterator[str]:
    for spec in grammar.specs:
        for place, argument in enumerate(spec.positionals):
            if argument.takes:
                yield f'        "{spec.name}:"{_place(argument, place)}) takes={_quoted(argument.takes)} ;;'


def _place(argument: Argument, place: int) -> str:
    return "*" if argument.many else str(place)


def _commands(grammar: Grammar) -> Iterator[str]:
    words = " ".join(word for word, _ in grammar.commands)
    yield f"        '') flags='--help --version' below='{words} help' ;;"
    for spec in grammar.specs:
        flags = " ".join(flag for option in spec.options for flag in option.flags)
        below = " ".join(word for word, _ in spec.commands)
        yield f"        '{spec.name}') flags='{flags}' below='{below}' ;;"


def _quoted(taken: Takes) -> str:
    return shlex.quote(" ".join([taken.kind, *(word for word, _ in taken.words)]))
