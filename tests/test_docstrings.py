"""Every public symbol has a docstring that stands alone, and the examples in docstrings do what they show.

Public are the names in ``__all__`` of the package and its subpackages, and the public methods of exported classes:

- A function names every parameter under ``Args``, has ``Returns`` or ``Yields`` if it returns something, and an
  example.
- A class names every parameter of its constructor under ``Args`` or ``Attributes``, and has an example. An exception
  that takes a message alone needs none.
- A method needs a docstring that names its parameters, in ``Args`` or in the text; what overrides a method need not
  repeat them. Hooks that Lightning defines and calls are described there.
- A block and a saliency method name their paper, or the library they come from.

Constants and aliases have a string below their definition, which the reference shows. ``Examples`` is the only spelling
of that section that mkdocstrings shows as code.
"""

import ast
import contextlib
import dataclasses
import doctest
import importlib
import inspect
import io
import pkgutil
import re
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
from lightning import LightningDataModule, LightningModule

import cv_attention
from cv_attention.blocks import CATALOGUE
from cv_attention.saliency import METHODS
from tests.quick import quick_only

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
WITHOUT_EXAMPLE = {
    "Prepared": "made by `prepare` alone, which shows it",
    "Comparison": "made by `compare` alone, which shows it",
    "Table": "part of a `Comparison`",
    "Row": "part of a `Comparison`",
}
SKIPPED = {
    "prepare": "opens the data set and loggers",
    "fit": "trains for minutes",
    "train": "trains for minutes",
    "evaluate": "needs a trained network",
    "load": "needs a trained network",
    "push": "uploads",
    "page": "needs Gradio",
    "write_folder": "needs a trained network",
    "open_pretrained": "downloads weights",
    "RayEngine": "needs the extra ray",
    "SlurmEngine": "needs SLURM",
}
WITHOUT_PAPER = {"block_maps", "random_map", "centre_bias"}  # of this package


def packages() -> Iterator[ModuleType]:
    yield cv_attention
    for found in pkgutil.walk_packages(cv_attention.__path__, "cv_attention."):
        if found.ispkg:
            module = importlib.import_module(found.name)
            if hasattr(module, "__all__"):
                yield module


