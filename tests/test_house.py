"""Rules that a machine can hold: who starts threads, who prints, how long files and functions are.

Who imports whom is in the contracts of pyproject.toml, which `make lint` checks.
"""

import ast
import importlib
import re
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = sorted(p for d in ("allaprima", "models", "stream") for p in ROOT.glob(f"{d}/**/*.py"))
EVERYTHING = sorted(
    [*LIBRARY, *(p for d in ("tests", "examples", "benchmarks") for p in ROOT.glob(f"{d}/**/*.py"))]
)
PRINTING = {
    f"stream/command/{name}.py" for name in ("main", "messages", "listing", "progress", "report")
}
COMPILER = "models/acceleration/cuda/compile_process.py"
"""A program of its own, which ends with the one that started it."""
JOB = "stream/studio/job_process.py"
"""Likewise."""
THREADS = {
    "Thread", "Timer", "ThreadPool", "ThreadPoolExecutor", "ThreadingMixIn", "ThreadingHTTPServer",
    "ThreadingTCPServer", "ThreadingUDPServer", "start_new_thread", "to_thread", "run_in_executor",
    "start_http_server",
}  # fmt: skip
LONGEST_FILE = 400
LONGEST_FUNCTION = 60
LONGEST_EXAMPLE = 50


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@cache
def calls(path: Path) -> tuple[str, ...]:
    """The dotted text of everything that the file calls."""
    found = (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call))
    return tuple(ast.unparse(node.func) for node in found)


def test_no_module_is_in_an_import_circle() -> None:
    """At the top of a file or within a function."""
    graph = grimp.build_graph("stream", "models", cache_dir=None)
    imported = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    TopologicalSorter(imported).prepare()  # raises CycleError, which names the modules


def starts_threads(node: ast.AST) -> bool:
    """Whether it is a call that makes a thread, or a class which is one."""
    if isinstance(node, ast.ClassDef):
        names = [ast.unparse(base) for base in node.bases]
    else:
        names = [ast.unparse(node.func)] if isinstance(node, ast.Call) else []
    return any(name.split(".")[-1] in THREADS for name in names)


@pytest.mark.parametrize("package", ["models", "stream"])
def test_a_door_shows_type_checkers_what_it_gives(package: str) -> None:
    """The names that are imported for type checkers alone are those of the lazy table."""
    door = importlib.import_module(package)
    shown = {
        (node.module, alias.name)
        for node in ast.walk(tree(ROOT / package / "__init__.py"))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{package}.")
        for alias in node.names
    }
    assert shown == {(module, name) for name, module in door._HOMES.items()}
    assert all(hasattr(door, name) for name in door.__all__)


def test_one_file_of_stream_and_the_compiler_start_threads() -> None:
    starting = {
        name(path)
        for path in LIBRARY
        for node in ast.walk(tree(path))
        if starts_threads(node) and not name(path).startswith("models/training/")
    }
    assert starting == {"stream/workers.py", "models/acceleration/cuda/compiling.py", COMPILER}


def test_library_code_never_prints_or_exits() -> None:
    wrong = [
        f"{name(path)}: {call}"
        for path in LIBRARY
        for call in calls(path)
        if call in {"print", "exit", "quit", "sys.exit", "os._exit", "traceback.print_exc"}
        and name(path) not in PRINTING
        and (call, name(path)) not in {("os._exit", program) for program in (COMPILER, JOB)}
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
    frames side by side to the picture; by the reader of a source to whoever takes its frames; by an
    output into another program, and a store's library, which raise what they like."""
    found = [
        name(path)
        for path in LIBRARY
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler) and broad(node)
    ]
    assert set(found) <= {
        "models/acceleration/cpu/side_by_side.py",
        "stream/live/session.py",
        "stream/offline/remote.py",
        "stream/sinks/other_program.py",
        "stream/sources/steady.py",
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
