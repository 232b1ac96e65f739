"""Every example runs as its first line says, here with a miniature model."""

import runpy
import shutil
import sys
from pathlib import Path

import pytest
from clips import Clip, decoded, stream_hash, write_clip
from miniature import make_lcm, save
from PIL import Image

from models import STYLES

pytestmark = pytest.mark.usefixtures("plain_torch")

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A miniature pipeline's folder."""
    return save(make_lcm(vae="tiny"), tmp_path_factory.mktemp("model"))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Four frames with sound."""
    return write_clip(tmp_path / "clip.mp4", Clip(pts=tuple(range(0, 14400, 3600)), audio="aac"))


def run(monkeypatch: pytest.MonkeyPatch, name: str, *args: object) -> None:
    """Run examples/`name` as a program of its own would run, in this process."""
    monkeypatch.setattr(sys, "argv", [name, *map(str, args)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


@pytest.mark.parametrize(
    "name",
    ["numpy_frames.py", "picture.py", "restyle_file.py", "speed.py", "styles_sheet.py"],
)
def test_an_example_without_arguments_says_what_it_takes(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, name)
    assert f"{name} " in str(ended.value.code)


def test_every_example_is_run_here() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {
        "demo.py",
        "hero.py",
        "numpy_frames.py",
        "picture.py",
        "restyle_file.py",
        "speed.py",
        "styles_sheet.py",
    }


def test_restyle_file_keeps_frames_and_sound(
    monkeypatch: pytest.MonkeyPatch, clip: Path, tmp_path: Path, model: str
) -> None:
    out = tmp_path / "out.mp4"
    run(monkeypatch, "restyle_file.py", clip, out, "ink", model)
    assert len(decoded(out)) == 4
    assert stream_hash(out, "audio") == stream_hash(clip, "audio")


def test_numpy_frames_gives_every_frame_back(
    monkeypatch: pytest.MonkeyPatch, clip: Path, tmp_path: Path, model: str
) -> None:
    out = tmp_path / "out.mp4"
    run(monkeypatch, "numpy_frames.py", clip, out, model)
    assert len(decoded(out)) == 4


def test_restyle_file_has_at_most_fifteen_lines() -> None:
    assert len((EXAMPLES / "restyle_file.py").read_text("utf-8").splitlines()) <= 15


def test_picture_paints_every_look(
    monkeypatch: pytest.MonkeyPatch, clip: Path, tmp_path: Path, model: str
) -> None:
    import cv2

    picture = tmp_path / "in.png"
    cv2.imwrite(str(picture), decoded(clip)[0])
    run(monkeypatch, "picture.py", picture, tmp_path / "looks", model, "ink", "oil painting")
    looks = sorted((tmp_path / "looks").iterdir())
    assert [path.name for path in looks] == ["ink.png", "oil painting.png"]
    assert cv2.imread(str(looks[0])).shape == (64, 96, 3)


def test_styles_sheet_shows_every_look(
    monkeypatch: pytest.MonkeyPatch, clip: Path, tmp_path: Path, model: str
) -> None:
    import cv2

    out = tmp_path / "sheet.png"
    run(monkeypatch, "styles_sheet.py", clip, 0.05, out, model)
    rows = -(-(len(STYLES) + 1) // 5)
    assert cv2.imread(str(out)).shape == (rows * (180 + 26), 5 * 320, 3)


def test_the_demo_restyles_the_shipped_clip_and_draws_a_sheet(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    model: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, "demo.py", "ink", "--model", model, "--size", 64, "--preset", "ultrafast")
    shipped = EXAMPLES / "clips" / "face.mp4"
    painted = tmp_path / "demo" / "painted.mp4"
    assert len(decoded(painted)) == len(decoded(shipped))
    assert stream_hash(painted, "audio") == stream_hash(shipped, "audio")
    assert (tmp_path / "demo" / "sheet.jpg").stat().st_size > 10_000
    assert "frames a second" in capfd.readouterr().out


def test_hero_is_a_moving_picture_of_both_clips_below_a_megabyte(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: str
) -> None:
    (tmp_path / "clips").mkdir()
    for name in ("bunny.mp4", "face.mp4"):
        write_clip(tmp_path / "clips" / name, Clip(pts=tuple(range(0, 14400, 3600))))
    script, out = shutil.copy(EXAMPLES / "hero.py", tmp_path), tmp_path / "hero.webp"
    run(monkeypatch, script, out, model)
    with Image.open(out) as moving:
        assert moving.size == (800, 224)
        assert moving.n_frames >= 3
    assert out.stat().st_size < 1_000_000


def test_speed_paints_square_clips_and_says_how_fast(
    monkeypatch: pytest.MonkeyPatch,
    clip: Path,
    tmp_path: Path,
    model: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(monkeypatch, "speed.py", clip, tmp_path, model, 64, 128)
    lines = [line for line in capsys.readouterr().out.splitlines() if "frames a second" in line]
    assert [line.partition(",")[0] for line in lines] == ["64x64", "128x128"]
    for side in (64, 128):
        painted = decoded(tmp_path / f"painted-{side}.mp4")
        assert len(painted) == 4 and painted[0].shape == (side, side, 3)
