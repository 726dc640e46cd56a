# lib.sh: functions that scripts share. Sourced, not run. Expects $root.

name=scripts/$(basename "$0")

say() {
    printf '%s: %s\n' "$name" "$*"
}

# A command counts as present only if it runs: version managers leave shims that do not.
runs() {
    "$@" >/dev/null 2>&1
}

# Prints a Python that can make a venv for the pinned requirements (3.11 or newer), or nothing.
# Debian's own lacks ensurepip without python3-venv, and another may precede it on PATH.
find_python() {
    local python
    for python in python3 /usr/bin/python3 python3.14 python3.13 python3.12 python3.11; do
        if runs "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'; then
            command -v "$python"
            return
        fi
    done
}

# Prints a browser that tests/browser can drive, or nothing. $CHROMIUM names another.
find_browser() {
    local browser
    for browser in ${CHROMIUM:+"$CHROMIUM"} chromium chromium-browser google-chrome google-chrome-stable; do
        if runs "$browser" --version; then
            command -v "$browser"
            return
        fi
    done
}

# Prints the Debian packages of the tools in "$@" that this machine lacks.
missing_packages() {
    local tool
    for tool in "$@"; do
        case $tool in
        compiler) runs cc --version || runs gcc --version || echo build-essential ;;
        meson) runs meson --version || echo meson ;;
        ninja) runs ninja --version || echo ninja-build ;;
        pkg-config) runs pkg-config --version || echo pkg-config ;;
        protoc-c) runs protoc-c --version || echo protobuf-c-compiler ;;
        locale) [ -f /usr/share/i18n/locales/de_DE ] && runs localedef --version || echo locales ;;
        browser) [ -n "$(find_browser)" ] || echo chromium ;;
        protobuf-c) runs pkg-config --exists 'libprotobuf-c >= 1.3' || echo libprotobuf-c-dev ;;
        clang) runs clang --version && [ -n "$(find "$(clang -print-resource-dir)" -name 'libclang_rt.fuzzer*' 2>/dev/null)" ] || echo clang libclang-rt-14-dev ;;
        clang-format) runs clang-format --version || echo clang-format ;;
        clang-tidy) runs clang-tidy --version || echo clang-tidy ;;
        cppcheck) runs cppcheck --version || echo cppcheck ;;
        valgrind) runs valgrind --version || echo valgrind ;;
        binutils) runs readelf --version || echo binutils ;;
        qemu) runs qemu-aarch64-static --version || echo qemu-user-static ;;
        mingw) runs x86_64-w64-mingw32-gcc-posix --version || echo gcc-mingw-w64-x86-64 ;;
        wine) runs wine --version || echo wine64 wine ;;
        debhelper) runs lintian --version && runs dpkg-buildpackage --version && [ -e /usr/share/debhelper ] || echo dpkg-dev debhelper fakeroot lintian ;;
        maven) runs mvn --version || echo maven ;;
        npm) runs npm --version || echo npm ;;
        emscripten) runs emcc --version || echo emscripten ;;
        git) runs git --version || echo git ;;
        certificates) [ -e /etc/ssl/cert.pem ] || [ -n "$(ls -A /etc/ssl/certs 2>/dev/null)" ] || echo ca-certificates ;;
        python) [ -n "$(find_python)" ] || echo python3-venv ;;
        esac
    done
}

# Installs the missing tools of "$@", or names the packages to install and exits with 2.
need() {
    local packages sudo=
    packages=$(missing_packages "$@" | tr '\n' ' ')
    packages=${packages% }
    [ -n "$packages" ] || return 0

    if [ "$(id -u)" -ne 0 ]; then
        if runs sudo -n true || { [ -t 0 ] && runs command -v sudo; }; then
            sudo=sudo
        fi
    fi
    if ! runs command -v apt-get || { [ "$(id -u)" -ne 0 ] && [ -z "$sudo" ]; }; then
        {
            say "cannot install missing packages without apt-get and root or sudo"
            say "install these, then run $name again (names of Debian packages): $packages"
        } >&2
        exit 2
    fi

    say "installing with apt-get: $packages"
    # shellcheck disable=SC2086  # a list of words
    if ! { $sudo apt-get -qq update &&
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
            install $packages; } >"$root/.install.log" 2>&1 </dev/null; then
        cat "$root/.install.log" >&2
        say "apt-get failed; install these, then run $name again: $packages" >&2
        exit 2
    fi
    rm -f "$root/.install.log"

    hash -r
    packages=$(missing_packages "$@" | tr '\n' ' ')
    if [ -n "$packages" ]; then
        say "still missing after apt-get: ${packages% }" >&2
        exit 2
    fi
}

# need_sources NAME...: has meson fetch what subprojects/NAME.wrap names, by version and hash. Builds that run side by
# side then find it there, and do not fetch it twice into one place.
need_sources() {
    local wrap folder missing=()
    for wrap; do
        folder=$(sed -n 's/^directory = //p' "$root/subprojects/$wrap.wrap")
        [ -f "$root/subprojects/$folder/meson.build" ] || missing+=("$wrap")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "fetching the sources of ${missing[*]}"
    if ! (cd "$root" && meson subprojects download "${missing[@]}") >"$root/.install.log" 2>&1 </dev/null; then
        cat "$root/.install.log" >&2
        say "meson could not fetch ${missing[*]}: see subprojects/*.wrap for where from" >&2
        exit 2
    fi
    rm -f "$root/.install.log"
}

# Makes the venv in .venv with the pinned requirements, again only if they changed. Prints nothing if there is
# nothing to do.
need_venv() {
    local venv=$root/.venv wanted=$root/tests/requirements.txt
    if runs cmp "$wanted" "$venv/requirements.txt" && runs "$venv/bin/python" -c 'import pytest'; then
        return
    fi
    say "making a Python environment in .venv (tests/requirements.txt)"
    rm -rf "$venv"
    "$(find_python)" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$wanted"
    cp "$wanted" "$venv/requirements.txt"
}

# configure FOLDER OPTION...: meson setup, or the same options on a folder that is set up already.
# Replaces a folder that another version of meson made.
configure() {
    local folder=$1
    shift
    if [ -f "$folder/build.ninja" ] && meson configure "$folder" "$@"; then
        return
    fi
    rm -rf "$folder"
    meson setup "$folder" "$root" "$@"
}
