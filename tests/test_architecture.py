"""The packages of skgd import one another in one direction, and the pages about them are true."""

import ast
import importlib.util
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
SPEC = importlib.util.spec_from_file_location("draw_architecture", DOCS / "draw_architecture.py")
code = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(code)

FILES = code.files()
LEVEL = {name: number for number, level in enumerate(code.LEVELS) for name in level}
PAGES = {
    page.name: page.read_text()
    for page in (DOCS / "architecture.rst", DOCS / "glossary.rst",
                 DOCS.parent / ".github" / "CONTRIBUTING.md")
}  # fmt: skip
every_file = pytest.mark.parametrize(
    "path", FILES, ids=lambda path: str(path.relative_to(code.ROOT))
)


# ---- imports ------------------------------------------------------------------------------------

def allowed(own, other):
    return own == other or LEVEL[other] < LEVEL[own] or {own, other} in code.PAIRS


@every_file
def test_imports_run_from_higher_levels_to_lower_ones(path):
    own = code.package_of(path)
    wrong = [name for name in code.imports_of(path) if not allowed(own, code.package_named(name))]
    assert not wrong


def test_the_levels_have_each_package_once():
    assert {code.package_of(path) for path in FILES} == set(code.PACKAGES)
    assert len(code.PACKAGES) == len(set(code.PACKAGES))


@pytest.mark.parametrize("pair", sorted(map(sorted, code.PAIRS)), ids="-".join)
def test_a_pair_is_on_one_level_and_needs_to_be(pair):
    one, other = pair
    imports = code.package_imports()
    assert LEVEL[one] == LEVEL[other]
    assert one in imports[other] and other in imports[one]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("from skgd import losses, GDClassifier\n", {"skgd.losses", "skgd.GDClassifier"}),
        ("import skgd._fit.run as run\n", {"skgd._fit.run"}),
        ("def f():\n    from skgd.minimize import minimize\n", {"skgd.minimize"}),
        ("from ..losses import LogLoss\n", {"skgd.losses"}),
        ("from .run import Run\n", {"skgd._fit.run"}),
        ("import skgdx, numpy\nfrom skgdx import a\n", set()),
    ],
)
def test_python_imports_are_found(tmp_path, monkeypatch, text, names):
    monkeypatch.setattr(code, "ROOT", tmp_path)
    path = tmp_path / "_fit" / "module.py"
    path.parent.mkdir()
    path.write_text(text)
    assert code.imports_of(path) == names


def test_cython_imports_are_found(tmp_path):
    path = tmp_path / "module.pyx"
    path.write_text(
        '"""A module.\n\nfrom skgd.display import nothing\n"""\n'
        "from skgd._engine.rows cimport (\n    Rows, Workspace\n)\n"
        "from skgd import losses\ncimport skgd.penalties.base\n"
        "from skgd._engine.arrays cimport floats\n"
        "def f():\n    from skgd.minimize import minimize\n"
    )
    assert code.imports_of(path) == {
        "skgd._engine.rows", "skgd.losses", "skgd.penalties.base", "skgd.minimize"
    }  # fmt: skip


# ---- sizes --------------------------------------------------------------------------------------

def test_a_file_has_at_most_500_lines():
    sources = [*FILES, *code.ROOT.rglob("*.h"), *code.ROOT.rglob("*.pyi")]
    sizes = {str(path): len(path.read_text().splitlines()) for path in sources}
    assert max(sizes.values()) <= 500, max(sizes, key=sizes.get)


@every_file
def test_a_class_has_at_most_300_lines_and_a_function_50(path):
    for name, n_lines, is_class in blocks(path):
        assert n_lines <= (300 if is_class else 50), (name, n_lines)


def blocks(path):
    """Yield each class and Python function of a file, and its lines without the docstring."""
    text = path.read_text()
    if path.suffix != ".py":
        starts = re.split(r"^(?=(?:cdef )?class )", re.sub(r'""".*?"""', "", text, flags=re.S),
                          flags=re.M)  # fmt: skip
        for block in starts[1:]:
            body = re.split(r"^(?=[^\s)#@])", block.partition("\n")[2], flags=re.M)[0]
            yield block.partition("\n")[0], 1 + len(body.rstrip().splitlines()), True
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            n_lines = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node) is not None:
                n_lines -= node.body[0].end_lineno - node.body[0].lineno + 1
            yield node.name, n_lines, isinstance(node, ast.ClassDef)


# ---- the picture and the pages ------------------------------------------------------------------

def test_the_picture_has_each_package_and_each_import(tmp_path):
    imports = {
        f"import:{own}:{other}" for own, others in code.package_imports().items()
        for other in others if own != "__init__"
    }  # fmt: skip
    packages = {f"package:{name}" for name in code.PACKAGES if name != "__init__"}
    (picture,) = code.draw(tmp_path, ["light"])
    marks = {node.get("id", "") for node in ElementTree.parse(picture).iter()}
    assert {mark for mark in marks if ":" in mark} == packages | imports
    assert picture.name in PAGES["architecture.rst"]


def test_the_page_says_what_each_package_may_import():
    rows = re.findall(r"^   \* - ``([\w.]+?)(?:/|\.py)``\n     - .*?\n     - (.*?)(?=\n   \*|\n\n)",
                      PAGES["architecture.rst"], re.M | re.S)  # fmt: skip
    assert [name for name, _ in rows] == [name for name in code.PACKAGES if name != "__init__"]
    for own, cell in rows:
        named = set(re.findall(r"``(\w+)``", cell)) | {"_utils"}
        if "everything below" in cell:
            named |= {name for name in code.PACKAGES if LEVEL[name] < LEVEL[own]}
        assert code.package_imports()[own] <= named, own
        assert all(allowed(own, name) for name in named - {"_utils"}), own


IDENTIFIERS = {
    name
    for path in [*FILES, *code.ROOT.rglob("*.h"), *DOCS.glob("*.py")]
    for name in [*re.findall(r"\w+", path.read_text()), path.stem]
}
# Those of files and commands.
OTHERS = {"ci", "h", "md", "py", "pyd", "pyi", "pxd", "pyx", "rst", "toml"}


@pytest.mark.parametrize("page", PAGES)
def test_names_of_a_page_are_names_in_the_code(page):
    text = re.sub(r":\w+:`[^`]*`", "", PAGES[page])
    words = re.findall(r"``?([A-Za-z_][\w.]*)(?:\([^`]*\))?``?", text)
    names = {part for word in words for part in word.split(".") if not part.startswith("test")}
    assert not names - IDENTIFIERS - OTHERS


@pytest.mark.parametrize("page", PAGES)
def test_files_of_a_page_are_there(page):
    found = re.findall(r"``?((?:[\w.]+/)+[\w.]*|\w+\.(?:pyx?|pxd|rst|md|toml))``?", PAGES[page])
    for name in found:
        if not name.startswith(("tests/", "docs/_build")):
            base = code.ROOT if (code.ROOT / name.split("/")[0]).exists() else DOCS.parent
            assert (base / name).exists() or list(code.ROOT.rglob(name)), name
