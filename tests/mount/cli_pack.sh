#!/bin/bash
# pack and unpack: the same bytes as gzip and others, whole files or none.
source "$(dirname "$0")/cli_lib.bash"
cd "$scratch" || exit 1

sample text 2345678
head -c 1500000 /dev/urandom >noise
head -c 5000000 /dev/zero >zeros
: >empty
for size in 1 65535 65536 65537; do head -c "$size" text >"size$size"; done

# Everything packed is read by everybody, and by unpack in all its forms.
files=(text noise zeros empty size1 size65535 size65536 size65537)
is_sanitized && files=(text empty size65537)
for file in "${files[@]}"; do
  slow="-12 -p 1"
  [ "$(stat -c %s "$file")" -gt 1000000 ] && slow="-9 -p 1"
  for options in "" "--fast" "$slow" "-b 128K" "-b 4M -p 7"; do
    # shellcheck disable=SC2086
    expect 0 "" "$GZIPFS" pack $options -o out.gz "$file"
    zcat out.gz | cmp - "$file" || fail "$file $options: zcat"
    gzip -t out.gz || fail "$file $options: gzip -t"
    expect 0 "" "$GZIPFS" unpack -c out.gz
    cmp stdout "$file" || fail "$file $options: unpack"
    "$GZIPFS" unpack <out.gz | cmp - "$file" || fail "$file $options: unpack from stdin"
    # shellcheck disable=SC2002
    cat out.gz | "$GZIPFS" unpack -p 3 | cmp - "$file" || fail "$file $options: from a pipe"
    # shellcheck disable=SC2086
    "$GZIPFS" pack $options <"$file" | zcat | cmp - "$file" || fail "$file $options: from stdin"
    expect 0 "" "$GZIPFS" check out.gz
  done
  "$GZIPFS" pack <"$file" >out.gz || fail "pack $file"
  if has pigz; then pigz -dc out.gz | cmp - "$file" || fail "$file: pigz"; fi
  if has bgzip; then
    bgzip -t out.gz || fail "$file: bgzip -t"
    bgzip -dc -@2 out.gz | cmp - "$file" || fail "$file: bgzip"
  fi
  python3 -c 'import gzip,sys; sys.stdout.buffer.write(gzip.open("out.gz").read())' |
    cmp - "$file" || fail "$file: Python"
done

# unpack reads what others write.
gzip -c text >g.gz
cat g.gz g.gz >gg.gz
cat text text >texttext
expect 0 "" "$GZIPFS" unpack -o back g.gz
cmp back text || fail "gzip's own"
"$GZIPFS" unpack <gg.gz | cmp - texttext || fail "two members"
if has bgzip; then bgzip -c text | "$GZIPFS" unpack | cmp - text || fail "bgzip's own"; fi
if has pigz; then pigz -c text | "$GZIPFS" unpack | cmp - text || fail "pigz's own"; fi

# Mode and time come along; a replaced file keeps its mode; a symlink stays one.
chmod 640 text
touch -d '2001-02-03 04:05:06.789' text
expect 0 "" "$GZIPFS" pack -o new.gz text
same "mode and time" "$(stat -c '%a %y' text)" "$(stat -c '%a %y' new.gz)"
chmod 604 new.gz
ln -s new.gz link.gz
expect 0 "" "$GZIPFS" pack -o link.gz noise
same "mode kept" 604 "$(stat -c %a new.gz)"
[ -L link.gz ] || fail "the symlink was replaced"
zcat new.gz | cmp - noise || fail "through a symlink"
expect 0 "" "$GZIPFS" pack -o text.self text
expect 0 "" "$GZIPFS" unpack -o text.self text.self
cmp text text.self || fail "in place"

# Failures: one sentence, status 1, no file.
rm -f out.gz
expect 1 "gzipfs pack: nothere: No such file or directory" "$GZIPFS" pack -o out.gz nothere
expect 2 "gzipfs pack: . is a directory -- ignored" "$GZIPFS" pack -o out.gz .
expect 1 "gzipfs pack: no/out.gz: No such file or directory" "$GZIPFS" pack -o no/out.gz text
expect 1 "gzipfs unpack: text: not in gzip format" "$GZIPFS" unpack -o out.gz text
expect 1 "gzipfs unpack: empty: empty, or ends inside*" "$GZIPFS" unpack -o out.gz empty
head -c 100000 g.gz >cut.gz
expect 1 "gzipfs unpack: cut.gz: member at file offset 0*ends inside a gzip member" \
  "$GZIPFS" unpack -o out.gz cut.gz
[ ! -e out.gz ] || fail "a partial file was left"
expect 1 "gzipfs pack: cannot write to standard output: No space left on device" \
  sh -c "'$GZIPFS' pack -c text >/dev/full"
expect 1 "gzipfs unpack: cannot write to standard output: No space left on device" \
  sh -c "'$GZIPFS' unpack -c g.gz >/dev/full"
# A closed pipe ends it as it ends gzip: silently, by SIGPIPE, or as an error.
for command in "unpack -c g.gz" "pack -c noise"; do
  expect 141 "" bash -c "set -o pipefail; '$GZIPFS' $command | head -c 1"
  expect 1 "gzipfs ${command%% *}: cannot write to standard output: Broken pipe" \
    bash -c "trap '' PIPE; set -o pipefail; '$GZIPFS' $command | head -c 1"
done
expect 0 "" "$GZIPFS" pack -o /dev/null text
[ -c /dev/null ] || fail "/dev/null was replaced"
if has script; then
  script -qec "'$GZIPFS' pack -c text" /dev/null >terminal 2>&1 && fail "packed to a terminal"
  grep -q "is a terminal; compressed data is not written there" terminal || fail "$(cat terminal)"
fi
(cat g.gz; echo garbage) >leftover.gz
expect 2 "gzipfs unpack: leftover.gz: what follows the data*is not gzip; ignored" \
  "$GZIPFS" unpack -o out leftover.gz
cmp out text || fail "leftover: the data was not written"

# A signal leaves nothing behind.
mkdir signalled
mkfifo never_written
"$GZIPFS" pack -o signalled/out.gz <never_written &
exec 9>never_written  # and nothing comes; whoever waits for the end of the test has no part in it
for _ in $(seq 100); do
  [ -n "$(ls -A signalled)" ] && break
  sleep 0.05
done
pid=$(ls -A signalled | tr -dc '0-9')
[ -n "$pid" ] || fail "no temporary file seen"
kill -TERM "$pid"
for _ in $(seq 100); do
  [ -z "$(ls -A signalled)" ] && break
  sleep 0.05
done
same "files after SIGTERM" "" "$(ls -A signalled)"
exec 9>&-
wait
exit 0
