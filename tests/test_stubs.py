"""The stubs of the compiled modules say what the modules do."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

import skgd

PACKAGE = Path(skgd.__file__).parent


def modules(suffix):
    """Return the file of each module with such a file, by the module's name."""
    return {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path
        for path in sorted(PACKAGE.rglob(f"*{suffix}"))
    }


STUBS, COMPILED = modules(".pyi"), list(modules(".pyx"))
# A stub that renames what a module imports has nothing of its own to compare.
COMPARED = [name for name in STUBS if name != "skgd._utils.sklearn_compat"]


def public(module):
    """Return the module's public names: those of __all__, or all its own without an underscore."""
    if hasattr(module, "__all__"):
        return {name: getattr(module, name) for name in module.__all__}
    return {
        name: thing
        for name, thing in vars(module).items()
        if getattr(thing, "__module__", None) == module.__name__ and not name.startswith("_")
    }


def stub(name):
    """Return the definitions of a stub by their names."""
    body = ast.parse(STUBS[name].read_text()).body
    return {node.name: node for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef)}


def stub_parameters(node):
    """Return (name, default) for each parameter of a function in a stub, but self and cls."""
    arguments = node.args
    positional = arguments.posonlyargs + arguments.args
    defaults = [None] * (len(positional) - len(arguments.defaults)) + arguments.defaults
    pairs = list(zip(positional, defaults, strict=True))
    for several in filter(None, [arguments.vararg]):
        pairs.append((several, None))
    pairs += list(zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True))
    for several in filter(None, [arguments.kwarg]):
        pairs.append((several, None))
    return [
        (argument.arg, inspect.Parameter.empty if value is None else ast.literal_eval(value))
        for argument, value in pairs
        if argument.arg not in ("self", "cls")
    ]


def parameters(function):
    """Return (name, default) for each parameter of a function, but self."""
    return [
        (parameter.name, known_default(parameter.default))
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name not in ("self", "cls")
    ]


def known_default(value):
    """Return a default, or the dots that a stub has for one that is not a literal."""
    return ... if isinstance(value, float) and value != value else value


STUBBED = {name: stub(name) for name in STUBS}
CLASSES = [
    pytest.param(name, thing, id=f"{name}.{thing.__name__}")
    for name in COMPARED
    for thing in public(importlib.import_module(name)).values()
    if inspect.isclass(thing)
]
FUNCTIONS = [
    pytest.param(name, thing, id=f"{name}.{thing.__name__}")
    for name in COMPARED
    for thing in public(importlib.import_module(name)).values()
    if inspect.isroutine(thing)
]


def test_every_compiled_module_has_a_stub():
    assert set(COMPILED) <= set(STUBS)


@pytest.mark.parametrize("name", COMPARED)
def test_names_that_are_exported(name):
    module = importlib.import_module(name)
    if not hasattr(module, "__all__"):
        return
    lists = [
        ast.literal_eval(node.value)
        for node in ast.parse(STUBS[name].read_text()).body
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"
    ]
    assert lists == [list(module.__all__)]


@pytest.mark.parametrize("name, thing", CLASSES)
def test_parameters_of_a_class(name, thing):
    methods = {
        node.name: node
        for node in stub(name)[thing.__name__].body
        if isinstance(node, ast.FunctionDef)
    }
    try:
        expected = parameters(thing)
    except ValueError:
        # A cdef class does not tell its parameters.
        return
    if "__init__" in methods or thing.__init__ is not object.__init__:
        assert stub_parameters(methods["__init__"]) == expected


@pytest.mark.parametrize("name, thing", CLASSES)
def test_bases_and_methods_of_a_class(name, thing):
    node = stub(name)[thing.__name__]
    bases = [base.__name__ for base in thing.__bases__ if base is not object]
    assert [ast.unparse(base) for base in node.bases] == bases
    methods = {part.name: part for part in node.body if isinstance(part, ast.FunctionDef)}
    inherited = {attribute for base in thing.__mro__[1:] for attribute in vars(base)}
    for attribute, member in vars(thing).items():
        if attribute.startswith("_") or not is_method(member):
            continue
        if attribute not in methods:
            # What only overrides a method is in the stub of its base.
            assert attribute in inherited
            continue
        if is_property(methods[attribute]):
            continue
        function = member.__func__ if isinstance(member, classmethod) else member
        assert stub_parameters(methods[attribute]) == parameters(function)
    for attribute in methods:
        assert hasattr(thing, attribute)


def is_method(member):
    """Tell whether a class has a method that users call, which may depend on parameters."""
    if isinstance(member, staticmethod | classmethod):
        return True
    return not inspect.isclass(member) and (callable(member) or hasattr(member, "check"))


def stub_attributes(node):
    """Return the names of the attributes and properties of a class in a stub."""
    declared = {part.target.id for part in node.body if isinstance(part, ast.AnnAssign)}
    functions = [part for part in node.body if isinstance(part, ast.FunctionDef)]
    return declared | {part.name for part in functions if is_property(part)}


def is_property(node):
    return "property" in map(ast.unparse, node.decorator_list)


@pytest.mark.parametrize("name, thing", CLASSES)
def test_attributes_of_a_class(name, thing):
    own = {
        attribute for attribute, member in vars(thing).items()
        if not attribute.startswith("_") and not is_method(member)
        and not attribute.endswith("_request")  # scikit-learn's
    }  # fmt: skip
    stubs = {name: node for definitions in STUBBED.values() for name, node in definitions.items()}
    bases = [base for base in thing.__mro__ if base.__module__.split(".")[0] == "skgd"]
    listed = [stub_attributes(stubs[base.__name__]) for base in bases if base.__name__ in stubs]
    assert own <= set().union(*listed)
    given = {parameter for parameter, _ in parameters(thing.__init__)}
    unknown = {each for each in listed[0] if not hasattr(thing, each)}
    assert {each for each in unknown if not each.endswith("_")} <= given


@pytest.mark.parametrize("name, thing", FUNCTIONS)
def test_parameters_of_a_function(name, thing):
    assert stub_parameters(stub(name)[thing.__name__]) == parameters(thing)
