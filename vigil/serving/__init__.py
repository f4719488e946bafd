"""Serving: the embedded Triton server, its model repository, and the client.

`server` starts NVIDIA's `tritonserver` from the `nvidia-pytriton` wheel on this machine's loopback,
with `backends/onnxruntime/model.py` as its ONNX Runtime backend; `repository` reads and checks what
it serves; `client` asks it. Nothing here knows how a model was trained.
"""
