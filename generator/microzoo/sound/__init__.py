"""From recorded sound to the raw values of a model, in integers that C and wasm repeat to the bit."""
