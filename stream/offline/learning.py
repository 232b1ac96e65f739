"""Learns a look from painted frames: pictures in, a LoRA file out, a preview beside it.

frames, paintings ──pairs_of──► pairs ──models.learn_look──► look.safetensors
                                              └── look.preview.png, again and again
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stream.errors import SourceError
from stream.media.partial_file import PartialFile, sink_errors
from stream.offline.learning_options import LearnOptions
from stream.sources.images import find_pictures
from stream.sources.pictures import load_picture

if TYPE_CHECKING:
    from models import LearnedLook, LearningProgress

Picture = NDArray[np.uint8]

MOST_UNEVEN = 0.02
"""Difference of two pictures' shapes that is taken for rounding."""


def learn_files(
    options: LearnOptions,
    *,
    on_progress: "Callable[[LearningProgress], None] | None" = None,
    is_stopped: Callable[[], bool] | None = None,
) -> "LearnedLook":
    """Learn a look and write it.

    Args:
        options: Checked ones.
        on_progress: Told after every step how far it is.
        is_stopped: Asked after every step whether to end with the best so far.

    Raises:
        SourceError: A picture cannot be found or read, or two do not belong together.
        SinkError: The output exists or cannot be written.
        ModelError: The model cannot be had, or is of a kind that cannot learn like this.
    """
    pictures = [read_pair(*pair) for pair in pairs_of(options.frames, options.paintings)]
    return learn_pictures(pictures, options, on_progress=on_progress, is_stopped=is_stopped)


def learn_pictures(
    pictures: Sequence[tuple[Picture, Picture]],
    options: LearnOptions,
    *,
    on_progress: "Callable[[LearningProgress], None] | None" = None,
    is_stopped: Callable[[], bool] | None = None,
) -> "LearnedLook":
    """`learn_files` of pictures that were read already, uint8 RGB (H, W, 3)."""
    from models import learn_look

    target = Path(options.output)
    part = PartialFile(target, overwrite=options.overwrite)

    def tell(progress: "LearningProgress") -> None:
        if progress.preview is not None:
            write_preview(preview_of(target), progress.preview)
        if on_progress is not None:
            on_progress(progress)

    try:
        look = learn_look(
            pictures,
            options.word,
            model=options.model,
            size=options.size,
            steps=options.steps,
            minutes=options.minutes,
            seed=options.seed,
            offline=options.offline,
            on_progress=tell,
            is_stopped=is_stopped,
        )
        with sink_errors(target):
            look.save(part.path)
        part.publish()
    finally:
        part.discard()
    return look


def preview_of(output: str | Path) -> Path:
    """Where the picture beside an output is."""
    target = Path(output)
    return target.with_name(f"{target.stem}.preview.png")


def write_preview(path: Path, preview: Picture) -> None:
    """Replace the preview; a viewer never sees half of one.

    Raises:
        SinkError: It cannot be written.
    """
    part = PartialFile(path, overwrite=True)
    try:
        with sink_errors(path):
            Image.fromarray(preview).save(part.path)
        part.publish()
    finally:
        part.discard()


def pairs_of(frames: Sequence[str], paintings: Sequence[str]) -> list[tuple[Path, Path]]:
    """Frames with their paintings: in the order given, or by name where one is a folder.

    Raises:
        SourceError: A picture is missing, or a painting has no frame.
    """
    both = [[Path(one) for one in names] for names in (frames, paintings)]
    found = [[one for path in paths for one in find_pictures(path)] for paths in both]
    if not any(path.is_dir() for paths in both for path in paths):
        if len(found[0]) != len(found[1]):
            raise SourceError(
                f"There are {len(found[0])} frames and {len(found[1])} paintings; "
                "give each frame its painting."
            )
        return list(zip(*found, strict=True))
    by_name = {path.stem: path for path in found[0]}
    for painting in found[1]:
        if painting.stem not in by_name:
            raise SourceError(
                f"The painting {painting} has no frame called {painting.stem}; "
                "give both the same name."
            )
    return [(by_name[painting.stem], painting) for painting in found[1]]


def read_pair(frame: Path, painting: Path) -> tuple[Picture, Picture]:
    """Both pictures, uint8 RGB (H, W, 3).

    Raises:
        SourceError: One cannot be read, or they are of two shapes.
    """
    pictures = [load_picture(path)[0] for path in (frame, painting)]
    (height, width), (painted_height, painted_width) = (one.shape[:2] for one in pictures)
    if abs(width * painted_height / (height * painted_width) - 1) > MOST_UNEVEN:
        raise SourceError(
            f"{painting} is {painted_width}x{painted_height} and its frame {width}x{height}; "
            "paint over the frame itself, without cropping it."
        )
    return pictures[0], pictures[1]
