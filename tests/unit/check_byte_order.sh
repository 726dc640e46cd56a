#!/bin/sh
# check_byte_order.sh ROOT MESON COMPILER: machines of another byte order are refused, by meson with a
# sentence and by the compiler. Prints TAP.
set -u
root=$1
meson=$2
shift 2
# shellcheck source=tests/unit/tap.sh
. "$(dirname "$0")/tap.sh"

command=$(printf "'%s'," "$@")
cat >"$folder/big.txt" <<EOF
[binaries]
c = [$command]
[properties]
needs_exe_wrapper = true
[host_machine]
system = 'linux'
cpu_family = 's390x'
cpu = 's390x'
endian = 'big'
EOF
"$meson" setup --cross-file "$folder/big.txt" "$folder/build" "$root" >"$folder/log" 2>&1
grep -q 'little-endian machines only' "$folder/log"
result 1 $? 'meson refuses a big-endian machine'

compiles() { # OPTION...
    printf '#include "base/arena.h"\n' >"$folder/order.c"
    "$compiler" "$@" -std=c11 -fsyntax-only -I"$root/src" "$folder/order.c" >"$folder/log" 2>&1
}
compiler=$1
compiles
result 2 $? 'base/arena.h compiles here'
compiles -U__BYTE_ORDER__ -D__BYTE_ORDER__=__ORDER_BIG_ENDIAN__ -w
[ $? -ne 0 ] && grep -q 'expected a little-endian machine' "$folder/log"
result 3 $? 'base/arena.h refuses a big-endian machine'
echo 1..3
exit $failed
