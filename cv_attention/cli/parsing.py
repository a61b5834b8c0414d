"""Parses YAML files and dotted options into an `Experiment`, and explains mistakes."""

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from cv_attention.cli import class_paths
from cv_attention.cli.errors import UserError, one_line
from cv_attention.cli.shortcuts import SECTIONS, meant
from cv_attention.config import Experiment
from cv_attention.suggest import suggest
from cv_attention.yaml_text import check_yaml_file, check_yaml_text

_SECTIONS = [field.name for field in fields(Experiment) if is_dataclass(field.type)]
_PARTS = ("data.subset", "data.digits", "data.strings", "data.text", "data.episodes", "optimizer.lr_scale")
_FROM_FILES = ["--config", *(f"--{name}" for name in (*_SECTIONS, *_PARTS))]


def experiment_parser(prog: str) -> ArgumentParser:
    """Returns a parser of ``--config FILE`` and every field of `Experiment` as a dotted option."""
    parser = ArgumentParser(prog=prog, exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--config", action="config", help="A YAML file; options change its values.")
    parser.add_class_arguments(Experiment, nested_key=None)
    return parser


def parse(parser: ArgumentParser, arguments: Sequence[str]) -> Namespace:
    """Parses `arguments`.

    Raises:
        UserError: with the mistake and the closest match or the accepted values, in one line.
    """
    _check_yaml(arguments)
    parser.parser_mode = class_paths.MODE
    try:
        return parser.parse_args(_configs_first(arguments))
    except argparse.ArgumentError as error:
        raise UserError(_explain(one_line(error), parser)) from error
    except (ValueError, TypeError, OSError, RecursionError) as error:  # a number of 5,000 digits, a name with a nul
        raise UserError(f"the options cannot be read: {one_line(error)}") from error


def _configs_first(arguments: Sequence[str]) -> list[str]:
    """Moves ``--config`` with its files in front of the options, whose values it would replace without a word."""
    configs, others = list[str](), list[str]()
    waiting = iter(arguments)
    for each in waiting:
        if each == "--config":
            configs += [each, *(value for value in [next(waiting, None)] if value is not None)]
        else:
            (configs if each.startswith("--config=") else others).append(each)
    return [*configs, *others]


def to_experiment(parser: ArgumentParser, namespace: Namespace) -> Experiment:
    """Builds the typed tree from what `parser` returned."""
    values = parser.instantiate(namespace)
    return class_paths.restored(Experiment(**{field.name: values[field.name] for field in fields(Experiment)}))


def read_experiment(path: Path) -> Experiment:
    """Reads the resolved configuration of a run.

    Raises:
        UserError: if the file is missing or is not a configuration.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist; a run directory holds a config.yaml")
    parser = experiment_parser("config")
    try:
        return to_experiment(parser, parse(parser, ["--config", str(path)]))
    except UserError as error:
        raise UserError(str(error) if str(path) in str(error) else f"{path}: {error}") from error


def _check_yaml(arguments: Sequence[str]) -> None:
    """Checks the configurations named in `arguments`, and the values that could hold YAML aliases."""
    try:
        for name, value in zip(["", *arguments], [*arguments, ""], strict=True):
            option, equals, text = (name if name.startswith("--") else "").partition("=")
            text = text if equals else value
            if option in _FROM_FILES and text and os.path.exists(text):
                check_yaml_file(Path(text), _SECTIONS if option == "--config" else ())
            elif option and any(sign in text for sign in "{[&"):
                check_yaml_text(text, option, strict=False)
    except ValueError as error:
        raise UserError(one_line(error)) from error


# Patterns of jsonargparse's messages, with the wording to use instead; the groups are the wrong key of a file.
_WRONG_KEYS = (
    r"Option '([\w.-]+)' is not accepted",
    r"Group '([\w.-]+)' does not accept option '([\w.-]+)'",
)
_REWORDED = (
    (r'^Parser key "([\w.]+)":? *', r"\1: "),
    (r"Expected a typing\.Literal\[(.*?)\]", r"expected one of \1"),
    (r"Expected a <class '(\w+)'>", r"expected \1"),
    (
        r"Does not validate against any of the Union subtypes Subtypes: \[(.*?)\] Errors:.*Given value: (.*)$",
        r"expected one of \1, got \2",
    ),
    (r"<class '(\w+)'>", r"\1"),
    (r"\bNoneType\b", "null"),
    (r"^Problems parsing config:", "the configuration is not valid YAML:"),
)


def _explain(message: str, parser: ArgumentParser) -> str:
    """Rewords a jsonargparse message for newcomers and adds the closest match."""
    if match := re.search(r"unrecognized arguments: (.*)", message):
        wrong = re.findall(r"(?:^|\s)(-[a-zA-Z](?=\d)|-+[a-zA-Z][\w.-]*|[\w.-]+(?==))", match[1])
        if wrong:
            return "; ".join(f"unknown option {name}{_hint(name, parser)}" for name in wrong)
    for pattern in _WRONG_KEYS:
        if match := re.search(pattern, message):
            wrong_key = ".".join(match.groups())
            return f"unknown option {wrong_key}{_hint(wrong_key, parser, dashes='')}"
    if (match := re.search(r'^Parser key "(\w+)": Unable to load config \'(.*?)\'', message)) and match[1] in SECTIONS:
        return f"{match[1]} is a section of options, got {match[2]}; did you mean '{SECTIONS[match[1]]}'?"
    if match := re.search(r"\bconfig\W+File does not exist: '(.*)'", message):
        return _missing(Path(match[1]))
    if match := re.search(r"the following arguments are required: (.*)", message):
        return _needed(match[1].split(", "), parser)
    for pattern, words in _REWORDED:
        message = re.sub(pattern, words, message)
    return message


def _hint(wrong: str, parser: ArgumentParser, dashes: str = "--") -> str:
    """Suggests the option that `wrong` stands for, or close matches; options in a file have no dashes."""
    names = [string for action in parser._actions for string in action.option_strings if string.startswith("--")]
    known = {name.removeprefix("--"): None for name in names}
    if (exact := wrong.lstrip("-").replace("-", "_")) in known:  # --batch-size, or ---out
        return suggest(wrong, [dashes + exact], cutoff=0.0)
    if options := meant(wrong, known):
        return f"; use {' or '.join(dashes + option for option in options)}"
    return suggest(wrong if wrong.startswith("-") else dashes + wrong, [dashes + name for name in known])


def _missing(file: Path) -> str:
    """Words the error for a missing configuration, with close matches from its folder and from ``configs/``."""
    there = {str(path) for folder in (file.parent, Path("configs").absolute()) for path in folder.glob("*.y*ml")}
    near = {os.path.relpath(path) for path in there}
    return f"config: file not found: {os.path.relpath(file)}{suggest(os.path.relpath(file), sorted(near))}"


def _needed(names: Sequence[str], parser: ArgumentParser) -> str:
    """Words the error for missing required arguments, with the help text of each."""
    actions = {action.dest: action for action in parser._actions}
    missing = [
        f"{' '.join(actions[n].option_strings) or n.upper()} ({str(actions[n].help).rstrip('.')})" for n in names
    ]
    return f"missing: {', '.join(missing)}; {parser.prog} --help shows all options"
