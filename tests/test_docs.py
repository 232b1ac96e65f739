"""The documentation holds what it says: links lead somewhere, command lines parse, names exist."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

import models
import stream
from models import PRESETS
from stream.command.main import app
from stream.live.styles_file import read_styles

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = sorted(DOCS.glob("*.md"))
CARDS = (ROOT / "models/bundled/README.md", ROOT / "models/training/README.md")
WRITTEN = [*sorted(ROOT.glob("*.md")), *PAGES, *CARDS]
LONGEST_README = 150
MOST_HERO_BYTES = 1_000_000

LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PATH = re.compile(
    r"`((?:stream|models|tests|benchmarks|examples|docs)/[\w/.-]+\.(?:py|md|svg|safetensors))`"
)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def command_lines() -> list[tuple[str, list[str]]]:
    """Every line of a shell block that calls `allaprima`, as (page, words)."""
    found = []
    for path in WRITTEN:
        for _, block in FENCE.findall(text(path)):
            for line in block.replace("\\\n", " ").splitlines():
                line = line.removeprefix("$ ").removeprefix(".venv/bin/")
                if line.startswith("allaprima ") and "[OPTIONS]" not in line:
                    line = line.split(" > ")[0].removesuffix(" &")  # what the shell takes itself
                    words = shlex.split(line, comments=True)
                    found.append((name(path), words[1:]))
    return found


def test_the_readme_can_be_read_in_ten_minutes() -> None:
    assert len(text(README).splitlines()) <= LONGEST_README


def test_the_moving_picture_is_small() -> None:
    assert 50_000 < (DOCS / "hero.webp").stat().st_size < MOST_HERO_BYTES


@pytest.mark.parametrize("path", WRITTEN, ids=name)
def test_every_relative_link_leads_to_a_file(path: Path) -> None:
    targets = [target for target in LINK.findall(text(path)) if "://" not in target]
    wrong = [
        target
        for target in targets
        if not target.startswith("#") and not (path.parent / target.partition("#")[0]).exists()
    ]
    assert not wrong


@pytest.mark.parametrize("path", WRITTEN, ids=name)
def test_every_file_of_the_repository_that_is_named_exists(path: Path) -> None:
    assert not [told for told in PATH.findall(text(path)) if not (ROOT / told).exists()]


def test_every_command_line_parses() -> None:
    group: Any = typer.main.get_command(app)
    lines = command_lines()
    assert len(lines) > 30
    for page, (command, *words) in lines:
        if command.startswith("--"):
            assert command in {"--help", "--version"}, page
        elif "--help" in words:
            assert command in group.commands, page
        else:
            try:
                group.commands[command].make_context(command, words)
            except Exception as err:
                pytest.fail(f"{page}: allaprima {command} {shlex.join(words)}: {err}")


def test_the_map_of_the_code_has_every_room() -> None:
    table = text(README).partition("## Map of the code")[2].partition("\n\n`command`")[0]
    told = {room.rstrip("/") for room in re.findall(r"`((?:stream|models)/[\w/]*)`", table)}
    rooms = {name(path.parent) for path in ROOT.glob("stream/*/__init__.py")}
    rooms |= {name(path.parent) for path in ROOT.glob("models/*/__init__.py")}
    assert told == rooms | {"stream", "models", "models/bundled"}


def test_the_models_are_those_of_the_program() -> None:
    rows = re.findall(
        r"^\| `([\w-]+)` \| (\d+) \| ([\d.]+) GB \| (.+?) \| (.+) \|$",
        text(DOCS / "models.md"),
        re.MULTILINE,
    )
    free = {True: "yes", False: "**no**", None: "see its card"}
    assert rows == [
        (one.name, str(one.native_size), f"{one.vram_gb:g}", free[one.commercial_use], one.licence)
        for one in PRESETS.values()
    ]


def test_the_readme_names_every_model() -> None:
    table = text(README).partition("| `--model` |")[2].partition("\n\n")[0]
    told: set[str] = set()
    for cell in re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE):
        first, *rest = re.findall(r"`([\w-]+)`", cell)
        told |= {first, *(first + one if one.startswith("-") else one for one in rest)}
    assert told == set(PRESETS)


def test_the_readme_warns_of_models_that_are_not_free_for_business() -> None:
    rows = [row for row in text(README).splitlines() if "not free for business" in row]
    barred = [one.name for one in PRESETS.values() if one.commercial_use is False]
    assert barred and all(f"`{one}`" in "".join(rows) for one in barred)


@pytest.mark.parametrize("package", [models, stream], ids=lambda package: package.__name__)
def test_the_api_page_has_every_public_name(package: Any) -> None:
    told = re.findall(rf"^::: {package.__name__}\.(\w+)$", text(DOCS / "api.md"), re.MULTILINE)
    assert sorted(told) == sorted(package.__all__)


def test_the_site_has_every_page() -> None:
    settings = text(ROOT / "mkdocs.yml")
    told = set(re.findall(r"^ +- [^:]+: ([\w-]+\.md)$", settings, re.MULTILINE))
    made = set(re.findall(r'": "([\w-]+\.md)"', text(DOCS / "build_hooks.py")))
    assert told == {path.name for path in PAGES} | made


def test_the_command_reference_has_every_option() -> None:
    script = DOCS / "command_reference.py"
    run = [sys.executable, str(script)]
    page = subprocess.run(run, cwd=ROOT, check=True, capture_output=True, text=True, timeout=600)
    group: Any = typer.main.get_command(app)
    for command_name, command in group.commands.items():
        section = page.stdout.partition(f"## allaprima {command_name}\n")[2].partition("\n## ")[0]
        for option in command.params:
            assert option.param_type_name == "argument" or f"`{option.opts[-1]}`" in section


def test_the_list_of_styles_that_is_shown_can_be_read(tmp_path: Path) -> None:
    (block,) = [told for kind, told in FENCE.findall(text(DOCS / "live.md")) if kind == "toml"]
    assert tomllib.loads(block)
    path = tmp_path / "styles.toml"
    path.write_text(block, encoding="utf-8")
    assert [one.name for one in read_styles(path, models.Style())] == ["night", "ukiyo-e"]


def test_no_page_names_the_machine_it_was_written_on() -> None:
    wrong = re.compile(r"/(home|work|root|Users|tmp)/\w")
    assert not [name(path) for path in WRITTEN if wrong.search(text(path))]
