# `make qualify` and `make test` are all that most people need; `make help` lists the rest.
#
# The opt-in engines are built exactly where their system packages are found. To choose otherwise:
#   make qualify ENGINES=              only the engines that need nothing but Rust: wasmtime and wasmi
#   make test ENGINES="wamr"           of: wamr wamr-aot wasmer-llvm
#   make qualify PACK=path/to/pack ARGUMENTS="--runtime wasmi --profile embedded"   for keys that you trust: docs/trust.md
#   make cross TARGET=aarch64-unknown-linux-gnu   another target, in cross's container; docs/targets.md

CARGO ?= cargo
CARGO_DENY ?= cargo-deny
core = fixtures/packs/core
PACK ?= $(core)
# The test key is public, so it may vouch for nothing but the packs of this repository. Which version of them is right, the checkout
# says, also an older one.
test_keys = --trust fixtures/packs/trusted_keys --seen none
trust = $(if $(filter $(core) fixtures/packs/foreign,$(PACK)),$(test_keys))
ENGINES = $(shell scripts/setup --found)

target = $(or $(CARGO_TARGET_DIR),target)
assay = $(target)/release/assay

# The oracle of ONNX operators runs on the Python that scripts/python-packages makes, where it is there.
own_python = $(wildcard $(abspath $(target))/python/bin/python)
ifneq ($(own_python),)
export ASSAY_PYTHON ?= $(own_python)
endif
# As the library of ONNX Runtime does, for WASI-NN.
own_onnx_runtime = $(firstword $(wildcard $(abspath $(target))/python/lib/python3.*/site-packages/onnxruntime/capi/libonnxruntime.so.*))
ifneq ($(own_onnx_runtime),)
export ORT_DYLIB_PATH ?= $(own_onnx_runtime)
endif

release = $(CARGO) build --locked --release

# Sets of packages that are built together, the same for every goal: packages that are built together share the features of what they
# depend on, and another choice would build an engine once more. The engines that are executables of their own are no part of the first
# set because beside assay wasmi has its portable dispatch.
rust =
executables = -p runtime-wasmi --features runtime-wasmi/worker $(foreach engine,$(ENGINES),$(package_of_$(engine)))
package_of_wamr = -p runtime-wamr
package_of_wamr-aot = $(if $(filter wamr,$(ENGINES)),-p wamr-compiler)
package_of_wasmer-llvm = -p runtime-wasmer
# WASI-NN. With `assay` as what it depends on it shares all features, so that nothing is built twice.
nn = -p assay-nn -p runtime-nn

# All of these at once, for what only reads the sources.
every_package = --workspace --features runtime-wasmi/worker $(patsubst %,--exclude %,$(filter-out $(executables),runtime-wamr wamr-compiler runtime-wasmer))

# What serves opt-in engines.
executable = $(addprefix $(target)/release/,$(foreach engine,$(1),$(executable_of_$(engine))))
executable_of_wamr = assay-wamr
executable_of_wamr-aot = assay-wamrc
executable_of_wasmer-llvm = assay-wasmer
all_executables = $(call executable,wamr wamr-aot wasmer-llvm)

# The opt-in engines that a fresh machine still has to build; nothing where one of them is built.
to_come = $(if $(wildcard $(all_executables)),,$(if $(filter file,$(origin ENGINES)),$(shell scripts/setup --possible),$(ENGINES)))

# The wasm32 packages, the fuzz targets, clients of others and the language model have workspaces of their own.
manifests = Cargo.toml kernels/guest/Cargo.toml kernels/faulty/Cargo.toml fuzz/Cargo.toml compat/ruvector/Cargo.toml examples/llm/Cargo.toml

.PHONY: nn nn-test nn-models embedded llm llm-test llm-measure llm-build own-seeds help qualify mutate bench test wasm32 cross matrix device build build-assay setup lint format deny doc fuzz-smoke compat web web-test pack check-pack numbers check-numbers tables check-readme oracles foreign

help: ## lists the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 16

