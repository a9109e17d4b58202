"""Tests of the oracle: `python3 -m unittest discover oracles/onnx`. They need what requirements.txt names."""

import base64
import inspect
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import warnings

import numpy as np
import onnx

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import oracle

ROOT = pathlib.Path(__file__).parents[2]
PACK_VECTORS = ROOT / "fixtures/packs/core/vectors"
TYPES = {"f32": "<f4", "f64": "<f8", "f16": "<f2", "i8": "<i1", "u8": "<u1", "i32": "<i4", "u32": "<u4"}


def tensor(array, name="x", dtype=None):
    dtype = dtype or {np.dtype(of): name for name, of in TYPES.items()}[array.dtype]
    data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return {"name": name, "dtype": dtype, "shape": list(array.shape), "data": data}


def ask(operator, inputs, version=None, attributes=None, outputs=("y",)):
    """The reply to one request, as the host reads it."""
    request = {"id": 1, "op": "evaluate", "operator": operator, "inputs": inputs, "outputs": list(outputs)}
    request |= {"attributes": attributes or {}} | ({} if version is None else {"version": version})
    return json.loads(json.dumps(oracle.answer(json.dumps(request).encode())))


def f64(data, shape):
    return np.frombuffer(base64.b64decode(data), "<f8").reshape(shape)


def evaluate(*request, **keys):
    reply = ask(*request, **keys)
    if "failed" in reply:
        raise AssertionError(reply["failed"])
    return [one and f64(one["data"], one["shape"]) for one in reply["evaluated"]["outputs"]]


def vectors(path, classes=("normal", "edge")):
    return [case for case in json.loads(path.read_text())["cases"] if case.get("class", "normal") in classes]


def array(value):
    return np.frombuffer(bytes.fromhex(value["hex"]), TYPES[value["dtype"]]).reshape([int(n) for n in value["shape"]])


