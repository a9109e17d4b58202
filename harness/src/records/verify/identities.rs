//! Whether all records say of one run which pack, engines and build it was about.

use super::{Qualification, Verification, qualification, run};
use crate::{
    conform::answers::{self, Run as Answered},
    engine::Status,
};
use serde_json::json;
use std::collections::BTreeMap;

/// The subcommand that leaves these records.
const COMMAND: &str = "qualify";

impl Verification {
    /// Compares the record of the run, and what engines answered, with the document.
    pub(super) fn identities(&mut self, stands: &Qualification, answered: Option<&Answered>) {
        let conform = &stands.conform;
        let runtimes = conform.runtimes();
        let engines: BTreeMap<&str, Option<&str>> = conform
            .engines
            .iter()
            .filter(|engine| runtimes.contains(&engine.id))
            .map(|engine| (engine.id.as_str(), engine.version.as_deref()))
            .collect();
        let asked = (conform.seed, conform.cases);
        if let Some(run) = self.run.clone() {
            let of_run = &run.fingerprint;
            let built_for = stands.architecture.as_ref();
            let stand = json!({
                "command": COMMAND,
                "pack": stands.pack,
                "profile": stands.profile,
                "interruptions": stands.interruptions,
                "asked": asked,
                "engines": engines,
                "emulated": stands.emulated,
                "architecture": built_for.unwrap_or(&of_run.architecture),
            });
            let recorded = json!({
                "command": run.command,
                "pack": run.pack,
                "profile": run.profile,
                "interruptions": run.interruptions,
                "asked": (run.seed, run.cases),
                "engines": run.engines,
                "emulated": of_run.emulated,
                "architecture": of_run.architecture,
            });
            self.same(qualification::FILE, run::FILE, &stand, &recorded);
            if let Some(answered) = answered {
                let of = |harness, emulated: &Option<String>| json!({ "harness": harness, "emulated": emulated });
                let said = of(&answered.harness, &answered.emulated);
                let recorded = of(&of_run.harness, &of_run.emulated);
                self.same(answers::FILE, run::FILE, &said, &recorded);
                // A target begins with its architecture, but for one that has several names.
                let begins = match of_run.architecture.as_str() {
                    "x86" => "i",
                    other => other,
                };
                if !answered.target.starts_with(begins) {
                    self.same(
                        answers::FILE,
                        run::FILE,
                        &answered.target,
                        &of_run.architecture,
                    );
                }
            }
        }
        if let Some(answered) = answered {
            let ready: BTreeMap<&str, Option<&str>> = conform
                .engines
                .iter()
                .filter(|engine| engine.status == Status::Ready)
                .map(|engine| (engine.id.as_str(), engine.version.as_deref()))
                .collect();
            let stand = json!({ "pack": stands.pack, "asked": asked, "engines": ready });
            let of = (answered.seed, answered.cases);
            let answered =
                json!({ "pack": answered.pack, "asked": of, "engines": answered.engines });
            self.same(qualification::FILE, answers::FILE, &stand, &answered);
        }
    }
}
