"""Bundles the page's modules into one script and its style sheets into one: a page from ``file://`` may not import.

Modules may use the statements in `_READ` alone and anything else is an error, so that the script does what they do.
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_NAME = r"[A-Za-z_$][\w$]*"
_IMPORT = re.compile(rf'^import \{{\s*({_NAME}(?:,\s*{_NAME})*),?\s*\}} from "(\.[^"\n]*)";$', re.MULTILINE)
_EXPORT = re.compile(rf"^export (?=(?:async function|function|const) ({_NAME}))", re.MULTILINE)
# Matches lines that are left without what the two above read: statements, dynamic imports, awaits outside of functions.
_UNREAD = re.compile(
    r"\s*(?:import|export)\b(?=[\s{*\"'])|(?!\s*//).*\bimport\s*[.(]|(?![\s/])(?!.*\basync\b).*\bawait\b"
)
_READ = 'import { a, b } from "./file.js"; and export before a function or const, each at the start of a line'
_SHEET = re.compile(r'^@import "([^"\n]+)";$', re.MULTILINE)


@dataclass(frozen=True)
class Module:
    """One file of the page.

    Attributes:
        imports: Path of each file that it imports, below the page's folder -> the imported names.
        exports: Names that it exports. They are never assigned again, so importers may copy them.
        body: Its text without these statements.
    """

    imports: dict[str, list[str]]
    exports: list[str]
    body: str


def read_modules(root: Path, entry: str = "main.js") -> dict[str, Module]:
    """Reads a module and all that it imports.

    Args:
        root: The page's folder.
        entry: Path below `root` of the module to start from.

    Returns:
        Path below `root` -> module; each one after those that it imports, as browsers run them.

    Raises:
        ValueError: if a file or a name is imported that does not exist, modules import each other in a circle, or a
            module has other imports or exports than of names.
    """
    done: dict[str, Module] = {}
    _visit(root, entry, [], done)
    return done


def _visit(root: Path, path: str, importers: list[str], done: dict[str, Module]) -> None:
    if path in importers:
        raise ValueError(f"modules import each other: {' -> '.join([*importers[importers.index(path) :], path])}")
    if path in done:
        return
    if path.startswith("..") or not (root / path).is_file():
        raise ValueError(f"{path} does not exist" + (f", imported by {importers[-1]}" if importers else ""))
    module = _parse(path, (root / path).read_text(encoding="utf-8"))
    for other, names in module.imports.items():
        _visit(root, other, [*importers, path], done)
        for name in names:
            if name not in done[other].exports:
                raise ValueError(f"{other} does not export {name}, imported by {path}")
    done[path] = module


def _parse(path: str, text: str) -> Module:
    imports: dict[str, list[str]] = {}
    for names, target in _IMPORT.findall(text):
        file = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        imports.setdefault(file, []).extend(re.findall(_NAME, names))
    exports = _EXPORT.findall(text)
    body = _EXPORT.sub("", _IMPORT.sub("", text))
    for line in body.splitlines():
        if ("import" in line or "export" in line or "await" in line) and _UNREAD.match(line):
            raise ValueError(f"{path}: cannot bundle '{line.strip()}'; modules may use {_READ}")
    return Module(imports, exports, body.strip())


def bundle_script(root: Path, entry: str = "main.js") -> str:
    """Writes a module and all that it imports as one script.

    Each module becomes a function, called once, whose names the others see only if they import them.

    Args:
        root: The page's folder.
        entry: Path below `root` of the module to start from.

    Returns:
        The script.

    Raises:
        ValueError: as by `read_modules`.
    """
    modules = read_modules(root, entry)
    variables = {path: f"$module{number}" for number, path in enumerate(modules)}
    parts = []
    for path, module in modules.items():
        imported = [f"const {{ {', '.join(names)} }} = {variables[of]};" for of, names in module.imports.items()]
        exported = f"return {{ {', '.join(module.exports)} }};"
        lines = [f"// {path}", f"const {variables[path]} = (() => {{", *imported, module.body, exported, "})();"]
        parts.append("\n".join(lines))
    return '(() => {\n"use strict";\n' + "\n".join(parts) + "\n})();\n"


def bundle_styles(root: Path, entry: str = "styles/main.css") -> str:
    """Returns a style sheet with the text of the sheets that it imports in their place; these import none.

    Raises:
        ValueError: if an imported sheet does not exist, or imports another one.
    """
    return "\n".join(_sheets(root / entry))


def _sheets(main: Path) -> Iterator[str]:
    for name in _SHEET.findall(main.read_text(encoding="utf-8")):
        path = main.parent / name
        if not path.is_file():
            raise ValueError(f"{name} does not exist, imported by {main.name}")
        text = path.read_text(encoding="utf-8")
        if "@import" in text:
            raise ValueError(f"{name}: only {main.name} may import")
        yield text