class AgainstVectors(unittest.TestCase):
    """Other people's libraries made `fixtures`: `cr` is the f64 result rounded once."""

    def close(self, got, want, ulp, name):
        """Within so many units in the last place after one rounding; NaN as a class."""
        with np.errstate(over="ignore"):
            rounded = got.astype(want.dtype)
        with np.errstate(invalid="ignore"):
            near = np.abs(rounded.astype("f8") - want.astype("f8")) <= ulp * np.spacing(np.abs(want)).astype("f8")
        self.assertTrue(np.all(near | (rounded == want) | (np.isnan(rounded) & np.isnan(want))), name)

    def test_imports_nothing_from_the_current_folder(self):
        text = pathlib.Path(oracle.__file__).read_text()
        with tempfile.TemporaryDirectory() as folder:
            for name in ("os", "base64", "json", "math", "numpy", "onnx"):
                pathlib.Path(folder, f"{name}.py").write_text("open('ran', 'w')")
            hello = json.dumps({"id": 1, "op": "hello", "protocol": 1}) + "\n"
            done = subprocess.run([sys.executable, "-c", text], cwd=folder, input=hello, text=True, capture_output=True)
            self.assertIn('"hello"', done.stdout, done.stderr)
            self.assertFalse(pathlib.Path(folder, "ran").exists())

    def test_rmsnorm(self):
        seen = 0
        for dtype in ("f32", "f16"):
            for case in vectors(PACK_VECTORS / f"rmsnorm_{dtype}.json"):
                x, w, want = array(case["inputs"]["x"]), array(case["inputs"]["w"]), array(case["outputs"]["cr"])
                inputs = [tensor(x), tensor(w)]
                [got] = evaluate("RMSNormalization", inputs, 23, {"axis": -1, "epsilon": case["params"]["eps"]})
                self.close(got, want, 0, case["name"])
                seen += 1
                if case["class"] == "normal":  # another eps has to show
                    [wrong] = evaluate("RMSNormalization", inputs, 23, {"epsilon": case["params"]["eps"] + 1.0})
                    self.assertRaises(AssertionError, self.close, wrong, want, 0, case["name"])
        self.assertGreaterEqual(seen, 12)

    def test_rope(self):
        seen = 0
        for case in vectors(PACK_VECTORS / "rope_f32.json"):
            x, cos, sin = (array(case["inputs"][name]) for name in ("x", "cos", "sin"))
            want = array(case["outputs"]["onnx_ref"]).astype("f8")
            batch = x.shape[0]
            tables = [np.ascontiguousarray(np.broadcast_to(t, (batch, *t.shape[-2:]))) for t in (cos, sin)]
            inputs = [tensor(np.ascontiguousarray(x.transpose(0, 2, 1, 3))), *map(tensor, tables)]
            interleaved = int(case["params"].get("interleaved", 1))
            [got] = evaluate("RotaryEmbedding", inputs, 23, {"interleaved": interleaved})
            half = x.shape[-1] // 2
            alternate, halves = (lambda a: (a[..., 0::2], a[..., 1::2])), (lambda a: (a[..., :half], a[..., half:]))
            pairs = alternate if interleaved else halves
            got = got.transpose(0, 2, 1, 3)
            for a, b in zip(pairs(got), pairs(want)):
                with np.errstate(invalid="ignore"):
                    near = np.abs(a - b) <= 2 * 2.0**-23 * np.hypot(*pairs(x.astype("f8")))
                self.assertTrue(np.all(near | (a == b) | (np.isnan(a) & np.isnan(b))), case["name"])
            seen += 1
        self.assertGreaterEqual(seen, 5)

    def test_swiglu(self):
        seen = 0
        for case in vectors(PACK_VECTORS / "swiglu_f32.json"):
            inputs = [tensor(array(case["inputs"][name])) for name in ("gate", "x")]
            [got] = evaluate("SwiGLU", inputs, 28, {"alpha": case["params"]["beta"]})
            # An attribute is an f32, which 1.702 is not: that is a few units.
            self.close(got, array(case["outputs"]["cr"]), 4, case["name"])
            seen += 1
        self.assertGreaterEqual(seen, 3)

    def test_elementary(self):
        for case in vectors(ROOT / "fixtures/vectors/elementary_f32.json"):
            operator = case["name"].capitalize()
            [got] = evaluate(operator, [tensor(array(case["inputs"]["x"]))], 22)
            self.close(got, array(case["outputs"]["cr"]), 0, operator)


    def test_onnxruntime(self):
        operators, wide = set(), set()
        for case in vectors(ROOT / "fixtures/vectors/onnx_operators.json"):
            inputs = [tensor(array(one)) for one in case["inputs"]]
            [got] = evaluate(case["operator"], inputs, case["version"], case["attributes"])
            np.testing.assert_allclose(array(case["outputs"]["ort"]), got, rtol=2e-6, atol=2e-6, err_msg=case["name"])
            operators.add(case["operator"])
            if "ort_f64" in case["outputs"]:
                want = array(case["outputs"]["ort_f64"])
                # onnxruntime has the constants of the tanh approximation in f32.
                near = 5e-7 if case["operator"] == "Gelu" else 1e-13
                np.testing.assert_allclose(got, want, rtol=1e-13, atol=near, err_msg=case["name"])
                wide.add(case["operator"])
        self.assertLessEqual({"Gelu", "LayerNormalization", "RMSNormalization", "Softmax"}, operators)
        self.assertLessEqual({"LayerNormalization", "RMSNormalization", "Softmax"}, wide)

    def test_node_tests_of_onnx(self):
        """Every node test of the package that is one operator on tensors of these dtypes."""
        from onnx.backend.test.case.node import collect_testcases

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tests = [test for test in collect_testcases(None) if len(test.model.graph.node) == 1]
        seen, refused = set(), set()
        for test in tests:
            [node], (inputs, wanted) = test.model.graph.node, test.data_sets[0]
            kinds = {getattr(one, "dtype", None) for one in (*inputs, *wanted)}
            simple = kinds <= {np.dtype(kind) for kind in TYPES.values()} - {np.dtype("f8")} and not node.domain
            if not simple or node.op_type not in oracle.operators():
                continue
            given = iter(inputs)
            feeds = [tensor(np.asarray(next(given))) if name else None for name in node.input]
            attributes = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
            if any(isinstance(value, onnx.TensorProto) for value in attributes.values()):
                continue
            attributes = json.loads(json.dumps(attributes, default=bytes.decode))
            version = next(one.version for one in test.model.opset_import if not one.domain)
            reply = ask(node.op_type, feeds, version, attributes, [name or "" for name in node.output])
            if "failed" in reply:
                refused.add((node.op_type, reply["failed"]))
                continue
            answers = [one for one in reply["evaluated"]["outputs"] if one is not None]
            for one, want in zip(answers, wanted):
                got = f64(one["data"], one["shape"])
                f16 = any(one.dtype == np.float16 for one in inputs)
                # Some of these were typed in with four digits. How exact the oracle is, other tests say.
                near = 2e-3 if f16 else 3e-4
                np.testing.assert_allclose(got, want.astype("f8"), rtol=near, atol=near, err_msg=test.name)
            seen.add(node.op_type)
        self.assertGreaterEqual(len(seen), 100)
        self.assertLessEqual({"Clip", "Gelu", "LayerNormalization", "RMSNormalization", "Softmax", "SwiGLU"}, seen)
        self.assertEqual(refused, set())


