//! Adapters that are honest where they see a test, and lie where they see a kernel: faults that are planted into real kernels show each, and the
//! check that should is the one that does.

use crate::support::{
    adapter, adapter_launch, adapter_launch_with, core_pack, json, pack_of, root, test_keys,
};
use assay::{
    acceptance::Acceptance,
    basics::Finding,
    conform::{
        plan::{Choice, Plan, plan},
        planted,
    },
    outcome::Outcome,
    output::Output,
    time_limits::{Asked, TimeLimits},
    traps,
};
use assay_worker::Launch;
use kernel_pack::Pack;
use serde_json::Value;
use std::{fs, path::Path};

const TRAP: &str = "a trap in a kernel";
const ENDLESS: &str = "a kernel without end";
const GROWTH: &str = "growth in a kernel";
const STRAY: &str = "a stray write of a kernel";
const ANSWER: &str = "a wrong answer of a kernel";
const TIMED: &str = "calls that are timed";

/// Who lies, and which of the checks have to show it; the others may.
const LIARS: [(&str, &[&str]); 12] = [
    ("kernel-traps", &[TRAP]),
    ("renamed-traps", &[TRAP]),
    ("kernel-budgets", &[ENDLESS]),
    ("late-budgets", &[ENDLESS]),
    ("early-budgets", &[ENDLESS]),
    ("kernel-limits", &[GROWTH]),
    ("hidden-growth", &[GROWTH]),
    ("zeroed-reads", &[STRAY, ANSWER]),
    ("hidden-writes", &[STRAY]),
    ("repaired-memory", &[STRAY]),
    ("twentieth", &[TIMED]),
    ("fewer-calls", &[TIMED]),
];

fn pack_in(folder: &Path) -> Pack {
    let acceptance = Acceptance {
        trust: vec![test_keys()],
        seen: Some("none".into()),
        allow_rollback: true,
    };
    acceptance.load(folder).unwrap()
}

/// A few cases of a few kernels that compile fast.
fn plan_of(pack: &Pack, own_seed: u64) -> Plan {
    let known = ["kv_pack_q8", "swiglu_f32", "rmsnorm_f32"];
    let ids = pack.kernels().iter().map(|kernel| kernel.id());
    let kernels = ids.filter(|id| known.contains(id)).map(str::to_owned);
    let kernels: Vec<String> = kernels.collect();
    let choice = Choice {
        kernels: &kernels,
        vectors: None,
        cases: 8,
        seed: 1,
        own_seed,
        deep: false,
        case: None,
        module: None,
        device: None,
        oracles: &[],
        limits: TimeLimits::begin(Asked::default(), false, 0),
    };
    plan(pack, &choice).unwrap()
}

/// What is found on each of these, by a seed.
fn found(launches: &[Launch], own_seed: u64) -> Vec<Finding> {
    found_in(&core_pack(), launches, own_seed)
}

fn found_in(pack: &Path, launches: &[Launch], own_seed: u64) -> Vec<Finding> {
    found_by(&[adapter_launch("honest")], pack, launches, own_seed)
}

/// The same, where these engines say what kernels give.
fn found_by(
    references: &[Launch],
    pack: &Path,
    launches: &[Launch],
    own_seed: u64,
) -> Vec<Finding> {
    let pack = pack_in(pack);
    let plan = plan_of(&pack, own_seed);
    let output = Output {
        json: true,
        quiet: true,
    };
    planted::on_all(launches, references, &pack, &plan.work, own_seed, &output)
}

fn failing<'a>(found: &'a [Finding], liar: &str) -> Vec<&'a str> {
    let own = found.iter().filter(|finding| finding.runtime == liar);
    let bad = own.filter(|finding| finding.outcome.is_bad());
    bad.map(|finding| finding.check.as_str()).collect()
}

#[test]
fn each_lie_is_shown_by_the_check_that_should_and_the_honest_twin_passes() {
    let mut launches: Vec<Launch> = LIARS.iter().map(|(name, _)| adapter_launch(name)).collect();
    launches.push(adapter_launch("honest"));
    let mut found = found(&launches, u64::from(fastrand::u32(..)));
    assert_eq!(found.len(), launches.len() * planted::COUNT);
    // What is planted is drawn, and a draw may leave one lie unseen: an adapter that lies of `kernel_forward` alone is not seen by what is
    // planted into a gradient. One of six more draws then has to show it.
    for _ in 0..6 {
        let unseen = LIARS.iter().filter(|(liar, due)| {
            let failing = failing(&found, liar);
            !due.iter().all(|check| failing.contains(check))
        });
        let again: Vec<Launch> = unseen.map(|(liar, _)| adapter_launch(liar)).collect();
        if !again.is_empty() {
            found.extend(self::found(&again, u64::from(fastrand::u32(..))));
        }
    }
    for (liar, due) in LIARS {
        let failing = failing(&found, liar);
        for check in due {
            assert!(failing.contains(check), "{liar}: {failing:?}\n{found:#?}");
        }
    }
    let honest: Vec<_> = found.iter().filter(|one| one.runtime == "honest").collect();
    assert!(
        honest.iter().all(|one| one.outcome == Outcome::Pass),
        "{honest:#?}"
    );
}

