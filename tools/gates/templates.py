"""Templates escape all they show, ask no questions of a database, and keep to the strict content security policy."""

import ast
import re
from collections.abc import Iterator, Sequence

from tools.gates.names import find_uses
from tools.gates.places import is_shipped
from tools.gates.source import Finding, Source

_RULES = (
    (re.compile(r"<[^<>]*\sstyle\s*=", re.IGNORECASE), "inline style: the policy blocks it, use a class"),
    (re.compile(r"<[a-z][^<>]*\son[a-z]+\s*=", re.IGNORECASE), "inline handler: the policy blocks it, use app.js"),
    (re.compile(r"\shx-on[:-]|\shx-va(ls|rs)\s*=\s*[\"']js:"), "evaluated attribute: the policy blocks it, use app.js"),
    (re.compile(r"<style\b", re.IGNORECASE), "inline stylesheet: the policy blocks it, use switchboard.css"),
    (
        re.compile(r"<script\b(?![^<>]*\ssrc\s*=)(?![^<>]*\stype=\"application/json\")", re.IGNORECASE),
        "inline script: the policy blocks it, use app.js",
    ),
    (re.compile(r"\bjavascript:", re.IGNORECASE), "javascript: address: the policy blocks it"),
    (re.compile(r"\|\s*safe\b"), "shows text unescaped"),
    (re.compile(r"\{%-?\s*autoescape\s+false"), "switches escaping off"),
    (
        re.compile(r"\{[{%][^}]*\b(execute|fetch_?(one|all|many)?|query)\s*\("),
        "query in a template: fetch it in pages.py",
    ),
)
_ENVIRONMENTS = {"jinja2.Environment", "jinja2.environment.Environment", "jinja2.sandbox.SandboxedEnvironment"}
_MARKUP = {"markupsafe.Markup", "jinja2.Markup", "jinja2.utils.Markup"}


def check(tree: Sequence[Source]) -> Iterator[Finding]:
    for source in tree:
        if source.is_template:
            yield from _check_template(source)
        elif source.is_python and is_shipped(source):
            yield from _check_module(source)


def _check_template(source: Source) -> Iterator[Finding]:
    """The whole text at once, because a tag may go over several lines."""
    if source.path.suffix not in {".html", ".xml"}:
        yield source.find(1, "named so that Jinja does not escape in it: call it .html or .xml")
    for pattern, message in _RULES:
        for match in pattern.finditer(source.text):
            yield source.find(source.text.count("\n", 0, match.end()) + 1, message)


def _check_module(source: Source) -> Iterator[Finding]:
    for use in find_uses(source):
        if use.is_call and use.full_name in _MARKUP:
            yield source.find(use.line, "Markup shows text unescaped")
    environments = {use.line for use in find_uses(source) if use.is_call and use.full_name in _ENVIRONMENTS}
    for node in source.nodes:
        if isinstance(node, ast.Call) and node.func.lineno in environments and not _escapes(node):
            yield source.find(node.lineno, "Jinja environment without autoescape")
            environments.discard(node.func.lineno)


def _escapes(call: ast.Call) -> bool:
    for keyword in call.keywords:
        if keyword.arg == "autoescape":
            return not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
    return False
