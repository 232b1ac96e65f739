"""An engine as a contestant paints with it: batches of frames, bytes to bytes."""

from contest import Data, Paint

from models import Engine, Style


def painter(engine: Engine, style: Style, size: tuple[int, int]) -> Paint:
    """Frame by frame by `Engine.paint`; what the style decides is worked out before."""
    noise, conditioning = engine.noise(style, size), engine.encode_prompt(style)
    schedule = engine.schedule(style)
    return lambda data: engine.paint(data, noise, conditioning, schedule)


def painter_in_flight(engine: Engine, style: Style, size: tuple[int, int]) -> Paint:
    """Starts a frame and gives the one that was started before it, one call late."""
    noise, conditioning = engine.noise(style, size), engine.encode_prompt(style)
    schedule = engine.schedule(style)
    begun = []

    def paint(data: Data) -> Data:
        begun.append(engine.begin(data, noise, conditioning, schedule))
        return begun.pop(0)() if len(begun) > 1 else begun[0]()

    return paint
