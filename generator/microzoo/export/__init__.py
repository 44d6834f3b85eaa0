"""IntegerModel to TFLite, ONNX, C and wasm, the memory plan, and the C that ships around a model."""
