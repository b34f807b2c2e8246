"""What every invertible model offers to the pipeline."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from napari_invisp.flow.profiles import Profile

if TYPE_CHECKING:
    from napari_invisp.flow.coded import Coded, Trial
    from napari_invisp.flow.scene import Scene


class InvertibleISP(nn.Module, ABC):
    """An image signal processor that can be run backwards.

    Attributes
    ----------
    name
        What the model is called in the zoo, in checkpoints and in capsules.
    halo
        Receptive half-width in pixels, of :meth:`forward` and :meth:`inverse`: a pixel of the
        result depends on nothing further away. Tiles overlap by it.
    profile
        How RAW becomes this model's input, and how its sRGB becomes 8 bit.
    tile
        Side of the tiles, without halo, that suit it best.
    grid
        Tiles begin at multiples of it, an even number: a network that halves the resolution
        divides a tile as it divides the frame only then.
    checkpoint
        Name of the user's file that the weights are from, if they are.
    """

    name: str
    halo: int
    profile: Profile
    tile: int = 512
    grid: int = 2
    checkpoint: str | None = None

    @property
    def recovery_halo(self) -> int:
        """The same of :meth:`recover`."""
        return self.halo

    def conditioned(self, scene: Scene, sample: Tensor, headroom: float) -> InvertibleISP:
        """Return the model for one file: this one, unless it adapts to the file.

        Parameters
        ----------
        scene
            The file's metadata.
        sample
            ``(3, n)`` of the network input, from all over the picture.
        headroom
            0…1, how much of what would clip is kept.
        """
        return self

    def tried(self, attempt: Callable[[], Trial | None]) -> InvertibleISP:
        """Return the model for one JPEG of the file: this one, unless it adapts to the JPEG.

        Parameters
        ----------
        attempt
            Sends parts of the rendering through JPEG, if the frame is large enough.
        """
        return self

    def adopting(self, other: InvertibleISP) -> InvertibleISP:
        """Return the model with what another one, for the same file, was told by :meth:`tried`."""
        return self

    def configuration(self) -> dict[str, Any]:
        """Return what besides the profile its class needs to be made again, as JSON values."""
        return {}

    def memo(self) -> dict[str, Any]:
        """Return what its inverse needs besides the weights, as JSON values, for the capsule."""
        return {}

    def remembering(self, memo: Any) -> InvertibleISP:
        """Return the model for the file that ``memo`` was made for.

        Raises
        ------
        CheckpointError
            ``memo`` is damaged.
        """
        return self

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Render.

        Parameters
        ----------
        x
            ``(N, 3, H, W)``, RGB as ``profile`` prepares it, nominally within [0, 1].

        Returns
        -------
        torch.Tensor
            ``(N, 3, H, W)`` gamma-encoded sRGB, nominally within [0, 1] but not clipped.
        """

    @abstractmethod
    def inverse(self, y: Tensor) -> Tensor:
        """Take :meth:`forward` back.

        Parameters
        ----------
        y
            ``(N, 3, H, W)`` gamma-encoded sRGB, nominally within [0, 1].

        Returns
        -------
        torch.Tensor
            ``(N, 3, H, W)``, the input that renders as ``y``.
        """

    def recover(self, y: Tensor, coded: Coded | None = None) -> Tensor:
        """Estimate the input from a decoded JPEG: :meth:`inverse`, unless the model knows better.

        Parameters
        ----------
        y
            ``(N, 3, H, W)`` as for :meth:`inverse`.
        coded
            How it was stored, and where in the frame it lies; by default as is usual.
        """
        return self.inverse(y)
