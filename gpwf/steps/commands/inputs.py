"""What a command reads: files and folders from outside, products of other steps.

All of them are shown to it in one folder, under names that are the same in every run, so that a
program that writes its arguments into its output makes the same bytes again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gpwf.core.catalog import ExternalFile
from gpwf.errors import StepError, StepInputError
from gpwf.steps.texts import InputPath

__all__ = ["files_of_folder", "place_inputs"]

_MOST_FILES = 10_000


def files_of_folder(setting: str, path: InputPath) -> Iterator[ExternalFile]:
    """Yield every file below a folder, in the order of the names.

    Raises
    ------
    StepInputError
        For a link to a folder in it, whose files nobody would see change, and for a folder with
        very many files.
    """
    count = 0
    for place, folders, names in os.walk(path.path):
        folders.sort()
        for name in folders:
            if (Path(place) / name).is_symlink():
                raise StepInputError(
                    f"{setting}: {Path(place) / name} is a link to a folder",
                    setting=setting,
                    hint="make it an input of its own",
                )
        for name in sorted(names):
            count += 1
            if count > _MOST_FILES:
                raise StepInputError(
                    f"{setting}: {path} holds more than {_MOST_FILES} files",
                    setting=setting,
                    hint="name the files that the command reads, or a smaller folder",
                )
            file = Path(place) / name
            if not file.is_file():
                raise StepInputError(
                    f"{setting}: {file} is no file, or a link to nothing",
                    setting=setting,
                    hint="only files can be inputs",
                )
            relative = file.relative_to(path.path).as_posix()
            yield ExternalFile(setting=setting, path=file, name=relative)


def place_inputs(
    folder: Path, files: Mapping[str, InputPath], products: Mapping[str, Sequence[Path]]
) -> dict[str, str | list[str]]:
    """Show the inputs of a command in a folder; return their paths from a folder beside it.

    Parameters
    ----------
    folder : Path
        To be made: it gets one link per input.
    files : mapping of str to InputPath
        Files and folders outside the store.
    products : mapping of str to sequence of Path
        Main files of the products, in folders of their own; or the folders.

    Returns
    -------
    paths : dict of str to str or list of str
        A list for products of which there are several.

    Raises
    ------
    StepError
        Where a name is both a file and a product.
    """
    folder.mkdir()
    twice = sorted(set(files) & set(products))
    if twice:
        raise StepError(
            f"{', '.join(twice)}: both in `inputs` and in `required_products`",
            hint="give one of them another name",
        )
    found: dict[str, str | list[str]] = {}
    for name, path in files.items():
        # the name of a file may matter to a program, and is part of what identifies the task
        target = folder / name / ("" if path.path.is_dir() else path.path.name)
        target.parent.mkdir(exist_ok=True)
        target.symlink_to(path.path)
        found[name] = f"../{folder.name}/{target.relative_to(folder).as_posix()}"
    for name, paths in products.items():
        several = len(paths) > 1
        shown = [f"{name}/{number}" if several else name for number in range(len(paths))]
        made = [_show(folder / at, path) for at, path in zip(shown, paths, strict=True)]
        texts = [f"../{folder.name}/{at}{end}" for at, end in zip(shown, made, strict=True)]
        found[name] = texts if several else texts[0]
    return found


def _show(link: Path, path: Path) -> str:
    """Link to the folder of a product, whose files may need each other; return what follows."""
    link.parent.mkdir(exist_ok=True)
    if path.is_dir():
        link.symlink_to(path)
        return ""
    link.symlink_to(path.parent)
    return f"/{path.name}"
