"""Stage `paintings`: crops and paintings on disk that grow and go on."""

from pathlib import Path

import numpy as np
import pytest

from models.training.material import paintings
from models.training.material.paintings import Paintings, make_paintings, read, write
from models.training.material.pictures import Photograph
from models.training.teachers import Sketch, latent_noise, paint

LOOKS = ("charcoal", "film noir")


def make_photographs() -> list[Photograph]:
    random = np.random.default_rng(2)
    pictures = []
    for index in range(6):
        small = random.integers(0, 256, (9, 12, 3)).astype(np.uint8)
        data = np.repeat(np.repeat(small, 40, 0), 40, 1)
        kind = ("photo", "film", "webcam")[index % 3]
        pictures.append(Photograph(f"p{index}", kind, index >= 3, data, f"credit {index}"))
    return pictures


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Crops of 128 px, so that a test paints quickly."""
    monkeypatch.setattr(paintings, "SIDE", 128)
    monkeypatch.setattr(paintings, "latent_noise", lambda seed: latent_noise(seed, 64, 64))


@pytest.mark.usefixtures("small")
def test_crops_are_painted_once_and_looks_may_follow(tmp_path: Path) -> None:
    pictures = make_photographs()
    make_paintings(pictures, tmp_path, count=3, held_out=False, looks=LOOKS[:1])
    made = Paintings(tmp_path)
    assert [row.index for row in made.rows] == [0, 1, 2]
    assert [row.looks for row in made.rows] == [LOOKS[:1]] * 3
    stamp = (tmp_path / "charcoal/000001.jpg").stat().st_mtime_ns
    (tmp_path / "charcoal/000002.jpg").unlink()
    make_paintings(pictures, tmp_path, count=4, held_out=False, looks=LOOKS)
    made.refresh()
    assert [row.looks for row in made.rows] == [LOOKS] * 4
    assert (tmp_path / "charcoal/000001.jpg").stat().st_mtime_ns == stamp
    assert len((tmp_path / "crops.jsonl").read_text().splitlines()) == 4
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.usefixtures("small")
def test_a_painting_is_that_of_the_stored_photograph_and_seed(tmp_path: Path) -> None:
    make_paintings(make_photographs(), tmp_path, count=1, held_out=True, looks=LOOKS[:1])
    made = Paintings(tmp_path)
    (row,) = made.rows
    assert row.seed == paintings.HELD_OUT_SEED
    sketch = Sketch(made.photo(0), latent_noise(row.seed, 64, 64))
    again = paint(LOOKS[0], sketch).astype(float)
    assert np.abs(again - made.painting(0, LOOKS[0])).mean() < 3
    with pytest.raises(FileNotFoundError):
        made.painting(0, LOOKS[1])


@pytest.mark.usefixtures("small")
def test_sides_of_the_split_are_kept_apart(tmp_path: Path) -> None:
    pictures = make_photographs()
    for held_out in (False, True):
        folder = tmp_path / str(held_out)
        make_paintings(pictures, folder, count=8, held_out=held_out, looks=LOOKS[:1])
        names = {row.picture for row in Paintings(folder).rows} - {"procedural"}
        allowed = {p.name for p in pictures if p.held_out is held_out}
        assert names <= allowed
        if held_out:
            assert names == allowed


def test_an_empty_folder_has_no_rows(tmp_path: Path) -> None:
    assert Paintings(tmp_path).rows == []


def test_jpeg_keeps_color(tmp_path: Path) -> None:
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:, ::2] = (220, 30, 60)
    write(tmp_path / "a.jpg", picture, 97)
    assert np.abs(read(tmp_path / "a.jpg").astype(int) - picture).mean() < 4
