"""Names the version of the code that writes a file."""

import subprocess
from functools import cache
from pathlib import Path

from cv_attention.version import __version__


@cache
def code_version() -> str:
    """Returns the package's version; from a checkout also the commit, and ``dirty`` where files differ from it."""
    package = Path(__file__).parents[1]
    if not (package.parent / ".git").exists():
        return __version__
    try:
        git = ["git", "-C", str(package.parent), "describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"]
        commit = subprocess.run(git, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):  # no git here, or not our checkout
        return __version__
    return f"{__version__}+{commit}"
