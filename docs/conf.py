"""How Sphinx builds the documentation: ``sphinx-build -W docs docs/_build``."""

import importlib
import inspect
import pkgutil
import re
import sys
from pathlib import Path

from docutils import nodes

import skgd

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))  # for the modules in this folder

project = "skgd"
author = "the skgd developers"
copyright = "the skgd developers, BSD-3-Clause"
version = release = skgd.__version__

import draw_architecture  # noqa: E402
import draw_choosing  # noqa: E402
import inventories  # noqa: E402

extensions = [
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
intersphinx_mapping = inventories.write(DOCS)
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates", "sg_execution_times.rst"]

# ---- the API reference: every public name, found by enumeration ---------------------------------

autosummary_generate = True
autodoc_inherit_docstrings = False
numpydoc_show_class_members = False
smartquotes = False
suppress_warnings = ["ref.term"]  # scikit-learn's docstrings refer to its glossary
default_role = "py:obj"
nitpicky = True  # each name between single backticks is a link that must lead somewhere
nitpick_ignore_regex = [
    ("py:class", r"skgd\.[\w.]+\.\w+Rule"),  # the compiled halves of the pieces have no page
    # Classes have a page in their package, not in their file.
    ("py:class", r"skgd\.\w+\.[a-z_]+\.\w+"),
    ("py:class", r"numpy\.ndarray"),  # an annotation in a stub; other projects are not linked to
    ("py:obj", r"classes_|n_features_in_"),  # properties that GDSearchCV inherits from scikit-learn
]
numpydoc_validation_checks = {
    "all",
    "GL08",  # members without a docstring of their own inherit it
    "ES01",  # one sentence can be enough
    "SA01",  # the reference has its own lists
    "EX01",  # classes and functions have examples (a test asks for them), methods need none
    "RT03",  # "self" says it all
    "PR07",  # so does an X of shape (n_samples, n_features)
    "RT01",
    "RT02",  # what is returned may be named
    "RT04",  # and its description begin with "inf"
}
# The methods of the pieces are small and have their words in the base class.
numpydoc_validation_exclude = {r"^skgd\.[a-z_.]+\.\w+\.\w+$"}


# The sections of the reference: a title, and the names or the module that it lists.
SECTIONS = {
    "Estimators": ("GDRegressor", "GDClassifier"),
    "Search": (
        "GDSearchCV", "alpha_sequence", "one_standard_error", "find_learning_rate", "RateTest",
    ),
    "Functions to minimise": ("minimize",),
    "Large data": "skgd.data",
    "Losses": "skgd.losses",
    "Penalties": "skgd.penalties",
    "Optimizers": "skgd.optimizers",
    "Schedules": "skgd.schedules",
    "Callbacks": "skgd.callbacks",
    "Displays": (
        "CoefficientDisplay", "DescentDisplay", "LearningRateDisplay", "PathDisplay",
        "RegularizationPathDisplay",
    ),
    "Warnings and versions": ("DivergenceWarning", "show_versions"),
}


def check_sections():
    """Raise an error if a public name or module has no section."""
    names = {name for listed in SECTIONS.values() if isinstance(listed, tuple) for name in listed}
    modules = {listed for listed in SECTIONS.values() if isinstance(listed, str)}
    in_modules = {name for each in modules for name in importlib.import_module(each).__all__}
    missing = set(skgd.__all__) - names - in_modules
    for _, name, _ in pkgutil.iter_modules(skgd.__path__):
        public = getattr(importlib.import_module(f"skgd.{name}"), "__all__", ())
        if not name.startswith("_") and not {*public} <= names | in_modules:
            missing.add(f"skgd.{name}")
    if missing:
        raise ValueError(f"docs/conf.py: no section of the API reference lists {sorted(missing)}")


def section(title, listed):
    """Return the lines of a section of the API reference."""
    lines = ["", title, "-" * len(title), ""]
    if isinstance(listed, str):
        module = importlib.import_module(listed)
        lines += [f".. module:: {listed}", "", inspect.getdoc(module).splitlines()[0], ""]
        listed = module.__all__
    else:
        lines += [".. currentmodule:: skgd", ""]
    lines += [".. autosummary::", "   :toctree:", "   :nosignatures:", ""]
    return lines + [f"   {name}" for name in listed]


def write_api_reference(app, config):
    """Write the page that lists the public names; autosummary writes a page for each of them."""
    check_sections()
    lines = ["API reference", "=============", "", ".. module:: skgd"]
    for title, listed in SECTIONS.items():
        lines += section(title, listed)
    page = Path(app.srcdir, "api", "index.rst")
    page.parent.mkdir(exist_ok=True)
    page.write_text("\n".join(lines) + "\n")


def draw_figures(app, config):
    """Draw the figures of docs/architecture.rst and docs/choosing.rst."""
    draw_architecture.draw(DOCS / "_static")
    draw_choosing.draw(DOCS / "_static")


def skip_member(app, what, name, thing, skip, options):
    """Leave out what scikit-learn adds to each estimator, and the compiled halves of the pieces."""
    module = getattr(getattr(thing, "fget", thing), "__module__", None)
    inherited = (module or "").startswith("sklearn")
    hidden = inherited or name == "Rule" or name.endswith("_request")
    return True if hidden else None


def hold_numbers_together(app, doctree):
    """Put spaces at which no line breaks into numbers such as 200 000, and into 200 000 x 50."""
    for node in doctree.findall(nodes.Text):
        if not isinstance(node.parent, nodes.literal | nodes.literal_block):
            text = re.sub(r"(?<=\d) (?=\d{3}\b)|(?<=\d) (?=x \d)|(?<=\d x) (?=\d)", "\xa0", node)
            node.parent.replace(node, nodes.Text(text))


def setup(app):
    app.connect("config-inited", write_api_reference)
    app.connect("config-inited", draw_figures)
    app.connect("autodoc-skip-member", skip_member)
    app.connect("doctree-read", hold_numbers_together)
    return {"parallel_read_safe": True}


# ---- the gallery --------------------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"^(?!.*plot_)",
    "subsection_order": [f"../examples/{name}" for name in ("descent", "choices", "data")],
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "api/backreferences",
    "doc_module": ("skgd",),
    "abort_on_example_error": True,
    "reset_modules": ("matplotlib", "gallery_style.apply"),
    "image_srcset": ["2x"],
    "download_all_examples": True,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "capture_repr": (),
}

# ---- the pages ----------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["skgd.css"]
html_show_sourcelink = False
html_title = f"skgd {version}"
html_theme_options = {
    "logo": {"text": "skgd"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
