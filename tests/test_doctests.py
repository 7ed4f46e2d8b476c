"""The examples in the docstrings, those of the compiled modules included."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import skgd
from skgd import losses, optimizers, penalties

MODULES = [skgd] + [
    importlib.import_module(module.name) for module in pkgutil.walk_packages(skgd.__path__, "skgd.")
]
COMPILED = [module for module in MODULES if not module.__file__.endswith(".py")]


def documented(module):
    """Yield the module, its own classes and functions and their methods, with their names.

    doctest's own search asks for Python functions, which those of an extension module are not.
    """
    yield module.__name__, module
    for name, thing in vars(module).items():
        if getattr(thing, "__module__", None) != module.__name__:
            continue
        yield f"{module.__name__}.{name}", thing
        if inspect.isclass(thing):
            for attribute, member in vars(thing).items():
                yield f"{module.__name__}.{name}.{attribute}", member


def examples(module):
    """Return the doctests of a module."""
    parser = doctest.DocTestParser()
    tests = []
    for name, thing in documented(module):
        doc = getattr(thing, "__doc__", None)
        if isinstance(doc, str) and not isinstance(thing, str):
            test = parser.get_doctest(doc, dict(vars(module)), name, module.__file__, None)
            if test.examples:
                tests.append(test)
    return tests


TESTS = [test for module in MODULES for test in examples(module)]


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.name)
def test_example(test):
    report = []
    result = doctest.DocTestRunner().run(test, out=report.append, clear_globs=False)
    assert result.attempted == len(test.examples)
    assert not result.failed, "".join(report)


PUBLIC = {
    getattr(module, name)
    for module in MODULES if "._" not in module.__name__
    for name in getattr(module, "__all__", [])
}  # fmt: skip


@pytest.mark.parametrize("thing", sorted(PUBLIC, key=repr), ids=lambda thing: thing.__name__)
def test_public_name_has_an_example(thing):
    assert ">>> " in inspect.getdoc(thing)


@pytest.mark.parametrize("thing", [losses.Loss, penalties.Penalty, optimizers.Optimizer])
def test_examples_of_compiled_modules_are_found(thing):
    assert any(vars(module).get(thing.__name__) is thing for module in COMPILED)
    assert f"{thing.__module__}.{thing.__name__}" in {test.name for test in TESTS}
