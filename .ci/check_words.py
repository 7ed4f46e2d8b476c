"""Checks that no file uses a phrase of words.txt; prints each place and what to write instead."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SUFFIXES = {".py", ".pyx", ".pxd", ".pyi", ".h", ".rst", ".md", ".toml"}
# This folder has the phrases themselves.
SKIPPED = {".ci"}


def rules():
    """Return pairs of a pattern and what to write instead."""
    lines = (Path(__file__).parent / "words.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split(" -> ") for line in lines if line and not line.startswith("#")]
    return [(re.compile(pattern, re.IGNORECASE), instead) for pattern, instead in pairs]


def sources():
    """Return the files under version control that have prose; of an unpacked archive, all."""
    if (ROOT / ".git").exists():
        command = ["git", "ls-files"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        paths = [Path(name) for name in listed.stdout.splitlines()]
    else:
        paths = [path.relative_to(ROOT) for path in ROOT.rglob("*")]
    return [path for path in paths if path.suffix in SUFFIXES and path.parts[0] not in SKIPPED]


def places(path, patterns):
    """Return a line of report for each phrase in a file, also where it spans two lines."""
    text = (ROOT / path).read_text(encoding="utf-8")
    joined = re.sub(r"\n([ \t]*(#|//|\*|>>>)?[ \t]*)", lambda match: " " * len(match[0]), text)
    joined = re.sub(r"(?<=\S) +(?=\S)", lambda gap: " " + "\0" * (len(gap[0]) - 1), joined)
    kept = [i for i, letter in enumerate(joined) if letter != "\0"]
    flat = joined.replace("\0", "")
    return [
        f"{path}:{text.count(chr(10), 0, kept[match.start()]) + 1}: {match[0]!r}: write {instead!r}"
        for pattern, instead in patterns
        for match in pattern.finditer(flat)
    ]


if __name__ == "__main__":
    patterns = rules()
    found = [line for path in sources() for line in places(path, patterns)]
    print("\n".join(found) or "no phrase of words.txt found")
    sys.exit(bool(found))
