#!/bin/bash
# Runs interop.py, which has the description.
exec python3 "$(dirname "$0")/interop.py"
