"""Every module of aclnet says what it offers, and what it offers is documented and has type hints that resolve."""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import inspect
import pkgutil
import sys
import types
import typing

import pytest

import aclnet
from aclnet import compat  # noqa: F401  before anything imports mmcv

MODULES = ['aclnet', *sorted(found.name for found in pkgutil.walk_packages(aclnet.__path__, 'aclnet.'))]
OPTIONAL = {'matplotlib'}  # comes with the extra 'viz'
SPECIAL = ('__init__', '__call__', '__getitem__', '__iter__', '__len__')


def load(name):
    with skipped_without_optional_packages():
        return importlib.import_module(name)


@contextlib.contextmanager
def skipped_without_optional_packages():
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or '').partition('.')[0] not in OPTIONAL:
            raise
        pytest.skip(f'{error.name} is not installed')


def offered(module):
    return [(name, getattr(module, name)) for name in getattr(module, '__all__', [])]


def is_ours(value):
    return (inspect.isclass(value) or inspect.isroutine(value)) and value.__module__.partition('.')[0] == 'aclnet'


def methods(cls):
    """(name, function) of the public methods and properties that the class itself defines."""
    for name, member in vars(cls).items():
        if name.startswith('_') and name not in SPECIAL:
            continue
        if isinstance(member, property):
            member = member.fget
        elif isinstance(member, functools.cached_property):
            member = member.func
        elif isinstance(member, (staticmethod, classmethod)):
            member = member.__func__
        # what a dataclass or a NamedTuple writes itself has its hints on the class
        if inspect.isfunction(member) and inspect.getsourcefile(member) == inspect.getsourcefile(cls):
            yield name, member


@functools.cache
def names_in(module):
    """What the hints of a module may name: its globals, and what it imports for them under TYPE_CHECKING."""
    names = dict(vars(module))
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == 'TYPE_CHECKING':
            with skipped_without_optional_packages():
                exec(compile(ast.Module(node.body, []), module.__name__, 'exec'), names)
    return names


def resolved(thing):
    """The hints of a function, or of a class without its bases'; one that names something unknown raises here."""
    own = types.SimpleNamespace(__annotations__=dict(inspect.get_annotations(thing)))
    return typing.get_type_hints(own, names_in(sys.modules[thing.__module__]))


def missing_hints(function, where, is_method=False):
    """What a function's signature leaves open."""
    function = inspect.unwrap(function)
    hints = resolved(function)
    parameters = list(inspect.signature(function).parameters)
    if is_method and parameters[:1] in (['self'], ['cls']):
        parameters = parameters[1:]
    return [f'{where}: {name}' for name in (*parameters, 'return') if name not in hints]


@pytest.mark.parametrize('name', MODULES)
def test_a_module_is_documented_and_says_what_it_offers(name):
    module = load(name)
    assert (module.__doc__ or '').strip(), f'{name} has no docstring'
    if name == 'aclnet':
        return
    assert hasattr(module, '__all__'), f'{name} has no __all__'
    lacking = [public for public in module.__all__ if not hasattr(module, public)]
    assert not lacking, f'__all__ of {name} names {lacking}, which the module lacks'
    assert len(set(module.__all__)) == len(module.__all__), f'__all__ of {name} names something twice'


@pytest.mark.parametrize('name', MODULES)
def test_what_a_module_offers_is_documented(name):
    lacking = [public for public, value in offered(load(name)) if is_ours(value) and not (value.__doc__ or '').strip()]
    assert not lacking, f'no docstring: {lacking}'


@pytest.mark.parametrize('name', MODULES)
def test_what_a_module_offers_has_hints(name):
    lacking = []
    for public, value in offered(load(name)):
        if inspect.isclass(value) and is_ours(value):
            resolved(value)
            for method, function in methods(value):
                lacking += missing_hints(function, f'{public}.{method}', is_method=True)
        elif is_ours(value):
            lacking += missing_hints(value, public)
    assert not lacking, f'no type hint: {lacking}'


def test_what_the_checks_look_for():
    def open_ended(a, b: int, *rest, **kwargs: int): ...

    def unresolved(a: NoSuchName) -> None: ...  # noqa: F821

    class Public:
        def method(self, a) -> None: ...

        @property
        def size(self): ...

        def _private(self, a): ...

    assert missing_hints(open_ended, 'f') == ['f: a', 'f: rest', 'f: return']
    assert missing_hints(Public.method, 'm', is_method=True) == ['m: a']
    assert [name for name, _ in methods(Public)] == ['method', 'size']
    with pytest.raises(NameError, match='NoSuchName'):
        missing_hints(unresolved, 'f')
    assert len(MODULES) > 50 and 'aclnet.models.losses.inter_class' in MODULES
