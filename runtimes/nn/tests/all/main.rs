//! Integration tests: a file each.

mod needs_onnx;
