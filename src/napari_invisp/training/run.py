"""The folder of a training run: all that is needed to go on with it, and what comes out of it."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

import torch

from napari_invisp.errors import OutputError, SettingsError, TrainingError
from napari_invisp.files import atomic_path, write_bytes_atomic
from napari_invisp.flow.base import InvertibleISP
from napari_invisp.flow.checkpoints import save_checkpoint
from napari_invisp.strictjson import dumps
from napari_invisp.training.settings import RunSettings, TrainSettings

_Settings = TypeVar("_Settings", bound=RunSettings)


@dataclass(frozen=True)
class RunFolder(Generic[_Settings]):
    """A run folder, whatever is trained.

    Attributes
    ----------
    folder
        Where it is.
    settings
        What the run is begun, or goes on, with.
    kind
        Class of the settings.
    """

    folder: Path
    settings: _Settings
    kind: ClassVar[type[RunSettings]]

    @property
    def log(self) -> Path:
        """Losses and figures, line by line."""
        return self.folder / "log.csv"

    @property
    def model(self) -> Path:
        """The averaged weights of late."""
        return self.folder / "model.safetensors"

    @property
    def best(self) -> Path:
        """The averaged weights that did best at validation."""
        return self.folder / "best.safetensors"

    @property
    def state(self) -> Path:
        """What a resumed run starts from."""
        return self.folder / "state.pt"

    @classmethod
    def begin(cls, folder: Path, settings: _Settings) -> Self:
        """Make a new run; nothing is written yet.

        Raises
        ------
        OutputError
            The folder holds a run already.
        """
        if _settings_file(folder).exists():
            raise OutputError(
                f"{folder} holds a run already; go on with it by --resume {folder}, "
                "or name another folder"
            )
        return cls(folder, settings)

    @classmethod
    def resume(cls, folder: Path, changes: Mapping[str, Any] | None = None) -> Self:
        """Open the folder of a run to go on with it.

        Parameters
        ----------
        folder
            Where it is.
        changes
            Settings that shall be other from now on, by name.

        Raises
        ------
        TrainingError
            There is no run, its settings are damaged, or a change is not possible.
        """
        path = _settings_file(folder)
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise TrainingError(
                f"there is no run in {folder} to go on with: {path} cannot be read "
                f"({error.strerror or error})"
            ) from error
        except ValueError as error:
            raise TrainingError(f"{path} is damaged: it is no JSON") from error
        try:
            stored = cls.kind.from_dict(values)
        except SettingsError as error:
            raise TrainingError(f"{path}: {error}") from error
        return cls(folder, cast("_Settings", stored.changed(changes or {})))

    def write_settings(self) -> None:
        """Make the folder, and keep the settings in it.

        Raises
        ------
        OutputError
            It cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot make the folder {self.folder}: {error.strerror or error}"
            ) from error
        text = dumps(self.settings.to_dict()) + "\n"
        write_bytes_atomic(_settings_file(self.folder), text.encode())

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Replace the state at once; a kill on the way leaves the one before."""
        with atomic_path(self.state) as temporary:
            torch.save(dict(state), temporary)

    def read_state(self) -> dict[str, Any] | None:
        """Return the state on the CPU, or none if there is none yet.

        Raises
        ------
        TrainingError
            The file is damaged.
        """
        if not self.state.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(self.state, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, OSError, EOFError) as error:
            raise TrainingError(f"{self.state} is damaged: the run cannot go on") from error
        return state

    def keep_best(self) -> None:
        """Keep the model as it is now as the best one."""
        with atomic_path(self.best) as temporary:
            shutil.copyfile(self.model, temporary)


@dataclass(frozen=True)
class Run(RunFolder[TrainSettings]):
    """The folder of a run that trains an invertible model."""

    kind = TrainSettings

    def save_model(self, model: InvertibleISP, facts: Mapping[str, Any]) -> None:
        """Write the model, its card made of the settings and some facts."""
        settings = self.settings.to_dict()
        settings["data"] = [Path(folder).name for folder in self.settings.data]
        settings["start"] = Path(self.settings.start).name
        card = {"data": settings["data"], **facts, "settings": settings}
        save_checkpoint(self.model, model, card)


def _settings_file(folder: Path) -> Path:
    return folder / "settings.json"
