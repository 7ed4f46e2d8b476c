"""Draws the packages of skgd, what each is for, and which imports which, from the source alone.

    python docs/draw_architecture.py [FOLDER]

Writes ``architecture-light.svg`` and ``architecture-dark.svg``, by default to ``docs/_static``.
Sphinx does so each time it builds the documentation. ``tests/test_architecture.py`` holds the code
to `LEVELS`. Nothing of skgd is imported.
"""

import ast
import re
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent / "skgd"
SUFFIXES = ".py", ".pyx", ".pxd"

# From the lowest level to the highest. A package imports from lower levels only.
LEVELS = (
    ("_utils",),
    ("losses", "penalties", "schedules", "callbacks", "data"),
    ("optimizers", "minimize"),
    ("_engine",),
    ("_problem",),
    ("_objective",),
    ("_descent",),
    ("_solvers",),
    ("_fit",),
    ("_path",),
    ("_estimators",),
    ("_search", "rate_test"),
    ("display",),
    ("__init__",),
)
# Packages on one level that import each other: `Minimizer.minimizer` returns a method made of
# `minimize`.
PAIRS = {frozenset(("optimizers", "minimize"))}

PACKAGES = tuple(name for level in LEVELS for name in level)
# C headers and inlined C functions are compiled into whoever names them; they are not imported.
DECLARATIONS = {
    "skgd." + ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in ROOT.rglob("*.pxd") if not path.with_suffix(".pyx").exists()
}  # fmt: skip
CYTHON = re.compile(
    r"^[ \t]*(?:from[ \t]+(skgd[\w.]*)[ \t]+c?import[ \t]+(.*)|c?import[ \t]+(skgd[\w.]*))", re.M
)


# ---- what the code imports ----------------------------------------------------------------------

def files():
    """Return the source files of skgd."""
    return sorted(path for path in ROOT.rglob("*") if path.suffix in SUFFIXES)


def package_of(path):
    """Return the package, or the module at the top, to which a file belongs."""
    return path.relative_to(ROOT).with_suffix("").parts[0]


def package_named(module):
    """Return the package of a dotted name: `_fit` for skgd._fit.run.

    A name that is neither a package nor a module is one of the top, `__init__`.
    """
    name = (module.split(".") + ["__init__"])[1]
    return name if (ROOT / name).is_dir() or (ROOT / f"{name}.py").exists() else "__init__"


