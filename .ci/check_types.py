"""Check the types of the code that users copy: the README, the quick start and the gallery.

    python .ci/check_types.py

Runs mypy in its strict mode and pyright in its basic one, against the installed skgd.
"""

import doctest
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def main():
    """Return how many of the checkers have found errors."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for number, code in enumerate(BLOCK.findall((ROOT / "README.md").read_text())):
            (folder / f"readme_{number}.py").write_text(code)
        examples = doctest.DocTestParser().get_examples((ROOT / "docs/quick_start.rst").read_text())
        (folder / "quick_start.py").write_text("".join(each.source for each in examples))
        scripts = [ROOT / "examples/quickstart.py", *sorted(ROOT.glob("examples/*/plot_*.py"))]
        for script in scripts:
            (folder / script.name).write_text(script.read_text())
        # pyright would guess types from the code of libraries that have none, and be wrong.
        settings = {"typeCheckingMode": "basic", "useLibraryCodeForTypes": False}
        (folder / "pyrightconfig.json").write_text(json.dumps(settings))
        files = sorted(path.name for path in folder.glob("*.py"))
        python, config = sys.executable, ROOT / "pyproject.toml"
        commands = [
            [python, "-m", "mypy", "--strict", "--config-file", str(config), *files],
            [python, "-m", "pyright", "--pythonpath", python],
        ]
        return sum(subprocess.run(command, cwd=folder).returncode != 0 for command in commands)


if __name__ == "__main__":
    sys.exit(main())
