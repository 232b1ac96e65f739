"""Moving material of any size, cut from the shipped clip."""

from itertools import islice
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from stream import open_source
from stream.frame import Size
from stream.geometry import resize

CLIP = Path(__file__).resolve().parent.parent / "examples" / "clips" / "bunny.mp4"
QUALITY = {"crf": "16"}
"""So fine that the clip's own artefacts are not what is measured."""


def write_clip(path: Path, size: Size, count: int, clip: Path = CLIP) -> None:
    """A clip's first `count` frames, their middle cut to the shape of `size`, as H.264."""
    with open_source(clip) as source, av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=source.info.rate, options=QUALITY)
        stream.width, stream.height = size
        for index, frame in enumerate(islice(source, count)):
            picture = av.VideoFrame.from_ndarray(resize(cut(frame.data, size), size))
            picture.pts = index
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))


def cut(data: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """The largest middle part of (H, W, 3) that has the shape of `size`; no copy."""
    height, width = data.shape[:2]
    kept_width = min(width, round(height * size[0] / size[1]))
    kept_height = min(height, round(width * size[1] / size[0]))
    left, top = (width - kept_width) // 2, (height - kept_height) // 2
    return data[top : top + kept_height, left : left + kept_width]
