#!/bin/bash
# Runs disk_full.py, which has the description.
exec python3 "$(dirname "$0")/disk_full.py"
