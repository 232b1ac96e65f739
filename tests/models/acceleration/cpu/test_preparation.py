"""What another size would wait for is made beside: its first picture waits no longer."""

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from miniature import save_bundled_like

from models import Engine, load_engine, size_preparation
from models.acceleration.cpu.openvino import OpenVinoCall
from models.acceleration.cpu.openvino_planes import OpenVinoPlanes

pytest.importorskip("openvino")

SIZE, OTHER = (64, 32), (96, 64)
LIMIT_S = 120


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    threads = torch.get_num_threads()
    folder = save_bundled_like(tmp_path_factory.mktemp("sizes") / "model")
    engine = load_engine(folder, device="cpu", acceleration="openvino")
    torch.set_num_threads(threads)
    engine.warm_up(SIZE, cell_px=engine.cell_sizes[-1])
    return engine


def paint(engine: Engine, size: tuple[int, int]) -> None:
    engine.warm_up(size, cell_px=engine.cell_sizes[-1])


def test_a_picture_of_a_prepared_size_compiles_nothing(engine: Engine, monkeypatch: Any) -> None:
    step = size_preparation(engine, OTHER, engine.cell_sizes[-1])
    assert step is not None
    thread = threading.Thread(target=step)
    thread.start()
    paint(engine, SIZE)  # meanwhile
    thread.join(LIMIT_S)
    assert size_preparation(engine, OTHER, engine.cell_sizes[-1]) is None
    monkeypatch.setattr(OpenVinoCall, "_compile", lambda self, shapes: pytest.fail(str(shapes)))
    paint(engine, OTHER)
    paint(engine, SIZE)


def test_a_size_that_was_painted_at_needs_no_preparation(engine: Engine) -> None:
    assert size_preparation(engine, SIZE, engine.cell_sizes[-1]) is None


def test_the_marks_of_a_style_are_made_beside_as_well(monkeypatch: Any) -> None:
    planes = OpenVinoPlanes(1, pytest.fail)
    kinds, image = ("hatching",), (1, 3, SIZE[1], SIZE[0])
    step = planes.preparation(kinds, image)
    assert step is not None
    thread = threading.Thread(target=step)
    thread.start()
    thread.join(LIMIT_S)
    assert planes.preparation(kinds, image) is None
    assert planes.preparation((), image) is not None
    monkeypatch.setattr(OpenVinoCall, "_compile", lambda self, shapes: pytest.fail(str(shapes)))
    plane = torch.zeros(1, 1, SIZE[1] // 2, SIZE[0] // 2)
    planes(kinds)(torch.zeros(image), plane, torch.ones(1, 1))


def test_a_plain_engine_has_nothing_to_prepare(tmp_path: Path) -> None:
    folder = save_bundled_like(tmp_path / "model")
    plain = load_engine(folder, device="cpu", acceleration="off")
    assert size_preparation(plain, OTHER) is None


def test_a_size_that_cannot_be_is_refused(engine: Engine) -> None:
    with pytest.raises(ValueError, match="multiples"):
        size_preparation(engine, (30, 30))
