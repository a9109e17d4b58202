//! A case of the trap matrix: a module of `fixtures/traps`, and what must come of it.

use crate::probe::{self, End, Finding};
use anyhow::{Context, Result, bail};
use runtime_api::{Budget, Capabilities, Stage, Trap};

/// A module of `fixtures/traps` with what must come of it.
pub struct Case {
    /// The file's name without its extension.
    pub name: &'static str,
    /// Class of trap that it belongs to; `none` for a control, which must not trap.
    pub class: String,
    pub(super) expect: Expect,
    pub(super) budget: Option<Budget>,
    pub(super) needs: Option<Need>,
    pub(super) features: Vec<&'static str>,
    pub(super) wasm: Vec<u8>,
}

/// What must come of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    Returned(i32),
    Trap(Stage, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    MemoryLimit,
    TableLimit,
}

impl Case {
    pub(super) fn parse(name: &'static str, text: &str) -> Result<Case> {
        let directive = |key: &str| {
            text.lines()
                .map_while(|line| line.strip_prefix(";; "))
                .find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
        };
        let first = text.lines().next().unwrap_or_default();
        let expect = first
            .strip_prefix(";; expect: ")
            .and_then(|expect| expect.split_once(' '))
            .context("its first line is not `;; expect: STAGE TRAP` or `;; expect: returned N`")?;
        let expect = match expect {
            ("returned", value) => Expect::Returned(value.parse()?),
            ("instantiate", trap) => Expect::Trap(Stage::Instantiate, trap.to_owned()),
            ("call", trap) => Expect::Trap(Stage::Call, trap.to_owned()),
            (other, _) => bail!("`{other}` is no stage"),
        };
        let class = match (directive("class"), &expect) {
            (Some(class), _) => class.to_owned(),
            (None, Expect::Trap(_, trap)) => trap.clone(),
            (None, Expect::Returned(_)) => bail!("it names no class"),
        };
        let budget =
            match directive("budget").map(|text| text.split_once(':').unwrap_or((text, ""))) {
                None => None,
                Some(("none", "")) => Some(Budget::None),
                Some(("epoch", ticks)) => Some(Budget::Epoch(ticks.parse()?)),
                Some(("fuel", units)) => Some(Budget::Fuel(units.parse()?)),
                Some(_) => bail!("its budget is none of none, epoch:N and fuel:N"),
            };
        let needs = match directive("needs") {
            None => None,
            Some("memory-limit") => Some(Need::MemoryLimit),
            Some("table-limit") => Some(Need::TableLimit),
            Some(other) => bail!("it needs `{other}`, which is unknown"),
        };
        let wasm = wat::parse_str(text)?;
        // Limits are for the engines to hold here.
        let features = kernel_pack::inspect_plain_module(&wasm, u32::MAX, u32::MAX)
            .map_err(|refused| anyhow::anyhow!("{}: {}", refused.code, refused.message))?
            .features_used
            .iter()
            .map(|feature| feature.as_str())
            .collect();
        Ok(Case {
            name,
            class,
            expect,
            budget,
            needs,
            features,
            wasm,
        })
    }

    pub(super) fn expected(&self) -> String {
        match &self.expect {
            Expect::Returned(value) => format!("returned {value}"),
            Expect::Trap(Stage::Instantiate, trap) => format!("instantiate {trap}"),
            Expect::Trap(_, trap) => format!("call {trap}"),
        }
    }

    /// Why an engine cannot be asked, if it cannot.
    pub(super) fn unsupported(&self, can: &Capabilities) -> Option<String> {
        match self.needs {
            Some(Need::MemoryLimit) if !can.memory_limit => {
                Some("the engine has no limit of memory".to_owned())
            }
            Some(Need::TableLimit) if !can.table_limit => {
                Some("the engine has no limit of tables".to_owned())
            }
            _ => probe::lacking(&self.features, can).or_else(|| {
                let budget = self.budget?;
                let honoured = probe::effective_budget(budget, can).is_some();
                (!honoured).then(|| probe::no_budget(budget, can))
            }),
        }
    }

    pub(super) fn holds(&self, finding: &Finding) -> bool {
        match &self.expect {
            Expect::Returned(value) => {
                finding.outcome == End::Returned && finding.value == Some(*value)
            }
            Expect::Trap(stage, trap) => {
                finding.outcome == End::Trap
                    && finding.trap == Some(trap)
                    // An engine may notice what a module starts with when it compiles it.
                    && (finding.stage == Some(*stage)
                        || trap == Trap::ResourceLimit.name()
                            && finding.stage == Some(Stage::Compile))
            }
        }
    }
}
