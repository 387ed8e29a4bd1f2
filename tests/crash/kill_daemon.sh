#!/bin/bash
# Runs kill_daemon.py, which has the description.
if [ ! -e /dev/fuse ] || [ "$(id -u)" -ne 0 ]; then
  echo "skipped: needs root and /dev/fuse"
  exit 77
fi
exec python3 "$(dirname "$0")/kill_daemon.py"
