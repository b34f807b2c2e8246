"""What the camera wrote: one RAW frame with all that is needed to develop it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_invisp.errors import RawFileError

CfaPattern = Literal["RGGB", "GBRG", "GRBG", "BGGR"]
CFA_PATTERNS: tuple[CfaPattern, ...] = ("RGGB", "GBRG", "GRBG", "BGGR")

#: Linear sRGB (D65) → CIE XYZ, to the digits that LibRaw uses since 0.21.
SRGB_TO_XYZ: NDArray[np.float64] = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def camera_to_srgb_from(xyz_to_camera: ArrayLike) -> NDArray[np.float64]:
    """Derive the rendering matrix from a camera's XYZ matrix, as LibRaw does.

    Parameters
    ----------
    xyz_to_camera
        ``(3, 3)``, CIE XYZ → camera.

    Returns
    -------
    numpy.ndarray
        ``(3, 3)`` float64, white-balanced camera RGB → linear sRGB; rows sum to 1, so that
        neutral stays neutral.

    Raises
    ------
    numpy.linalg.LinAlgError
        The matrix has no inverse.
    """
    srgb_to_camera = np.asarray(xyz_to_camera, np.float64) @ SRGB_TO_XYZ
    white = srgb_to_camera.sum(axis=1, keepdims=True)
    if not white.all():
        raise np.linalg.LinAlgError("the camera does not see white in every channel")
    return np.asarray(np.linalg.inv(srgb_to_camera / white))


def xyz_to_camera_from(
    camera_to_srgb: ArrayLike, white: ArrayLike = (1.0, 1.0, 1.0)
) -> NDArray[np.float64]:
    """Find an XYZ matrix that leads to a rendering matrix: :func:`camera_to_srgb_from` backwards.

    Parameters
    ----------
    camera_to_srgb
        ``(3, 3)``, rows summing to 1.
    white
        ``(3,)`` what the camera's channels measure of sRGB white. The rendering matrix does not
        depend on it.

    Returns
    -------
    numpy.ndarray
        ``(3, 3)`` float64, CIE XYZ → camera.

    Raises
    ------
    numpy.linalg.LinAlgError
        The matrix has no inverse.
    """
    srgb_to_camera = np.linalg.inv(np.asarray(camera_to_srgb, np.float64))
    scaled = np.asarray(white, np.float64)[:, None] * srgb_to_camera
    return np.asarray(scaled @ np.linalg.inv(SRGB_TO_XYZ))


def camera_name(make: str, model: str) -> str:
    """Join a camera's maker and model, the maker named once."""
    maker = make.lower().split(maxsplit=1)[:1]  # NIKON of NIKON CORPORATION
    if model.lower().startswith(tuple(maker)):
        return model.strip()
    return f"{make} {model}".strip()


def _frozen(values: ArrayLike, dtype: Any, shape: tuple[int, ...], what: str) -> NDArray[Any]:
    array = np.array(values, dtype=dtype)
    if array.shape != shape:
        raise RawFileError(f"{what} must have shape {shape}, not {array.shape}")
    array.flags.writeable = False
    return array


@dataclass(frozen=True)
class Capture:
    """How the picture was taken: the EXIF that goes with it. Unknown facts are ``None``.

    Attributes
    ----------
    taken
        Local date and time in EXIF's form, ``YYYY:MM:DD HH:MM:SS``.
    exposure_time
        Seconds.
    f_number, iso, focal_length
        Aperture, sensitivity, focal length in millimetres.
    exposure_bias
        Exposure compensation in EV.
    lens, artist, copyright
        As the camera wrote them.
    """

    taken: str | None = None
    exposure_time: float | None = None
    f_number: float | None = None
    iso: int | None = None
    focal_length: float | None = None
    exposure_bias: float | None = None
    lens: str | None = None
    artist: str | None = None
    copyright: str | None = None


