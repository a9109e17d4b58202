# `make qualify` and `make test` are all that most people need; `make help` lists the rest.
#
# The opt-in engines are built exactly where their system packages are found. To choose otherwise:
#   make qualify ENGINES=              only the engines that need nothing: wasmtime and wasmi
#   make test ENGINES="wamr"           of: wamr wamr-aot wasmer-llvm
#   make qualify PACK=path/to/pack ARGUMENTS="--runtime wasmi --profile embedded"
#   make cross TARGET=aarch64-unknown-linux-gnu   another target, in cross's container; docs/targets.md

CARGO ?= cargo
CARGO_DENY ?= cargo-deny
PACK ?= fixtures/packs/core
ENGINES = $(shell scripts/setup --found)

target = $(or $(CARGO_TARGET_DIR),target)
assay = $(target)/release/assay

release = $(CARGO) build --locked --release
features = --features "$(addprefix assay/,$(filter wamr wasmer-llvm,$(ENGINES)))"
# The members that do not compile without an engine's packages.
members = --workspace \
	$(if $(filter wamr,$(ENGINES)),,--exclude runtime-wamr) \
	$(if $(filter wamr-aot,$(ENGINES)),,--exclude wamr-compiler) \
	$(if $(filter wasmer-llvm,$(ENGINES)),,--exclude runtime-wasmer)

# The wasm32 packages and the fuzz targets have workspaces of their own.
manifests = Cargo.toml kernels/guest/Cargo.toml kernels/faulty/Cargo.toml fuzz/Cargo.toml

# CI tests first, and then qualifies with the very executable that was tested: another choice of packages would mean other
# features, and build the engines twice.
build_assay = $(if $(CI),$(CARGO) test --locked --release --no-run $(members) $(features),$(release) -p assay $(features))

.PHONY: help qualify bench test wasm32 cross matrix device build helpers setup lint format deny doc fuzz-smoke web web-test pack check-pack numbers check-numbers readme-table check-readme

help: ## lists the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 16

qualify: setup build ## qualifies the core pack on every engine that is ready
	$(assay) qualify $(PACK) $(ARGUMENTS)

bench: setup build ## measures the core pack on every engine that is ready, beside native code for this very processor
	RUSTFLAGS="-C target-cpu=native" $(release) -p assay --no-default-features --features native-worker --bin assay-native --target-dir $(target)/native
	cp $(target)/native/release/assay-native $(target)/release/
	$(assay) bench $(PACK) $(ARGUMENTS)

test: setup helpers ## runs all tests
	$(CARGO) test --locked --release $(members) $(features) $(ARGUMENTS)
	$(if $(ARGUMENTS),,scripts/test-ignored $(CARGO) test --locked --release $(members) $(features))
	# Beside assay wasmi has its portable dispatch; alone it is wasmi.fast.
	$(CARGO) test --locked --release -p runtime-wasmi

wasm32: ## tests and qualifies inside WebAssembly, under wasmtime; needs the target wasm32-wasip1 and jq
	scripts/test-wasi $(ARGUMENTS)

cross: ## tests and qualifies on TARGET in cross's container, under QEMU or wasmtime where it is another architecture
	scripts/cross $(or $(TARGET),$(error say which target: make cross TARGET=armv7-unknown-linux-gnueabihf)) $(ARGUMENTS)

matrix: ## the same for all four targets (ARGUMENTS: for these); then whether all gave the same answers, and a table of targets and engines
	scripts/matrix $(ARGUMENTS)

device: setup build ## what wamr.aot needs on targets without its compiler: then CROSS_DEVICE=assay-results/device make cross TARGET=...
	ASSAY=$(assay) scripts/for-device assay-results/device

build: helpers ## builds assay with every engine whose packages are here
	$(build_assay)

# Executables that assay starts, each a build of its own: two builds of wasmi differ in features, and the libraries of
# WAMR's runtime and of its compiler clash.
helpers:
	$(release) -p assay --no-default-features --features wasmi-fast --bin assay-wasmi-fast
	$(if $(filter wamr-aot,$(ENGINES)),$(release) -p wamr-compiler)

setup: ## installs missing system packages where it can, and says what stays missing
	@scripts/setup

lint: ## clippy and the formatting, as CI runs them
	$(foreach manifest,$(manifests),$(CARGO) fmt --manifest-path $(manifest) --all --check &&) true
	$(CARGO) clippy --locked --release $(members) $(features) --all-targets -- -D warnings
	$(CARGO) clippy --locked --release -p assay --no-default-features --features wasmi-fast -- -D warnings

format: ## formats the code
	$(foreach manifest,$(manifests),$(CARGO) fmt --manifest-path $(manifest) --all &&) true

deny: ## licences, sources and bans of all dependencies; needs cargo-deny, and no network once the crates are here
	$(foreach manifest,$(manifests),$(CARGO_DENY) --manifest-path $(manifest) --config deny.toml --locked --all-features check \
		--allow license-not-encountered --allow license-exception-not-encountered licenses bans sources &&) true

doc: ## the documentation, without warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --release --no-deps $(members) $(features)

fuzz-smoke: ## runs each coverage-guided fuzz target for a moment
	scripts/fuzz-smoke

web: ## makes the page that qualifies packs in a browser; needs npm and the target wasm32-wasip1
	scripts/build-web $(ARGUMENTS)

web-test: web ## tests the page in headless Chromium
	scripts/web-test

pack: build ## rebuilds the core pack from source; needs the target wasm32-unknown-unknown
	ASSAY=$(abspath $(assay)) scripts/make-pack --build-kernels

check-pack: ## that the modules of the core pack are what their sources give
	scripts/check-reproducible

numbers: build ## records fuel and sizes of code of the core pack on the engines that are ready
	$(assay) compare --record fixtures/numbers.json fixtures/packs/core

check-numbers: build ## that fuel and sizes of code are as recorded
	$(assay) compare fixtures/numbers.json fixtures/packs/core

readme-table: build ## writes the table of engines into README.md; needs jq
	scripts/readme-table $(assay)

check-readme: build ## that the table of engines in README.md is current
	scripts/readme-table --check $(assay)
