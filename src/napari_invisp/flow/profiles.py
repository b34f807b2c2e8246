"""Preprocessing profiles: what a model expects to be done before and after it.

Weights only make sense together with the habits they were trained with, so a checkpoint carries
its profile. Here are declarations alone; the pipeline acts on them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

from napari_invisp.errors import CheckpointError

Demosaicing = Literal["bilinear", "ahd", "ppg", "vng", "dcb", "dht", "aahd"]
Black = Literal["file", "none"]
Pattern = Literal["file", "RGGB"]
Balance = Literal["file", "none"]
Rounding = Literal["round", "truncate"]

_CHOICES: dict[str, tuple[str, ...]] = {
    "demosaicing": get_args(Demosaicing),
    "black": get_args(Black),
    "pattern": get_args(Pattern),
    "balance": get_args(Balance),
    "rounding": get_args(Rounding),
}

# Fields that profiles written before lack; they had the default.
_LATER = frozenset({"balance"})


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True)
class Profile:
    """How RAW becomes network input, and how rendered sRGB becomes 8 bit.

    Attributes
    ----------
    name
        What the profile is called.
    demosaicing
        Algorithm that makes three channels of the mosaic.
    black
        Black level to subtract: the file's own, or none at all.
    white
        Level in DN that becomes 1 before white balance: the file's own, or a fixed number.
    pattern
        Colours of the CFA: as the file says, or taken to be RGGB whatever it says.
    gamma
        Network input is balanced RGB to the power ``1 / gamma``; 1 leaves it linear.
    rounding
        How rendered sRGB times 255 becomes an integer.
    balance
        White balance of the input: the file's own, or none, which leaves it to the model.

    Raises
    ------
    CheckpointError
        A field holds something that it cannot.
    """

    name: str
    demosaicing: Demosaicing = "bilinear"
    black: Black = "file"
    white: Literal["file"] | float = "file"
    pattern: Pattern = "file"
    gamma: float = 2.2
    rounding: Rounding = "round"
    balance: Balance = "file"

    def __post_init__(self) -> None:
        def need(holds: bool, field: str, what: str) -> None:
            if not holds:
                value = getattr(self, field)
                raise CheckpointError(f"profile field {field!r} must be {what}, not {value!r}")

        need(isinstance(self.name, str) and self.name != "", "name", "a name")
        for field, choices in _CHOICES.items():
            value = getattr(self, field)
            need(isinstance(value, str) and value in choices, field, "one of " + ", ".join(choices))
        need(
            self.white == "file" or (_is_number(self.white) and self.white > 0),
            "white",
            "'file' or a positive number",
        )
        need(_is_number(self.gamma) and self.gamma > 0, "gamma", "a positive number")

    def to_dict(self) -> dict[str, Any]:
        """Give the fields as plain JSON values; :meth:`from_dict` takes them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: object) -> Self:
        """Make a profile of what :meth:`to_dict` gave.

        Raises
        ------
        CheckpointError
            ``values`` is no mapping, or a field is missing, unknown or out of its range.
        """
        if not isinstance(values, Mapping):
            raise CheckpointError(f"a profile is a JSON object, not {type(values).__name__}")
        expected = {field.name for field in fields(cls)}
        if missing := expected - values.keys() - _LATER:
            raise CheckpointError(f"the profile lacks {', '.join(sorted(missing))}")
        if unknown := values.keys() - expected:
            raise CheckpointError(
                f"the profile has unknown fields: {', '.join(sorted(map(str, unknown)))}"
            )
        return cls(**values)


#: Profiles by name: our own training of the paper's network, its variant without white balance
#: beforehand, the habits that the authors' checkpoints were trained with (12-bit Canon EOS 5D,
#: 14-bit Nikon D700), and `physics`.
PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("paper"),
        Profile("paper-unbalanced", balance="none"),
        Profile("authors-canon", black="none", white=4095.0, pattern="RGGB", rounding="truncate"),
        Profile("authors-nikon", black="none", white=16383.0, pattern="RGGB", rounding="truncate"),
        Profile("physics", demosaicing="ahd", gamma=1.0),
    )
}
