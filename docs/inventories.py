"""Writes the inventories with which Sphinx links to scikit-learn, NumPy and SciPy.

An inventory has the names that our pages link to, each found by importing it. So the documentation
builds without a network, and a link to a name that doesn't exist is an error.
"""

import importlib
import inspect
import re
import zlib
from pathlib import Path

import skgd

SITES = {
    "sklearn": ("https://scikit-learn.org/stable/", "modules/generated/"),
    "numpy": ("https://numpy.org/doc/stable/", "reference/generated/"),
    "scipy": ("https://docs.scipy.org/doc/scipy/", "reference/generated/"),
}
# Pages that don't follow the pattern of their site.
PAGES = {
    "numpy.random.Generator": "reference/random/generator.html",
    "numpy.random.RandomState": "reference/random/legacy.html",
}
ROLE = re.compile(r":(?:py:)?(?:class|func|obj):`~?((?:sklearn|numpy|scipy)\.[\w.]+)`")


def linked_names(docs):
    """Return the names of other projects that pages and docstrings link to."""
    package = Path(skgd.__file__).parent
    sources = [*docs.glob("*.rst"), *package.rglob("*.py"), *package.rglob("*.pyx")]
    text = "".join(source.read_text(encoding="utf-8") for source in sources)
    return sorted(set(ROLE.findall(text)))


def entry(name):
    """Return the line of an inventory for a public class or function."""
    module, _, attribute = name.rpartition(".")
    kind = "class" if inspect.isclass(getattr(importlib.import_module(module), attribute)) else (
        "function"
    )
    page = PAGES.get(name, f"{SITES[name.split('.')[0]][1]}{name}.html")
    return f"{name} py:{kind} 1 {page}#{name} -\n"


def write(docs):
    """Write an inventory for each site, and return Sphinx's ``intersphinx_mapping``."""
    folder = docs / "_build" / "inventories"
    folder.mkdir(parents=True, exist_ok=True)
    names, mapping = linked_names(docs), {}
    for project, (url, _) in SITES.items():
        lines = "".join(entry(name) for name in names if name.startswith(f"{project}."))
        head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version:\n"
        head += "# The remainder of this file is compressed using zlib.\n"
        path = folder / f"{project}.inv"
        path.write_bytes(head.encode() + zlib.compress(lines.encode()))
        mapping[project] = (url, str(path))
    return mapping