/// One that fails by itself would fail with a fault in it, and the engine would have the blame.
#[test]
fn nothing_is_planted_into_a_kernel_that_fails_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let module = fs::read(root().join("fixtures/cheats/third_output.wasm")).unwrap();
    let pack = pack_of(folder.path(), "swiglu_f32", &module, None);
    let found = found_in(&pack, &[adapter_launch("honest")], 3);
    assert_eq!(found.len(), planted::COUNT);
    // Its gradient is right from call to call, and takes a fault.
    let of_gradient = |finding: &Finding| finding.detail.starts_with("swiglu_f32, gradient ");
    let (right, wrong): (Vec<_>, Vec<_>) = found.into_iter().partition(of_gradient);
    assert!(wrong.len() > right.len(), "{right:?}");
    for finding in wrong {
        assert_eq!(finding.outcome, Outcome::Unsupported, "{finding:?}");
        let said = "nothing was planted into swiglu_f32: L6, ";
        assert!(finding.detail.contains(said), "{finding:?}");
    }
}

/// Where the harness's own engine has no memory, kernels are not what fails.
#[test]
fn an_engine_that_cannot_say_what_kernels_give_is_passed_over_and_without_any_that_is_an_error() {
    let (unable, honest) = (adapter_launch("unable"), adapter_launch("honest"));
    let found = |references: &[Launch]| {
        found_by(references, &core_pack(), std::slice::from_ref(&honest), 3)
    };
    for finding in found(&[unable.clone(), honest.clone()]) {
        assert_eq!(finding.outcome, Outcome::Pass, "{finding:?}");
    }
    for finding in found(std::slice::from_ref(&unable)) {
        assert_eq!(finding.outcome, Outcome::Error, "{finding:?}");
        let said = "no engine of the harness can say what kernels give";
        assert!(finding.detail.contains(said), "{finding:?}");
    }
}

#[test]
fn a_variant_that_an_engine_states_and_refuses_speaks_against_it() {
    let (exit, document) = qualify(&["refuses-simd", "no-simd", "honest"]);
    assert_eq!(exit, 1);
    for (engine, due) in [
        ("refuses-simd", "not-qualified"),
        ("no-simd", "qualified"),
        ("honest", "qualified"),
    ] {
        let engines = document["engines"].as_array().unwrap();
        let id = format!("liar.{engine}");
        let found = engines.iter().find(|entry| entry["id"] == id).unwrap();
        assert_eq!(found["verdict"], due, "{found:#}");
        let reasons = found["reasons"].to_string();
        let refused = "kv_pack_q8 L1 fail (0 of 1 edge cases pass): edge:module: failed to do what";
        assert_eq!(
            reasons.contains(refused),
            engine == "refuses-simd",
            "{reasons}"
        );
    }
}

#[test]
fn an_adapter_that_runs_its_own_kernels_for_those_that_it_knows_is_found() {
    let kernels = core_pack().join("kernels");
    let launch = adapter_launch_with(&["own-kernels", kernels.to_str().unwrap()]);
    let found = found(&[launch], u64::from(fastrand::u32(..)));
    let failing = failing(&found, "own-kernels");
    for check in [TRAP, ENDLESS, GROWTH, STRAY, ANSWER, TIMED] {
        assert!(failing.contains(&check), "{found:#?}");
    }
}

#[test]
fn an_adapter_that_knows_every_module_of_an_earlier_run_by_its_digest_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let known = folder.path().join("known");
    let words = |behaviour| [behaviour, known.to_str().unwrap()];
    // All that an earlier run asked, planted faults and traps, from an adapter that was honest then.
    let noting = adapter_launch_with(&words("noting"));
    let earlier = found(std::slice::from_ref(&noting), 7);
    assert!(failing(&earlier, "noting").is_empty(), "{earlier:#?}");
    let cases = traps::cases().unwrap();
    traps::run(&noting, &cases, &|_| ());

    let knowing = adapter_launch_with(&words("known-modules"));
    let quiet = |result: &traps::CaseResult| assert!(!result.outcome.is_bad(), "{result:#?}");
    traps::run(&knowing, &cases, &quiet);
    let again = found(std::slice::from_ref(&knowing), 7);
    assert!(
        failing(&again, "known-modules").is_empty(),
        "the same seed asks the same: {again:#?}"
    );
    let next = found(&[knowing], 8);
    for check in [TRAP, ENDLESS, GROWTH, STRAY] {
        assert!(
            failing(&next, "known-modules").contains(&check),
            "{next:#?}"
        );
    }
}

