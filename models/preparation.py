"""What pictures of another size have to wait for, so that it can be made before they come.

size ──► the calls of a frame ──► what each has yet to make ──► one step, for another thread
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from models.engine import Engine, Size
    from models.style import Style

Step = Callable[[], object]
Call = tuple[Any, tuple[int, ...], bool]
"""One of a frame's, the shape of its first tensor, and whether the others' sides follow it."""


@runtime_checkable
class Preparable(Protocol):
    """A call that has something to make for each set of shapes."""

    def preparation(self, first: tuple[int, ...], *, scaled: bool = False) -> Step | None:
        """As `OpenVinoCall.preparation`."""


def size_preparation(
    engine: "Engine", size: "Size", cell_px: int | None = None, style: "Style | None" = None
) -> Step | None:
    """What the first picture of a size, or the first in a style, would have to wait for.

    Call this in the engine's thread. Any thread may take the step, while the engine paints others.

    Args:
        size: (width, height) that the model is to see, in px.
        cell_px: As `Engine.begin` will be told.
        style: ``None`` leaves out what only some styles need.

    Returns:
        ``None`` where nothing would be waited for, or nothing can be made beforehand, as on a GPU.
        Before the first picture of any size not everything is known that will be needed.

    Raises:
        ValueError: The size is no multiple of `size_multiple`.
    """
    found = [
        step
        for call, first, scaled in _calls(engine, size, cell_px)
        if isinstance(call, Preparable)
        and (step := call.preparation(first, scaled=scaled)) is not None
    ]
    found += [] if style is None else _planes(engine, size, style)
    if not found:
        return None

    def prepare() -> None:
        for step in found:
            step()

    return prepare


def _calls(engine: "Engine", size: "Size", cell_px: int | None) -> Iterator[Call]:
    networks: Any = engine.networks
    width, height = size
    image, latents = (1, 3, height, width), (1, *engine.latent_shape(size))
    yield networks.encode, image, False
    body = getattr(networks.predict, "body", None)
    if body is not None:
        channels = latents[1] * (2 if networks.sees_frame else 1)
        shown = 0 if networks.stem is None else networks.stem.channels
        yield body, (1, channels + shown, *latents[2:]), False
    if networks.stem is not None:
        yield networks.stem.features, image, True
    block = networks.exit_block(cell_px)
    if block is None:
        yield networks.decode, latents, False
    elif hasattr(networks.exit, "call"):
        yield networks.exit.call(block), latents, False


def _planes(engine: "Engine", size: "Size", style: "Style") -> list[Step]:
    """What the marks of a style would have to wait for."""
    stem: Any = engine.networks.stem
    if not hasattr(getattr(stem, "planes_of", None), "preparation"):
        return []
    asked = engine.encode_prompt(style).stem
    step = asked and stem.planes_of.preparation(asked.kinds, (1, 3, size[1], size[0]))
    return [step] if step else []
