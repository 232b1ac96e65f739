"""Field planes on OpenVINO: their traces are kept, whole or made again."""

from pathlib import Path

import pytest
import torch

from models.fields import CarriedFields

pytest.importorskip("openvino")

from models.acceleration.cpu import openvino
from models.acceleration.cpu.openvino_planes import OpenVinoPlanes

SIZE = (64, 48)


def planes(folder: Path | None) -> torch.Tensor:
    """What a new start computes."""
    notes: list[str] = []
    call = OpenVinoPlanes(1, notes.append, folder)(())
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(1, 3, SIZE[1], SIZE[0], generator=generator) * 2 - 1
    noise = torch.randn(1, 1, SIZE[1] // 2, SIZE[0] // 2, generator=generator)
    found = call(image, noise)
    assert not notes
    assert torch.allclose(found, CarriedFields(())(image, noise), atol=1e-3)
    return found


def never(*_: object) -> None:
    raise AssertionError("traced again")


def test_a_later_start_traces_nothing_and_compiles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = planes(tmp_path)
    kept = {path.name for path in tmp_path.iterdir()}
    monkeypatch.setattr(openvino, "converted", never)
    assert torch.equal(planes(tmp_path), first)
    assert {path.name for path in tmp_path.iterdir()} == kept  # not another plan of it


@pytest.mark.parametrize("suffix", [".xml", ".bin"])
def test_what_is_gone_of_a_trace_is_made_again(tmp_path: Path, suffix: str) -> None:
    first = planes(tmp_path)
    trace = (tmp_path / "fields-unmarked").with_suffix(suffix)
    trace.unlink()
    assert torch.equal(planes(tmp_path), first)
    assert trace.is_file()


def test_without_a_folder_nothing_is_kept(tmp_path: Path) -> None:
    assert torch.equal(planes(None), planes(tmp_path))
