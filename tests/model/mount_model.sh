#!/bin/bash
# Runs mount_model.py, which has the description.
exec python3 "$(dirname "$0")/mount_model.py"
