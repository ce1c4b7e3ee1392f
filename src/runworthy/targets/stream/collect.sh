#!/bin/sh
# Tells runworthy about a machine that has no Python. Needs a POSIX shell and what busybox has: stat, readlink, head,
# tr, sort, cat, uname, and find where there is one. Changes and writes nothing there; all goes to standard output:
#
#   ssh HOST sh -s < collect.sh | runworthy snapshot - -o HOST.runworthy
#   kubectl exec -i POD -- sh -s < collect.sh | runworthy snapshot - -o POD.runworthy
#   sh -s -- [ROOT [EXCLUDED DIRECTORY]...] < collect.sh     a root that is no running system, as /mnt/image
#
# What is sent: the name, type, mode, size, links and inode of every file; of programs and libraries (by their first bytes)
# all bytes; of scripts the first line; the loader's configuration, os-release, and the files that register handlers at
# boot (binfmt.d, binfmt-support, and units and scripts in /etc that name binfmt). Of the machine, where ROOT is /: kernel,
# processor features, page size, binfmt_misc, mounts, GPUs. Of no other file is a single byte sent.

# shellcheck disable=SC2317 # functions are called by name

set -u
LC_ALL=C
export LC_ALL
PATH=${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
nl='
'

complain() { printf 'collector: %s\n' "$*" >&2; }

# --- the machine ---------------------------------------------------------------------------

# text NAME FILE: a file as a fact, each line behind a space.
text() {
    [ -r "$2" ] || return 0
    printf '+fact %s\n' "$1"
    while IFS= read -r line || [ -n "$line" ]; do
        printf ' %s\n' "$line"
    done <"$2"
}

fact() { printf '+fact %s\n %s\n' "$1" "$2"; }

# The page size is what the kernel maps this shell with, where nobody says it.
page_size() {
    getconf PAGESIZE 2>/dev/null && return
    while read -r key size _; do
        [ "$key" = KernelPageSize: ] && printf '%s\n' $((size * 1024)) && return
    done 2>/dev/null </proc/self/smaps
}

processor() {
    [ -r /proc/cpuinfo ] || return 0
    while IFS= read -r line; do
        case $line in
        flags* | Features* | features* | isa*)
            fact cpuinfo "$line"
            return
            ;;
        esac
    done </proc/cpuinfo
}

handlers() {
    at=/proc/sys/fs/binfmt_misc
    # Whose handlers are mounted, and whether there can be others.
    fact user-namespace "$(readlink /proc/self/ns/user 2>/dev/null)"
    text uid-map /proc/self/uid_map
    text filesystems /proc/filesystems
    text binfmt-references /sys/module/binfmt_misc/refcnt
    [ -e $at/status ] || return 0
    fact binfmt-owner "$(stat -c %u $at 2>/dev/null)"
    text binfmt-status $at/status
    [ -r $at ] || { fact binfmt-closed $at; return; }
    # In the order of the directory, in which the kernel asks them; a pattern would sort them.
    { ls -f $at 2>/dev/null || ls $at; } | while IFS= read -r name; do
        case $name in
        . | .. | status | register | "") ;;
        *) if [ -r "$at/$name" ]; then text "binfmt $name" "$at/$name"; else fact "binfmt-closed" "$name"; fi ;;
        esac
    done
}

devices() {
    for at in /sys/bus/pci/devices/*; do
        class='' vendor='' device=''
        { read -r class <"$at/class"; } 2>/dev/null
        case $class in 0x03* | 0x12*) ;; *) continue ;; esac
        { read -r vendor <"$at/vendor" && read -r device <"$at/device"; } 2>/dev/null || continue
        driver=$(readlink "$at/driver" 2>/dev/null)
        fact gpu "${at##*/} $vendor $device ${driver##*/}"
    done
    for at in /proc/driver/nvidia/gpus/*; do
        text "nvidia-gpu ${at##*/}" "$at/information"
    done
    text nvidia-version /proc/driver/nvidia/version
    text nvidia-module /sys/module/nvidia/version
}

machine() {
    fact uname-s "$(uname -s)"
    fact uname-m "$(uname -m)"
    fact uname-r "$(uname -r)"
    fact page-size "$(page_size)"
    processor
    handlers
    text mountinfo /proc/self/mountinfo
    devices
    for at in /etc/os-release /usr/lib/os-release; do
        [ -r $at ] && text os-release $at && break
    done
}

# --- the walk ------------------------------------------------------------------------------

