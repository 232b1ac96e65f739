"""Runs torch modules as OpenVINO models: traced once, compiled once for each set of shapes.

    module ──trace──► OpenVINO model, any shape ──reshape, compile──► request for one set of shapes

Shapes are static because a plan for one shape is several times faster than one for all. Timesteps
and embeddings are inputs, so a new prompt, strength or seed compiles nothing. Only tensors go in
and out: who calls need not know.
"""

import copy
import platform
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from models.acceleration.cache.digests import add_digest, trim
from models.acceleration.cpu.quantization import Ranges, quantized
from models.acceleration.cpu.sizes_kept import sizes_kept
from models.acceleration.cpu.threads import told
from models.errors import in_short

Precision = Literal["f32", "bf16"]
PRECISIONS: dict[Precision, str] = {"bf16": "bfloat16", "f32": "float32"}

X86 = {"x86_64", "amd64"}

INSTALL = 'pip install "allaprima[cpu]"'
MOST_PLANS_BYTES = 300_000_000
"""On disk; the bundled model has 20 MB for each size of frame."""

Call = Callable[..., Tensor]
Shapes = tuple[tuple[int, ...], ...]


class OpenVinoCall:
    """Calls one module through OpenVINO. Not thread-safe, but for what `preparation` gives.

    Args:
        module: Takes float32 or int64 CPU tensors, gives one of float32 (or uint8).
        traced: Tensors to trace it with (later ones may have other sizes), or the file of an
            earlier trace, as `save` wrote it; `module` may then be anything that does the same.
        precision: What is computed in.
        threads: How many.
        plans: Folder where what was compiled is kept for a later start, sealed; ``None`` keeps
            none.
        on_failure: Told why, when shapes could not be compiled; they run on the module from then.

    Attributes:
        model: OpenVINO's, its sizes open.
        plain: The module.

    Raises:
        ImportError: openvino is not installed, or does not start.
        RuntimeError: The module cannot be converted.
    """

    def __init__(
        self,
        module: Call,
        traced: tuple[Tensor, ...] | Path,
        *,
        precision: Precision,
        threads: int,
        on_failure: Callable[[str], None],
        plans: Path | None = None,
    ) -> None:
        self._tensor_type = _openvino().Tensor
        self._core = _core()
        self.plain = module
        if isinstance(traced, Path):
            self.model = self._core.read_model(traced)
        else:
            self.model, self._decoder = converted(module, traced)
        self._settings = settings(precision, threads, plans)
        self._plans = plans
        self._on_failure = on_failure
        self._compiled: OrderedDict[Shapes, Request | None] = OrderedDict()
        self._lock = threading.Lock()
        self._newest: Shapes | None = None
        self._making: dict[Shapes, threading.Lock] = {}

    def __call__(self, *inputs: Tensor) -> Tensor:
        shapes = self._newest = tuple(tuple(tensor.shape) for tensor in inputs)
        request = self._request(shapes)
        if request is None:
            return self.plain(*inputs)
        return request.infer(inputs)

    def preparation(
        self, first: tuple[int, ...], *, scaled: bool = False
    ) -> Callable[[], object] | None:
        """What a call whose first tensor has this shape would have to wait for.

        Another thread may take this step while this one makes calls. ``None`` where nothing has to
        be waited for, or where it is not known what the other tensors will be.

        Args:
            scaled: The sides of the other tensors are in proportion to the first one's; otherwise
                they are what they were the time before.
        """
        shapes = self._shapes_for(first, scaled=scaled)
        return None if shapes is None or self.has(shapes) else partial(self.prepare, shapes)

    def has(self, shapes: Shapes) -> bool:
        """Whether a call with tensors of these shapes waits for nothing."""
        with self._lock:
            return shapes in self._compiled

    def prepare(self, shapes: Shapes) -> None:
        """Compile for these shapes, in any thread."""
        self._request(shapes)

    def _shapes_for(self, first: tuple[int, ...], *, scaled: bool) -> Shapes | None:
        if self._newest is None:
            return (first,) if len(self.model.inputs) == 1 else None
        before, *rest = self._newest
        if scaled:
            sides = [zip(one, first, before, strict=False) for one in rest]  # fewer, of a style
            rest = [tuple(n * new // old for n, new, old in each) for each in sides]
        return first, *rest

    def _request(self, shapes: Shapes) -> "Request | None":
        """What runs these shapes; ``None`` where OpenVINO refuses them."""
        with self._lock:
            if shapes in self._compiled:
                self._compiled.move_to_end(shapes)
                return self._compiled[shapes]
            making = self._making.setdefault(shapes, threading.Lock())
        with making:  # once, whoever asks
            if not self.has(shapes):
                self._keep(shapes, self._compile(shapes))
            return self._compiled.get(shapes)

    def _keep(self, shapes: Shapes, request: "Request | None") -> None:
        with self._lock:
            self._compiled[shapes] = request
            while len(self._compiled) > sizes_kept(self.model):
                self._compiled.popitem(last=False)

    def quantized(self, ranges: Ranges) -> "OpenVinoCall":
        """The same with its convolutions in 8-bit integers, as `quantization.quantized` has it.

        Raises:
            ValueError: `ranges` do not fit.
        """
        return self.instead(quantized(self.model, ranges, adds_in_16_bits=adds_in_16_bits()))

    def instead(self, model: Any, plain: Call | None = None) -> "OpenVinoCall":
        """The same of another model.

        Args:
            model: OpenVINO's.
            plain: What runs where OpenVINO refuses it; ``None`` is what does now.
        """
        other = copy.copy(self)
        other.model, other.plain, other._compiled = model, plain or self.plain, OrderedDict()
        other._lock, other._newest, other._making = threading.Lock(), None, {}
        return other

    def save(self, path: Path) -> None:
        """Write the trace to `path`, an .xml file, and its weights beside it as .bin."""
        _openvino().save_model(self.model, path, compress_to_fp16=False)

    def side_by_side(self, inputs: tuple[Tensor, ...], count: int, each: int) -> list["Request"]:
        """Requests that run `count` at a time, one thread each; `each` of them for every one.

        Args:
            inputs: Of the shapes that they are to run.

        Raises:
            RuntimeError: OpenVINO refuses these shapes.
        """
        streams = {"NUM_STREAMS": count, "INFERENCE_NUM_THREADS": count}
        compiled = self._compiled_for(tuple(tuple(tensor.shape) for tensor in inputs), streams)
        tensor_type = self._tensor_type
        return [Request(compiled.create_infer_request(), tensor_type) for _ in range(count * each)]

    def _compile(self, shapes: Shapes) -> "Request | None":
        """What runs these shapes; ``None`` where OpenVINO refuses them."""
        try:
            compiled = self._compiled_for(shapes, {})
            return Request(compiled.create_infer_request(), self._tensor_type)
        except RuntimeError as err:
            failed = f"OpenVINO refuses {shapes[0]}, so plain torch runs it: {in_short(err)}"
            self._on_failure(failed)
            return None

    def _compiled_for(self, shapes: Shapes, changed: dict[str, Any]) -> Any:
        model = self.model.clone()
        model.reshape(dict(enumerate(shapes)))
        compiled = self._core.compile_model(model, "CPU", {**self._settings, **changed})
        seal(self._plans)
        return compiled


class Request:
    """One compiled model and the tensors that it looks at. Runs one thing at a time."""

    def __init__(self, request: Any, tensor_type: Any) -> None:
        self._request = request
        self._tensor_type = tensor_type
        self._output_shape = tuple(request.model_outputs[0].shape)
        gives_bytes = request.model_outputs[0].element_type == _openvino().Type.u8
        self._output_type = torch.uint8 if gives_bytes else torch.float32
        # what OpenVINO was pointed at must live: the inputs, and the output until the next call
        self._inputs: list[Tensor | None] = [None] * len(request.model_inputs)
        self._output = torch.empty(0)

    def infer(self, inputs: tuple[Tensor, ...]) -> Tensor:
        self._take(inputs)
        self._request.infer()
        return self._output

    def start(self, inputs: tuple[Tensor, ...], then: Callable[[Tensor], None]) -> None:
        """Return at once; `then` is called with the output, in a thread of OpenVINO.

        It must not raise, and not start this request again. Where the inference itself fails it is
        not called: `check` tells.
        """
        self._request.wait()  # until `then` of the time before has returned
        self._take(inputs)
        output = self._output
        self._request.set_callback(lambda _: then(output), None)
        self._request.start_async()

    def check(self) -> None:
        """Raise what the running inference has failed with, if it has.

        Raises:
            RuntimeError: Of OpenVINO.
        """
        self._request.wait_for(0)

    def _take(self, inputs: tuple[Tensor, ...]) -> None:
        for index, tensor in enumerate(inputs):
            flat = tensor.contiguous()  # itself, where it is so already
            if flat is not self._inputs[index]:
                self._request.set_input_tensor(index, self._shared(flat))
                self._inputs[index] = flat
        # written straight into a tensor of the caller's own: nothing is copied, nothing overwritten
        self._output = torch.empty(self._output_shape, dtype=self._output_type)
        self._request.set_output_tensor(0, self._shared(self._output))

    def _shared(self, tensor: Tensor) -> Any:
        return self._tensor_type(tensor.numpy(), shared_memory=True)


def best_precision() -> Precision:
    """bf16 where the CPU multiplies it (AMX, AVX-512 BF16), else f32.

    Raises:
        ImportError: openvino is not installed, or does not start.
    """
    capabilities = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bf16" if "BF16" in capabilities else "f32"


def device_facts() -> list[str]:
    """What tells this CPU from others that compute otherwise or at another speed.

    Raises:
        ImportError: openvino is not installed, or does not start.
    """
    names = ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")
    facts = [str(_core().get_property("CPU", name)) for name in names]
    return [*facts, *sorted(_flags())]


def adds_in_16_bits() -> bool:
    """Whether this CPU has no instructions for sums of 8-bit products, so that two may overflow."""
    is_x86 = platform.machine().lower() in X86
    return is_x86 and not _flags() & {"avx_vnni", "avx512_vnni", "amx_int8"}


def _flags() -> set[str]:
    flags: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older torch has none
    return {name for name, has in flags.items() if has is True}


def _openvino() -> Any:
    try:
        import openvino
    except ImportError as err:
        raise ImportError(f"OpenVINO is not installed: {INSTALL}") from err
    except RuntimeError as err:  # of its telemetry, which looks for a home
        raise ImportError(f"OpenVINO cannot be imported: {err}") from err
    return openvino


@cache
def _core() -> Any:
    """The process's one core, which lives as long as the process.

    OpenVINO 2026.4 gives the thread that makes a core's first use of the CPU a stack for signals,
    and unmaps it with the core, whichever stack and thread that leaves: with a second core, or in
    another thread, the next Ctrl-C is a segmentation fault.
    """
    return _openvino().Core()


def seal(plans: Path | None) -> None:
    """Note what OpenVINO has just kept; what is not noted is made again the next time."""
    if plans is not None:
        with suppress(OSError):
            add_digest(plans)
            trim(plans, MOST_PLANS_BYTES)


def read_compiled(
    path: Path, threads: int, plans: Path | None
) -> Callable[..., tuple[Tensor, ...]]:
    """A saved model as a function of tensors, in float32; compiled for each new set of shapes.

    For what runs once a style: results are copied.

    Raises:
        RuntimeError: The file is no model.
    """
    core = _core()
    model = core.read_model(path)
    requests: dict[Shapes, Any] = {}

    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        shapes = tuple(tuple(tensor.shape) for tensor in inputs)
        if shapes not in requests:
            fixed = model.clone()
            fixed.reshape(dict(enumerate(shapes)))
            compiled = core.compile_model(fixed, "CPU", settings("f32", threads, plans))
            seal(plans)
            requests[shapes] = compiled.create_infer_request()
        outputs = requests[shapes].infer([tensor.numpy() for tensor in inputs])
        return tuple(torch.from_numpy(outputs[index].copy()) for index in range(len(outputs)))

    return run


def openvino_note(precision: Precision, threads: int, *, is_quantized: bool = False) -> str:
    """What an engine says of running on OpenVINO."""
    integers = "8-bit integers and " if is_quantized else ""
    return f"runs on OpenVINO in {integers}{PRECISIONS[precision]}, {told(threads)}"


def openvino_path(precision: Precision, *, is_quantized: bool) -> str:
    """The same for a recipe, without the threads."""
    return f"OpenVINO, {'8-bit integers and ' if is_quantized else ''}{PRECISIONS[precision]}"


def settings(precision: Precision, threads: int, plans: Path | None = None) -> dict[str, Any]:
    """What a model is compiled with."""
    chosen: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        # a pinned thread waits for its core even while another one is idle
        "ENABLE_CPU_PINNING": False,
    }
    if precision == "f32":
        # OpenVINO 2026.4 dies compiling f32 attention of static shape into snippets (AVX-512, AMX)
        chosen["SNIPPETS_MODE"] = "DISABLE"
    if plans is not None:
        chosen["CACHE_DIR"] = str(plans)
    return chosen


def converted(module: Call, example_inputs: tuple[Tensor, ...]) -> tuple[Any, Any]:
    """The module's trace as an OpenVINO model, its sizes left open, and what must outlive it.

    Not by `openvino.convert_model`: that is three times as slow and sends usage statistics.
    """
    from openvino import frontend
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    failures = (
        frontend.GeneralFailure,
        frontend.InitializationFailure,
        frontend.NotImplementedFailure,
        frontend.OpConversionFailure,
        frontend.OpValidationFailure,
    )
    with warnings.catch_warnings(), torch.no_grad():
        # torch.jit.trace is deprecated, but OpenVINO takes its graphs best; and a trace leaves out
        # checks of sizes, which hold for all sizes that the engine lets through
        warnings.simplefilter("ignore")
        trace: Any = torch.jit.trace
        traced = trace(module, example_inputs, check_trace=False)
        decoder = TorchScriptPythonDecoder(traced)
        converter = frontend.FrontEndManager().load_by_framework("pytorch")
        try:
            return converter.convert(converter.load(decoder)), decoder
        except failures as err:
            raise RuntimeError(str(err)) from err
