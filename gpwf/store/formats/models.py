"""Models: gammapy's YAML with every parameter in full, its covariance, and template maps beside.

``gammapy.modeling.models.Models.read("models.yaml")`` works on the result. Our own reader also
gives back the covariance between linked parameters, which gammapy sets to zero, errors that are not
known, and what gammapy's reader of templates and absorption leaves out: errors, bounds and links of
their parameters, and how they are interpolated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from gpwf.core.digests import Digest
from gpwf.errors import StoreError
from gpwf.store.formats._fits import dump_yaml, load_yaml, write_hdulist
from gpwf.store.formats._model_parts import (
    exact_dict,
    part_hdulist,
    refuse_unreadable,
    restore_parts,
    with_files,
)

__all__ = ["read", "read_models", "write", "write_models"]

_INDEX = "models.yaml"
_COVARIANCE = "models_covariance.dat"


def write(value: Any, directory: Path, card: Mapping[str, str]) -> Mapping[str, Any]:
    """Write models, see `gpwf.store.formats.write`.

    Parameters
    ----------
    value : `gammapy.modeling.models.Models`
        With their covariance.
    """
    write_models(value, directory, card)
    return {
        "names": list(value.names),
        "n_parameters": len(value.parameters),
        "n_free": len(value.parameters.free_parameters.unique_parameters),
    }


def read(directory: Path, locate: Callable[[Digest], Path]) -> Any:  # noqa: ARG001
    """Read `gammapy.modeling.models.Models`, see `gpwf.store.formats.read`."""
    return read_models(directory)


def write_models(models: Any, directory: Path, card: Mapping[str, str], stem: str = "") -> None:
    """Write models under ``<stem>models.yaml`` and beside it.

    Parameters
    ----------
    models : `gammapy.modeling.models.Models`
        The models; link labels are renamed in place.
    directory : Path
        Where to.
    card : mapping of str to str
        What the file says about itself.
    stem : str
        Prefix of all file names.

    Raises
    ------
    StoreError
        For models that gammapy cannot read back.
    """
    refuse_unreadable(models)
    covariance = models.covariance.data.copy()
    for parameter in models.parameters:
        parameter._link_label_io = None  # that of a link which is no more
    models.update_link_label()
    _settle_link_labels(models)
    with with_files(models, stem) as files:
        for part, name in files:
            write_hdulist(part_hdulist(part), directory / name, card)
        components = [
            _floats(exact_dict(model, model.to_dict(full_output=True))) for model in models
        ]
    index: dict[str, Any] = {"components": components}
    if len(models.parameters):
        _write_covariance(models, covariance, directory / f"{stem}{_COVARIANCE}")
        index["covariance"] = f"{stem}{_COVARIANCE}"
    (directory / f"{stem}{_INDEX}").write_text(dump_yaml(index, card), encoding="utf-8")


def _file_names(data: Any) -> Iterator[Any]:
    """Yield the names of all files that components refer to."""
    if isinstance(data, Mapping):
        if "filename" in data:
            yield data["filename"]
        for item in data.values():
            yield from _file_names(item)
    elif isinstance(data, list) and data and isinstance(data[0], Mapping):
        for item in data:
            yield from _file_names(item)


def read_models(directory: Path, stem: str = "") -> Any:
    """Read what `write_models` wrote."""
    from gammapy.modeling.models import Models
    from gammapy.modeling.models.core import _set_models_link

    index = load_yaml(directory / f"{stem}{_INDEX}")
    components = index["components"]
    for name in [index.get("covariance"), *_file_names(components)]:
        if name is not None and Path(str(name)).name != name:
            raise StoreError(
                f"the models refer to {name}, which is no file of the product",
                hint="the step `models` reads files that gammapy wrote",
            )
    models = Models.from_dict({"components": deepcopy(components)}, path=str(directory))
    for model, data in zip(models, components, strict=True):
        restore_parts(model, data)
    _set_models_link(models)
    errors = [parameter.error for parameter in models.parameters]
    for parameter in models.parameters:
        parameter._link_label_io = None  # or copies would link what has the same label
    if "covariance" in index:
        # only now: gammapy links parameters after it reads the covariance, which clears what lies
        # off the diagonal
        models.covariance = _read_covariance(directory / index["covariance"])
        for parameter, error in zip(models.parameters, errors, strict=True):
            parameter.error = error  # not the root of its square; NaN stands for not known
    return models


def _floats(data: Any) -> Any:
    """Return a model's dictionary with floats where gammapy has both 0 and 0.0."""
    if isinstance(data, Mapping):
        if {"name", "value", "unit"} <= data.keys():
            numbers = ("value", "error", "min", "max")
            return {**data, **{key: float(data[key]) for key in numbers if key in data}}
        return {key: _floats(item) for key, item in data.items()}
    if isinstance(data, list):
        return [_floats(item) for item in data]
    return data


def _settle_link_labels(models: Any) -> None:
    """Give links labels that depend on nothing but their order."""
    labels: dict[str, str] = {}
    for parameter in models.parameters:
        label = parameter._link_label_io
        if label is not None and label not in labels.values():
            parameter._link_label_io = labels.setdefault(
                label, f"{parameter.name}@link{len(labels) + 1}"
            )


def _write_covariance(models: Any, covariance: Any, path: Path) -> None:
    """Write the covariance matrix in the table that gammapy reads.

    It is astropy's format ``ascii.fixed_width``, whose own writer takes 5 ms.
    """
    names = models.parameters_unique_names
    if len(names) != len(models.parameters):  # gammapy counts a template's spatial part in one only
        names = [f"{model.name}.{item.name}" for model in models for item in model.parameters]
    rows = [[str(value) for value in row] for row in covariance.tolist()]
    columns = [["Parameters", *names]]
    # a column holds a row of the matrix; those of fits are not quite symmetric
    columns += [[str(number), *texts] for number, texts in enumerate(rows)]
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "".join(f"| {text:>{width}} " for text, width in zip(line, widths, strict=True)) + "|\n"
        for line in zip(*columns, strict=True)
    ]
    path.write_text("".join(lines), encoding="utf-8")


def _read_covariance(path: Path) -> Any:
    """Return the covariance matrix of `_write_covariance`."""
    import numpy as np

    lines = path.read_text(encoding="utf-8").splitlines()
    size = len(lines) - 1
    # the name of a model may hold a bar, too
    columns = [line.rstrip().rstrip("|").split("|")[-size:] for line in lines[1:]]
    return np.array([[float(text) for text in row] for row in zip(*columns, strict=True)])
