//! Kernels that are wrong in what only history, place, secrets, rare code, rare shapes, rare values or the small exports show: each is caught, in its layer and
//! by its kind of case, with each of several own seeds. Right kernels that come close to them pass.

use crate::support::{json, pack_of, root, thorough};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

/// If not [`thorough`], every third cheat is asked of the interpreter too, and each twin with one of the seeds.
const ENGINES: [&str; 2] = ["wasmtime.cranelift", "wasmi"];

fn listed() -> Value {
    let file = root().join("fixtures/cheats/cheats.json");
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// The layer, the source and the case of each failure of an engine.
type Failing = BTreeSet<(String, String, String)>;

/// The exit code, the document, and of each engine what fails.
fn conform(
    kernel: &str,
    file: &str,
    (engines, more): (&[&str], &[&str]),
    own_seed: u32,
) -> (i32, Value, Vec<Failing>) {
    let folder = tempfile::tempdir().unwrap();
    let module = fs::read(root().join("fixtures/cheats").join(file)).unwrap();
    let pack = pack_of(folder.path(), kernel, &module, None);
    let out = folder.path().join("results");
    let own_seed = own_seed.to_string();
    let mut arguments = vec!["conform", pack.to_str().unwrap()];
    for engine in engines {
        arguments.extend(["--runtime", engine]);
    }
    arguments.extend(["--own-seed", &own_seed, "--out", out.to_str().unwrap()]);
    arguments.extend(more);
    let (exit, document) = json(&arguments);
    let failing = |engine: &str| {
        let results = document["results"].as_array().unwrap().iter();
        results
            .filter(|entry| entry["runtime"] == engine && entry["outcome"] == "fail")
            .map(|entry| {
                let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
                (text("layer"), text("source"), text("case"))
            })
            .collect()
    };
    let failing = engines.iter().map(|engine| failing(engine)).collect();
    (exit, document, failing)
}

/// Whether what an entry of the list promises is what was seen.
fn is_caught(cheat: &Value, seed: u32) -> Result<(), String> {
    let text = |key: &str| cheat[key].as_str().unwrap_or_default();
    let only = [text("engine")];
    let both = thorough() || seed.is_multiple_of(3);
    let engines = match only[0] {
        "" => &ENGINES[..if both { 2 } else { 1 }],
        _ => &only[..],
    };
    let more: &[&str] = match text("section") {
        "coverage" => &["--coverage"],
        _ => &[],
    };
    let (exit, document, failing) = conform(text("kernel"), text("file"), (engines, more), seed);
    let caught = if text("layer") == "coverage" {
        let uncovered = document["coverage"][0]["uncovered"].as_array().unwrap();
        let blocks = uncovered.iter().filter_map(|block| block["text"].as_str());
        blocks
            .into_iter()
            .any(|block| block.contains(text("uncovered")))
            && failing.iter().all(BTreeSet::is_empty)
    } else {
        let fits = |due: &str, seen: &str| due.is_empty() || due == seen;
        failing.iter().all(|failing| {
            failing.iter().any(|(layer, source, case)| {
                layer == text("layer") && fits(text("source"), source) && fits(text("case"), case)
            })
        })
    };
    if exit == 1 && caught {
        return Ok(());
    }
    Err(format!("{cheat}: exit {exit}, fails {failing:?}"))
}

#[test]
fn every_cheat_is_caught_in_its_layer_by_its_kind_of_case() {
    let listed = listed();
    let cheats = listed["cheats"].as_array().unwrap();
    let mut sections: BTreeMap<&str, usize> = BTreeMap::new();
    for cheat in cheats {
        *sections
            .entry(cheat["section"].as_str().unwrap())
            .or_default() += 1;
    }
    let of_each = sections.values().all(|count| *count >= 2);
    assert!(
        cheats.len() >= 40 && sections.len() == 9 && of_each,
        "{sections:?}"
    );
    let each = (1..).zip(cheats);
    let missed: Vec<String> = each
        .filter_map(|(seed, cheat)| is_caught(cheat, seed).err())
        .collect();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// What a right kernel's cases do not run is no trigger of a cheat, and a list that promises something else fails.
#[test]
fn a_cheat_that_is_listed_wrongly_is_missed() {
    let mut cheat = listed()["cheats"][0].clone();
    assert!(is_caught(&cheat, 1).is_ok());
    cheat["layer"] = "L5".into();
    assert!(is_caught(&cheat, 1).is_err());
    cheat["file"] = "twin_counts.wasm".into();
    assert!(is_caught(&cheat, 1).is_err());
}

/// The test's packs declare it; other packs with it are rejected before anything runs.
#[test]
fn what_cheats_of_the_survey_can_change_is_read_before_they_run() {
    let listed = listed();
    let cheats = listed["cheats"].as_array().unwrap().iter();
    for cheat in cheats.filter(|cheat| cheat["section"] == "survey") {
        let module = fs::read(
            root()
                .join("fixtures/cheats")
                .join(cheat["file"].as_str().unwrap()),
        );
        let rules = kernel_pack::ModuleRules {
            entry_point: "kernel_forward",
            max_memory_pages: 4096,
            max_table_elements: 64,
        };
        let facts = kernel_pack::inspect_module(&module.unwrap(), &rules).unwrap();
        assert!(!facts.state.is_empty(), "{cheat}");
    }
}

#[test]
fn right_kernels_that_come_close_to_cheats_pass() {
    let listed = listed();
    for (index, twin) in listed["twins"].as_array().unwrap().iter().enumerate() {
        let text = |key: &str| twin[key].as_str().unwrap();
        let seeds = [1, 2, 3];
        let one = index % seeds.len();
        for seed in if thorough() {
            &seeds
        } else {
            &seeds[one..=one]
        } {
            let (exit, _, failing) = conform(text("kernel"), text("file"), (&ENGINES, &[]), *seed);
            assert_eq!(exit, 0, "{}: {failing:?}", text("twin"));
        }
    }
}

/// The table of docs/soundness.md. With `ASSAY_WRITE_TABLES` set it is written.
#[test]
fn the_table_of_cheats_is_current() {
    const BEGIN: &str = "<!-- cheats: begin (written by a test, `ASSAY_WRITE_TABLES=1`) -->\n";
    const END: &str = "<!-- cheats: end -->";
    let listed = listed();
    let mut table =
        String::from("| kind | cheat | what it is | layer | case |\n|---|---|---|---|---|\n");
    for cheat in listed["cheats"].as_array().unwrap() {
        let text = |key: &str| cheat[key].as_str().unwrap_or_default();
        let by = match (text("case"), text("source"), text("uncovered")) {
            ("", "", "") => "any".to_owned(),
            ("", "", _) => "the block is named that no case ran".to_owned(),
            ("", source, _) => format!("`{source}`"),
            (case, _, _) => format!("`{case}`"),
        };
        table += &format!(
            "| {} | `{}` | {} | {} | {by} |\n",
            text("section"),
            text("cheat"),
            text("why"),
            text("layer")
        );
    }
    let file = root().join("docs/soundness.md");
    let page = fs::read_to_string(&file).unwrap();
    let from = page.find(BEGIN).expect("the page has the markers") + BEGIN.len();
    let to = page.find(END).expect("the page has the markers");
    if std::env::var_os("ASSAY_WRITE_TABLES").is_some() {
        fs::write(&file, format!("{}{table}{}", &page[..from], &page[to..])).unwrap();
        return;
    }
    assert!(
        page[from..to] == table,
        "the table is stale: run this test with ASSAY_WRITE_TABLES=1"
    );
}

/// A failure in a sequence names the call, and the command beside it gives the same failure again; a run without an own seed draws one.
#[test]
fn a_failing_sequence_names_its_call_and_is_repeated_by_its_command() {
    let folder = tempfile::tempdir().unwrap();
    let module = fs::read(root().join("fixtures/cheats/third_output.wasm")).unwrap();
    let pack = pack_of(folder.path(), "swiglu_f32", &module, None);
    let run = |out: &str, more: &[&str]| {
        let out = folder.path().join(out);
        let mut arguments = vec!["conform", pack.to_str().unwrap(), "--runtime", "wasmi"];
        arguments.extend(more);
        arguments.extend(["--out", out.to_str().unwrap()]);
        json(&arguments)
    };
    let failing = |document: &Value| {
        let results = document["results"].as_array().unwrap().iter();
        let failing: Vec<(String, String, String)> = results
            .filter(|entry| entry["outcome"] == "fail" && entry["case"] == "sequence:1")
            .map(|entry| {
                let text = |key: &str| entry[key].as_str().unwrap().to_owned();
                (text("layer"), text("detail"), text("repeat"))
            })
            .collect();
        failing
    };
    let (exit, first) = run("first", &[]);
    assert_eq!(exit, 1);
    let (_, other) = run("other", &[]);
    assert!(first["own_seed"].as_u64().unwrap() > 0);
    assert_ne!(first["own_seed"], other["own_seed"]);

    let found = failing(&first);
    let [(layer, detail, repeat)] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(layer, "L6");
    assert!(detail.contains("step ") && detail.contains("of one instance"));
    let words = shlex::split(repeat).unwrap();
    let from = words.iter().position(|word| word == "--seed").unwrap();
    let options: Vec<&str> = words[from..].iter().map(String::as_str).collect();
    let kernel = ["--kernel", "swiglu_f32"];
    let (exit, again) = run("again", &[&kernel, &options[..]].concat());
    assert_eq!(exit, 1);
    assert_eq!(failing(&again), found);
    // Nothing else is judged.
    let results = again["results"].as_array().unwrap().iter();
    let sources: BTreeSet<&str> = results
        .map(|entry| entry["source"].as_str().unwrap())
        .collect();
    assert_eq!(sources, BTreeSet::from(["edge", "sequence"]));
}
