"""OnDevice: the temporal state of one stream whose history lies where the model runs.

    latent   the device looks, moves the noise and blends; the host only hands out times
    both     that, and the pictures that come down are blended on the host as well

The host's own look at a frame takes milliseconds, so for "latent" it is left out but where frames
are held back for what comes after them: look-ahead and parts of films need to know cuts and rests.
"""

from typing import Literal

from models import Advance
from stream.frame import Size
from stream.temporal import blend, gate
from stream.temporal.noise import Places
from stream.temporal.settings import DEFAULTS, TemporalSettings
from stream.temporal.state import (
    LEAST_STEP_S,
    LONGEST_GAP_S,
    PLAIN,
    Canvas,
    Data,
    Decision,
    Temporal,
    is_same,
)

DeviceBlend = Literal["latent", "both"]


class OnDevice(Temporal):
    """As `Temporal`, for an engine that remembers. Each decision says what the engine is told.

    Args:
        settings: Expert settings.
        how: Whether the host blends as well.
        looks: Whether the host looks at frames at all; it does for "both".
        sees_cuts: As `Temporal` takes it.
    """

    def __init__(
        self,
        settings: TemporalSettings = DEFAULTS,
        *,
        how: DeviceBlend = "latent",
        looks: bool = False,
        sees_cuts: bool = True,
    ) -> None:
        super().__init__(settings, sees_cuts=sees_cuts)
        self._mixes = how == "both"
        self._looks = looks or self._mixes
        self._painted_s: float | None = None  # when the device saw a frame last
        self._before: tuple[Data, Canvas] | None = None

    def reset(self) -> None:
        """As `Temporal.reset`; the device starts afresh with the next frame."""
        super().reset()
        self._painted_s = self._before = None

    def decide(
        self,
        data: Data,
        grid: Size,
        time_s: float,
        stability: float,
        seen: gate.Seen | None = None,
    ) -> Decision:
        """As `Temporal.decide`."""
        if stability == 0:
            self.reset()
            return PLAIN
        repaints = self._repaints
        if self._looks:
            decision = super().decide(data, grid, time_s, stability, seen)
        else:
            decision, self._repaints = self._unseen(data, grid, repaints), False
        if decision.is_still:
            return decision
        advance = self._advance(time_s, stability, decision.is_cut)
        return decision._replace(advance=advance._replace(repaints=float(repaints)))

    def noise_places(self, decision: Decision) -> Places | None:
        """Nothing: the device moves the noise."""
        return None

    def follow(self, decision: Decision) -> Decision:
        """As `Temporal.follow`; nothing where the host does not blend."""
        return super().follow(decision) if self._mixes else decision._replace(trail=None)

    def mix(self, painted: Data, decision: Decision) -> Data:
        """As `Temporal.mix`, or the picture as it comes."""
        if self._mixes:
            return super().mix(painted, decision)
        if decision.canvas is not None:
            decision.canvas.shown = painted
        return painted

    def _unseen(self, data: Data, grid: Size, repaints: bool) -> Decision:
        """Without a look: only a frame that is the one before again is shown unpainted."""
        if self._before is not None and not repaints and is_same(data, self._before[0]):
            return Decision(is_still=True, canvas=self._before[1])
        canvas = Canvas(grid)
        self._before = data, canvas
        return Decision(canvas=canvas)

    def _advance(self, time_s: float, stability: float, is_cut: bool) -> Advance:
        settings, before_s, self._painted_s = self._settings, self._painted_s, time_s
        starts = is_cut or before_s is None or not 0 <= time_s - before_s <= LONGEST_GAP_S
        dt_s = LEAST_STEP_S if before_s is None else max(time_s - before_s, LEAST_STEP_S)
        return Advance(
            kept=blend.history_weight(dt_s, stability, settings.memory * settings.device_memory),
            dt_s=dt_s,
            starts=float(starts),
            settle_s=settings.settle_s,
            cut_difference=settings.cut_difference,
            agree_levels=settings.agree_levels,
            most_contrast=settings.most_contrast,
        )