def imports_of(path):
    """Return the dotted names that a file imports from skgd, wherever in the file it does so."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        found = _python_imports(ast.parse(text), path)
    else:
        code = re.sub(r'""".*?"""', "", text, flags=re.DOTALL)
        found = set()
        for origin, names, module in CYTHON.findall(code):
            found |= {module} if module else _from(origin, re.findall(r"\w+", names))
    return found - DECLARATIONS


def _python_imports(tree, path):
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] == "skgd"}
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                parents = ("skgd", *path.relative_to(ROOT).parts)[:-node.level]
                origin = ".".join((*parents, origin)).rstrip(".")
            if origin.split(".")[0] == "skgd":
                found |= _from(origin, [alias.name for alias in node.names])
    return found


def _from(origin, names):
    return {f"skgd.{name}" for name in names} if origin == "skgd" else {origin}


@cache
def package_imports():
    """Return the packages that each package imports."""
    imports = {name: set() for name in PACKAGES}
    for path in files():
        own = package_of(path)
        imports.setdefault(own, set()).update(map(package_named, imports_of(path)))
        imports[own].discard(own)
    return imports


# ---- the picture --------------------------------------------------------------------------------

PURPOSES = {
    "_utils": "checks, rules, linear algebra, threads",
    "losses": "values, gradients, Hessians, conjugates",
    "penalties": "values, gradients, proximal operators",
    "schedules": "the learning rate as a function of the step",
    "callbacks": "notifications after each epoch",
    "data": "from files and streams to memory maps",
    "optimizers": "how one step is taken",
    "minimize": "the optimizers on any function",
    "_engine": "compiled passes over the rows",
    "_problem": "the rows, and the questions that solvers ask",
    "_objective": "F in preconditioned coordinates",
    "_descent": "the two outer loops, and why they stop",
    "_solvers": "what \"auto\" chooses from, and duality gaps",
    "_fit": "one call of fit, and what to tell its user",
    "_path": "minimisers for many values of alpha",
    "_estimators": "check, fit, give attributes back",
    "_search": "many fits in one pass",
    "rate_test": "short runs at many learning rates",
    "display": "plots of descents, rates and paths",
}
INKS = {
    "light": {"ink": "#1f2328", "line": "#57606a", "band": "#eaeef2", "public": "#ddf4ff"},
    "dark": {"ink": "#e6edf3", "line": "#8d96a0", "band": "#22272e", "public": "#1b3a57"},
}


def draw(folder, pages=tuple(INKS)):
    """Write the picture for light and for dark pages to a folder; return the files."""
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    return [_draw(folder / f"architecture-{page}.svg", **INKS[page]) for page in pages]


def _draw(file, *, ink, line, band, public):
    """Draw boxes on a diagonal: below a box is what it imports, and right of it who imports it."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    names, imports = [name for name in PACKAGES if name != "__init__"], package_imports()
    place = {name: i for i, name in enumerate(names)}
    pairs = [(place[name], place[other]) for name in names for other in imports[name] & set(names)]
    with rc_context({"svg.hashsalt": "skgd"}):
        figure = Figure(figsize=(10.5, 6.6))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(-8.3, len(names) - 0.3), ylim=(-0.6, len(names) - 0.4))
        axes.axis("off")
        _shade_levels(axes, place, band)
        _draw_imports(axes, names, pairs, line)
        for name, i in place.items():
            _draw_box(axes, name, i, ink, line, band if name.startswith("_") else public)
        figure.savefig(file, transparent=True, metadata={"Date": None, "Creator": None})
    return file


def _shade_levels(axes, place, band):
    for level in LEVELS[::2]:
        rows = [place[name] for name in level if name in place]
        if rows:
            axes.axhspan(min(rows) - 0.5, max(rows) + 0.5, color=band, lw=0, zorder=0)


def _draw_box(axes, name, i, ink, line, face):
    from matplotlib.patches import FancyBboxPatch

    axes.add_patch(FancyBboxPatch(
        (i - 1.75, i - 0.27), 2.2, 0.54, boxstyle="round,pad=0.05", fc=face, ec=line, lw=1,
        zorder=2, gid=f"package:{name}",
    ))  # fmt: skip
    axes.text(i - 0.65, i, name, color=ink, ha="center", va="center", fontsize=9.5, weight="bold",
              zorder=3)  # fmt: skip
    axes.text(i - 2.0, i, PURPOSES[name], color=ink, ha="right", va="center", fontsize=9, zorder=3)


def _draw_imports(axes, names, pairs, line):
    """Draw a line down from each package, an arrow along the row of each, and dots for imports."""
    arrow = {"arrowstyle": "-|>", "color": line, "lw": 0.8, "shrinkA": 0, "shrinkB": 0}
    for i in range(len(names)):
        below, users = ([other for own, other in pairs if own == i and other < i],
                        [own for own, other in pairs if other == i and own > i])  # fmt: skip
        if below:
            axes.plot([i, i], [i - 0.3, min(below)], color=line, lw=0.8, zorder=1)
        if users:
            axes.annotate("", (i + 0.5, i), (max(users), i), arrowprops=arrow, zorder=1)
    for i, j in pairs:
        gid = f"import:{names[i]}:{names[j]}"
        if j < i:
            axes.plot([i], [j], "o", color=line, ms=3.5, zorder=1, gid=gid)
        else:  # on one level
            up = axes.annotate("", (i - 0.4, j - 0.31), (i - 0.4, i + 0.31), arrowprops=arrow)
            up.arrow_patch.set_gid(gid)


if __name__ == "__main__":
    default = Path(__file__).parent / "_static"
    for written in draw(sys.argv[1] if len(sys.argv) > 1 else default):
        print(written)
