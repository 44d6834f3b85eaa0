"""Somebody else's int8 model: a .tflite or an .onnx enters, an IntegerModel leaves; or a memory plan for the file as it is."""
