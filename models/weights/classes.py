"""The classes of a model's networks, where there are several: by their configs and index."""

from typing import Any

from models.errors import ModelFormatError
from models.weights.folders import Component, loading


def vae_class(component: Component) -> tuple[Any, dict[str, Any]]:
    """The class of a VAE, and its config.

    Raises:
        ModelFormatError: It is of none that is served.
    """
    from diffusers import AutoencoderKL, AutoencoderTiny

    with loading(str(component)):
        config: dict[str, Any] = AutoencoderKL.load_config(
            component.folder, subfolder=component.subfolder, local_files_only=True
        )
    match config.get("_class_name"):
        case "AutoencoderKL":
            return AutoencoderKL, config
        case "AutoencoderTiny":
            return AutoencoderTiny, config
        case "AutoencoderPatch":
            from models.autoencoder import AutoencoderPatch

            return AutoencoderPatch, config
        case other:
            raise ModelFormatError(
                f"{component} is a VAE of class {other}; "
                "use an AutoencoderKL, AutoencoderTiny or AutoencoderPatch."
            )


def text_encoder_class(class_name: str) -> Any:
    """The class of a text encoder, by the name that an index has.

    Raises:
        ModelFormatError: It is none that is served.
    """
    import transformers

    match class_name:
        case "CLIPTextModel":
            return transformers.CLIPTextModel
        case "CLIPTextModelWithProjection":
            return transformers.CLIPTextModelWithProjection
        case _:
            raise ModelFormatError(
                f"The text encoder is a {class_name}; use a model with CLIP text encoders."
            )