class InF64(unittest.TestCase):
    def test_results_are_not_rounded_on_the_way(self):
        x = np.linspace(-3, 3, 24, dtype="f4").reshape(2, 12)
        row, w = x.astype("f8"), np.linspace(0.5, 1.5, 12, dtype="f4")
        mean, square = row.mean(1, keepdims=True), (row**2).mean(1, keepdims=True)
        e = np.exp(row - row.max(1, keepdims=True))
        eps = float(np.float32(1e-5))
        for operator, version, inputs, want in (
            ("LayerNormalization", 17, [x, w], (row - mean) / np.sqrt(square - mean**2 + eps) * w),
            ("RMSNormalization", 23, [x, w], row / np.sqrt(square + eps) * w),
            ("Softmax", 13, [x], e / e.sum(1, keepdims=True)),
        ):
            for attributes in ({}, {"stash_type": 1}) if operator != "Softmax" else ({},):
                [got] = evaluate(operator, [tensor(one) for one in inputs], version, attributes)
                np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-15)
                self.assertFalse(np.array_equal(got, got.astype("f4")), operator)

    def test_gelu_and_erf(self):
        # Phi(-6), 50 digits: 9.8658764503769814e-10
        [got] = evaluate("Gelu", [tensor(np.float32([-6]))], 20)
        np.testing.assert_allclose(got, -6 * 9.8658764503769814e-10, rtol=1e-14)
        [got] = evaluate("Erf", [tensor(np.float32([0.5]))], 13)
        np.testing.assert_allclose(got, 0.52049987781304654, rtol=1e-15)
        # The package's own function bodies, whose constants are in f32, differ by no more than that.
        x = np.linspace(-5, 5, 101, dtype="f4")
        for approximate in ("none", "tanh"):
            [got] = evaluate("Gelu", [tensor(x)], 20, {"approximate": approximate})
            original, oracle.IN_F64 = oracle.IN_F64, []
            try:
                [body] = evaluate("Gelu", [tensor(x)], 20, {"approximate": approximate})
            finally:
                oracle.IN_F64 = original
            np.testing.assert_allclose(got, body, atol=5e-7)
            self.assertFalse(np.array_equal(got, body))
        special = np.float32([-np.inf, np.inf, np.nan, -3e38, 0])
        for approximate in ("none", "tanh"):
            [got] = evaluate("Gelu", [tensor(special)], 20, {"approximate": approximate})
            np.testing.assert_array_equal(got, [np.nan, np.inf, np.nan, 0, 0])

    def test_which_operators_compute_in_f32(self):
        """Holds `COMPUTED_IN_F32` and `IN_F64` to the sources of the package that is installed."""
        from onnx.reference.ops import _op_list

        # Names of f32 that concern other types, or a dtype that an attribute asks for.
        harmless = {"Constant", "ConstantOfShape", "Einsum", "EyeLike", "MatMul", "OneHot", "QuantizeLinear", "Range"}
        found = set()
        for name in filter(oracle.onnx.defs.has, oracle.registered()):
            implementation = getattr(_op_list, name, None)
            module = implementation and inspect.getmodule(implementation)
            source = inspect.getsource(module) if module else ""
            if "float32" in source or 'otypes=["f"]' in source:
                found.add(name)
        known = oracle.COMPUTED_IN_F32 | harmless | {one.__name__ for one in oracle.IN_F64}
        self.assertLessEqual(found, known)
        self.assertIn("LinearAttention", found)
        self.assertIn("Erf", found)

    def test_dtypes(self):
        values = np.float32([1.5, -2, 0.25])
        bf16 = (values.view("<u4") >> 16).astype("<u2")
        for one in (tensor(values), tensor(values.astype("<f2")), tensor(bf16, dtype="bf16")):
            self.assertEqual(evaluate("Neg", [one], 13)[0].tolist(), [-1.5, 2, -0.25])
        # An integer division, and arithmetic that wraps around, show that integers stay integers.
        self.assertEqual(evaluate("Add", [tensor(np.uint8([200])), tensor(np.uint8([100]))], 14)[0].tolist(), [44])

    def test_absent_and_unwanted(self):
        x = tensor(np.float32([-1, 5]))
        high = tensor(np.float32(2))
        self.assertEqual(evaluate("Clip", [x, None, high], 13)[0].tolist(), [-1, 2])
        inputs = [tensor(np.float32([[1, 2]])), tensor(np.float32([1, 1]))]
        y, mean, inverse = evaluate("LayerNormalization", inputs, 17, outputs=("y", "", "inverse"))
        self.assertIsNone(mean)
        self.assertEqual((y.shape, inverse.shape), ((1, 2), (1, 1)))

    def test_magnitude(self):
        a, b = np.float32([[1, -2]]), np.float32([[3], [1]])
        for operator, attributes, want in (("MatMul", {}, 5), ("Gemm", {"alpha": -2.0}, 10)):
            [reply] = ask(operator, [tensor(a), tensor(b)], 13, attributes)["evaluated"]["outputs"]
            self.assertEqual(f64(reply["magnitude"], (1, 1)).item(), want)
        x, cos, sin = np.float32([[[[2, 3]]]]), np.float32([[[0.5]]]), np.float32([[[-0.25]]])
        [reply] = ask("RotaryEmbedding", [tensor(x), tensor(cos), tensor(sin)], 23)["evaluated"]["outputs"]
        self.assertEqual(f64(reply["data"], (2,)).tolist(), [1.75, 1.0])
        self.assertEqual(f64(reply["magnitude"], (2,)).tolist(), [1.75, 2.0])


