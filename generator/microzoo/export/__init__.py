"""IntegerModel to TFLite, ONNX and C, and the memory plan."""
