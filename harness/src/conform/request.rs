//! What is asked of a conformance run, and the command that asks for one case of it again.

use super::{device::Profile, forms, judge::Layer, plan::Choice};
use crate::{acceptance::Acceptance, repeat::Repeat, time_limits::TimeLimits};
use std::path::PathBuf;

/// Generated cases per kernel and engine, unless asked otherwise.
pub const CASES: u32 = 64;
/// The seed, unless asked otherwise: fixed, so that two runs of the same version do the same.
pub const SEED: u64 = 1;

/// A seed of a run's own: short, because people copy it.
pub fn drawn_seed() -> u64 {
    u64::from(fastrand::u32(1..))
}

/// What is run, and on what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Pack folder or archive.
    pub pack: PathBuf,
    /// Whose packs are accepted.
    pub acceptance: Acceptance,
    /// Engine ids and globs; empty means all that are ready.
    pub runtimes: Vec<String>,
    /// Engines from outside, as `NAME=COMMAND`.
    pub adapters: Vec<String>,
    /// Kernel ids and globs; empty means all.
    pub kernels: Vec<String>,
    /// A folder of vector files besides those of the pack.
    pub vectors: Option<PathBuf>,
    /// Programs of the user's that know the truth, as `KERNEL=COMMAND`.
    pub oracles: Vec<String>,
    /// Generated cases per kernel.
    pub cases: u32,
    /// Seed of the generated cases.
    pub seed: u64,
    /// The run's own seed: of placements, sequences and a second batch of generated cases.
    pub own_seed: u64,
    /// Whether sequences are long.
    pub deep: bool,
    /// What the engines are asked for: a device's limits go below those of the manifest.
    pub profile: Profile,
    /// Where engines that can keep compiled code.
    pub code_cache: Option<PathBuf>,
    /// How long it may take.
    pub limits: TimeLimits,
}

impl Request {
    /// What decides the plan; `case` and `module` are the names of the only ones that are asked for.
    pub fn choice<'a>(&'a self, case: Option<&'a str>, module: Option<&'a str>) -> Choice<'a> {
        Choice {
            kernels: &self.kernels,
            vectors: self.vectors.as_deref(),
            cases: self.cases,
            seed: self.seed,
            own_seed: self.own_seed,
            deep: self.deep,
            case,
            module,
            device: self.profile.device(),
            oracles: &self.oracles,
            limits: self.limits,
        }
    }

    /// The command that repeats a case of a kernel on an engine; of a form, beside its base module.
    pub fn repeat(
        &self,
        runtime: &str,
        kernel: &str,
        variant: &str,
        case: &str,
        layer: Layer,
    ) -> String {
        let command = self
            .acceptance
            .repeated(Repeat::of("conform").path(&self.pack))
            .options("--adapter", &self.adapters);
        // Agreement needs the others.
        let command = match layer {
            Layer::L2 => command.options("--runtime", &self.runtimes),
            _ => command.options("--runtime", [runtime]),
        };
        command
            .options("--kernel", [kernel])
            .paths("--vectors", self.vectors.as_deref())
            .options("--oracle", &self.oracles)
            .options("--cases", (self.cases != CASES).then_some(self.cases))
            .options(
                "--profile",
                (self.profile != Profile::Server).then_some(self.profile),
            )
            .paths("--code-cache", self.code_cache.as_deref())
            .options("--seed", [self.seed])
            .options("--own-seed", [self.own_seed])
            .flag("--deep", self.deep)
            .options("--time-limit", self.limits.asked.run)
            .options("--module-time-limit", self.limits.asked.module)
            .options("--case", [case])
            .options("--module", forms::is_form(variant).then_some(variant))
            .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time_limits::Asked;

    #[test]
    fn what_decides_a_case_is_in_the_command_that_repeats_it() {
        let request = Request {
            pack: "packs/my core".into(),
            acceptance: Acceptance {
                trust: vec!["keys".into()],
                seen: Some("none".into()),
                allow_rollback: true,
            },
            runtimes: vec!["wasm*".to_owned()],
            adapters: vec!["mine=run it".to_owned()],
            kernels: Vec::new(),
            vectors: Some("vectors".into()),
            oracles: vec!["rope_f32=python3 mine.py".to_owned()],
            cases: 3,
            seed: 7,
            own_seed: 9,
            deep: true,
            profile: Profile::Embedded,
            code_cache: Some("cache".into()),
            limits: TimeLimits::begin(
                Asked {
                    run: Some(700),
                    module: None,
                },
                true,
                0,
            ),
        };
        let common = "--kernel rope_f32 --vectors vectors --oracle 'rope_f32=python3 mine.py' --cases 3 --profile embedded --code-cache cache --seed 7 --own-seed 9 --deep --time-limit 700 --case edge:one";
        assert_eq!(
            request.repeat("wasmi", "rope_f32", "base", "edge:one", Layer::L1),
            format!(
                "assay conform 'packs/my core' --trust keys --seen none --allow-rollback --adapter 'mine=run it' --runtime wasmi {common}"
            )
        );
        let agreement = request.repeat("wasmi", "rope_f32", "simd128", "edge:one", Layer::L2);
        assert_eq!(
            agreement,
            format!(
                "assay conform 'packs/my core' --trust keys --seen none --allow-rollback --adapter 'mine=run it' --runtime 'wasm*' {common}"
            )
        );
        let form = request.repeat("wasmi", "rope_f32", "form:a-1-b", "edge:one", Layer::L2);
        assert_eq!(form, format!("{agreement} --module form:a-1-b"));
    }
}
