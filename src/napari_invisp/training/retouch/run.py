"""The folder of a run that trains a retouching policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_invisp.retouching.policy import Policy, save_policy
from napari_invisp.training.retouch.settings import PolicySettings
from napari_invisp.training.run import RunFolder


@dataclass(frozen=True)
class PolicyRun(RunFolder[PolicySettings]):
    """Settings, log, weights and state of a policy, and the small pictures it learns from."""

    kind = PolicySettings

    @property
    def pictures(self) -> Path:
        """Small copies of the pictures, which take long to make."""
        return self.folder / "pictures.safetensors"

    def save_policy(self, policy: Policy, facts: Mapping[str, Any]) -> None:
        """Write the policy, its card made of the settings and some facts."""
        settings = self.settings.to_dict()
        for name in ("retouched", "light"):
            settings[name] = [Path(each).name for each in settings[name]]
        save_policy(self.model, policy, {**facts, "settings": settings})
