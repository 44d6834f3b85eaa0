"""BatchNorm folding and calibration into an IntegerModel, and its numpy integer reference."""
