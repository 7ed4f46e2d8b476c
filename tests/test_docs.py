"""The pages of the documentation: their code runs and prints what they say."""

import doctest
from pathlib import Path

import matplotlib
import pytest

matplotlib.use("Agg")

DOCS = Path(__file__).parent.parent / "docs"
PAGES = [page for page in sorted(DOCS.glob("*.rst")) if ">>> " in page.read_text()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_of_a_page(page):
    test = doctest.DocTestParser().get_doctest(
        page.read_text(), {"__name__": "page"}, page.stem, str(page), 0
    )
    report = []
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.REPORT_NDIFF
    result = doctest.DocTestRunner(optionflags=options).run(test, out=report.append)
    assert not result.failed, "".join(report)
