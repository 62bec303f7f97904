"""Any network of timm (Wightman 2019), without its classifier. Weights of the hub, or a file's."""

from pathlib import Path

from PIL import Image

from kadr.encoders.torch_images import Preprocessing, TorchImages, load_weights
from kadr.errors import KadrError


def load(spec: str) -> TorchImages:
    """`NAME` takes the hub's weights, `NAME:FILE` those in a file.

    Raises:
        KadrError: no such network, or its weights can't be had.
    """
    import timm

    name, _, file = spec.partition(":")
    try:
        network = timm.create_model(name, pretrained=not file)
    except RuntimeError as error:
        raise KadrError(f"timm has no network {name!r} with weights ({error}).") from error
    except OSError as error:
        raise KadrError(
            f"{name}'s weights can't be had from the hub ({_first_line(error)}). Get the file "
            f"where there is a network, and name it: timm:{name}:FILE."
        ) from error
    origin = load_weights(network, Path(file)) if file else network.pretrained_cfg.get("tag", "hub")
    network.reset_classifier(0)
    step = timm.data.resolve_model_data_config(network)
    crop = step["input_size"][1]
    preprocessing = Preprocessing(
        crop=crop,
        resize=round(crop / step["crop_pct"]),
        mean=tuple(step["mean"]),
        std=tuple(step["std"]),
        resampling=Image.Resampling[step["interpolation"].upper()],
    )
    return TorchImages(network, f"timm-{name}-{origin}", network.num_features, preprocessing)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
