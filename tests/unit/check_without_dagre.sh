#!/bin/sh
# check_without_dagre.sh ROOT MESON COMPILER...: without dagre meson says what pages lack, and what they hold instead
# compiles. tests/browser looks at such a page. Prints TAP.
set -u
root=$1
meson=$2
shift 2
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
failed=0

result() { # NUMBER STATUS WHAT
    [ "$2" -eq 0 ] || { failed=1; printf 'not '; }
    echo "ok $1 - $3"
}

"$meson" setup "$folder/build" "$root" -Ddagre=disabled >"$folder/log" 2>&1
grep -q 'pages draw (dagre): NO' "$folder/log"
result 1 $? 'meson says that pages do not draw'
ninja -C "$folder/build" src/html_assets.h >"$folder/log" 2>&1 && grep -q html_library "$folder/build/src/html_assets.h" &&
    "$@" -std=c11 -fsyntax-only -x c "$folder/build/src/html_assets.h" 2>>"$folder/log"
result 2 $? 'a page is made without it'
echo 1..2
exit $failed
