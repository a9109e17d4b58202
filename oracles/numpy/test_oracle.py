"""Tests of the oracle: `python3 -m unittest discover oracles/numpy`. They need what requirements.txt names."""

import base64
import json
import pathlib
import subprocess
import sys
import unittest

import numpy as np

HERE = pathlib.Path(__file__).parent
DEFINITIONS = HERE.parents[1] / "fixtures/definitions"
DRAWN = np.random.default_rng(7)


def tensor(name, *shape):
    array = DRAWN.standard_normal(shape).astype("<f4")
    data = base64.b64encode(array.tobytes()).decode()
    return array.astype("f8"), {"name": name, "dtype": "f32", "shape": list(shape), "data": data}


def converse(definition, *requests):
    command = [sys.executable, HERE / "oracle.py", DEFINITIONS / f"{definition}.json"]
    text = "".join(json.dumps(request) + "\n" for request in requests)
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def evaluate(definition, inputs, outputs, **attributes):
    request = {"id": 1, "op": "evaluate", "operator": "mine"}
    request |= {"attributes": attributes, "inputs": inputs, "outputs": outputs}
    [reply] = converse(definition, request)
    if "failed" in reply:
        raise AssertionError(reply["failed"])
    outputs = reply["evaluated"]["outputs"]
    return [one and np.frombuffer(base64.b64decode(one["data"]), "<f8").reshape(one["shape"]) for one in outputs]


class Definitions(unittest.TestCase):
    def close(self, got, want):
        np.testing.assert_allclose(got, want, rtol=1e-14, atol=1e-16)
        self.assertFalse(np.array_equal(got, got.astype("f4")), "it was rounded to f32")

    def test_rmsnorm(self):
        (x, one), (w, two) = tensor("hidden_states", 3, 5), tensor("weight", 5)
        want = x / np.sqrt((x**2).sum(1, keepdims=True) / 5 + 0.25) * w
        self.close(evaluate("rmsnorm", [one, two], ["output"], batch_size=3, hidden_size=5, eps=0.25)[0], want)

    def test_fused_add_rmsnorm(self):
        (x, one), (r, two), (w, three) = tensor("hidden_states", 3, 5), tensor("residual", 3, 5), tensor("weight", 5)
        want = (x + r) / np.sqrt(((x + r) ** 2).sum(1, keepdims=True) / 5 + 0.25) * w
        got, total = evaluate("fused_add_rmsnorm", [one, two, three], ["output", "residual_output"], eps=0.25)
        self.close(got, want)
        np.testing.assert_array_equal(total, x + r)
        unwanted, total = evaluate("fused_add_rmsnorm", [one, two, three], ["", "residual_output"], eps=0.25)
        self.assertIsNone(unwanted)

    def test_gemma_rmsnorm(self):
        (x, one), (w, two) = tensor("hidden_states", 2, 640), tensor("weight", 640)
        want = x / np.sqrt((x**2).sum(1, keepdims=True) / 640 + 0.25) * (1 + w)
        self.close(evaluate("gemma_rmsnorm_h640", [one, two], ["output"], eps=0.25)[0], want)

    def test_rope(self):
        (x, one), (c, two), (s, three) = tensor("x", 2, 3, 4, 6), tensor("cos", 2, 4, 3), tensor("sin", 2, 4, 3)
        rotated = (x[..., :3] + 1j * x[..., 3:]) * (c + 1j * s)[:, None]
        [got] = evaluate("rope", [one, two, three], ["output"])
        self.close(got, np.concatenate((rotated.real, rotated.imag), axis=-1))

    def test_silu_and_mul(self):
        x, one = tensor("input", 3, 8)
        sigmoid = 0.5 * (1 + np.tanh(x[:, :4] / 2))
        self.close(evaluate("silu_and_mul", [one], ["output"])[0], x[:, :4] * sigmoid * x[:, 4:])

    def test_what_fails_is_answered(self):
        _, one = tensor("input", 3, 7)
        asked = {"op": "evaluate", "operator": "mine", "attributes": {}, "outputs": ["output"]}
        hello, *failed = converse(
            "silu_and_mul",
            {"id": 1, "op": "hello", "protocol": 1},
            asked | {"id": 2, "inputs": [one]},
            asked | {"id": 3, "inputs": []},
            asked | {"id": 4, "inputs": [one | {"dtype": "q8"}]},
        )
        self.assertEqual(hello["hello"]["operators"], ["*"])
        self.assertEqual([(reply["id"], "failed" in reply) for reply in failed], [(2, True), (3, True), (4, True)])


if __name__ == "__main__":
    unittest.main()
