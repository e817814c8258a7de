#!/usr/bin/env python3
"""Whether onnxruntime has these logits of these pictures, to 1e-4 of the largest: exits 1 where not.

    tools/onnx_check.py MODEL.onnx IMAGES LOGITS

IMAGES holds bytes [N][C][H][W], LOGITS f32 [N][M], as `tests/onnx.rs` writes them. Needs onnxruntime and numpy of PyPI.
"""

import json
import sys

import numpy
import onnxruntime

TOLERANCE = 1e-4


def main():
    model, images, logits = sys.argv[1:]
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    (target,) = session.get_outputs()
    classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
    pictures = numpy.fromfile(images, numpy.uint8).reshape(-1, *source.shape[1:]).astype(numpy.float32)
    expected = numpy.fromfile(logits, numpy.float32).reshape(len(pictures), len(classes))
    (found,) = session.run([target.name], {source.name: pictures})
    if found.shape != expected.shape:
        sys.exit(f"logits of shape {found.shape}, not {expected.shape}")
    error = numpy.abs(found - expected).max() / numpy.abs(expected).max()
    print(f"{model}: off by {error:.1e}")
    if not error <= TOLERANCE:
        sys.exit(1)


if __name__ == "__main__":
    main()
