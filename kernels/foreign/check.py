"""Checks the modules of fixtures/packs/foreign without the harness, as their author would.

python3 kernels/foreign/check.py, with what kernels/foreign/requirements.txt names. Each kernel is run by wasmtime and
held to its contract: values within the tolerance of the truth, properties, statuses of refused calls, and that nothing
but the output was written. Each planted fault has to be found; the table says by what.
"""

import base64
import hashlib
import json
import math
import pathlib
import struct
import sys

import numpy as np
import wasmtime

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACK = ROOT / "fixtures/packs/foreign"
sys.path[:0] = [str(ROOT / "oracles/onnx"), str(ROOT / "kernels/foreign")]
import author_vectors
import oracle

TYPES = {"f32": "<f4", "f16": "<f2", "i8": "i1"}
DEFINITIONS = {
    "fused_add_rmsnorm": "fused_add_rmsnorm",
    "gemma_rmsnorm": "gemma_rmsnorm_h640",
    "rms_norm": "rmsnorm",
    "rope": "rope",
    "silu_and_mul": "silu_and_mul",
}
ENGINE = wasmtime.Engine()
DRAWN = np.random.default_rng(20261129)


class Module:
    """An instance, and calls of it with guard bands between the regions."""

    def __init__(self, path):
        self.store = wasmtime.Store(ENGINE)
        module = wasmtime.Module(ENGINE, path.read_bytes())
        assert not module.imports, path
        self.exports = wasmtime.Instance(self.store, module, []).exports(self.store)
        self.memory = self.exports["memory"]
        self.base = (self.exports["__heap_base"].value(self.store) + 255) // 16 * 16

    def call(self, regions, params, descriptor=None):
        """Status and output of a call. `descriptor` changes a copy of the ten words before they are written."""
        contents = [*regions, params]
        places, at = [], self.base + 64
        for content in contents:
            places.append(at)
            at += (len(content) + 15) // 16 * 16 + 64
        self.descriptor = at
        pages = (at + 256 - self.memory.data_len(self.store) + 65535) // 65536
        if pages > 0:
            self.memory.grow(self.store, pages)
        words = [word for place, content in zip(places, contents) for word in (place if content else 0, len(content))]
        if descriptor:
            descriptor(words, self)
        before = bytearray(b"\xa5" * (at + 256 - self.base))
        for place, content in zip(places, contents):
            before[place - self.base : place - self.base + len(content)] = content
        before[at - self.base : at - self.base + 40] = struct.pack("<10I", *(word & 0xFFFFFFFF for word in words))
        self.memory.write(self.store, before, self.base)
        status = self.exports["kernel_forward"](self.store, self.descriptor)
        after = self.memory.read(self.store, self.base, self.base + len(before))
        output, scratch = (slice(places[i] - self.base, places[i] - self.base + len(contents[i])) for i in (2, 3))
        result = bytes(after[output])
        for written in (output, scratch) if status == 0 else (scratch,):
            before[written] = after[written]
        assert bytes(before) == bytes(after), "it wrote where it may not"
        return status, result