# On a fresh machine a first verdict comes before all engines that are executables of their own, which take most of the time. The exit
# code is that of the whole run.
qualify: build-assay ## qualifies the core pack on every engine that is ready
	$(if $(strip $(ARGUMENTS)),,$(if $(to_come),$(first_verdict)))
	@scripts/setup
	@$(MAKE) --no-print-directory build
	$(assay) qualify $(PACK) $(trust) $(ARGUMENTS)

define first_verdict
	@echo "=== a first verdict, on the engines in assay itself; then these are built: wasmi.fast $(to_come)"
	-@$(assay) qualify $(PACK) $(trust) --runtime 'wasmtime.*' --runtime wasmi
	@echo "=== now for the others"
endef

mutate: build ## plants faults into the core pack's modules, and says which conform finds; ARGUMENTS="--count 520 --seed N"
	$(assay) mutate $(PACK) $(trust) $(ARGUMENTS)

own-seeds: build ## conformance of the core pack with 50 own seeds in a row; COUNT=N FIRST=N ARGUMENTS="--runtime ID"
	scripts/own-seeds $(assay) $(or $(COUNT),50) $(or $(FIRST),1) $(ARGUMENTS)

bench: setup build ## measures the core pack on every engine that is ready, beside native code for this very processor
	RUSTFLAGS="-C target-cpu=native" $(release) -p assay --no-default-features --features native-worker --bin assay-native --target-dir $(target)/native
	cp $(target)/native/release/assay-native $(target)/release/
	$(assay) bench $(PACK) $(trust) $(ARGUMENTS)

# Tests that are ignored because not every machine has what they need run here where it has; their set is built already. None is in an example
# of the documentation, so those are not collected again.
test_set = $(CARGO) test --locked --release --no-fail-fast $($(1)) $(ARGUMENTS) $(if $(ARGUMENTS),,&& scripts/test-ignored $(CARGO) test --locked --release $($(1)) --tests)
test: setup build ## runs all tests
	$(call test_set,rust)
	$(if $(ARGUMENTS),,$(call test_set,executables))

wasm32: ## tests and qualifies inside WebAssembly, under wasmtime; needs the target wasm32-wasip1 and jq
	scripts/test-wasi $(ARGUMENTS)

cross: ## tests and qualifies on TARGET in cross's container, under QEMU or wasmtime where it is another architecture
	scripts/cross $(or $(TARGET),$(error say which target: make cross TARGET=armv7-unknown-linux-gnueabihf)) $(ARGUMENTS)

matrix: ## the same for all four targets (ARGUMENTS: for these); then whether all gave the same answers, and a table of targets and engines
	scripts/matrix $(ARGUMENTS)

device: setup build ## what wamr.aot needs on targets without its compiler: then CROSS_DEVICE=assay-results/device make cross TARGET=...
	ASSAY=$(assay) scripts/for-device assay-results/device

# What an earlier build has left of an engine that is not chosen would be found beside assay.
build: build-assay ## builds assay with every engine whose packages are here
	$(release) $(executables)
	@rm -f $(filter-out $(call executable,$(ENGINES)),$(all_executables))

build-assay:
	$(release)

setup: ## installs missing system packages where it can, and says what stays missing
	@scripts/setup

lint: ## clippy and the formatting, as CI runs them
	$(foreach manifest,$(manifests),$(CARGO) fmt --manifest-path $(manifest) --all --check &&) true
	$(CARGO) clippy --locked --release $(every_package) --all-targets -- -D warnings
	$(CARGO) clippy --locked --release -p kernel-cases --no-default-features -- -D warnings

format: ## formats the code
	$(foreach manifest,$(manifests),$(CARGO) fmt --manifest-path $(manifest) --all &&) true

deny: ## licences, sources and bans of all dependencies; needs cargo-deny, and no network once the crates are here
	$(foreach manifest,$(manifests),$(CARGO_DENY) --manifest-path $(manifest) --config deny.toml --locked --all-features check \
		--allow license-not-encountered --allow license-exception-not-encountered licenses bans sources &&) true

doc: ## the documentation, without warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --release --no-deps $(every_package)

