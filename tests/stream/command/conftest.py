"""What the command's tests paint, and with what."""

from pathlib import Path

import pytest
from clips import Clip, write_clip
from miniature import make_lcm, save


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A miniature pipeline's folder."""
    return save(make_lcm(vae="tiny"), tmp_path_factory.mktemp("model"))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Eight frames with sound."""
    return write_clip(tmp_path / "clip.mp4", Clip(pts=tuple(range(0, 8 * 3600, 3600)), audio="aac"))
