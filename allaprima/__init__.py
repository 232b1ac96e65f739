"""Restyle NumPy pictures, or whole files, in a few lines: the public API for other programs.

    import allaprima

    restyler = allaprima.Restyler("oil painting", strength=0.6, size=256)
    painted = restyler(frame)                                # one frame in, one frame out
    for painted in restyler.stream(frames): ...              # a whole stream, faster
    allaprima.restyle_file("in.mp4", "out.mp4", "ink")       # a file, with its sound
    allaprima.learn([(frame, painting)], "mylook.safetensors")      # a look of your own

A frame is a NumPy array: uint8, RGB, shape (H, W, 3). Importing this is cheap; torch is imported
with the model, when a `Restyler` is made. Nothing in here starts a thread or prints.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Unpack

from allaprima.options import FileOptions, LearnOptions, RestylerOptions
from allaprima.painted_stream import Picture
from allaprima.restyler import Restyler

if TYPE_CHECKING:
    from models import LearnedLook, LearningProgress
    from stream import Stats

__all__ = ["Restyler", "learn", "restyle", "restyle_file"]


def restyle(
    frames: Iterable[Picture],
    prompt: str | None = None,
    *,
    times_s: Iterable[float] | None = None,
    look_ahead: bool = False,
    every: int = 1,
    batch: int = 1,
    **options: Unpack[RestylerOptions],
) -> Iterator[Picture]:
    """Restyle a stream of frames: one painted frame for each frame, in order.

    The same as `Restyler(prompt, **options).stream(frames, ...)`; make a `Restyler` where the style
    is to change on the way. The model is loaded at once, the frames are taken one by one.

    Args:
        frames: NumPy arrays, uint8 RGB, shape (H, W, 3), all of one size.
        times_s, look_ahead, every, batch: As `Restyler.stream` takes them.
        prompt, options: As `Restyler` takes them (strength, size, stability, model, ...).

    Raises:
        TypeError, ValueError, ModelError: As `Restyler` and `Restyler.stream`.
    """
    restyler = Restyler(prompt, **options)
    painted = restyler.stream(
        frames, times_s=times_s, look_ahead=look_ahead, every=every, batch=batch
    )
    return _then_close(restyler, painted)


def restyle_file(
    source: str | PathLike[str],
    output: str | PathLike[str],
    prompt: str | None = None,
    *,
    overwrite: bool = False,
    on_frame: Callable[[int, int | None], None] | None = None,
    **options: Unpack[FileOptions],
) -> "Stats":
    """Restyle a video file, a folder of pictures or a picture; time stamps and sound are kept.

    This is what the command `allaprima restyle` does, with threads that read and write beside the
    model. Ctrl-C ends it with what was painted until then in the output.

    Args:
        source: What is read: a video file, a folder or pattern of pictures, or a picture.
        output: What is written: a video file, a picture, or a folder ending in a slash.
        prompt: What to paint; ``None`` takes the model's default.
        overwrite: Whether an output that exists is replaced.
        on_frame: Called after each frame that was written, in another thread, with how many were
            written and how many there will be (``None`` where the source cannot say).
        options: As the options of the command: strength, steps, guidance, seed, stability, mask,
            style_images and ip_adapter, structures and depth_model (as the command's), size,
            output_size (``"source"``, ``"model"`` or such as ``"1280x720"``), look_ahead
            (true unless given), every, batch, model, loras, vae, device, compile, offline, codec,
            crf, encoder_preset.

    Returns:
        What was counted and timed; `notes` in it says what was lost or could not be kept.

    Raises:
        ValueError: A value is outside its range.
        TypeError: There is no such option.
        SourceError: The source cannot be found or read (`stream.SourceError`).
        SinkError: The output exists or cannot be written (`stream.SinkError`).
        ModelError: The model cannot be found, loaded or run (`models.ModelError`).
    """
    from stream.offline.restyler import restyle_one

    return restyle_one(
        fspath(source),
        fspath(output),
        prompt=prompt,
        overwrite=overwrite,
        on_frame=on_frame,
        **options,
    )


def learn(
    pictures: Sequence[tuple[Picture, Picture]],
    output: str | PathLike[str],
    word: str | None = None,
    *,
    overwrite: bool = False,
    on_progress: "Callable[[LearningProgress], None] | None" = None,
    is_stopped: Callable[[], bool] | None = None,
    **options: Unpack[LearnOptions],
) -> "LearnedLook":
    """Learn a look from frames and what was painted over them; a LoRA comes out.

    This is what the command `allaprima learn` does. Use it by ``loras=["mylook.safetensors"]``. It
    takes minutes, on the CPU.

    Args:
        pictures: Frames and their paintings, NumPy arrays, uint8 RGB, both of one shape.
        output: The file, ``.safetensors``; a preview (``mylook.preview.png``) lies beside it and is
            replaced while it learns.
        word: What a prompt says for the look; the output's name by default.
        overwrite: Whether an output that exists is replaced.
        on_progress: Told after every step how far it is.
        is_stopped: Asked after every step whether to end with the best so far.
        options: size (short side in px at which it will be painted), steps, minutes, seed, model,
            offline.

    Returns:
        What was learned; its `history` says how near the look came on parts that were not seen.

    Raises:
        ValueError: A value is outside its range, or the shapes of two pictures differ.
        TypeError: There is no such option.
        SinkError: The output exists or cannot be written (`stream.SinkError`).
        ModelError: The model cannot be had, or is of a kind that cannot learn like this.
    """
    from stream.offline.learning import learn_pictures
    from stream.offline.learning_options import LearnOptions as Asked

    asked = Asked(
        frames=(), paintings=(), output=fspath(output), prompt=word, overwrite=overwrite, **options
    )
    asked.check()
    return learn_pictures(pictures, asked, on_progress=on_progress, is_stopped=is_stopped)


def _then_close(restyler: Restyler, painted: Iterator[Picture]) -> Iterator[Picture]:
    with restyler:
        yield from painted