class Refuses(unittest.TestCase):
    def refused(self, reason, *request, **keys):
        self.assertRegex(ask(*request, **keys).get("failed", "it was answered"), reason)

    def test_requests(self):
        x = tensor(np.float32([[1, 2]]))
        self.refused("no operator", "Nope", [x])
        self.refused("no operator", ["Relu"], [x])
        self.refused("in f32", "LinearAttention", [x] * 3)
        self.refused("no function", "RandomNormalLike", [x])
        self.refused("not in operator set 19", "Gelu", [x], 19)
        self.refused("version 13 only", "Softmax", [x], 11)
        self.refused("not one of 1 to", "Relu", [x], 4000)
        self.refused("not one of 1 to", "Relu", [x], 1.5)
        self.refused("has no attribute", "Softmax", [x], 13, {"beta": 1})
        self.refused("cannot be", "Softmax", [x], 13, {"axis": 0.5})
        self.refused("cannot be", "Softmax", [x], 13, {"axis": "0"})
        self.refused("neither number", "If", [x], 23, {"then_branch": "x"})
        self.refused("takes 1 to 1 inputs", "Softmax", [x, x], 13)
        self.refused("blocks of type q8", "Relu", [x | {"dtype": "q8"}])
        self.refused("unknown dtype", "Relu", [x | {"dtype": "f80"}])
        self.refused("bytes of data", "Relu", [x | {"shape": [3]}])
        self.refused("more than 16777216 elements", "Relu", [x | {"shape": [1 << 40]}])
        self.refused("no list", "Relu", [x | {"shape": [-1, -2]}])
        self.refused("no base64", "Relu", [x | {"data": "?"}])
        self.refused("no base64", "Relu", [x | {"data": None}])
        self.refused("no object", "Relu", ["x"])
        self.refused("one that is wanted", "Relu", [x], outputs=[""])
        self.refused("broadcast", "Add", [x, tensor(np.float32([1, 2, 3]))], 14)

    def test_lines(self):
        for line in (b"", b"{", b"[1]", b"\xff", b"[" * 100000, b'{"op":1}', b'{"op":"hello","protocol":2}'):
            self.assertIn("failed", oracle.answer(line))


class Process(unittest.TestCase):
    def test_hello_errors_huge_results_and_the_end(self):
        shape = tensor(np.int32([1 << 20, 1 << 20]), "shape")
        requests = [
            {"id": 1, "op": "hello", "protocol": 1},
            {"id": 2, "op": "evaluate", "operator": "ConstantOfShape", "inputs": [shape], "outputs": ["y"]},
            "not a request",
            {"id": 4, "op": "evaluate", "operator": "Neg", "inputs": [tensor(np.float32(1))], "outputs": ["y"]},
        ]
        text = "".join(json.dumps(request) + "\n" for request in requests)
        done = subprocess.run(
            [sys.executable, oracle.__file__], input=text, capture_output=True, text=True, timeout=60, check=True
        )
        replies = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([reply["id"] for reply in replies], [1, 2, None, 4])
        known = set(replies[0]["hello"]["operators"])
        self.assertLessEqual({"Gelu", "LayerNormalization", "RMSNormalization", "Softmax"}, known)
        self.assertFalse(known & {"If", "LinearAttention", "RandomNormal"})
        self.assertRegex(replies[1]["failed"], "GiB|elements")
        self.assertEqual(f64(replies[3]["evaluated"]["outputs"][0]["data"], ()), -1)


if __name__ == "__main__":
    unittest.main()
