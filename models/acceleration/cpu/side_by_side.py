"""SideBySide: paints several frames at a time on a CPU, each on its own core. For files: each frame
takes longer, but no core waits for another, as the threads of one small network do at every layer.

    data ──► encode ──► body, each LCM step ──► decode ──► data        one lane, of as many as cores

A lane is a chain of OpenVINO's requests: what one gives, its callback hands to the next, in threads
of OpenVINO. What comes out is what the networks one by one give, on one thread. Where a frame takes
one step, all but the field planes is one request (`openvino_frame.py`).
"""

import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.acceleration.cpu.openvino import OpenVinoCall, Request
from models.acceleration.cpu.openvino_exit import OpenVinoExit
from models.acceleration.cpu.openvino_exit import picture as shuffled
from models.acceleration.cpu.openvino_frame import Parts, fields_model, frame_model, step_numbers
from models.acceleration.split_predictor import SplitPredictor
from models.carried_noise import planes_inputs
from models.conditioning import Conditioning
from models.engine import Engine
from models.errors import in_short
from models.fields import PLANES
from models.painter import Painting
from models.schedule import Schedule, add_noise, consistency
from models.temporal import Remembered


class Form(NamedTuple):
    """What lanes are made for.

    Attributes:
        shape: Of frames, (H, W, 3).
        kinds: Of marks.
        block: What the exit is told; ``None`` without one.
        is_whole: Whether a frame is a single request, but for its field planes.
    """

    shape: tuple[int, ...]
    kinds: tuple[str, ...]
    block: int | None
    is_whole: bool


MOST_LANES = 8
"""Frames at a time; each takes memory, and by then the stream around them is what takes longest."""

CHECK_S = 2.0
"""How often a wait looks whether what it waits for has failed."""