/// `qualify` of one kernel on these adapters.
fn qualify(behaviours: &[&str]) -> (i32, Value) {
    let out = tempfile::tempdir().unwrap();
    let pack = core_pack();
    let mut line = vec![
        "qualify".to_owned(),
        pack.to_str().unwrap().to_owned(),
        "--out".to_owned(),
        out.path().to_str().unwrap().to_owned(),
    ];
    let few = "--kernel kv_pack_q8 --cases 1 --interruptions 0";
    line.extend(few.split(' ').map(str::to_owned));
    for behaviour in behaviours {
        line.extend(["--adapter".to_owned(), adapter(behaviour)]);
        line.extend(["--runtime".to_owned(), format!("liar.{behaviour}")]);
    }
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    json(&line)
}

#[test]
fn the_verdict_says_why_a_liar_and_an_engine_without_budgets_and_limits_do_not_qualify() {
    let (exit, document) = qualify(&["hidden-writes", "no-limits", "no-budgets", "honest"]);
    assert_eq!(exit, 1);
    let verdict = |engine: &str| {
        let engines = document["engines"].as_array().unwrap();
        let found = engines.iter().find(|entry| entry["id"] == engine);
        let found = found.unwrap();
        (
            found["verdict"].as_str().unwrap().to_owned(),
            found["reasons"].to_string(),
            found["limitations"].to_string(),
        )
    };
    let (word, reasons, _) = verdict("liar.hidden-writes");
    assert_eq!(word, "not-qualified");
    assert!(
        reasons.contains("planted, a stray write of a kernel: fail: kv_pack_q8"),
        "{reasons}"
    );
    let no_budget = "the engine states no way to end a call: it has no budget of ticks or of fuel";
    let (word, reasons, limitations) = verdict("liar.no-limits");
    assert_eq!(word, "not-qualified");
    for reason in [
        no_budget,
        "the engine states that it holds no limit of memory",
    ] {
        assert!(reasons.contains(reason), "{reason} in {reasons}");
    }
    for limitation in ["no limit of tables", "no limit of the call stack"] {
        assert!(limitations.contains(limitation), "{limitations}");
    }
    let (word, reasons, _) = verdict("liar.no-budgets");
    assert_eq!(word, "not-qualified");
    assert_eq!(reasons, format!("[\"{no_budget}\"]"));
    let (word, reasons, limitations) = verdict("liar.honest");
    assert_eq!((word.as_str(), &*reasons), ("qualified", "[]"));
    assert_eq!(limitations, "[]");
}

/// Looks at a process of the same user, which is not root: root may look at all.
#[cfg(target_os = "linux")]
#[test]
fn no_adapter_sees_what_the_harness_knows() {
    use std::os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    };
    const NOBODY: u32 = 65_534;
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    let everybody = |mode| fs::Permissions::from_mode(mode);
    fs::set_permissions(folder.path(), everybody(0o777)).unwrap();
    let copied = |program: &Path| {
        let to = folder.path().join(program.file_name().unwrap());
        fs::copy(program, &to).unwrap();
        fs::set_permissions(&to, everybody(0o755)).unwrap();
        to.to_str().unwrap().to_owned()
    };
    let liar = copied(&adapter_launch("curious").program);
    let assay = copied(Path::new(env!("CARGO_BIN_EXE_assay")));
    let seen = |program: &str, arguments: &[&str], seen: &str| {
        let mut command = std::process::Command::new(program);
        command.args(arguments).current_dir(folder.path());
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            command.uid(NOBODY).gid(NOBODY);
        }
        let output = command.stdin(std::process::Stdio::null()).output().unwrap();
        let seen = fs::read_to_string(seen);
        seen.unwrap_or_else(|error| panic!("{error}: {output:?}"))
    };
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();

    // A process that does not keep to itself shows all of it.
    let shown = path("shown");
    let line = format!("{liar} curious {shown}; true");
    let by_others = seen("sh", &["-c", &line], &shown);
    let (looks, handed) = by_others.split_once("handed").unwrap();
    assert_eq!(
        looks,
        "mem: open\nenviron: open\nmaps: open\nfd: open\ncwd: open\n"
    );
    let hidden = path("hidden");
    let adapter = format!("liar.curious={liar} curious {hidden}");
    let arguments = ["probe", "--adapter", &adapter, "--runtime", "liar.curious"];
    let module = path("module.wasm");
    fs::write(&module, wat::parse_str("(module)").unwrap()).unwrap();
    let by_assay = seen(&assay, &[&arguments[..], &[&module]].concat(), &hidden);
    let denied = "PermissionDenied";
    // What this test was handed itself, every process below it is.
    assert_eq!(
        by_assay,
        format!(
            "mem: {denied}\nenviron: {denied}\nmaps: {denied}\nfd: {denied}\ncwd: {denied}\nhanded{handed}"
        )
    );
}

#[test]
fn every_behaviour_of_adapters_is_listed_with_the_cheats() {
    let listed = fs::read_to_string(root().join("fixtures/cheats/README.md")).unwrap();
    for (liar, due) in LIARS {
        let line = listed
            .lines()
            .find(|line| line.starts_with(&format!("| `{liar}`")));
        let line = line.unwrap_or_else(|| panic!("{liar} is not listed"));
        assert!(due.iter().all(|check| line.contains(check)), "{line}");
    }
}
