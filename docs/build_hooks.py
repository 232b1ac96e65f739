"""What `make docs` adds to the pages as they stand in the repository.

- Pages made from files elsewhere in the repository (`FROM_REPOSITORY`); links to those files from
  the pages beside this one lead to them.
- The command reference, from typer (`command_reference.py`).
- The API of the package `allaprima`, where there is one.
- Formulas, written as GitHub takes them ($`...`$ and blocks of `math`), become MathML.
"""

import re
import sys
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent

FROM_REPOSITORY = {
    "models/bundled/README.md": "bundled-model.md",
    "models/training/README.md": "training-stages.md",
    "CHANGELOG.md": "changelog.md",
}
"""File of the repository -> the page that it becomes."""

COMMANDS = "<!-- command reference -->"
DOOR = "<!-- package allaprima -->"

LINK_TO_DOCS = re.compile(r"\]\((?:\.\./)*docs/")
"""How files elsewhere in the repository lead to the pages beside this one."""

FENCED_MATH = re.compile(r"^```math\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE_MATH = re.compile(r"\$`([^`]+)`\$")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from files of the repository."""
    for source, page in FROM_REPOSITORY.items():
        text = LINK_TO_DOCS.sub("](", (ROOT / source).read_text(encoding="utf-8"))
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Fill the marked places, turn links and formulas into what a site can show."""
    for source, target in FROM_REPOSITORY.items():
        markdown = markdown.replace(f"](../{source}", f"]({target}")
    markdown = markdown.replace(COMMANDS, command_reference() if COMMANDS in markdown else "")
    markdown = markdown.replace(DOOR, door_of_package())
    markdown = FENCED_MATH.sub(lambda found: f"\n{mathml(found[1], 'block')}\n", markdown)
    return INLINE_MATH.sub(lambda found: f"<span>{mathml(found[1], 'inline')}</span>", markdown)


def command_reference() -> str:
    """The options of every command, as Markdown."""
    if str(DOCS) not in sys.path:
        sys.path[:0] = [str(ROOT), str(DOCS)]
    from command_reference import reference

    return reference()


def door_of_package() -> str:
    """mkdocstrings' directive for the package `allaprima`, or "" where there is none."""
    there = (ROOT / "allaprima.py").exists() or (ROOT / "allaprima" / "__init__.py").exists()
    heading = "## NumPy frames: `allaprima`"
    directive = "::: allaprima\n    options: {show_root_heading: false, heading_level: 3}"
    return f"{heading}\n\n{directive}\n" if there else ""


def mathml(latex: str, display: str) -> str:
    """A formula in the markup that browsers draw by themselves."""
    try:
        made = convert(latex.strip(), display=display)
    except Exception as err:
        raise PluginError(f"The formula {latex!r} cannot be read ({err}).") from err
    return made.replace("\n", "")
