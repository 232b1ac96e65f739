"""LiveOptions: the options of a live session, and the checks that need no device."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from models import Style
from stream.live.pipes import check_pipes
from stream.stylizer.masks import check_mask
from stream.stylizer.options import EngineOptions, check_report

ON_LOSS = ("hold", "card")
GOVERNORS = ("off", "latency", "quality")
MAX_AGE_MS = 150.0
WINDOW = "window"
PORT = re.compile(r"-?\d+")
LAST_PORT = 65_535
TRANSITION_S = 0.5
LONGEST_TRANSITION_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOptions(EngineOptions):
    """Everything that `allaprima live` was asked; ``None`` = the model's or device's own.

    Named as the command's parameters are, but for `loras`; `max_age` is in ms, `duration` in
    seconds. `style_fields` are those of `Style` that were given.
    """

    source: str
    to: Sequence[str] | None
    style_fields: Mapping[str, Any]
    output_size: str
    camera_size: str | None
    camera_rate: float | None
    loop: bool
    audio: bool
    audio_device: str | None
    on_loss: str
    insecure: bool
    mirror: bool | None
    governor: str
    fps_target: float
    max_age: float
    duration: float | None
    codec: str | None
    crf: int | None
    preset: str | None
    pixel_format: str | None = None
    output_format: str | None = None
    control: str | None
    osc: str | None
    midi: str | None
    midi_map: str | None
    midi_learn: bool
    dmx: str | None
    automation: str | None
    schedule: str | None
    record_source: str | None
    metrics_port: int | None
    transition: float
    mask: str | None
    styles: str | None
    overwrite: bool
    json: str | None
    stats: bool
    quiet: bool

    @property
    def outputs(self) -> list[str]:
        """The names of `to`; the window where it was not given."""
        return list(self.to or [WINDOW])

    def style(self, default: Style) -> Style:
        """`default` with everything that was given put in its place.

        Raises:
            ValueError: A value is outside its range.
        """
        return self.with_images(replace(default, **self.style_fields))

    def with_images(self, style: Style) -> Style:
        """As `EngineOptions` has it; cameras and films have a grey picture for the time being."""
        if not self.style_images:
            return style
        from stream.live.style_sources import is_moving, waiting_image
        from stream.stylizer.style_images import load_style_images

        images = [
            waiting_image(spec) if is_moving(spec) else load_style_images((spec,))[0]
            for spec in self.style_images
        ]
        return replace(style, images=tuple(images))

    def check(self) -> None:
        """Refuse what no model and no device could make right.

        Raises:
            ValueError: A value cannot be used (got and expected).
        """
        self.style(Style())
        self.check_engine()
        check_mask(self.mask)
        check_report(self.json, [self.source, *self.outputs])
        check_pipes(self)
        self._check_words()
        self._check_numbers()

    def _check_words(self) -> None:
        if self.midi_learn and self.midi is None:
            raise ValueError("got midi_learn=True without midi, expected midi as well")
        if self.midi_map and self.midi is None and self.dmx is None:
            raise ValueError(
                f"got midi_map={self.midi_map} without midi, expected midi or dmx as well"
            )
        if self.governor not in GOVERNORS:
            modes = ", ".join(GOVERNORS)
            raise ValueError(f"got governor={self.governor}, expected {modes}")
        if self.on_loss not in ON_LOSS:
            raise ValueError(f"got on_loss={self.on_loss}, expected {' or '.join(ON_LOSS)}")
        if not 0 <= self.transition <= LONGEST_TRANSITION_S:
            raise ValueError(
                f"got transition={self.transition:g}, expected 0 to {LONGEST_TRANSITION_S:g}"
            )
        files = [one for one in (self.automation, self.record_source) if one is not None]
        named = [*self.outputs, *files]
        repeated = [spec for spec in named if named.count(spec) > 1]
        if repeated and repeated[0] != "null":
            raise ValueError(f"got to={repeated[0]} twice, expected each output once")

    def _check_numbers(self) -> None:
        for name, value in (
            ("fps_target", self.fps_target),
            ("max_age", self.max_age),
            ("duration", self.duration),
            ("camera_rate", self.camera_rate),
        ):
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"got {name}={value:g}, expected more than 0")
        control = self.control or ""
        osc = (self.osc or "").rpartition(":")[2]
        for name, value in (
            ("control", int(control) if PORT.fullmatch(control) else None),
            ("osc", int(osc) if PORT.fullmatch(osc) else None),
            ("metrics_port", self.metrics_port),
        ):
            if value is not None and not 0 <= value <= LAST_PORT:
                raise ValueError(f"got {name}={value}, expected a port, 0 to {LAST_PORT}")
