#!/bin/sh
# check_symbols.sh NM LIBRARY HEADER: the library exports what the header declares, and nothing else.
set -eu
# What linkers and sanitizers add to any library is not ours.
exported=$("$1" -D --defined-only "$2" | awk '{ print $NF }' | sed 's/@.*//' |
    grep -Ev '^(_init|_fini|_edata|_end|__bss_start|__(asan|odr_asan|start|stop|gcov|llvm)_.*)$' | sort -u)
declared=$(grep -v '^#' "$3" | tr '\n' ' ' | grep -o 'ONNX_FUSE_API [^;(]*(' |
    sed 's/.*[ *]\(onnx_fuse_[a-z_]*\)($/\1/' | sort -u)
test -n "$declared"
if [ "$exported" != "$declared" ]; then
    echo 'not ok 1 - exported and declared symbols differ'
    echo '1..1'
    echo "$exported" | sed 's/^/# exported: /'
    echo "$declared" | sed 's/^/# declared: /'
    exit 1
fi
echo "ok 1 - $(echo "$exported" | wc -l) symbols, those of the header"
echo '1..1'
