# Sourced by the scripts beside it, which tests/real/programs runs in an empty mount.
#
# $plain is the mount, $store what it shows, $work an empty directory outside; $top is this
# repository. What a script prints behind "result: " is printed on its line.
set -eu -o pipefail
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin PYTHONDONTWRITEBYTECODE=1

fail() {
  echo "FAILED: $*"
  exit 1
}
trap 'echo "line $LINENO: \"$BASH_COMMAND\" answered $?"' ERR

# same WHAT EXPECTED ACTUAL
same() { [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"; }

# quick FEW MANY: the first in a quick run
quick() { if [ -n "$PROGRAMS_QUICK" ]; then echo "$1"; else echo "$2"; fi; }

# some_data MIB: reproducible bytes that compress somewhat.
some_data() {
  python3 -c '
import random, sys
rng = random.Random(1)
for _ in range(int(sys.argv[1])):
    words = [rng.randbytes(6).hex().encode() for _ in range(2000)]
    sys.stdout.buffer.write(b" ".join(rng.choices(words, k=90000))[:1 << 20])' "$1"
}

# describe DIRECTORY: all there is to see of every file below it, but access and change times.
describe() {
  (
    cd "$1"
    find . -type d -printf '%p %y %m %U:%G %T@\n' -o \
      -printf '%p %y %m %U:%G links %n %s %T@ %l\n' | sort
    find . -type f -print0 | sort -z | xargs -0 -r sha256sum --
    find . ! -type l -print0 | sort -z | xargs -0 -r getfacl -npE --
    find . -print0 | sort -z | xargs -0 -r getfattr -hd -m - -e hex --
    # Which names are links of one file.
    find . ! -type d -links +1 -printf '%i %p\n' | sort -k 2 |
      awk '{ if (!($1 in n)) n[$1] = ++c; print n[$1], $2 }'
  )
}
