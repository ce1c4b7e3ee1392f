"""How many bytes the files of a target hold, unpacked. Made by scripts/build_target_sizes.py from facts."""

from __future__ import annotations

__all__ = ["SIZES"]

# Name -> architecture=bytes. Of targets of which only a part is known, nothing is.
SIZES: dict[str, str] = {
    "almalinux:9-micro": "aarch64=21131646 s390x=19068802",
    "alpine:3.12": (
        "aarch64=5326796 armv6=4766163 armv7=3771077 i386=5410576 ppc64le=6652493 s390x=5613434 x86_64=5576689"
    ),
    "alpine:3.13": (
        "aarch64=5365509 armv6=4825582 armv7=3838684 i386=5473642 ppc64le=6793887 s390x=5602588 x86_64=5619315"
    ),
    "alpine:3.14": (
        "aarch64=5347094 armv6=4810900 armv7=3828166 i386=5462919 ppc64le=6730704 s390x=5571669 x86_64=5608980"
    ),
    "alpine:3.15": (
        "aarch64=5340406 armv6=4800312 armv7=3813518 i386=5460535 ppc64le=6713825 s390x=5561253 x86_64=5589644"
    ),
    "alpine:3.16": (
        "aarch64=5298532 armv6=4759659 armv7=3789089 i386=5420716 ppc64le=6658925 s390x=5503172 x86_64=5539890"
    ),
    "alpine:3.17": (
        "aarch64=7395549 armv6=6719421 armv7=5212310 i386=6971132 ppc64le=8509909 s390x=7206469 x86_64=7076442"
    ),
    "alpine:3.18": (
        "aarch64=7661951 armv6=5998645 armv7=4704524 i386=6284390 ppc64le=8056319 s390x=7313151 x86_64=7349436"
    ),
    "alpine:3.19": (
        "aarch64=7730315 armv6=6124601 armv7=4838584 i386=6278606 ppc64le=8124659 s390x=7324082 x86_64=7391160"
    ),
    "alpine:3.20": (
        "aarch64=8820317 armv6=6514233 armv7=5101240 i386=6692736 ppc64le=8559350 riscv64=6585850"
        " s390x=7803790 x86_64=7792915"
    ),
    "busybox:glibc": (
        "aarch64=4170758 armv7=2976722 i386=4885982 ppc64le=5939206 riscv64=3288814 s390x=4193422 x86_64=4445814"
    ),
    "busybox:musl": (
        "aarch64=1695000 armv7=1301264 i386=1483072 ppc64le=1973264 riscv64=1550416 s390x=1798504 x86_64=1532848"
    ),
    "debian:11": "aarch64=112540125 armv7=95063161 i386=119765502 x86_64=118506294",
    "debian:12": "aarch64=128021049 armv7=93092204 i386=112889033 ppc64le=141162390 s390x=108945356 x86_64=111140735",
    "debian:13": (
        "aarch64=128376734 armv7=116160897 i386=117019828 ppc64le=140570163 riscv64=100433227"
        " s390x=112670636 x86_64=114346910"
    ),
    "debian:sid": (
        "aarch64=127099800 armv7=115782998 i386=116349986 ppc64le=139925418 riscv64=98912467"
        " s390x=111568280 x86_64=114768796"
    ),
}
