#!/bin/sh
# check_without_dagre.sh ROOT MESON COMPILER...: without dagre meson says what pages lack, and what they hold instead
# compiles. tests/browser looks at such a page. Prints TAP.
set -u
root=$1
meson=$2
shift 2
# shellcheck source=tests/unit/tap.sh
. "$(dirname "$0")/tap.sh"

"$meson" setup "$folder/build" "$root" -Ddagre=disabled >"$folder/log" 2>&1
grep -q 'pages draw (dagre): NO' "$folder/log"
result 1 $? 'meson says that pages do not draw'
ninja -C "$folder/build" src/html_assets.h >"$folder/log" 2>&1 && grep -q html_library "$folder/build/src/html_assets.h" &&
    "$@" -std=c11 -fsyntax-only -x c "$folder/build/src/html_assets.h" 2>>"$folder/log"
result 2 $? 'a page is made without it'
echo 1..2
exit $failed
