#!/bin/bash
# Runs daemon_end.py, which has the description.
exec python3 "$(dirname "$0")/daemon_end.py"
