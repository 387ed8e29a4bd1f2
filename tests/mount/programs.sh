#!/bin/bash
# git, vim, sed, dd and others at work in a mount: the quick ones of tests/real/programs.
if [ -n "${ASAN_OPTIONS-}${TSAN_OPTIONS-}" ]; then
  echo "skipped: with sanitizers it takes minutes"
  exit 77
fi
[ -w /dev/shm ] && export SCRATCH_PARENT=${SCRATCH_PARENT:-/dev/shm}
PROGRAMS_QUICK=1 PROGRAMS_MODES=writeback \
  exec "$(dirname "$0")/../real/programs" git editors
