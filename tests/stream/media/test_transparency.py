"""Transparency: pictures lie on white, hidden colours never show, alpha is kept where it can be."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import copy_through, picture, write_made
from PIL import Image
from signals import carry

from stream.frame import Frame
from stream.sources import open_source


def glass(index: int = 0) -> np.ndarray:
    """RGBA: opaque at the left, transparent at the right with another colour hidden there."""
    data = np.dstack([picture(index), np.full((64, 96), 255, np.uint8)])
    data[:, 48:72, 3] = 128
    data[:, 72:] = (255, 0, 255, 0)
    return data


def test_a_transparent_picture_lies_on_white_and_keeps_its_alpha(tmp_path: Path) -> None:
    Image.fromarray(glass()).save(tmp_path / "in.png")
    copy_through(tmp_path / "in.png", tmp_path / "out.png")
    shown = np.asarray(Image.open(tmp_path / "out.png"))
    assert np.array_equal(shown[..., 3], glass()[..., 3])
    assert (shown[:, 72:, :3] == 255).all()
    assert np.array_equal(shown[:, :48], glass()[:, :48])
    notes = copy_through(tmp_path / "in.png", tmp_path / "out.jpg")
    assert any("transparency" in note for note in notes)


def transparent_video(path: Path, codec: str, pix_fmt: str, **options: str) -> Path:
    with av.open(str(path), "w") as output:
        video = output.add_stream(codec, rate=25, options=options)
        video.width, video.height, video.pix_fmt = 96, 64, pix_fmt
        for index in range(4):
            frame = av.VideoFrame.from_ndarray(glass(index), format="rgba")
            output.mux(video.encode(frame.reformat(format=pix_fmt)))
        output.mux(video.encode(None))
    return path


TRANSPARENT = {
    "VP9": ("in.webm", "libvpx-vp9", "yuva420p", {"auto-alt-ref": "0", "lossless": "1"}),
    "ProRes 4444": ("in.mov", "prores_ks", "yuva444p10le", {"profile": "4444"}),
    "FFV1": ("in.mkv", "ffv1", "yuva444p", {}),
    "PNG in MOV": ("in.mov", "png", "rgba", {}),
}


def make(tmp_path: Path, kind: str) -> Path:
    name, codec, pix_fmt, options = TRANSPARENT[kind]
    return transparent_video(tmp_path / name, codec, pix_fmt, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", TRANSPARENT)
def test_hidden_colours_of_a_video_never_show(tmp_path: Path, kind: str) -> None:
    with open_source(make(tmp_path, kind)) as source:
        frames = list(source)
    for frame in frames:
        assert frame.alpha is not None and frame.alpha.shape == (64, 96)
        assert frame.data[:, 76:].max() <= 6 and frame.alpha[:, 76:].max() <= 4
        assert np.abs(frame.alpha[:, 52:70].astype(int) - 128).max() <= 4


@pytest.mark.parametrize(
    ("name", "codec"), [("out.webm", None), ("out.mov", "prores_ks"), ("out.mkv", "ffv1")]
)
def test_a_video_keeps_its_alpha_where_the_output_can(
    tmp_path: Path, name: str, codec: str | None
) -> None:
    source = make(tmp_path, "FFV1")
    ours = carry(source, tmp_path / name, codec=codec, preset=None, options={})
    with open_source(ours.path) as again:
        frames = list(again)
    assert len(frames) == 4
    assert all(f.alpha is not None and f.alpha[:, 78:].max() <= 8 for f in frames)
    assert not any("transparency" in note for note in ours.notes)


def test_lost_alpha_is_said(tmp_path: Path) -> None:
    ours = carry(make(tmp_path, "FFV1"), tmp_path / "out.mp4")
    assert any("transparency was not kept" in note for note in ours.notes)


def test_alpha_follows_the_output_s_size(tmp_path: Path) -> None:
    alpha = np.zeros((64, 96), np.uint8)
    alpha[:, :48] = 255
    frame = Frame(picture(0, (192, 128)), 0, Fraction(1, 25), 1, alpha=alpha)
    write_made(tmp_path / "out.png", [frame])
    shown = np.asarray(Image.open(tmp_path / "out.png"))
    assert shown.shape == (128, 192, 4) and shown[64, 40, 3] == 255 and shown[64, 150, 3] == 0
