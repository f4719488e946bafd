"""The ONNX Runtime backend; Triton loads `model.py` from here by a link."""
