"""The rules that a machine can hold: who imports whom, who prints, how long things get."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = sorted([*ROOT.glob("models/**/*.py"), *ROOT.glob("stream/**/*.py")])
EVERYTHING = sorted(
    [*LIBRARY, *(p for d in ("tests", "examples", "benchmarks") for p in ROOT.glob(f"{d}/**/*.py"))]
)
PRINTING = {
    f"stream/command/{name}.py" for name in ("main", "messages", "listing", "progress", "report")
}
COMPILER = "models/acceleration/cuda/compile_process.py"
"""A program of its own, which ends with the one that started it."""
STARTING_THREADS = {"stream/workers.py", "models/acceleration/cuda/compiling.py", COMPILER}
LONGEST_FILE = 400
LONGEST_FUNCTION = 60
LONGEST_EXAMPLE = 50


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(path: Path) -> Iterator[str]:
    """Every absolute module name that the file imports, at any depth."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def calls(path: Path) -> Iterator[str]:
    """The dotted text of everything that the file calls."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def test_models_never_imports_stream() -> None:
    wrong = [
        f"{name(path)}: {module}"
        for path in ROOT.glob("models/**/*.py")
        for module in imports(path)
        if module.split(".")[0] == "stream"
    ]
    assert not wrong


def test_stream_enters_models_by_the_front_door() -> None:
    wrong = [
        f"{name(path)}: {module}"
        for path in ROOT.glob("stream/**/*.py")
        for module in imports(path)
        if module.startswith("models.")
    ]
    assert not wrong


def test_only_the_session_and_the_compiler_start_threads() -> None:
    wrong = [
        f"{name(path)}: {call}"
        for path in LIBRARY
        for call in calls(path)
        if call.split(".")[-1] in {"Thread", "ThreadPoolExecutor", "Timer"}
        and name(path) not in STARTING_THREADS
        and not name(path).startswith("models/training/")
    ]
    assert not wrong


def test_library_code_never_prints_or_exits() -> None:
    wrong = [
        f"{name(path)}: {call}"
        for path in LIBRARY
        for call in calls(path)
        if call in {"print", "exit", "quit", "sys.exit", "os._exit", "traceback.print_exc"}
        and name(path) not in PRINTING
        and (call, name(path)) != ("os._exit", COMPILER)
        and not name(path).startswith("models/training/")
    ]
    assert not wrong


def test_time_is_read_from_the_monotonic_clock_and_only_the_clock_sleeps() -> None:
    wrong = [
        f"{name(path)}: {call}"
        for path in LIBRARY
        for call in calls(path)
        if call == "time.time" or (call == "time.sleep" and name(path) != "stream/clock.py")
    ]
    assert not wrong


def broad(handler: ast.ExceptHandler) -> bool:
    names = ast.unparse(handler.type) if handler.type else "BaseException"
    return bool(re.search(r"\b(Base)?Exception\b", names))


def test_broad_except_lives_only_where_the_error_is_carried_on() -> None:
    """By the worker to its caller; by the live session, once the output that failed is closed; by
    the relay to the picture."""
    found = [
        name(path)
        for path in LIBRARY
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler) and broad(node)
    ]
    assert len(found) == len(set(found))
    assert set(found) <= {
        "models/acceleration/cpu/side_by_side.py",
        "stream/live/session.py",
        "stream/workers.py",
    }


@pytest.mark.parametrize("path", EVERYTHING, ids=name)
def test_files_and_functions_stay_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    limit = LONGEST_EXAMPLE if path.parent.name == "examples" else LONGEST_FILE
    assert lines <= limit, f"{lines} lines, at most {limit}"
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= LONGEST_FUNCTION, f"{node.name}: {length} lines"


@pytest.mark.parametrize("path", LIBRARY, ids=name)
def test_every_module_says_what_it_is(path: Path) -> None:
    source = tree(path)
    assert not source.body or ast.get_docstring(source)


def test_no_file_names_the_machine_it_was_written_on() -> None:
    wrong = [
        name(path)
        for path in [*EVERYTHING, *ROOT.glob("*.md"), *ROOT.glob("examples/**/*.md")]
        if path != Path(__file__)
        and re.search(r"/(home|work|root|Users)/\w", path.read_text("utf-8"))
    ]
    assert not wrong