fuzz-smoke: ## runs each coverage-guided fuzz target for a moment; ARGUMENTS="SECONDS TARGET..."
	scripts/fuzz-smoke $(ARGUMENTS)

compat: ## a client of packs that others wrote: what fits and what does not, docs/compatibility.md
	$(CARGO) test --locked --release --manifest-path compat/ruvector/Cargo.toml

# WAMR's engines and wasmer.llvm are built into it where their packages are; wamr.aot takes the compiler that `make build` builds.
llm_features = $(strip $(subst wamr-aot,wamr,$(subst wasmer-llvm,wasmer,$(filter wamr-aot wasmer-llvm,$(ENGINES)))))
llm llm-measure llm-test: export ASSAY_WAMRC ?= $(abspath $(target))/release/assay-wamrc
llm_compiler = $(if $(filter wamr,$(llm_features)),[ -x $(target)/release/assay-wamrc ] || $(release) $(executables))
llm_manifest = --manifest-path examples/llm/Cargo.toml $(if $(llm_features),--features "$(llm_features)")
llm = examples/llm/target/release/llm

llm: llm-build ## a language model on sandboxed kernels: fetches it, generates, and compares token by token; needs python3 with pip
	examples/llm/fetch
	$(llm) generate --tokens 128
	$(llm) compare $(ARGUMENTS)

llm-measure: llm-build ## milliseconds per token, native against each engine and budget: writes reports/llm
	examples/llm/fetch
	$(llm) measure $(ARGUMENTS)

llm-test: ## its tests, with a tiny model made on the spot: nothing is fetched
	$(llm_compiler)
	$(CARGO) test --locked --release $(llm_manifest) --target-dir examples/llm/target $(ARGUMENTS)

llm-build:
	$(llm_compiler)
	$(release) $(llm_manifest) --target-dir examples/llm/target

embedded: build-assay ## what the core pack's kernels need on a small device: WAMR built for size, everything in one pool; needs jq, LLVM 22
	$(release) $(executables)
	$(release) -p runtime-host --features wasmtime,wasmi --example frames
	scripts/embedded $(ARGUMENTS)

web: ## makes the page that qualifies packs in a browser; needs npm and the target wasm32-wasip1
	scripts/build-web $(ARGUMENTS)

web-test: web ## tests the page in headless Chromium
	scripts/web-test

nn: build-assay ## builds assay-nn, which runs guests of WASI-NN for `assay nn`
	$(release) -p assay-nn

nn-test: nn ## tests of WASI-NN: sessions, engines with backends, node tests of ONNX
	$(call test_set,nn)
	fixtures/nn/guests/build --check

nn-models: ## makes the models of WASI-NN's tests again
	"$$(scripts/python-packages)" fixtures/nn/make_models.py

pack: build ## rebuilds the core pack from source, needs the target wasm32-unknown-unknown; and the manifest of the foreign pack
	ASSAY=$(abspath $(assay)) scripts/make-pack --build-kernels

check-pack: ## that the modules of the packs are what their sources give, as far as their compilers are here
	scripts/check-reproducible
	kernels/foreign/build --check

oracles: ## tests of the oracles, in the Python that scripts/python-packages makes
	python=$$(scripts/python-packages) && for folder in onnx numpy; do (cd oracles/$$folder && "$$python" -m unittest -q) || exit; done

foreign: ## holds the kernels of the foreign pack and their planted faults to their contracts, without the harness
	"$$(scripts/python-packages)" kernels/foreign/check.py
	kernels/foreign/build --check

numbers: build ## records fuel and sizes of code of the core pack on the engines that are ready
	$(assay) compare --record fixtures/numbers.json $(core) $(test_keys)

check-numbers: build ## that fuel and sizes of code are as recorded
	$(assay) compare fixtures/numbers.json $(core) $(test_keys)

tables: build ## writes the generated tables of README.md and docs/; needs python3
	scripts/tables $(assay)

check-readme: build ## that these tables are current, and that links in the documents lead somewhere
	scripts/check-docs --test
	scripts/check-docs
	scripts/tables --check $(assay)