# Sets $left_out, one path to a line: what is mounted from the kernel or the network, what is asked for.
leave_out() {
    left_out=
    if [ "$root" = / ]; then
        for at in proc sys dev run; do leave_out_one "$at"; done
    fi
    for at do
        case $at in "$top"/*) at=${at#"$top"/} ;; /*) complain "$at is not below $root"; continue ;; esac
        leave_out_one "${at%/}"
    done
    [ -r /proc/self/mountinfo ] || return 0
    while read -r _ _ _ _ point rest; do
        type=${rest##* - }
        case ${type%% *} in
        autofs | binfmt_misc | bpf | cgroup | cgroup2 | configfs | debugfs | devpts | devtmpfs | efivarfs | fusectl | \
            hugetlbfs | mqueue | nsfs | proc | pstore | rpc_pipefs | securityfs | selinuxfs | sysfs | tracefs | \
            afs | ceph | cifs | fuse.* | gfs2 | lustre | ncpfs | nfs | nfs4 | ocfs2 | smb3 | smbfs)
            case $point in "$top"/*) leave_out_one "${point#"$top"/}" ;; esac
            ;;
        esac
    done </proc/self/mountinfo
}

leave_out_one() {
    case $1 in
    '' | *[][*?\\]* | *"$nl"*) complain "cannot leave out $1" ;;
    *) [ -d "./$1" ] && [ ! -L "./$1" ] && left_out="$left_out./$1$nl" ;;
    esac
}

is_left_out() {
    case $nl$left_out in *"$nl$1$nl"*) return 0 ;; esac
    return 1
}

# every WHICH [FORMAT]: the names of everything, of links, directories, texts, of what may mention binfmt, or binaries, none
# with a newline; or what stat says of them.
every() {
    which=$1 format=${2-}
    if ! command -v find >/dev/null; then
        walk . | choose "$which" | if [ -n "$format" ]; then batches look; else cat; fi
        return
    fi
    set -- -path .//. # matches nothing
    IFS=$nl
    for at in $left_out; do set -- "$@" -o -path "$at"; done
    unset IFS
    set -- . -name "*$nl*" -prune -o '(' '(' "$@" ')' -prune -o ! -name / ')'
    case $which in
    links) set -- "$@" -type l ;;
    directories) set -- "$@" -type d ;;
    texts)
        set -- "$@" -type f -size +0 '(' -path './etc/ld.so.*' -o -name 'ld-musl-*.path' -o -name os-release \
            -o -path './etc/binfmt.d/*' -o -path './usr/lib/binfmt.d/*' -o -path './usr/local/lib/binfmt.d/*' \
            -o -path './lib/binfmt.d/*' -o -path './var/lib/binfmts/*' -o -path './*/systemd/system/*binfmt*' \
            -o -path './*/rc/sh/binfmt.sh' -o -path './etc/wsl.conf' -o -path './etc/inittab' ')'
        ;;
    mentions)
        set -- "$@" -type f -size +0 '(' -path './etc/systemd/system*' -o -path './etc/fstab' \
            -o -path './etc/rc.local' -o -path './etc/local.d/*.start' ')'
        ;;
    binaries)
        set -- "$@" -type f -size +3c '(' \
            -name '*.so' -o -name '*.so.*' -o -perm -100 -o -perm -010 -o -perm -001 ')'
        ;;
    esac
    if [ -n "$format" ]; then find "$@" -exec stat -c "$format" {} +; else find "$@" -print; fi
}

