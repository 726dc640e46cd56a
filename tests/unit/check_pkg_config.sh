#!/bin/sh
# check_pkg_config.sh FOLDER VERSION SOURCE INCLUDE COMPILER...: a program builds and runs with what
# pkg-config says of the library that is not installed yet.
set -eu
folder=$1 version=$2 source=$3 include=$4
shift 4
export PKG_CONFIG_PATH="$folder/meson-uninstalled"
[ "$(pkg-config --modversion onnx-repvgg-fuse)" = "$version" ]
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags=$(pkg-config --cflags --libs onnx-repvgg-fuse)
libraries=$(pkg-config --libs-only-L onnx-repvgg-fuse | sed 's/ *-L/:/g; s/^://')
# Words on purpose: flags are several.
# shellcheck disable=SC2086
"$@" -std=c11 -DVERSION="\"$version\"" -I"$include" "$source" $flags -o "$work/program"
LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "$work/program"
