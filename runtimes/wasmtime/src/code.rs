//! Compiled modules as bytes. wasmtime checks that they are from its own version and configuration, and believes the rest.

use crate::{config, config::Strategy, without_imports};
use runtime_api::{Error, Options, Result, Stage, TrustedCode, check_lengths};
use std::hash::{Hash, Hasher};
use wasmtime::{Engine, Module};

/// Targets, and how Cranelift calls them.
const TARGETS: [(&str, &str); 4] = [
    ("pulley32", "pulley32"),
    ("pulley64", "pulley64"),
    ("x86_64", "x86_64-unknown-linux-gnu"),
    ("aarch64", "aarch64-unknown-linux-gnu"),
];

/// Compiles with a strategy's compiler for another machine.
pub(crate) fn precompile_for(
    strategy: Strategy,
    target: &str,
    wasm: &[u8],
    options: &Options,
) -> Result<Vec<u8>> {
    let refuse = |reason: String| Err(Error::unsupported(format!("target {target}: {reason}")));
    let Some((_, triple)) = TARGETS.iter().find(|(name, _)| *name == target) else {
        let names = TARGETS.map(|(name, _)| name).join(", ");
        return refuse(format!("wasmtime's targets here are {names}"));
    };
    match strategy {
        Strategy::Pulley if target.starts_with("pulley") => {}
        Strategy::Cranelift if target == std::env::consts::ARCH => {}
        Strategy::Cranelift if !target.starts_with("pulley") => {
            return refuse(format!(
                "Cranelift has in this build the backends for {} and for Pulley only; compile on a machine of that kind, or for \
                 pulley32 or pulley64",
                std::env::consts::ARCH
            ));
        }
        strategy => return refuse(format!("{} does not compile for it", strategy.id())),
    }
    let limits = &options.limits;
    let config = config::config(
        strategy,
        Some(triple),
        options.metering,
        limits.max_stack_bytes,
        None,
    )?;
    let engine = Engine::new(&config).map_err(|error| Error::Adapter {
        message: format!("{error:#}"),
    })?;
    precompile(&engine, wasm)
}

pub(crate) fn precompile(engine: &Engine, wasm: &[u8]) -> Result<Vec<u8>> {
    check_lengths(wasm)?;
    engine.precompile_module(wasm).map_err(rejected)
}

pub(crate) fn load(engine: &Engine, code: TrustedCode<'_>) -> Result<Module> {
    // SAFETY: whoever made the `TrustedCode` promised that wasmtime compiled it. wasmtime itself compares version, target
    // and configuration.
    #[allow(unsafe_code, reason = "the promise is in the argument's type")]
    let module = unsafe { Module::deserialize(engine, code.bytes()) }.map_err(rejected)?;
    without_imports(module)
}

/// What wasmtime says its code depends on: version, target, processor features, settings.
pub(crate) fn identity(engine: &Engine) -> Vec<u8> {
    let mut bytes = Bytes(Vec::new());
    engine.precompile_compatibility_hash().hash(&mut bytes);
    bytes.0
}

fn rejected(error: wasmtime::Error) -> Error {
    Error::Rejected {
        stage: Stage::Compile,
        message: format!("{error:#}"),
    }
}

/// Keeps what is hashed instead of hashing it: a key of a cache wants more than 64 bits.
struct Bytes(Vec<u8>);

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime_api::{BudgetKind, Limits};

    const MODULE: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn what_code_depends_on_is_in_its_identity() {
        let identity = |strategy, metering| {
            let stack_bytes = Limits::default().max_stack_bytes;
            identity(&config::engine(strategy, metering, stack_bytes, None).unwrap())
        };
        let usual = identity(Strategy::Pulley, BudgetKind::None);
        assert_eq!(usual, identity(Strategy::Pulley, BudgetKind::None));
        assert_ne!(usual, identity(Strategy::Pulley, BudgetKind::Epoch));
        assert_ne!(usual, identity(Strategy::Pulley, BudgetKind::Fuel));
        if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
            assert_ne!(usual, identity(Strategy::Cranelift, BudgetKind::None));
        }
    }

    #[test]
    fn targets_give_code_or_the_reason_why_not() {
        let options = Options {
            limits: Limits::default(),
            metering: BudgetKind::Epoch,
        };
        for (target, _) in TARGETS {
            for strategy in [Strategy::Pulley, Strategy::Cranelift, Strategy::Winch] {
                let expected = match strategy {
                    Strategy::Pulley => target.starts_with("pulley"),
                    Strategy::Cranelift => target == std::env::consts::ARCH,
                    _ => false,
                };
                match precompile_for(strategy, target, MODULE, &options) {
                    Ok(code) => assert!(expected && code.starts_with(b"\x7fELF"), "{target}"),
                    Err(Error::Unsupported { reason }) => {
                        assert!(!expected && reason.contains(target), "{target}: {reason}");
                    }
                    Err(error) => panic!("{target}: failed to {error}"),
                }
            }
        }
        let unknown = precompile_for(Strategy::Pulley, "z80", MODULE, &options);
        assert!(matches!(unknown, Err(Error::Unsupported { .. })));
    }

    #[test]
    fn code_of_another_configuration_is_refused() {
        let engine = |metering| {
            let stack_bytes = Limits::default().max_stack_bytes;
            config::engine(Strategy::Pulley, metering, stack_bytes, None).unwrap()
        };
        let code = precompile(&engine(BudgetKind::Epoch), MODULE).unwrap();
        #[allow(unsafe_code, reason = "compiled a line above")]
        // SAFETY: unchanged from `precompile`.
        let code = unsafe { TrustedCode::new(&code) };
        assert!(load(&engine(BudgetKind::Epoch), code).is_ok());
        assert!(matches!(
            load(&engine(BudgetKind::None), code),
            Err(Error::Rejected { .. })
        ));
    }
}
