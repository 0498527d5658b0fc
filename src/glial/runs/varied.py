"""Images that keep their own sizes: what a plan may ask for beside them."""

from __future__ import annotations

from collections.abc import Mapping

from glial.core.errors import InputError
from glial.data.settings import DataSettings, Kind
from glial.models import ModelSettings


def with_varied(
    data: DataSettings, model: type[ModelSettings] | None, name: str, kinds: Mapping[str, Kind]
) -> DataSettings:
    """The plan's ``data`` part, with what the network is told of padding decided.

    A network that is told nothing must always see an image in the same padding: all images are
    then padded to one size, unless batches are of one size each.

    Args:
        data: The plan's ``data`` part.
        model: The model's settings; None for a network of the user's own.
        name: The model.
        kinds: Kind of each input column.

    Raises:
        InputError: If images of varied sizes do not go with the model, or with other settings.

    Example:
        >>> from glial.models.residual_cnn import ResidualCNNSettings
        >>> data = DataSettings(images={"size": "varied"})
        >>> kinds = {"photo": "image"}
        >>> with_varied(data, ResidualCNNSettings, "residual_cnn", kinds).images.mask
        True
    """
    images = data.images
    columns = [column for column, kind in kinds.items() if kind == "image"]
    if images.size != "varied" or not columns:
        return data
    asked = "data.images.size: varied"
    if len(columns) > 1:
        raise InputError(
            "only images of one column can keep their sizes",
            expected="one column of images",
            got=", ".join(columns),
            do="leave data.images.size out, which brings the images of each column to one size",
        )
    if model is not None and not model.any_size:
        raise InputError(
            f"the model {name!r} takes images of one size",
            expected="a model that takes any size, such as residual_cnn",
            got=asked,
            do="choose residual_cnn, or leave data.images.size out",
        )
    can = model is None or model.takes_masks
    if images.mask is True and not can:
        raise InputError(
            f"the model {name!r} takes no mask of what is padding",
            expected="data.images.mask: auto or false",
            got="data.images.mask: true",
            do="leave data.images.mask out, or choose residual_cnn",
        )
    by_row = {
        "data.sampling=weighted": data.sampling == "weighted",
        "data.stratified_batches": data.stratified_batches,
    }
    for key, used in by_row.items():
        if used and images.grouped:
            raise InputError(
                f"{key} cannot be kept where a batch holds images of one size",
                expected="data.images.grouped: false, by which a batch holds any images",
                got=f"{asked}, data.images.grouped: true",
                do=f"take {key} or data.images.grouped out of the plan",
            )
    mask = model is not None and model.takes_masks if images.mask == "auto" else images.mask
    buckets = images.buckets if mask or images.grouped else 1
    changes = {"mask": mask, "buckets": buckets}
    return data.model_copy(update={"images": images.model_copy(update=changes)})
