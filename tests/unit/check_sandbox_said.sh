#!/bin/sh
# check_sandbox_said.sh ROOT COMMAND BARE MESON COMPILER: a build without a sandbox says so, the command by --version and
# meson by a warning. BARE is the command without one. Prints TAP.
set -u
root=$1
# shellcheck source=tests/unit/tap.sh
. "$(dirname "$0")/tap.sh"

said='built without a sandbox'
! "$2" --version | grep -q "$said"
result 1 $? 'a command with a sandbox says its version only'
"$3" --version | grep -qx "$said"
result 2 $? 'a command without one says so'

# A compiler that lacks one header.
cat >"$folder/cc" <<END
#!/bin/sh
for word; do
    case \$word in *.c) grep -q linux/seccomp.h "\$word" && exit 1 ;; esac
done
exec $5 "\$@"
END
chmod +x "$folder/cc"
CC="$folder/cc" "$4" setup "$folder/build" "$root" -Ddagre=disabled >"$folder/log" 2>&1
grep -q "WARNING.*$said" "$folder/log"
result 3 $? 'meson warns where the headers of Linux are missing'
echo 1..3
exit $failed
