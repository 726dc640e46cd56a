#!/bin/sh
# check_sources.sh ROOT: what the compiler lets pass and this library must not do. Prints TAP.
set -u
cd "$1" || exit 2
number=0
failed=0

# refuse WHAT PATTERN EXCEPT: no line of the sources matches, but those that EXCEPT matches.
refuse() {
    number=$((number + 1))
    found=$(find src passes -name "*.[ch]" -exec grep -nE "$2" /dev/null {} + | grep -vE "$3")
    if [ -z "$found" ]; then
        echo "ok $number - $1"
    else
        failed=1
        echo "not ok $number - $1"
        echo "$found" | sed 's/^/# /'
    fi
}

# Proof that the patterns find something: decimal.c is where they are allowed.
grep -qE '"%[-+0-9.*#]*[aAeEgG]' src/base/decimal.c || exit 2

# %.0f has no decimal point.
refuse 'numbers are written by decimal.h, whatever the locale: no %g, %e, %a, %f with a point' \
    '%[-+0-9.*#]*L?[aAeEgG]|%[-+0-9*#]*([.]([1-9]|0[0-9]|[*]))?L?[fF]' '^src/base/decimal[.]c:|: *[/ ][*]|%[0-9]*[.]0f'
refuse 'numbers are read by decimal.h, whatever the locale' \
    '\<(strto(d|f|ld)|atof|[sf]?scanf)\(' '^src/base/decimal[.]c:'
refuse 'nothing else follows the locale' \
    '\<(is(al(pha|num)|space|blank|print|punct|cntrl|graph|upper|lower)|to(upper|lower)|str(coll|xfrm|error|ftime|casecmp|ncasecmp)|perror|(set|new|use)locale|localeconv|mb[a-z]*to[a-z]*|wc[a-z]*to[a-z]*)\(' '^$'
refuse 'what C libraries compute differently is computed by real.h' \
    '\<(exp|exp2|expm1|log|log1p|log2|log10|pow|tanh|erf|erfc)\(|return (exp|expm1|log|log1p|tanh|erf);' '^src/base/real[.]c:|: *[/ ][*]'
refuse 'errors land in base/error.c' '\<setjmp\(' '^src/base/error[.]c:'
echo "1..$number"
exit $failed
