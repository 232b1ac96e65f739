"""LoraChoice: the LoRAs of an engine that a style may switch, by name, while it paints.

Style.loras "ink:0.7 | sea:0.3" ──choose──► `Loras.set` ──► `Engine.revision`
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from models.engine import Engine
from models.style import parse_loras
from models.weights.lora import LoraFile
from models.weights.lora_switching import Loras


@dataclass(frozen=True, slots=True, eq=False)
class NamedLora:
    """One that can be switched.

    Attributes:
        name: What `Style.loras` calls it: its file without the ending, or the hub id's last part.
        weight: How much it counts where a style does not say.
    """

    name: str
    file: LoraFile
    weight: float


def named_loras(loras: Sequence[tuple[LoraFile, float]]) -> tuple[NamedLora, ...]:
    """The same with names.

    Raises:
        ValueError: Two have one name, or a name cannot be written in a style.
    """
    named = tuple(NamedLora(_name(file.name), file, weight) for file, weight in loras)
    names = [one.name for one in named]
    if len(set(names)) < len(names):
        raise ValueError(f"got LoRAs named {', '.join(names)}, expected each name once")
    for name in names:
        if parse_loras(name) != ((name, None),):
            raise ValueError(f"got a LoRA named {name!r}, expected a name without | and :")
    return named


class LoraChoice:
    """Switches the LoRAs of one engine. Belongs to the engine's thread.

    Args:
        loras: All that there are.
    """

    def __init__(self, loras: Sequence[NamedLora]) -> None:
        self._all = {one.name: one for one in loras}
        self._loras: Loras | None = None
        self._chosen: str | None = None

    def attach(self, engine: Engine) -> None:
        """Begin with each at its own weight, on an engine that has its fast path.

        Raises:
            ModelFormatError: One does not fit the model.
            ValueError: The engine has copies of its weights.
        """
        self._loras = Loras(engine)
        self._loras.set([(one.file, one.weight) for one in self._all.values()])
        self._chosen = ""

    def choose(self, asked: str) -> None:
        """Have what `Style.loras` asks for; nothing is done where that is so.

        Raises:
            ValueError: There is none of a name.
        """
        if asked == self._chosen or self._loras is None:
            return
        wanted = {one.name: one.weight for one in self._all.values()}
        if asked:
            parts = parse_loras(asked)
            unknown = [name for name, _ in parts if name not in self._all]
            if unknown:
                known = ", ".join(self._all)
                raise ValueError(f"got loras={asked!r}, expected names of {known}")
            wanted = {
                name: self._all[name].weight or 1.0 if weight is None else weight
                for name, weight in parts
            }
        self._loras.set(
            [(self._all[name].file, weight) for name, weight in wanted.items() if weight]
        )
        self._chosen = asked


def _name(source: str) -> str:
    path = PurePath(source)
    return path.stem if path.suffix == ".safetensors" else path.name.partition("@")[0]
