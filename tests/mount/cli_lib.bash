# Sourced by the shell tests of the command line, after mount_lib.bash where
# they mount.
#
# Gives $scratch, `expect` for what a command says and exits with, and `sample`
# for files to work on.
set -u

if [ -z "${GZIPFS-}" ]; then
  echo "skipped: needs GZIPFS=the program"
  exit 77
fi

if [ -z "${scratch-}" ]; then
  scratch=$(mktemp -d "${SCRATCH_PARENT:-${TMPDIR:-/tmp}}/gzipfs-test.XXXXXX")
  trap 'rm -rf --one-file-system "$scratch"' EXIT
  trap 'exit 130' INT TERM
  fail() {
    echo "FAILED: $*" >&2
    exit 1
  }
  same() { [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"; }
  is_sanitized() { [ -n "${ASAN_OPTIONS-}${TSAN_OPTIONS-}" ]; }
fi

# expect STATUS PATTERN COMMAND...: the command exits with STATUS and says one
# line on stderr that matches the glob PATTERN; nothing when that is empty.
# Its output is left in $scratch/stdout.
expect() {
  local wanted=$1 pattern=$2 status=0 lines
  shift 2
  timeout 60 "$@" >"$scratch/stdout" 2>"$scratch/stderr" </dev/null || status=$?
  [ "$status" -eq "$wanted" ] ||
    fail "$*: exit status $status, not $wanted: $(cat "$scratch/stderr")"
  lines=$(wc -l <"$scratch/stderr")
  if [ -z "$pattern" ]; then
    [ "$lines" -eq 0 ] || fail "$*: says $(cat "$scratch/stderr")"
    return
  fi
  [ "$lines" -eq 1 ] || fail "$*: $lines lines instead of one: $(cat "$scratch/stderr")"
  # shellcheck disable=SC2053
  [[ $(cat "$scratch/stderr") == $pattern ]] ||
    fail "$*: says '$(cat "$scratch/stderr")', not '$pattern'"
}

# sample FILE BYTES: text that compresses, the same every time.
sample() {
  python3 - "$1" "$2" <<'PYTHON'
import random, sys
rng = random.Random(5)
words = [bytes(rng.choice(b"abcdefghij \n") for _ in range(rng.randrange(2, 12))) for _ in range(500)]
left = int(sys.argv[2])
with open(sys.argv[1], "wb") as file:
    while left > 0:
        piece = b"".join(rng.choices(words, k=20000))[:left]
        file.write(piece)
        left -= len(piece)
PYTHON
}

has() { command -v "$1" >/dev/null; }
