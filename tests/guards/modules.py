"""Which first-party modules import which, read from the source without running it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("vigil", "stages", "labeling_ui")
REGISTRY = "vigil.models"  # reaches its members by name, not by import


@cache
def sources() -> dict[str, Path]:
    """Return every first-party module's file by dotted name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def _names(module: str, path: Path, *, inside_functions: bool) -> frozenset[str]:
    """Return the dotted names that a module imports; type-checking blocks do not count."""
    tree = ast.parse(path.read_text("utf-8"))
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not inside_functions:
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                anchor = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*anchor, base] if base else anchor)
            found.add(base)
            found.update(f"{base}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree)
    return frozenset(found)


def third_party(module: str, *, inside_functions: bool = True) -> set[str]:
    """Return the top-level names of what `module` imports from outside the project."""
    names = _names(module, sources()[module], inside_functions=inside_functions)
    return {name.split(".")[0] for name in names} - set(PACKAGES) - {""}


@cache
def imports(module: str) -> frozenset[str]:
    """Return the first-party modules that `module` imports anywhere, packages on the way too."""
    names = _names(module, sources()[module], inside_functions=True)
    known = {name for name in names if name in sources()}
    for name in list(known):
        parts = name.split(".")
        known |= {".".join(parts[:count]) for count in range(1, len(parts))}
    return frozenset((known & set(sources())) - {module})


def reached(module: str) -> set[str]:
    """Return every first-party module that running `module` may load, itself included."""
    seen: set[str] = set()
    queue = [module]
    while queue:
        name = queue.pop()
        if name not in seen:
            seen.add(name)
            queue.extend(imports(name))
            if name == REGISTRY:
                queue.extend(other for other in sources() if other.startswith(f"{REGISTRY}."))
    return seen
