"""Takes out of an npm lock file who asks for money where: addresses, on which nothing that is installed depends."""

from __future__ import annotations

import json
import sys
from pathlib import Path

path = Path(sys.argv[1])
lock = json.loads(path.read_text(encoding="utf-8"))
for package in lock["packages"].values():
    package.pop("funding", None)
path.write_text(json.dumps(lock, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
