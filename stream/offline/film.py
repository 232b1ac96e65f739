"""Film: everything about one file job that its parts have in common; FilmPainter: paints them.

    Film + stretch ──PartSource──► Session ──PartedSink──► finished parts

A painter knows nothing of who asks: the driver itself, a process beside it, or another machine.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from models import file_mark, recipe_of
from stream.frame import Frame, Size
from stream.geometry import output_sample_aspect_ratio, parse_output_size
from stream.offline.identity import job_id, library_versions
from stream.offline.options import RestyleOptions
from stream.offline.part_source import PartSource
from stream.offline.part_store import PartFacts
from stream.offline.parted_sink import PartedSink
from stream.offline.parts import LEAST_PART_S, CutRule, Part
from stream.offline.session import Session
from stream.sinks.base import VideoEncoding
from stream.sinks.encoding import EncodingPlan, plan_encoding
from stream.sinks.part_writer import Tail
from stream.sound_mode import SoundMode
from stream.stats import Stats
from stream.stylizer.masks import mask_mark
from stream.stylizer.regions import make_region
from stream.stylizer.stylizer import DEFAULT_STABILITY, Stylizer
from stream.temporal.settings import DEFAULTS
from stream.video_info import VideoInfo

if TYPE_CHECKING:
    from models import Blend, Engine


STILL_FACTOR = 3
"""How many times its own size a model whose strokes are carried to it paints a still; others would
draw what is in the picture several times.
"""


@dataclass(frozen=True, slots=True)
class Film:
    """One input video and the output video that it becomes.

    Attributes:
        source, target: Their files.
        job: The id of what decides the bytes.
        info: What the input says, with the pixel shape of the output.
        plan: How the output is encoded.
        rule: Where its parts begin.
        size: (width, height) of the output.
        facts: What the id was made of, as plain values.
        sound: What becomes of the input's sound.
        cell_px: Pixels a latent cell of what is painted (`stream.stylizer.stylizer.Sizes`).
    """

    source: Path
    target: Path
    job: str
    info: VideoInfo
    plan: EncodingPlan
    rule: CutRule
    size: Size
    facts: dict[str, Any]
    sound: SoundMode = "copy"
    cell_px: int | None = None


def make_stylizer(
    engine: "Engine", options: RestyleOptions, info: VideoInfo, stats: Stats | None = None
) -> Stylizer:
    """The stylizer of a file job."""
    performance = options.performance
    stability = DEFAULT_STABILITY if options.stability is None else options.stability
    make: Callable[..., Stylizer] = Stylizer
    given: dict[str, Any] = {}
    if performance is not None:
        make = performance.make_stylizer
        given["mask"] = options.mask
    elif options.mask is not None:
        given["region"] = make_region(options.mask)
    return make(
        engine,
        options.style(engine.default_style),
        short_side_px=still_size(engine, info) if options.size is None else options.size,
        output_size=parse_output_size(options.output_size),
        stability=stability,
        sample_aspect_ratio=info.sample_aspect_ratio,
        stats=stats or Stats(fps_target=options.fps_target),
        look_ahead=options.look_ahead and (stability > 0 or performance is not None),
        every=options.every,
        overlap=info.frame_count != 1,
        by_shots=True,
        batch=1 if info.frame_count == 1 else options.batch,
        **given,
        blend=cast("Blend", options.blend),
    )


def still_size(engine: "Engine", info: VideoInfo) -> int | None:
    """The short side at which a single picture is painted: its own, as far as the model can;
    ``None`` for the model's, of moving pictures and small ones.
    """
    if info.frame_count != 1:
        return None
    most = (STILL_FACTOR if engine.carries_noise else 1) * engine.native_size
    own = min(info.size) // engine.output_scale
    return min(own, most) if own > engine.native_size else None


def encoding_of(options: RestyleOptions) -> VideoEncoding:
    """How the user wants videos encoded."""
    return VideoEncoding(options.codec, options.crf, options.encoder_preset, audio=options.audio)


def describe_film(
    source: Path,
    target: Path,
    info: VideoInfo,
    engine: "Engine",
    options: RestyleOptions,
    *,
    least_part_s: Fraction = LEAST_PART_S,
) -> Film:
    """Everything that a job's parts have in common, and its id.

    Raises:
        SinkError, ValueError: As `plan_encoding`.
        OSError: The input cannot be read.
    """
    sizes = make_stylizer(engine, options, info).sizes(info.size)
    _, rows, columns = engine.latent_shape(sizes.model)
    plan = plan_encoding(target.suffix, encoding_of(options))
    performance = options.performance
    closed = () if performance is None else performance.closed()
    rule = CutRule(sizes.model, (columns, rows), DEFAULTS.cut_difference, least_part_s, closed)
    aspect = output_sample_aspect_ratio(info.size, info.sample_aspect_ratio, sizes.output)
    facts: dict[str, Any] = {
        "input": {"bytes": source.stat().st_size, "mark": file_mark(source)},
        "settings": {
            "style": options.style(engine.default_style),
            "stability": DEFAULT_STABILITY if options.stability is None else options.stability,
            **{name: getattr(options, name) for name in ("look_ahead", "every", "batch", "blend")},
            "sizes": [sizes.model, sizes.painted, sizes.output],
            "mask": mask_mark(options.mask),
            "temporal": DEFAULTS,
            "least_part_s": str(least_part_s),
            "encoding": plan,
        },
        "recipe": recipe_of(engine, shares_frames=options.batch > 1).as_dict(),
        "libraries": library_versions(),
    }
    if performance is not None:
        facts["settings"]["performance"] = performance
    facts = _plain(facts)
    facts["input"]["name"] = str(source.name)
    counted = {**facts, "input": {k: v for k, v in facts["input"].items() if k != "name"}}
    described = replace(info, sample_aspect_ratio=aspect)
    return Film(
        source,
        target,
        job_id(counted),
        described,
        plan,
        rule,
        sizes.output,
        facts,
        options.audio,
        sizes.cell_px,
    )


def _plain(value: Any) -> Any:
    """The same in words of JSON."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    slots = getattr(type(value), "__dataclass_fields__", None)
    if slots is not None:
        return {name: _plain(getattr(value, name)) for name in slots}
    return value if isinstance(value, str | int | float | bool | None) else str(value)