def value_of(expression, params):
    """An expression of a contract, of this repository, in Python's words."""
    names = {"sqrt": math.sqrt, "min": min, "max": max, "ceil_div": lambda a, b: -(-a // b), "__builtins__": {}}
    return expression if isinstance(expression, (int, float)) else eval(expression, names, dict(params))


class Kernel:
    def __init__(self, entry):
        self.id, self.entry = entry["id"], entry
        self.inputs, self.outputs, self.params = entry["inputs"], entry["outputs"], entry["params"]
        self.contract = json.loads((PACK / entry["contract"]["path"]).read_text())
        names = [tensor["name"] for tensor in self.inputs]
        regions = self.contract.get("regions", {})
        self.initial = regions.get("initial")
        self.a = regions.get("a", names[:1])
        self.b = regions.get("b", names[1:])
        self.scratch = regions.get("scratch", 0)
        self.fixed = {name: axis["value"] for name, axis in self.contract.get("axes", {}).items() if "value" in axis}

    def shape(self, tensor, params):
        return tuple((params | self.fixed)[axis] for axis in tensor["shape"])

    def draw(self, params, size=1.0, special=True):
        """Values for all inputs, as the domain has them; `size` multiplies those of class normal."""
        values = {}
        for tensor in self.inputs:
            shape, domain = self.shape(tensor, params), self.contract.get("domain", {}).get(tensor["name"], {})
            kind = domain.get("class", "normal")
            if kind == "normal":
                drawn = DRAWN.standard_normal(shape) * size
                if size == 1.0 and len(shape) > 1 and shape[0] > 2:
                    drawn[1] = drawn[1].flat[0]
            else:
                low, high = {"unit": (-1, 1)}.get(kind) or (domain["min"], domain["max"])
                drawn = DRAWN.uniform(low, high, shape)
            kinds = {"zeros": 0.0, "subnormals": 1e-41, "infinities": math.inf, "nans": math.nan}
            allowed = domain.get("special", list(kinds))
            if special and allowed != "none":
                for name in allowed:
                    drawn[DRAWN.random(shape) < 0.02] = kinds[name]
            values[tensor["name"]] = drawn.astype(TYPES[tensor["dtype"]])
        return values

    def sizes(self):
        axes = self.contract.get("axes", {})
        typical = {name: axes[name]["typical"] for name in self.params if "typical" in axes.get(name, {})}
        small = [{name: index + 1 for name in typical} for index in range(5)]
        small += [{name: 1 + (7 * index + 3 * place) % 13 for place, name in enumerate(typical)} for index in range(6)]
        chosen = small + [
            {name: values[min(index, len(values) - 1)] for name, values in typical.items()} for index in range(3)
        ]
        for params in chosen:
            for one, other in (("half", "head_dim"), ("intermediate", "width")):
                if one in params:
                    params[other] = 2 * params[one]
            yield params | {name: float(np.float32(self.scalar(name))) for name in self.params if name not in params}

    def scalar(self, name):
        domain = self.contract.get("domain", {}).get(name)
        if domain and domain["class"] == "log_uniform":
            return math.exp(DRAWN.uniform(math.log(domain["min"]), math.log(domain["max"])))
        if domain:
            return DRAWN.uniform(domain["min"], domain["max"])
        return self.params[name]["default"]

    def regions(self, values, params, changes=None):
        """The four regions of a call, or with others sizes for some of them."""
        sizes = {"scratch": int(value_of(self.scratch, params | self.fixed))}
        sizes |= {
            "output": sum(math.prod(self.shape(t, params)) * np.dtype(TYPES[t["dtype"]]).itemsize for t in self.outputs)
        }
        parts = [b"".join(values[name].tobytes() for name in names) for names in (self.a, self.b)]
        parts.append(values[self.initial].tobytes() if self.initial else b"\x5a" * sizes["output"])
        parts.append(b"\xff" * sizes["scratch"])
        for index, change in (changes or {}).items():
            parts[index] = parts[index][:change] if change < 0 else parts[index] + b"\x00" * change
        return parts

    def packed(self, params):
        kinds = {"u32": "I", "i32": "i", "f32": "f"}
        return b"".join(struct.pack("<" + kinds[p["type"]], params[name]) for name, p in self.params.items())

    def run(self, module, values, params):
        status, output = module.call(self.regions(values, params), self.packed(params))
        assert status == 0, f"{self.id}: status {status} of {params}"
        results, at = [], 0
        for tensor in self.outputs:
            shape, kind = self.shape(tensor, params), np.dtype(TYPES[tensor["dtype"]])
            size = math.prod(shape) * kind.itemsize
            results.append(np.frombuffer(output[at : at + size], kind).reshape(shape))
            at += size
        return results

    def truth(self, values, params):
        """What is due in f64, and its magnitude or None, for each output."""
        with np.errstate(all="ignore"):
            for truth in self.contract["truth"]:
                if isinstance(truth, dict) and "onnx" in truth:
                    return self.onnx(truth["onnx"], values, params)
            wide = {name: value.astype("f8") for name, value in values.items()}
            if self.id in author_vectors.KERNELS:
                outputs, magnitude = author_vectors.KERNELS[self.id][0](**wide, **params)
                return [(output, magnitude) for output in outputs]
            if self.id in DEFINITIONS:
                return [(output, None) for output in definition(DEFINITIONS[self.id], wide, params)]
            if self.id == "rmsnorm_eight":
                square = (wide["x"] ** 2).mean(axis=-1, keepdims=True)
                return [(wide["x"] / np.sqrt(square + params["eps"]) * wide["weight"], None)]
            assert self.id == "swiglu_other_exp"
            gate = wide["gate"]
            return [(gate / (1.0 + np.exp(-params["beta"] * gate)) * wide["x"], None)]

    def onnx(self, truth, values, params):
        def tensor(name):
            if isinstance(name, dict):
                return make_tensor("scalar", np.float32(params[name["param"]]))
            return make_tensor(name, values[name]) if name else None

        attributes = {
            name: params[value["param"]] if isinstance(value, dict) else value
            for name, value in truth.get("attributes", {}).items()
        }
        request = {"operator": truth["op"], "version": truth["version"], "attributes": attributes}
        request |= {"inputs": [tensor(name) for name in truth["inputs"]], "outputs": truth["outputs"]}
        answers = oracle.evaluate(request)["outputs"]
        return [
            (read(one["data"], one["shape"]), one.get("magnitude") and read(one["magnitude"], one["shape"]))
            for one in answers
        ]

    def tolerance(self, output):
        given = self.contract.get("tolerance")
        if given is None:
            # Of docs/abi.md; abs is for products below 2^-126.
            return {
                "rmsnorm@1": {"abs": 1.2e-38, "rel": "max(1e-6, 6.25e-8 * sqrt(hidden))"},
                "swiglu@1": {"abs": 2.0**-126 + 1e-30, "rel": 8 * 2.0**-23},
            }[self.contract["definition"]]
        return given.get("outputs", {}).get(output, given)

    def holds(self, got, want, magnitude, output, params):
        """Whether an output is within the tolerance; `want` in f64."""
        bounds = {name: value_of(value, params | self.fixed) for name, value in self.tolerance(output).items()}
        with np.errstate(all="ignore"):
            rounded = want.astype(got.dtype).astype("f8")
            wide = got.astype("f8")
            near = (wide == rounded) | (np.isnan(wide) & np.isnan(rounded))
            distance = np.abs(wide - want)
            if "ulp" in bounds:
                unit = 1 if got.dtype.kind == "i" else np.spacing(np.abs(want.astype(got.dtype))).astype("f8")
                near |= np.abs(wide - rounded) <= bounds["ulp"] * unit
            if "abs" in bounds or "rel" in bounds:
                size = np.abs(want) if magnitude is None else magnitude
                # An infinity is near to nothing but itself.
                near |= np.isfinite(rounded) & (distance <= bounds.get("abs", 0) + bounds.get("rel", 0) * size)
            if "nmse" in bounds:
                both = np.isfinite(want)
                if (distance[both] ** 2).sum() > bounds["nmse"] * (want[both] ** 2).sum():
                    return False
        return bool(np.all(near))

    def follows_truth(self, module):
        for index, params in enumerate(self.sizes()):
            for size in (1.0, 1e-3, 30.0):
                values = self.draw(params, size, special=index % 2 == 0)
                results = zip(self.outputs, self.run(module, values, params), self.truth(values, params))
                if not all(self.holds(got, want, mag, t["name"], params) for t, got, (want, mag) in results):
                    return False
        return True

    def follows_property(self, module, prop):
        name, of = next(iter(prop.items())) if isinstance(prop, dict) else (prop, None)
        for params in self.sizes():
            for size in (1.0, 1e-3, 30.0):
                values = self.draw(params, size, special=False)
                if not self.property(module, name, of, params, values):
                    return False
        return True

    def property(self, module, name, of, params, values):
        answers = self.run(module, values, params)

        def same(got, want):
            return all(
                self.holds(g, w.astype("f8"), None, t["name"], params) for t, g, w in zip(self.outputs, got, want)
            )

        def along(arrays, tensors, axis, order):
            return [
                np.take(v, order, axis=t["shape"].index(axis)) if axis in t["shape"] else v
                for t, v in zip(tensors, arrays)
            ]

        def permuted(axis):
            order = DRAWN.permutation((params | self.fixed)[axis])
            changed = dict(zip(values, along(values.values(), self.inputs, axis, order)))
            return same(self.run(module, changed, params), along(answers, self.outputs, axis, order))

        def alone(axis):
            at = int(DRAWN.integers(params[axis]))
            changed = dict(zip(values, along(values.values(), self.inputs, axis, [at])))
            return same(self.run(module, changed, params | {axis: 1}), along(answers, self.outputs, axis, [at]))

        if name == "row_independent":
            axis = self.outputs[0]["shape"][0]
            return permuted(axis) and alone(axis)
        if name == "permutes_with":
            return permuted(of)
        if name == "elementwise":
            order = DRAWN.permutation(answers[0].size)
            changed = {key: value.reshape(-1)[order].reshape(value.shape) for key, value in values.items()}
            return same(self.run(module, changed, params), [answers[0].reshape(-1)[order].reshape(answers[0].shape)])
        if name == "linear_in":
            return all(
                same(
                    self.run(module, values | {of: values[of] * values[of].dtype.type(by)}, params),
                    [answer * answer.dtype.type(by) for answer in answers],
                )
                for by in (2, -1)
            )
        if name == "finite":
            return all(np.all(np.isfinite(answer)) for answer in answers)
        if name == "sums_to_one":
            return bool(np.all(np.abs(answers[0].astype("f8").sum(self.outputs[0]["shape"].index(of)) - 1) <= 1e-5))
        finite = answers[0][np.isfinite(answers[0])]
        return bool(np.all(finite >= of) if name == "at_least" else np.all(finite <= of))

    def refuses(self, module):
        """One mistake per call, and the status that follows from the order of checks."""
        params = list(self.sizes())[3]
        values = self.draw(params)
        good = self.regions(values, params)

        def expect(status, regions=good, packed=self.packed(params), descriptor=None):
            got, _ = module.call(regions, packed, descriptor)
            assert got == status, f"{self.id}: status {got}, not {status}"
            return 1

        count = expect(3, packed=self.packed(params) + bytes(4)) + expect(3, packed=self.packed(params)[:-4])
        count += expect(3, packed=b"")
        for name, form in self.params.items():
            wrong = []
            if "min" in form:
                wrong.append(form["min"] - 1 if form["type"] == "u32" else below(form["min"]))
            if form["type"] == "f32":
                wrong += [math.nan, math.inf, -math.inf]
                if "max" in form:
                    wrong.append(-below(-form["max"]))
            for value in wrong:
                count += expect(3, packed=self.packed(params | {name: value}))
                # A wrong parameter decides before a wrong size does.
                count += expect(3, self.regions(values, params, {2: 16}), self.packed(params | {name: value}))
            limits = [value for key, value in form.items() if key in ("min", "max") and form["type"] == "f32"]
            for value in limits:
                count += expect(0, packed=self.packed(params | {name: value}))
        for one, other in (("half", "head_dim"), ("intermediate", "width")):
            if one in params:
                count += expect(3, packed=self.packed(params | {one: params[one] + 1}))
                count += expect(3, packed=self.packed(params | {other: params[other] + 1}))
                count += expect(3, packed=self.packed(params | {one: params[one] + (1 << 31)}))
        axis = next(
            name for name in self.params if self.params[name]["type"] == "u32" and name not in ("head_dim", "width")
        )
        count += expect(
            1,
            packed=self.packed(params | {axis: 0xFFFFFFFF} | ({"width": 0xFFFFFFFE} if axis == "intermediate" else {})),
        )
        for index, status in ((0, 1), (1, 1), (2, 2)):
            count += expect(status, self.regions(values, params, {index: 16}))
            if good[index]:
                count += expect(status, self.regions(values, params, {index: -1}))
        count += expect(1, self.regions(values, params, {0: 16, 2: 16})) + expect(
            0, self.regions(values, params, {3: 4096})
        )
        if good[3]:
            count += expect(4, self.regions(values, params, {3: -1})) + expect(
                2, self.regions(values, params, {2: 4, 3: -1})
            )
        for region in range(5):
            if region < 4 and not good[region]:
                continue
            misplaced = [
                lambda w, m: w[2 * region] + 4,
                lambda w, m: 0xFFFFFFF0,
                lambda w, m: 16,
                lambda w, m: m.memory.data_len(m.store),
            ]
            # Parameters that lie on other data have other values, which decide first.
            misplaced += [lambda w, m: m.descriptor, lambda w, m: w[8]] if region < 4 else []
            for place in misplaced:
                count += expect(1, descriptor=lambda w, m: w.__setitem__(2 * region, place(w, m)))
            if region not in (3, 4):
                count += expect(1, descriptor=lambda w, m: w.__setitem__(2 * region + 1, 0xFFFFFFFF))
        count += expect(1, descriptor=lambda w, m: setattr(m, "descriptor", m.descriptor + 4))
        count += expect(1, descriptor=lambda w, m: setattr(m, "descriptor", 0xFFFFFFF0 - (1 << 32)))
        count += expect(1, descriptor=lambda w, m: setattr(m, "descriptor", 0))
        init, at = module.exports["kernel_init"], module.base + 1024
        for packed, status in (
            (self.packed(params), 0),
            (self.packed(params)[:-4], 3),
            (b"", 0),
            (bytes(4 * len(self.params)), 3),
        ):
            module.memory.write(module.store, packed, at)
            assert init(module.store, at, len(packed)) == status, self.id
        assert init(module.store, at + 4, 4 * len(self.params)) == 1, self.id
        info = module.exports["kernel_info"]
        assert (info(module.store, module.base + 2), info(module.store, 0)) == (2, 2)
        assert info(module.store, module.memory.data_len(module.store) - 16) == 2
        assert info(module.store, at) == 0
        ptr, length, *rest = struct.unpack("<IIHHHHI", module.memory.read(module.store, at, at + 20))
        assert bytes(module.memory.read(module.store, ptr, ptr + length)).decode() == self.id
        assert rest == [1, 1, 0, 0, 0] and module.exports["kernel_cleanup"](module.store) == 0
        return count


def below(value):
    return float(np.nextafter(np.float32(value), np.float32(-np.inf)))


def read(data, shape):
    return np.frombuffer(base64.b64decode(data), "<f8").reshape(shape)


def make_tensor(name, array):
    dtype = {kind: name for name, kind in TYPES.items()}[array.dtype.str.replace("|", "")]
    return {
        "name": name,
        "dtype": dtype,
        "shape": list(array.shape),
        "data": base64.b64encode(array.tobytes()).decode(),
    }


def definition(name, values, params):
    form = json.loads((ROOT / f"fixtures/definitions/{name}.json").read_text())
    names = {}
    exec(form["reference"], names)
    results = names["run"](
        **{key: params[key] if one["shape"] is None else values[key] for key, one in form["inputs"].items()}
    )
    return list(results) if isinstance(results, tuple) else [results]


def check_vectors(kernel, module):
    cases = json.loads((PACK / f"vectors/{kernel.id}.json").read_text())["cases"]
    assert len(cases) >= 32
    for case in cases:
        arrays = {
            key: np.frombuffer(bytes.fromhex(one["hex"]), TYPES[one["dtype"]]).reshape(one["shape"])
            for part in ("inputs", "outputs")
            for key, one in case[part].items()
        }
        mag = case.get("mag") and np.frombuffer(bytes.fromhex(case["mag"]["hex"]), "<f4").astype("f8").reshape(
            case["mag"]["shape"]
        )
        for tensor, got in zip(
            kernel.outputs, kernel.run(module, {t["name"]: arrays[t["name"]] for t in kernel.inputs}, case["params"])
        ):
            want = arrays[tensor["name"]].astype("f8")
            assert kernel.holds(got, want, mag, tensor["name"], case["params"]), (kernel.id, case["name"])
    return len(cases)


def check_reference(kernel, truth):
    """The author's module gives what the definition's reference gives, rounded once."""
    path = PACK / truth["path"]
    assert truth["hash"] == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest(), (
        f"the hash of {path} in the contract"
    )
    module = Module(path)
    kernel.refuses(module)
    for index, params in enumerate(kernel.sizes()):
        values = kernel.draw(params, special=index % 2 == 0)
        for got, (want, _) in zip(kernel.run(module, values, params), kernel.truth(values, params)):
            with np.errstate(all="ignore"):
                near = np.abs(got - want) <= np.spacing(np.abs(got)) * 0.51
            assert np.all(near | (got == want.astype("f4")) | (np.isnan(got) & np.isnan(want))), kernel.id


def main():
    manifest = json.loads((PACK.parent / "foreign.template.json").read_text())
    kernels = {entry["id"]: Kernel(entry) for entry in manifest["kernels"]}
    for kernel in kernels.values():
        module = Module(PACK / kernel.entry["path"])
        assert kernel.follows_truth(module), f"{kernel.id} is not within its tolerance"
        for prop in kernel.contract["properties"]:
            assert kernel.follows_property(module, prop), f"{kernel.id} does not hold {prop}"
        refused, vectors = kernel.refuses(module), 0
        if kernel.id in author_vectors.KERNELS:
            vectors = check_vectors(kernel, module)
        for truth in kernel.contract["truth"]:
            if isinstance(truth, dict) and "reference" in truth:
                check_reference(kernel, truth["reference"])
        print(f"{kernel.id}: holds; {refused} calls with a status that is due, {vectors} vectors", flush=True)
    faults = json.loads((PACK.parent / "foreign.faults.json").read_text())
    by_properties = 0
    for fault in faults:
        kernel = kernels[fault["kernel"]]
        module = Module(PACK.parent / "foreign.faults" / fault["file"])
        properties = [prop for prop in kernel.contract["properties"] if not kernel.follows_property(module, prop)]
        by_properties += bool(properties)
        assert bool(properties) == fault["properties"], (fault, properties)
        assert not kernel.follows_truth(module), f"the truth does not find {fault}"
        if kernel.id in author_vectors.KERNELS:
            try:
                check_vectors(kernel, module)
            except AssertionError:
                continue
            raise AssertionError(f"the vectors do not find {fault}")
    print(f"{len(faults)} faults found by truth, {by_properties} of them by properties too")


if __name__ == "__main__":
    main()
