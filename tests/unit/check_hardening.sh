#!/bin/sh
# check_hardening.sh READELF COMMAND LIBRARY OBJECTS FORTIFY: the flags of meson.build, looked for in what was
# built. FORTIFY is yes where the build optimizes; without that there is none. OBJECTS is empty where they are
# not at hand: a wheel.
set -u
readelf=$1 command=$2 library=$3 objects=$4 fortify=$5
number=0 failed=0

expect() { # DESCRIPTION COMMAND...: the command holds
    number=$((number + 1))
    what=$1
    shift
    if "$@"; then
        echo "ok $number - $what"
    else
        echo "not ok $number - $what"
        failed=1
    fi
}

has() { # TEXT PATTERN
    printf '%s\n' "$1" | grep -qE "$2"
}
lacks() {
    ! has "$@"
}

for file in "$command" "$library"; do
    name=$(basename "$file")
    header=$("$readelf" -W --file-header "$file")
    segments=$("$readelf" -W --segments "$file")
    dynamic=$("$readelf" -W --dynamic "$file")
    symbols=$("$readelf" -W --dyn-syms "$file")
    expect "$name can be loaded anywhere" has "$header" 'Type: +DYN'
    expect "$name: RELRO" has "$segments" 'GNU_RELRO'
    expect "$name: symbols are bound before it starts" has "$dynamic" 'BIND_NOW|FLAGS.*NOW'
    expect "$name: the stack is not executable" has "$segments" 'GNU_STACK .* RW +0x'
    expect "$name: no segment is both written and executed" lacks "$segments" ' RWE '
    expect "$name: no relocation writes to code" lacks "$dynamic" 'TEXTREL'
    expect "$name: no path to search for libraries" lacks "$dynamic" 'R(UN)?PATH.*\[/(tmp|home|root)'
    expect "$name: stack protector" has "$symbols" '__stack_chk_fail'
    if [ "$fortify" = yes ]; then
        expect "$name: calls checked by FORTIFY" has "$symbols" '__[a-z]+_chk@'
    fi
done
expect "the command is a position-independent executable" has \
    "$("$readelf" -W --dynamic "$command")" 'FLAGS_1.*PIE'
case $header,$objects in
*X86-64*,?*)
    # Asked of what is compiled here: a linker drops the mark where the system's start files lack it.
    marked=$("$readelf" -W --notes "$objects" | grep -c 'IBT, SHSTK')
    members=$("$readelf" -W --file-header "$objects" | grep -c 'Type: *REL')
    expect "$marked of $members objects: indirect jumps land on marks (CET)" \
        test "$members" -gt 0 -a "$marked" -eq "$members"
    ;;
esac
echo "1..$number"
exit $failed
