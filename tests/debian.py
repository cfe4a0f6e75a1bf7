"""Debian's packages that tests need (browsers, nginx), for a machine that lets us install them."""

from __future__ import annotations

import os
import shutil
import subprocess


def install(package: str) -> None:
    """Install a package where that is possible; elsewhere do nothing."""
    if os.name != "posix" or os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "-y", package]):
        subprocess.run(["apt-get", *words], check=False, stdout=subprocess.DEVNULL, env=environment)
