"""What holds of any installation: versions, links, scikit-learn's releases, notebooks."""

import re
import tomllib
from pathlib import Path

import pytest
import sklearn
from sklearn.utils.fixes import parse_version

import skgd
from skgd import GDClassifier, GDRegressor, GDSearchCV
from skgd._utils import links

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ESTIMATORS = [GDClassifier(), GDRegressor(), GDSearchCV(GDClassifier(), {})]
PRIVATE = re.compile(r"^\s*from sklearn(?:\.\w+)*\._\w+|^\s*from sklearn.* import .*\b_\w+", re.M)


def test_private_names_of_scikit_learn_are_imported_in_one_module():
    package = Path(skgd.__file__).parent
    sources = [path for path in package.rglob("*") if path.suffix in (".py", ".pyx")]
    found = {path.name for path in sources if PRIVATE.search(path.read_text())}
    assert found == {"sklearn_compat.py"}


def test_versions_are_shown_and_agree(capsys):
    skgd.show_versions()
    printed = capsys.readouterr().out
    assert f"skgd: {skgd.__version__}\n" in printed
    assert f"scikit-learn: {sklearn.__version__}\n" in printed.replace("sklearn:", "scikit-learn:")
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {skgd.__version__}\n" in citation


def test_addresses_are_those_of_the_project():
    urls = PROJECT["urls"]
    assert urls["Documentation"] == links.DOCUMENTATION
    citation = (ROOT / "CITATION.cff").read_text()
    assert urls["Source"] in citation and urls["Documentation"] in citation


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda each: type(each).__name__)
def test_the_html_of_a_notebook_links_to_our_pages_and_explains_the_parameters(estimator):
    html = estimator._repr_html_inner()
    page = f"{links.DOCUMENTATION}/api/skgd.{type(estimator).__name__}.html"
    assert page in html
    if parse_version(sklearn.__version__) >= parse_version("1.8"):
        for name in estimator.get_params(deep=False):
            assert re.search(rf"{page}#:~:text={name},", html), name
