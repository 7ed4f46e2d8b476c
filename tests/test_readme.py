"""The README's code runs, and its commands name what exists."""

import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
SHELL = [code for language, code in BLOCKS if language == "bash"]


RUNS = [
    (code, text if kind == "text" else "")
    for (language, code), (kind, text) in pairwise([*BLOCKS, ("", "")])
    if language == "python"
]


@pytest.mark.parametrize(("code", "printed"), RUNS)
def test_python_block_prints_what_the_readme_shows(code, printed, capsys):
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out == printed


def test_there_are_python_blocks():
    assert len(RUNS) >= 3


def test_readme_is_short():
    assert len(README.splitlines()) < 150


def test_shell_commands_name_what_exists():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    commands = "".join(SHELL)
    extras = re.findall(r'-e "\.\[(\w+)\]"', commands)
    scripts = re.findall(r"python (\S+\.py)", commands)
    assert extras and set(extras) <= set(project["optional-dependencies"])
    assert scripts and all((ROOT / script).exists() for script in scripts)
    assert "readme" in project["dynamic"]


LINKS = re.findall(r"\]\(([^)#]+)\)", README)


@pytest.mark.parametrize("link", LINKS)
def test_link_leads_to_a_file(link):
    assert (ROOT / link).exists()


def test_there_are_links():
    assert len(LINKS) >= 10