class SideBySide:
    """`Painter` of whole frames side by side. Not thread-safe.

    Args:
        engine: Of networks that run on OpenVINO: `OpenVinoCall`s, with a `SplitPredictor`.
        count: Frames at a time.
    """

    def __init__(self, engine: Engine, count: int) -> None:
        self.in_flight = count
        self._engine = weakref.proxy(engine)  # which holds this
        self._form: Form | None = None
        self._lanes: deque[Lane] = deque()
        # no callback may come when Python is gone
        weakref.finalize(self, _wait_for_all, self._lanes)

    def begin(
        self,
        data: NDArray[np.uint8],
        noise: Tensor,
        conditioning: Conditioning,
        schedule: Schedule,
        *,
        cell_px: int | None = None,
        remembered: Remembered | None = None,
    ) -> Painting:
        """As `Engine.begin`, of one frame; waits if as many are on their way.

        Frames with a memory are not for it: each needs the one before.

        Where OpenVINO refuses this size, the engine paints without from then on.
        """
        assert remembered is None
        run = self._run(data, noise, conditioning, schedule)
        engine: Engine = self._engine
        kinds = () if conditioning.stem is None else conditioning.stem.kinds
        block = engine.networks.exit_block(cell_px)
        form = Form(data.shape, kinds, block, self._is_whole(run, block))
        if form != self._form:
            try:
                self._make_lanes(run, form)
            except RuntimeError as err:
                engine.note(f"frames are painted one by one, not side by side: {in_short(err)}")
                engine.side_by_side = None
                return engine.begin(data, noise, conditioning, schedule, cell_px=cell_px)
        lane = self._lanes[0]
        self._lanes.rotate(-1)
        return lane.begin(run)

    def close(self) -> None:
        """Wait for what is on its way."""
        _wait_for_all(self._lanes)

    def _run(
        self,
        data: NDArray[np.uint8],
        noise: Tensor,
        conditioning: Conditioning,
        schedule: Schedule,
    ) -> "Run":
        engine: Engine = self._engine
        predictor = engine.networks.predict
        assert isinstance(predictor, SplitPredictor)
        cond = engine.timestep_cond(conditioning, schedule)
        added = engine.added(conditioning, (data.shape[1], data.shape[0]), batch=1)
        held = [
            predictor.held(schedule.timesteps[k : k + 1], conditioning.prompt_embeds, cond, added)
            for k in range(len(schedule.steps))
        ]
        stem = conditioning.stem
        shown: tuple[Tensor, ...] = ()
        if stem is not None:
            shown = stem.style, *planes_inputs(noise[0], stem, 1)
        return Run(engine, data, noise, schedule, held, shown)

    def _is_whole(self, run: "Run", block: int | None) -> bool:
        """Whether frames take one step, and all that lies between networks can be in a graph."""
        engine: Engine = self._engine
        served = engine.networks.sees_frame and engine.frame_is_scaled
        return served and block is not None and len(run.held) == 1 and run.numbers is not None

    def _make_lanes(self, run: "Run", form: Form) -> None:
        """Lanes for frames of this shape and kinds of marks in place of those there were."""
        engine: Engine = self._engine
        engine.latent_shape((form.shape[1], form.shape[0]))
        self.close()
        self._lanes.clear()
        self._form = None
        count = self.in_flight
        self._lanes += (
            self._whole_lanes(run, form) if form.is_whole else self._stepwise_lanes(run, form)
        )
        self._form = form
        engine.note(f"paints {count} frames side by side, one thread each", logging.INFO)

    def _whole_lanes(self, run: "Run", form: Form) -> list["Lane"]:
        engine, count, block = self._engine, self.in_flight, form.block
        networks = engine.networks
        exit, stem, body = networks.exit, networks.stem, networks.predict.body
        assert isinstance(exit, OpenVinoExit) and block is not None
        shows = None if stem is None else stem.features
        parts = Parts(networks.encode, shows, body, exit.call(block))
        whole = frame_model(parts, adds_frame=stem is not None and stem.adds_frame)
        planes = torch.zeros(1, PLANES, run.data.shape[1] // 2, run.data.shape[2] // 2)
        frames = _side_by_side(exit.call(block).instead(whole), run.inputs(planes), count)
        if stem is None:
            return [WholeLane(None, frame, block) for frame in frames]
        fields = stem.planes_of(form.kinds)
        fields = _side_by_side(fields.instead(fields_model(fields)), run.field_inputs(), count)
        return [WholeLane(*pair, block) for pair in zip(fields, frames, strict=True)]

    def _stepwise_lanes(self, run: "Run", form: Form) -> list["Lane"]:
        engine: Engine = self._engine
        (height, width, _), kinds, block, _ = form
        latents = torch.zeros(1, *engine.latent_shape((width, height)))
        predictor = engine.networks.predict
        assert isinstance(predictor, SplitPredictor)
        count = self.in_flight
        encoders = _side_by_side(engine.networks.encode, (run.image,), count)
        # a body's callback starts the body of the next step, which cannot be its own request
        features = None
        stems: list[tuple[Request, Request]] = []
        if run.shown and engine.networks.stem is not None:
            stem = engine.networks.stem
            planes = torch.zeros(1, PLANES, height // 2, width // 2)
            features = torch.zeros(1, stem.channels, *latents.shape[2:])
            fields = _side_by_side(stem.planes_of(kinds), (run.image, *run.shown[1:]), count)
            shows = _side_by_side(stem.features, (run.image, planes, run.shown[0]), count)
            stems = list(zip(fields, shows, strict=True))
        seen = engine.seen(latents, latents, features)
        bodies = _side_by_side(predictor.body, (seen, *run.held[0]), count, each=2)
        exit, decode = engine.networks.exit, engine.networks.decode
        if block is not None:
            assert isinstance(exit, OpenVinoExit)
            decode = exit.call(block)
        decoders = _side_by_side(decode, (latents,), count)
        pairs = zip(bodies[:count], bodies[count:], strict=True)
        return [
            Lane(encoders[k], pair, decoders[k], stems[k] if stems else None, block)
            for k, pair in enumerate(pairs)
        ]


def _side_by_side(
    call: object, inputs: tuple[Tensor, ...], count: int, each: int = 1
) -> list[Request]:
    assert isinstance(call, OpenVinoCall)
    return call.side_by_side(inputs, count, each)


def _wait_for_all(lanes: deque["Lane"]) -> None:
    for lane in lanes:
        lane.wait()


class Run:
    """What one frame needs on its way.

    Attributes:
        data: uint8 (1, H, W, 3), the frame, in memory of its own.
        numbers: Of its only step (`openvino_frame.step_numbers`); ``None`` where there are more.
        frame: Its latents (1, C, h, w), as the next step sees them; set when it is encoded.
        held: For each step, what the body is held to.
        shown: What a stem is given: its style, then what the planes are made from; () without one.
        features: What the stem has made of them.
    """

    def __init__(
        self,
        engine: Engine,
        data: NDArray[np.uint8],
        noise: Tensor,
        schedule: Schedule,
        held: list[tuple[Tensor, ...]],
        shown: tuple[Tensor, ...],
    ) -> None:
        self.engine, self.noise = engine, noise
        self.data = torch.from_numpy(data.copy(order="C"))[None]
        self.schedule, self.held, self.shown = schedule, held, shown
        self.numbers = step_numbers(schedule) if len(held) == 1 else None
        self.frame = torch.empty(0)
        self.features: Tensor | None = None

    @cached_property
    def image(self) -> Tensor:
        """(1, 3, H, W), the frame as networks take it."""
        return self.engine.to_image(self.data[0].numpy())

    def field_inputs(self) -> tuple[Tensor, ...]:
        """Of `openvino_frame.fields_model`."""
        return self.data, *self.shown[1:]

    def inputs(self, planes: Tensor | None) -> tuple[Tensor, ...]:
        """Of `openvino_frame.frame_model`."""
        assert self.numbers is not None
        shown = () if planes is None or not self.shown else (planes, self.shown[0])
        return self.data, self.numbers, self.noise[:1], *shown, *self.held[0]


class Lane:
    """Requests for one frame at a time; `stem` has those of the field planes and of the stem.

    `block` is what the exit was told, where there is one.
    """

    def __init__(
        self,
        encode: Request,
        bodies: tuple[Request, Request],
        decode: Request,
        stem: tuple[Request, Request] | None = None,
        block: int | None = None,
    ) -> None:
        self._block = block
        self._encode, self._bodies, self._decode, self._stem = encode, bodies, decode, stem
        self._running = encode
        self._done = threading.Event()
        self._done.set()
        self._painting: Picture | None = None

    def begin(self, run: Run) -> Painting:
        """Start a frame, once the one before has arrived."""
        self.wait()
        self._done = threading.Event()
        picture = self._painting = Picture(self)
        self._begin(run, picture)
        return picture

    def _begin(self, run: Run, picture: "Picture") -> None:
        if self._stem is None:
            self._start(self._encode, (run.image,), partial(self._encoded, run, picture))
        else:
            given = run.image, *run.shown[1:]
            self._start(self._stem[0], given, partial(self._has_planes, run, picture))

    def wait(self) -> None:
        """Until no frame is on its way; what failed is said by its picture alone."""
        while not self._done.wait(CHECK_S):
            try:
                self._running.check()
            except RuntimeError as err:
                self._fail(err)

    def _start(
        self, request: Request, inputs: tuple[Tensor, ...], then: Callable[[Tensor], None]
    ) -> None:
        """Run a request; whatever its callback raises belongs to the picture."""

        def guarded(output: Tensor) -> None:
            try:
                with torch.inference_mode():
                    then(output)
            except Exception as err:  # it would be lost in a thread of OpenVINO
                self._fail(err)

        self._running = request
        request.start(inputs, guarded)

    def _has_planes(self, run: Run, picture: "Picture", planes: Tensor) -> None:
        assert self._stem is not None
        given = run.image, planes, run.shown[0]
        self._start(self._stem[1], given, partial(self._has_features, run, picture))

    def _has_features(self, run: Run, picture: "Picture", features: Tensor) -> None:
        run.features = features
        self._start(self._encode, (run.image,), partial(self._encoded, run, picture))

    def _encoded(self, run: Run, picture: "Picture", latents: Tensor) -> None:
        run.frame = latents
        self._step(run, picture, 0, latents)

    def _step(self, run: Run, picture: "Picture", index: int, denoised: Tensor) -> None:
        if index == len(run.schedule.steps):
            self._start(self._decode, (denoised,), partial(self._decoded, run, picture))
            return
        z_t = add_noise(denoised, run.noise[index], run.schedule.steps[index])
        if index == 1:
            run.frame = run.engine.repainted(run.frame, denoised)
        seen = run.engine.seen(z_t, run.frame, run.features)
        inputs = seen, *run.held[index]
        then = partial(self._predicted, run, picture, index, z_t)
        self._start(self._bodies[index % 2], inputs, then)

    def _predicted(
        self, run: Run, picture: "Picture", index: int, z_t: Tensor, prediction: Tensor
    ) -> None:
        step = run.schedule.steps[index]
        prediction = run.engine.completed(prediction, run.frame)
        denoised = consistency(prediction, z_t, step, run.schedule)
        self._step(run, picture, index + 1, denoised)

    def _decoded(self, run: Run, picture: "Picture", image: Tensor) -> None:
        block = self._block
        picture.data = run.engine.to_data(image) if block is None else shuffled(image, block)
        self._done.set()

    def _fail(self, err: Exception) -> None:
        if self._painting is not None:
            self._painting.error = err
        self._done.set()


class WholeLane(Lane):
    """One request a frame, after one for its field planes where the model has a stem."""

    def __init__(self, fields: Request | None, frame: Request, block: int) -> None:
        super().__init__(frame, (frame, frame), frame, block=block)
        self._fields, self._frame = fields, frame

    def _begin(self, run: Run, picture: "Picture") -> None:
        if self._fields is None:
            self._has_planes(run, picture, None)
        else:
            self._start(self._fields, run.field_inputs(), partial(self._has_planes, run, picture))

    def _has_planes(self, run: Run, picture: "Picture", planes: Tensor | None) -> None:
        self._start(self._frame, run.inputs(planes), partial(self._decoded, run, picture))


class Picture:
    """A picture to come."""

    def __init__(self, lane: Lane) -> None:
        self.data: NDArray[np.uint8] | None = None
        self.error: Exception | None = None
        self._lane = lane

    def __call__(self) -> NDArray[np.uint8]:
        if self.data is None and self.error is None:
            self._lane.wait()
        if self.error is not None:
            raise self.error
        assert self.data is not None
        return self.data
