"""Settings: what lies behind the one knob, for those who must turn the parts one by one."""

from dataclasses import dataclass

from stream.temporal.blend import AGREE_LEVELS, MOST_LOSS
from stream.temporal.shots import CUT_DIFFERENCE

DEVICE_MEMORY = 1.5
"""Of the times in `blend.TIME_CONSTANTS_S`, what the device blends over."""


@dataclass(frozen=True, slots=True)
class TemporalSettings:
    """Expert settings of a stream's memory; nothing of it matters at stability 0.

    Attributes:
        memory: Factor on the time over which paint is blended, which `stability` sets; 0 blends
            nothing, and what stands still is copied all the same.
        settle_s: How long a cell that changed is painted on, its paint averaged, before it is
            copied; 0 keeps the first painting.
        cut_difference: Content difference, 0 to 255, above which a frame starts a new shot.
        shots_kept: How many shots are remembered in case they come back.
        agree_levels: Levels, 0 to 255, by which old and new paint may differ before the old is
            dropped: fewer leave less of a ghost, and more flicker.
        most_contrast: Share of its contrast that a picture is given back at most in a frame; 0
            leaves it as soft as averaging makes it.
        device_memory: A further factor on that time where the device blends ("latent", "both").

    Raises:
        ValueError: A value is outside its range.
    """

    memory: float = 1.0
    settle_s: float = 0.25
    cut_difference: float = CUT_DIFFERENCE
    shots_kept: int = 3
    agree_levels: float = AGREE_LEVELS
    most_contrast: float = MOST_LOSS
    device_memory: float = DEVICE_MEMORY

    def __post_init__(self) -> None:
        limits = {
            "memory": 10,
            "settle_s": 10,
            "cut_difference": 255,
            "shots_kept": 100,
            "agree_levels": 255,
            "most_contrast": 1,
            "device_memory": 10,
        }
        for name, most in limits.items():
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise ValueError(f"got {name}={value}, expected 0 to {most}")


DEFAULTS = TemporalSettings()