@dataclass(frozen=True, eq=False)
class RawRecord:
    """One Bayer RAW frame, immutable.

    Attributes
    ----------
    mosaic
        ``(H, W)`` uint16, sensor counts (DN) of the visible area.
    pattern
        Colours of the top-left 2x2 sites in reading order.
    black
        ``(2, 2)`` float64, black level in DN of the site at ``(row % 2, column % 2)``.
    white
        White level in DN: where LibRaw puts 1.0. Data may go beyond it.
    white_balance
        ``(3,)`` float64, as-shot multipliers for R, G, B (any scale, all positive).
    camera_to_srgb
        ``(3, 3)`` float64, white-balanced camera RGB → linear sRGB; rows sum to 1.
    xyz_to_camera
        ``(3, 3)`` float64, CIE XYZ → camera, as in a DNG's ColorMatrix1.
    orientation
        EXIF orientation (1, 3, 6 or 8) that brings the stored frame upright.
    make, model
        The camera's maker and model.
    bit_depth
        Bits of one stored sample, ``b`` of paper Eq. 10.
    capture
        The capture EXIF.
    """

    mosaic: NDArray[np.uint16]
    pattern: CfaPattern
    black: NDArray[np.float64]
    white: float
    white_balance: NDArray[np.float64]
    camera_to_srgb: NDArray[np.float64]
    xyz_to_camera: NDArray[np.float64]
    orientation: int = 1
    make: str = ""
    model: str = ""
    bit_depth: int = 14
    capture: Capture = field(default_factory=Capture)

    def __post_init__(self) -> None:
        mosaic = np.asarray(self.mosaic)
        if mosaic.ndim != 2 or mosaic.dtype != np.uint16 or min(mosaic.shape) < 2:
            raise RawFileError(
                "a mosaic is a plane of at least 2x2 uint16 samples, "
                f"not {mosaic.shape} {mosaic.dtype}"
            )
        if mosaic.flags.writeable:
            mosaic = mosaic.view()
            mosaic.flags.writeable = False
        if self.pattern not in CFA_PATTERNS:
            raise RawFileError(
                f"CFA pattern {self.pattern!r} is not one of {', '.join(CFA_PATTERNS)}"
            )
        if not 1 <= self.bit_depth <= 16:
            raise RawFileError(f"bit depth {self.bit_depth} is not within 1 to 16")
        if self.orientation not in (1, 3, 6, 8):
            raise RawFileError(f"orientation {self.orientation} is not one of 1, 3, 6, 8")
        freeze = object.__setattr__
        freeze(self, "mosaic", mosaic)
        freeze(self, "black", _frozen(self.black, np.float64, (2, 2), "black"))
        freeze(
            self, "white_balance", _frozen(self.white_balance, np.float64, (3,), "white balance")
        )
        for name in ("camera_to_srgb", "xyz_to_camera"):
            freeze(self, name, _frozen(getattr(self, name), np.float64, (3, 3), name))
        numbers = (self.black, self.white_balance, self.camera_to_srgb, self.xyz_to_camera)
        if not all(np.isfinite(n).all() for n in numbers) or not np.isfinite(self.white):
            raise RawFileError("levels, white balance and matrices must be finite")
        if self.white <= self.black.max():
            raise RawFileError(
                f"white level {self.white:g} is not above black {self.black.max():g}"
            )
        if self.black.min() < 0 or self.white > 65535:
            raise RawFileError(
                f"black {self.black.min():g} and white {self.white:g} must lie within 0 to 65535"
            )
        if (self.white_balance <= 0).any():
            raise RawFileError(f"white balance {self.white_balance.tolist()} must be positive")

    @property
    def height(self) -> int:
        """Rows of the mosaic."""
        return int(self.mosaic.shape[0])

    @property
    def width(self) -> int:
        """Columns of the mosaic."""
        return int(self.mosaic.shape[1])

    @property
    def camera(self) -> str:
        """Maker and model in one string, the maker named once."""
        return camera_name(self.make, self.model)

    @cached_property
    def channels(self) -> NDArray[np.intp]:
        """``(2, 2)`` channel index (R 0, G 1, B 2) of each CFA site."""
        return np.array(["RGB".index(c) for c in self.pattern], dtype=np.intp).reshape(2, 2)

    @cached_property
    def balance(self) -> NDArray[np.float64]:
        """``(3,)`` white balance scaled so that its largest multiplier is 1."""
        return np.asarray(self.white_balance / self.white_balance.max())

    def facts(self) -> dict[str, Any]:
        """Return everything but the mosaic, as JSON values."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "mosaic"}
        values["capture"] = asdict(self.capture)
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in values.items()
        }

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], mosaic: NDArray[np.uint16]) -> Self:
        """Put a record together from :meth:`facts` and a mosaic.

        Raises
        ------
        RawFileError
            A fact is missing, unknown or impossible.
        """
        try:
            values = dict(facts)
            capture = Capture(**values.pop("capture"))
            return cls(mosaic=mosaic, capture=capture, **values)
        except (TypeError, KeyError, ValueError) as error:
            raise RawFileError(f"the facts about the RAW are damaged: {error}") from error

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed."""
        return replace(self, **changes)

    def middle(self, side: int) -> Self:
        """Return the middle ``side × side`` pixels, or fewer where there are fewer.

        The window begins at an even row and column, so that the CFA keeps its phase.
        """
        window = tuple(
            slice(start := max(0, n - side) // 4 * 2, start + side) for n in self.mosaic.shape
        )
        return self.replace(mosaic=np.ascontiguousarray(self.mosaic[window]))

    def __eq__(self, other: object) -> bool:
        """Two records are equal when every field is, the mosaic sample by sample."""
        if not isinstance(other, RawRecord):
            return NotImplemented
        return all(
            np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)
        )

    __hash__ = None  # type: ignore[assignment]
