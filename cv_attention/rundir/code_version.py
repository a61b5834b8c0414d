"""Names the version of the code that writes a file."""

import hashlib
import subprocess
from functools import cache
from pathlib import Path

from cv_attention.version import __version__


@cache
def code_version() -> str:
    """Returns the package's version; from a checkout also the commit, and ``dirty-HASH`` where files differ from it.

    The hash is of the package's files that differ, so that two edits of one commit are two versions. Files outside the
    package, such as configurations and documents, do not count: they change nothing that is computed.
    """
    package = Path(__file__).parents[1]
    if not (package.parent / ".git").exists():
        return __version__
    try:
        commit = _git(package, "rev-parse", "--short=12", "HEAD").strip().decode()
        edits = _edits(package)
    except (OSError, subprocess.SubprocessError):  # no git here, or not our checkout
        return __version__
    return f"{__version__}+{commit}{f'-dirty-{edits}' if edits else ''}"


def _edits(package: Path) -> str:
    """Returns eight digits that stand for all files of the package that differ from the commit; empty for none."""
    changed = _git(package, "diff", "--name-only", "--relative", "-z", "HEAD", "--", ".")
    new = _git(package, "ls-files", "--others", "--exclude-standard", "-z", "--", ".")
    names = sorted({name for name in (changed + new).split(b"\0") if name})
    digest = hashlib.sha256()
    for name in names:
        path = package / name.decode(errors="surrogateescape")
        content = path.read_bytes() if path.is_file() else b"deleted"
        digest.update(name + b"\0" + str(len(content)).encode() + b"\0" + content)
    return digest.hexdigest()[:8] if names else ""


def _git(folder: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, timeout=10, check=True).stdout
