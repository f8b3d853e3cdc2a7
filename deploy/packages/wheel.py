"""Packs the wheel that carries the executable: wheel.py FOLDER VERSION PLATFORM OUT; FOLDER holds `fanfare`."""

import shutil
import subprocess
import sys
from pathlib import Path

folder, version, platform, out = sys.argv[1:]
root = Path(folder) / "wheel"
info = root / f"fanfare_server-{version}.dist-info"
scripts = root / f"fanfare_server-{version}.data" / "scripts"
for path in (info / "licenses", scripts):
    path.mkdir(parents=True)
# What stands there, pip puts on the PATH as it is.
shutil.copy(Path(folder) / "fanfare", scripts / "fanfare")
shutil.copy("LICENSE", info / "licenses" / "LICENSE")
(info / "WHEEL").write_text(f"Wheel-Version: 1.0\nGenerator: fanfare\nRoot-Is-Purelib: false\nTag: py3-none-{platform}\n")
(info / "METADATA").write_text(f"""Metadata-Version: 2.4
Name: fanfare-server
Version: {version}
Summary: The Fanfare realtime gateway, as one executable
License-Expression: Apache-2.0
License-File: LICENSE
Requires-Python: >=3.9
Description-Content-Type: text/markdown

`pip install fanfare-server`, then `fanfare` starts a server that needs nothing else, and `fanfare help` says the rest. The client is
the package `fanfare`.
""")
subprocess.run([sys.executable, "-m", "wheel", "pack", str(root), "--dest-dir", out], check=True, stdout=subprocess.DEVNULL)
