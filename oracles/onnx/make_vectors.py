"""Writes fixtures/vectors/onnx_operators.json: what onnxruntime computes, which shares no code with `onnx`.

python3 oracles/onnx/make_vectors.py, with onnxruntime 1.31.1 beside requirements.txt. `ort` is computed in f32, and may
move by a few units in the last place on other processors; `ort_f64` in f64, where onnxruntime can.
"""

import json
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import helper

ROOT = pathlib.Path(__file__).parents[2]
TYPES = {"<f4": "f32", "<f8": "f64"}
# Operator, version, attributes, shapes of the inputs.
CASES = [
    ("Gelu", 20, {}, [(3, 33)]),
    ("Gelu", 20, {"approximate": "tanh"}, [(3, 33)]),
    ("LayerNormalization", 17, {"axis": -1, "epsilon": 1e-5}, [(4, 17), (17,), (17,)]),
    ("LayerNormalization", 17, {"axis": 1, "epsilon": 1e-2}, [(2, 3, 5), (3, 5)]),
    ("RMSNormalization", 23, {"axis": -1, "epsilon": 1e-5}, [(4, 17), (17,)]),
    ("Softmax", 13, {"axis": -1}, [(4, 33)]),
    ("Softmax", 13, {"axis": 0}, [(3, 7)]),
    ("RotaryEmbedding", 23, {"interleaved": 0}, [(2, 3, 4, 6), (2, 4, 3), (2, 4, 3)]),
    ("RotaryEmbedding", 23, {"interleaved": 1}, [(2, 3, 4, 6), (2, 4, 3), (2, 4, 3)]),
    ("Clip", 13, {}, [(3, 9), (), ()]),
    ("MatMul", 13, {}, [(3, 17), (17, 5)]),
]


def run(operator, version, attributes, inputs):
    """What onnxruntime gives, or None where it has no such operator in that type."""
    kind = helper.np_dtype_to_tensor_dtype(inputs[0].dtype)
    names = [f"x{index}" for index in range(len(inputs))]
    graph = helper.make_graph(
        [helper.make_node(operator, names, ["y"], **attributes)],
        "one_node",
        [helper.make_tensor_value_info(name, kind, one.shape) for name, one in zip(names, inputs)],
        [helper.make_tensor_value_info("y", kind, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=10)
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no type of its own for that
        print(f"{operator} in {inputs[0].dtype}: {str(error)[:100]}")
        return None
    return session.run(None, dict(zip(names, inputs)))[0]


def written(array):
    kind = array.dtype.newbyteorder("<").str
    return {"dtype": TYPES[kind], "shape": list(array.shape), "hex": array.astype(kind).tobytes().hex()}


def main():
    generator = np.random.default_rng(20261129)
    cases = []
    for index, (operator, version, attributes, shapes) in enumerate(CASES):
        inputs = [generator.uniform(-5, 5, shape).astype("f4") for shape in shapes]
        if operator == "Clip":
            inputs[1:] = [np.float32(-1.25), np.float32(2.5)]
            inputs[1:] = [np.asarray(one) for one in inputs[1:]]
        narrow = run(operator, version, attributes, inputs)
        wide = run(operator, version, attributes, [one.astype("f8") for one in inputs])
        outputs = {"ort": narrow, "ort_f64": wide}
        cases.append({
            "name": f"{operator}_{index}",
            "operator": operator,
            "version": version,
            "attributes": attributes,
            "inputs": [written(one) for one in inputs],
            "outputs": {name: written(one) for name, one in outputs.items() if one is not None},
        })
    versions = {"numpy": np.__version__, "onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}
    made = {"kernel": "onnx_operators", "versions": versions, "cases": cases}
    (ROOT / "fixtures/vectors/onnx_operators.json").write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
