# tap.sh: a temporary $folder, and results as TAP. Sourced by the checks beside it, which end with "exit $failed".
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
failed=0

result() { # NUMBER STATUS WHAT
    [ "$2" -eq 0 ] || { failed=1; printf 'not '; }
    echo "ok $1 - $3"
}
