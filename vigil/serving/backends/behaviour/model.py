"""Where Triton's Python backend enters; everything is in `vigil.serving.behaviour`.

Written by `python -m stages.behaviour`. The server's Python must have vigil installed.
"""

import triton_python_backend_utils as pb_utils

from vigil.serving.behaviour.model import BehaviourModel


class TritonPythonModel(BehaviourModel):
    """One instance of this version of the model."""

    def __init__(self) -> None:
        super().__init__(pb_utils)
