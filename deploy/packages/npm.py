"""Writes package.json of the npm package that carries the executable: npm.py VERSION MACHINE."""

import json
import sys

version, machine = sys.argv[1:]
print(json.dumps({
    "name": "fanfare-server",
    "version": version,
    "description": "The Fanfare realtime gateway, as one executable",
    "license": "Apache-2.0",
    "bin": {"fanfare": "bin/fanfare"},
    "files": ["bin"],
    "os": ["linux"],
    "cpu": [{"x86_64": "x64", "aarch64": "arm64"}[machine]],
    "libc": ["glibc"],
}, indent=2))
