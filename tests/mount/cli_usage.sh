#!/bin/bash
# Help, version, and what is said about a wrong command line.
source "$(dirname "$0")/cli_lib.bash"
cd "$scratch" || exit 1

for command in mount umount sync stat ls cat check pack unpack export import; do
  expect 0 "" "$GZIPFS" "$command" --help
  grep -q "^Usage: gzipfs $command" stdout || fail "$command --help has no usage line"
  grep -q "^Example" stdout || fail "$command --help has no example"
  grep -q "^Exit status" stdout || fail "$command --help has no exit status"
done
expect 0 "" "$GZIPFS" --help
expect 0 "" "$GZIPFS" --version
grep -q "^gzipfs [0-9]" stdout || fail "--version: $(cat stdout)"
grep -q "zlib [0-9]" stdout || fail "--version names no library"

"$GZIPFS" 2>stderr && fail "no argument: exit 0"
grep -q "Subcommands:" stderr || fail "no argument: no help"

expect 1 "gzipfs: 'frobnicate' is not a subcommand*see 'gzipfs --help'" "$GZIPFS" frobnicate
expect 1 "gzipfs cat: FILE is required; see 'gzipfs cat --help'" "$GZIPFS" cat
expect 1 "gzipfs cat: unknown option*--frob*" "$GZIPFS" cat --frob x
expect 1 "gzipfs ls: *one argument too many: b*" "$GZIPFS" ls a b
expect 1 "gzipfs cat: --range takes OFF:LEN, not '17'*" "$GZIPFS" cat --range 17 x
expect 1 "gzipfs cat: --range takes OFF:LEN, not 'x:y'*" "$GZIPFS" cat --range x:y x
expect 1 "gzipfs pack: --level takes fast or 1 to 12, not '13'*" "$GZIPFS" pack --level 13
expect 1 "gzipfs pack: --level takes fast or 1 to 12, not '0'*" "$GZIPFS" pack -0
expect 1 "gzipfs pack: --output takes one FILE*" "$GZIPFS" pack -o x a b
expect 1 "gzipfs export: --plain excludes --single-member*" "$GZIPFS" export --plain --single-member x
expect 1 "gzipfs pack: --block-size takes 64K*not '100K'*" "$GZIPFS" pack --block-size 100K
expect 1 "gzipfs pack: --threads*" "$GZIPFS" pack -p 0
expect 16 "gzipfs check: PATH is required*" "$GZIPFS" check
expect 16 "gzipfs check: unknown option*--frob*" "$GZIPFS" check --frob x
expect 1 "gzipfs umount: MOUNTPOINT is required*" "$GZIPFS" umount

# Mount options, with and without the word mount.
mkdir store plain
expect 1 "gzipfs mount: MOUNTPOINT is required*" "$GZIPFS" mount store
expect 1 "gzipfs mount: *one argument too many: extra*" "$GZIPFS" store plain extra
expect 1 "gzipfs mount: unknown option 'frob'*" "$GZIPFS" store plain -o rw,frob
expect 1 "gzipfs mount: unknown option 'frob='*" "$GZIPFS" mount store plain -o frob=1
expect 1 "gzipfs mount: option level= takes auto, fast or 1 to 12, not '0'*" \
  "$GZIPFS" store plain -o ro -o level=0
expect 1 "gzipfs mount: option 'cache' needs a value: cache=VALUE*" "$GZIPFS" -o cache store plain
expect 1 "gzipfs mount: option dirty= takes a size*not '1'*" "$GZIPFS" -odirty=1 store plain
same "store after wrong usage" "" "$(ls -A store)"