def public() -> dict[str, type | Callable]:
    """Returns the exported classes and functions by name, each once, under the innermost package that exports it."""
    found = {}
    for package in packages():
        for name in package.__all__:
            value = getattr(package, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                found[id(value)] = (f"{package.__name__}.{name}", value)
    return dict(found.values())


SYMBOLS = public()


def sections(docstring: str) -> dict[str, str]:
    """Returns the text of each section by its name."""
    parts = re.split(r"^(Args|Attributes|Returns|Yields|Raises|Examples):$", inspect.cleandoc(docstring), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def lacking(names: Iterator[str] | list[str], section: str) -> list[str]:
    """Returns the names that no line of a section describes: ``    name: ...``."""
    return [name for name in names if not re.search(rf"^    \*{{0,2}}{name}: \S", section, flags=re.M)]


def parameters(function: Callable) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]


def is_ours(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "cv_attention"


def missing_in_function(function: Callable) -> Iterator[str]:
    found = sections(function.__doc__ or "")
    yield from (f"Args {name}" for name in lacking(parameters(function), found.get("Args", "")))
    returned = inspect.signature(function).return_annotation
    if returned not in (None, "None", inspect.Signature.empty) and not {"Returns", "Yields"} & found.keys():
        yield "Returns"


def missing_in_class(kind: type) -> Iterator[str]:
    found = sections(kind.__doc__ or "")
    described = found.get("Args", "") + found.get("Attributes", "")
    maker = next(base for base in kind.__mro__ if {"__init__", "__new__"} & vars(base).keys())
    names = parameters(kind) if is_ours(maker) else []
    names += [field.name for field in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []
    yield from (f"Args {name}" for name in lacking(list(dict.fromkeys(names)), described))
    for name, method in inspect.getmembers(kind):
        docstrings = [inspect.cleandoc(text) for base in kind.__mro__ for text in docstring_in(base, name)]
        ours = any(name in vars(base) for base in kind.__mro__ if is_ours(base))
        if name.startswith("_") or not ours or not (inspect.isroutine(method) or isinstance(method, property)):
            continue
        if not docstrings:
            yield f"{name}()"
        elif inspect.isroutine(method) and not is_hook(kind, name):
            unnamed = lacking(parameters(inspect.unwrap(method)), "\n".join(docstrings))
            yield from (f"{name}({each})" for each in unnamed if not any(f"`{each}`" in text for text in docstrings))


def docstring_in(base: type, name: str) -> Iterator[str]:
    text = getattr(vars(base).get(name), "__doc__", None) if is_ours(base) else None
    if isinstance(text, str):
        yield text


def is_hook(kind: type, name: str) -> bool:
    """Whether Lightning calls a method of a task or a data module, with arguments that it describes."""
    hooks = {LightningModule: dir(LightningModule), LightningDataModule: dir(LightningDataModule)}
    return any(issubclass(kind, base) and name in names for base, names in hooks.items())


def missing(name: str) -> list[str]:
    symbol, short = SYMBOLS[name], name.rpartition(".")[2]
    if not symbol.__doc__:
        return ["docstring"]
    found = list(missing_in_class(symbol) if inspect.isclass(symbol) else missing_in_function(symbol))
    exempt = inspect.isclass(symbol) and issubclass(symbol, BaseException) and "__init__" not in vars(symbol)
    if ">>> " not in sections(symbol.__doc__).get("Examples", "") and not exempt and short not in WITHOUT_EXAMPLE:
        found.append("Examples")
    return found


def test_docstrings_are_complete():
    incomplete = {name: found for name in SYMBOLS if (found := missing(name))}
    print(*(f"{name}: {', '.join(found)}" for name, found in sorted(incomplete.items())), sep="\n")
    assert len(SYMBOLS) > 200
    assert list(incomplete) == []


def test_packages_have_docstrings():
    assert [package.__name__ for package in packages() if not package.__doc__] == []


def test_the_reference_shows_every_package():
    """Some are shown by the package above them, which exports the same names."""
    pages = Path(__file__).parents[1].glob("docs/reference/*.md")
    shown = set(re.findall(r"^::: (\S+)$", "\n".join(page.read_text(encoding="utf-8") for page in pages), flags=re.M))
    names = {name.rpartition(".")[2] for package in packages() if package.__name__ in shown for name in package.__all__}
    absent = [p.__name__ for p in packages() if p.__name__ not in shown and not set(p.__all__) <= names]
    assert absent == ["cv_attention.cli"]  # which `--help` describes


def test_constants_are_described():
    exported = [(package, name) for package in packages() for name in package.__all__]
    constants = {
        name: package
        for package, name in exported
        if not isinstance(value := getattr(package, name), type | ModuleType) and not inspect.isfunction(value)
    }
    assert constants.keys() == {
        "BAG_SOURCES",
        "BlockSpec",
        "CATALOGUE",
        "COLOURS",
        "DIVERGING",
        "HEADS",
        "HeadSpec",
        "METHODS",
        "PALETTE",
        "PictureFormat",
        "SOURCES",
        "Scale",
        "TEXT_SOURCES",
        "TORCHVISION",
        "Transform",
    }
    assert [name for name, package in constants.items() if not is_described(package, name)] == []


def is_described(package: ModuleType, name: str) -> bool:
    """Whether a string follows the assignment of a constant in one of the package's modules."""
    for path in Path(package.__path__[0]).rglob("*.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for statement, following in pairwise(body):
            targets = getattr(statement, "targets", [getattr(statement, "target", None)])
            if any(getattr(target, "id", None) == name for target in targets):
                return isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
    return False


def test_blocks_name_their_paper():
    assert [name for name, entry in CATALOGUE.items() if entry.paper not in entry.cls.__doc__] == []


def test_saliency_methods_name_their_source():
    unnamed = {name for name, method in METHODS.items() if not re.search(r"https://|the library", method.__doc__)}
    assert unnamed == WITHOUT_PAPER


def test_few_examples_are_skipped():
    assert {name.rpartition(".")[2] for name in SYMBOLS if "+SKIP" in SYMBOLS[name].__doc__} == SKIPPED.keys()


def with_examples() -> dict[str, list[str]]:
    """Returns the modules whose source has examples, by subpackage."""
    found: dict[str, list[str]] = {}
    root = Path(cv_attention.__path__[0])
    for path in sorted(root.rglob("*.py")):
        if ">>> " in path.read_text(encoding="utf-8"):
            parts = path.relative_to(root.parent).with_suffix("").parts
            name = ".".join(parts).removesuffix(".__init__")
            found.setdefault(".".join(parts[:2]).removesuffix(".__init__"), []).append(name)
    return found


def examples_in(module: ModuleType) -> Iterator[doctest.DocTest]:
    """Yields the examples of a module, its functions and classes. They see no names but their own: they stand alone."""
    finder, own = doctest.DocTestFinder(), {"__name__": "__main__"}
    yield doctest.DocTestParser().get_doctest(module.__doc__ or "", dict(own), "module", module.__file__, 0)
    for name, value in list(vars(module).items()):  # some modules import as they run
        if getattr(value, "__module__", None) == module.__name__ and callable(value):
            yield from finder.find(value, name, module=False, globs=dict(own))


MODULES = with_examples()
SLOW = ("saliency", "backbones", "heads", "report", "blocks", "figures")  # seconds each


@pytest.mark.parametrize(
    "package", quick_only([name for name in MODULES if name.rpartition(".")[2] not in SLOW], MODULES)
)
def test_examples_run(package, tmp_path, monkeypatch):
    failures = []
    for module in MODULES[package]:
        for test in examples_in(importlib.import_module(module)):
            folder = tmp_path / f"{module}.{test.name}"
            folder.mkdir()
            monkeypatch.chdir(folder)
            said = io.StringIO()
            with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
                result = doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=said.write)
            if result.failed:
                failures.append(said.getvalue())
    assert not failures, "\n".join(failures)
