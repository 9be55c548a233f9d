"""What a line needs to inspect images: numpy, OpenCV and ONNX Runtime, or OpenVINO. Nothing here imports torch."""

from protores.runtime.inspector import Inspector, Result
from protores.runtime.view import Tiling

__all__ = ["Inspector", "Result", "Tiling"]