# walk DIRECTORY: what find would print.
walk() {
    printf '%s\n' "$1"
    for at in "$1"/* "$1"/.[!.]* "$1"/..?*; do
        [ -e "$at" ] || [ -L "$at" ] || continue
        case $at in *"$nl"*) continue ;; esac
        if [ -d "$at" ] && [ ! -L "$at" ] && ! is_left_out "$at"; then walk "$at"; else printf '%s\n' "$at"; fi
    done
}

# choose WHICH: of the names that are read, those that find would choose.
choose() {
    while IFS= read -r at; do
        if [ -L "$at" ]; then
            case $1 in all | links) ;; *) continue ;; esac
        elif [ -d "$at" ]; then
            case $1 in all | directories) ;; *) continue ;; esac
        elif [ ! -f "$at" ]; then
            [ "$1" = all ] || continue
        elif [ "$1" = texts ]; then
            [ -s "$at" ] || continue
            case $at in
            ./etc/ld.so.* | */ld-musl-*.path | */os-release | ./etc/wsl.conf | ./etc/inittab) ;;
            ./etc/binfmt.d/* | ./usr/lib/binfmt.d/* | ./usr/local/lib/binfmt.d/* | ./lib/binfmt.d/*) ;;
            ./var/lib/binfmts/* | ./*/systemd/system/*binfmt* | ./*/rc/sh/binfmt.sh) ;;
            *) continue ;;
            esac
        elif [ "$1" = mentions ]; then
            [ -s "$at" ] || continue
            case $at in
            ./etc/systemd/system* | ./etc/fstab | ./etc/rc.local | ./etc/local.d/*.start) ;;
            *) continue ;;
            esac
        elif [ "$1" = binaries ]; then
            [ -x "$at" ] || case $at in *.so | *.so.*) ;; *) continue ;; esac
        else
            [ "$1" = all ] || continue
        fi
        printf '%s\n' "$at"
    done
}

# batches FUNCTION: the names that are read, many at a time.
batches() {
    work=$1
    set --
    while IFS= read -r at; do
        set -- "$@" "$at"
        if [ $# -ge 500 ]; then
            $work "$@"
            set --
        fi
    done
    [ $# -eq 0 ] || $work "$@"
}

look() { stat -c "$format" "$@"; }

how_many() { printf '%s' $#; }

links() {
    found=$(readlink "$@" 2>/dev/null)
    IFS=$nl
    set -f
    # shellcheck disable=SC2086 # one line, one target
    if [ "$(how_many $found)" -eq $# ]; then
        printf '+links %s\n' $#
        printf '%s\n' "$@" "$found"
    else # an old busybox reads one at a time
        for at do
            found=$(readlink "$at" 2>/dev/null)
            case $found in '' | *"$nl"*) ;; *) printf '+links 1\n%s\n%s\n' "$at" "$found" ;; esac
        done
    fi
    set +f
    unset IFS
}

closed() {
    for at do
        if [ ! -r "$at" ] || [ ! -x "$at" ] || is_left_out "$at"; then printf '+closed %s\n' "$at"; fi
    done
}

# one_each: of lines "inode name", the name of the first of each inode: some systems have a program under many names.
one_each() {
    sort -u -k1,1 | while IFS= read -r line; do printf '%s\n' "${line#* }"; done
}

# The first four bytes of each file, what is neither of ELF nor of a script as an x.
magics() { head -qc 4 "$@" 2>/dev/null | tr -c '\177ELF#!' x; }

binaries() {
    for at do
        shift
        if [ -r "$at" ]; then set -- "$@" "$at"; fi
    done
    [ $# -gt 0 ] || return 0
    first=$(magics "$@")
    if [ ${#first} -ne $(($# * 4)) ]; then # one of them is too short, or could not be read
        first=
        for at do
            one=$(magics "$at")
            [ ${#one} -eq 4 ] || one=---- # nobody knows what it is
            first=$first$one
        done
    fi
    for at do
        shift
        magic=${first%"${first#????}"}
        first=${first#????}
        case $magic in
        "${del}ELF") set -- "$@" "$at" ;;
        ----) ;;
        '#!'*)
            line=
            IFS= read -r line <"$at"
            printf '+script %s\n%.256s\n' "$at" "$line"
            ;;
        *) printf '+plain %s\n' "$at" ;;
        esac
    done
    [ $# -eq 0 ] || send "$@"
}

texts() {
    for at do
        shift
        if [ -r "$at" ]; then set -- "$@" "$at"; fi
    done
    [ $# -eq 0 ] || send "$@"
}

# mentions FILE...: those that name binfmt. They may hold anything else, so no other is sent.
mentions() {
    for at do
        shift
        if [ -r "$at" ] && names_binfmt "$at"; then set -- "$@" "$at"; fi
    done
    [ $# -eq 0 ] || send "$@"
}

names_binfmt() {
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in *binfmt*) return 0 ;; esac
    done <"$1"
    return 1
}

# send FILE...: their sizes and names, and then their bytes.
send() {
    found=$(stat -c '%s %n' "$@" 2>/dev/null)
    IFS=$nl
    set -f
    # shellcheck disable=SC2086 # one line, one file
    lines=$(how_many $found)
    set +f
    unset IFS
    if [ "$lines" -eq $# ]; then
        printf '+files %s\n%s\n' $# "$found"
        cat "$@"
        echo
    elif [ $# -gt 1 ]; then # one of them is gone
        for at do send "$at"; done
    fi
}

# -------------------------------------------------------------------------------------------

main() {
    root=${1:-/}
    [ $# -eq 0 ] || shift
    [ -c /dev/null ] || { complain 'there is no /dev/null'; exit 1; }
    exec </dev/null # this script may be standard input
    for at in stat readlink head tr sort cat uname; do
        command -v $at >/dev/null || { complain "there is no $at here: send a tar archive instead"; exit 1; }
    done
    cd "$root" || exit 1
    top=$(pwd -P)
    top=${top%/}
    [ -n "$top" ] || root=/
    del=$(printf '\177')
    complain "reads $root"
    printf 'runworthy-collected 1\n'
    [ "$root" != / ] || machine
    leave_out "$@"
    printf '+entries\n'
    every all '%f %s %h %d:%i %n'
    every directories | batches closed
    every links | batches links
    every binaries '%d:%i %n' | one_each | batches binaries
    every texts | batches texts
    every mentions | batches mentions
    printf '+end\n'
    complain 'done'
}

main "$@"
exit