class FilmPainter:
    """Paints stretches of films with one engine. Not thread-safe, but for `stop`.

    Args:
        engine: The model, in the thread that calls.
        options: What was asked.
    """

    def __init__(self, engine: "Engine", options: RestyleOptions) -> None:
        self._engine = engine
        self._options = options
        self._session: Session | None = None
        self.stopped = False

    def paint(
        self,
        film: Film,
        stretch: Part | None,
        *,
        new_file: Callable[[int], Path],
        hand_over: Callable[[Path, PartFacts], object],
        on_frame: Callable[[Frame], None] | None = None,
        seek: bool = True,
        is_one: bool = False,
        stats: Stats | None = None,
    ) -> Tail | None:
        """Paint a stretch to its end, or to a `stop`; what is left of the part that this ended.

        Args:
            film: What the stretch is of.
            stretch: Where it begins and ends; ``None`` is all of it.
            new_file: Where a part that begins at that pts is to be written.
            hand_over: Takes each finished part.
            on_frame: Told of each painted frame.
            seek: Jump to the beginning.
            is_one: The stretch is one part.
            stats: What is counted.

        Raises:
            EdgeError: The stretch does not begin or end as it should.
            SourceError, SinkError, ModelError: The outside world.
        """
        source = PartSource(film.source, stretch, film.rule, seek=seek, is_one=is_one)
        sink = PartedSink(
            source,
            target=film.target,
            job=film.job,
            plan=film.plan,
            info=film.info,
            new_file=new_file,
            hand_over=hand_over,
        )
        stylizer = make_stylizer(self._engine, self._options, source.info, stats)
        session = Session(source, stylizer, sink, on_frame=on_frame)
        self._session = session
        if self.stopped:
            session.stop()
        try:
            session.run()
        finally:
            self._session = None
        tail = sink.tail
        return None if tail is None else Tail(tail.path, tail.pts, tail.stop)

    def stop(self) -> bool:
        """End the running stretch early but properly; whether there is one. From any thread, or a
        signal handler.
        """
        self.stopped, session = True, self._session
        if session is not None:
            session.stop()
        return session is not None
