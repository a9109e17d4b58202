//! `assay verify-report` as a user meets it: what `qualify` left stands, and anything that was done to it is found and named.

#![cfg(feature = "wasmi")]

use crate::support::{adapter, assay, core_pack, json};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};
use tempfile::TempDir;

/// A short qualification: on an engine that passes, or on one that fails as well.
fn qualification(fails: bool) -> &'static Path {
    static MADE: [OnceLock<TempDir>; 2] = [OnceLock::new(), OnceLock::new()];
    MADE[usize::from(fails)]
        .get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let out = folder.path().join("run");
            let adapter = adapter("wrong-bit");
            let pack = core_pack();
            let mut line = vec![
                "qualify",
                pack.to_str().unwrap(),
                "--out",
                out.to_str().unwrap(),
            ];
            line.extend([
                "--kernel",
                "rope_q8",
                "--cases",
                "4",
                "--interruptions",
                "0",
            ]);
            line.extend(["--runtime", "wasmi"]);
            if fails {
                line.extend(["--adapter", &adapter, "--runtime", "liar.*"]);
            }
            let (exit, document) = json(&line);
            assert_eq!(exit, i32::from(fails), "{document:#}");
            folder
        })
        .path()
}

/// A copy of a qualification, to be harmed.
fn copy(fails: bool) -> (TempDir, PathBuf) {
    fn into(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let target = to.join(entry.file_name());
            if entry.path().is_dir() {
                into(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    into(&qualification(fails).join("run"), &run);
    (folder, run)
}

fn verify(folder: &Path) -> (i32, Value) {
    json(&["verify-report", folder.to_str().unwrap()])
}

/// Whether a problem of this kind is named for this record.
fn names(document: &Value, record: &str, what: &str) -> bool {
    let problems = document["problems"].as_array().unwrap();
    problems
        .iter()
        .any(|problem| problem["record"] == record && problem["what"] == what)
}

/// Names of the files that the run left.
fn records(run: &Path) -> Vec<String> {
    let text = fs::read(run.join("run.json")).unwrap();
    let document: Value = serde_json::from_slice(&text).unwrap();
    let files = document["files"].as_object().unwrap();
    files.keys().cloned().collect()
}

/// Changes the text of a record, and the record of the run so that every digest fits again.
fn forge(run: &Path, record: &str, change: impl FnOnce(String) -> String) {
    let path = run.join(record);
    let before = fs::read_to_string(&path).unwrap();
    let after = change(before.clone());
    assert_ne!(before, after, "{record}");
    fs::write(&path, &after).unwrap();
    let old = hex::encode(Sha256::digest(&before));
    let text = fs::read_to_string(run.join("run.json")).unwrap();
    assert!(text.contains(&old));
    let text = text
        .replace(&old, &hex::encode(Sha256::digest(&after)))
        .replace(
            &format!(
                "\"bytes\": {},\n      \"sha256\": \"{}\"",
                before.len(),
                hex::encode(Sha256::digest(&after))
            ),
            &format!(
                "\"bytes\": {},\n      \"sha256\": \"{}\"",
                after.len(),
                hex::encode(Sha256::digest(&after))
            ),
        );
    stamp(run, &text);
}

/// Writes the record of the run with this text, and its own digest, which is the last thing in it.
fn stamp(run: &Path, text: &str) {
    let at = text.rfind("\"sha256\": \"").unwrap() + "\"sha256\": \"".len();
    let bare = format!("{}{}", &text[..at], &text[at + 64..]);
    let own = hex::encode(Sha256::digest(&bare));
    let text = format!("{}{own}{}", &text[..at], &text[at + 64..]);
    fs::write(run.join("run.json"), text).unwrap();
}

/// Changes the record of the run itself.
fn forge_run(run: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(run.join("run.json")).unwrap();
    let forged = text.replacen(from, to, 1);
    assert_ne!(text, forged, "{from}");
    stamp(run, &forged);
}

#[test]
fn what_qualify_left_stands_and_says_whence_it_is() {
    for fails in [false, true] {
        let run = qualification(fails).join("run");
        let (exit, document) = verify(&run);
        assert_eq!(exit, 0, "{document:#}");
        assert_eq!(document["verdict"], "pass");
        assert_eq!(document["problems"], Value::Array(Vec::new()));
        let follows = if fails { "not-qualified" } else { "qualified" };
        assert_eq!(document["follows"], follows);
        assert_eq!(document["pack"]["name"], "core");
        let digest = document["pack"]["manifest_sha256"].as_str().unwrap();
        assert_eq!(digest.len(), 64);
        let key = document["pack"]["key"].as_str().unwrap();
        assert!(key.starts_with("ed25519:"));
        assert!(document["engines"]["wasmi"].is_string());
        assert_eq!(document["build"]["harness"], env!("CARGO_PKG_VERSION"));
        assert_eq!(document["seed"], 1);
        assert!(document["records"].as_u64().unwrap() >= 8, "{document}");
    }
    // A report that is made again is none of the records.
    let (_keep, run) = copy(false);
    let (exit, _) = json(&["report", run.to_str().unwrap()]);
    assert_eq!((exit, verify(&run).0), (0, 0));
    let text = assay()
        .args(["verify-report", run.to_str().unwrap()])
        .output()
        .unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("stands:  qualified, though nobody knows how late engines stop"));
    assert!(
        text.contains("the verdict is the one that follows"),
        "{text}"
    );
}

#[test]
fn a_changed_byte_is_found_in_every_record() {
    let (_keep, run) = copy(true);
    let all = records(&run);
    for record in [
        "basics.json",
        "conform.json",
        "numerics.json",
        "outputs.jsonl",
        "qualify.json",
        "results.jsonl",
        "traps.json",
        "traps.jsonl",
    ] {
        assert!(all.iter().any(|name| name == record), "{record} of {all:?}");
    }
    assert!(all.iter().any(|name| name.starts_with("failures/")));
    for record in all.iter().map(String::as_str).chain(["run.json"]) {
        let path = run.join(record);
        let bytes = fs::read(&path).unwrap();
        let mut changed = bytes.clone();
        // A tensor may be empty, and then a byte is one more.
        match changed.get_mut(bytes.len() / 2) {
            Some(byte) => *byte ^= 1,
            None => changed.push(0),
        }
        fs::write(&path, changed).unwrap();
        let (exit, document) = verify(&run);
        assert_eq!(exit, 1, "{record}");
        assert!(names(&document, record, "changed"), "{record}: {document}");
        fs::write(&path, bytes).unwrap();
    }
    assert_eq!(verify(&run).0, 0);
}

#[test]
fn a_record_that_is_gone_and_one_that_came_later_are_named() {
    let (_keep, run) = copy(true);
    for record in records(&run) {
        let bytes = fs::read(run.join(&record)).unwrap();
        fs::remove_file(run.join(&record)).unwrap();
        let (exit, document) = verify(&run);
        assert_eq!(exit, 1, "{record}");
        assert!(names(&document, &record, "missing"), "{record}: {document}");
        fs::write(run.join(&record), bytes).unwrap();
    }
    fs::create_dir(run.join("more")).unwrap();
    for added in ["notes.txt", "more/results.jsonl", "failures/one.bin"] {
        fs::write(run.join(added), "").unwrap();
        let (exit, document) = verify(&run);
        assert_eq!(exit, 1, "{added}");
        assert!(names(&document, added, "added"), "{added}: {document}");
        fs::remove_file(run.join(added)).unwrap();
    }
    assert_eq!(verify(&run).0, 0);
}

#[test]
fn a_verdict_that_does_not_follow_is_found_though_every_digest_fits() {
    let table: [(&str, &str, &str); 7] = [
        (
            "qualify.json",
            "\"verdict\": \"not-qualified\",\n  \"profile\"",
            "\"verdict\": \"qualified\",\n  \"profile\"",
        ),
        (
            "qualify.json",
            "\"profile\": \"server\"",
            "\"profile\": \"embedded\"",
        ),
        (
            "qualify.json",
            "\"interruptions\": 0",
            "\"interruptions\": 20",
        ),
        ("qualify.json", "\"seed\": 1", "\"seed\": 2"),
        (
            "conform.json",
            "\"verdict\": \"fail\"",
            "\"verdict\": \"pass\"",
        ),
        (
            "results.jsonl",
            "\"outcome\":\"fail\"",
            "\"outcome\":\"pass\"",
        ),
        (
            "basics.json",
            "\"outcome\": \"pass\"",
            "\"outcome\": \"fail\"",
        ),
    ];
    for (record, from, to) in table {
        let (_keep, run) = copy(true);
        forge(&run, record, |text| text.replacen(from, to, 1));
        let (exit, document) = verify(&run);
        assert_eq!(exit, 1, "{record}: {from}");
        let problems = document["problems"].as_array().unwrap();
        assert!(
            !problems.is_empty() && problems.iter().all(|one| one["what"] == "contradicts"),
            "{record}, {from}: {document:#}"
        );
    }
    // One that was good, of which an instruction or a trap is changed to the bad.
    for record in ["numerics.json", "traps.json"] {
        let (_keep, run) = copy(false);
        forge(&run, record, |text| {
            text.replacen("\"outcome\": \"pass\"", "\"outcome\": \"fail\"", 1)
        });
        let (exit, document) = verify(&run);
        assert_eq!(exit, 1, "{record}");
        assert_eq!(document["follows"], "not-qualified", "{record}");
        assert!(
            names(&document, "qualify.json", "contradicts"),
            "{document:#}"
        );
    }
}

/// What agrees with the sums, and not with each other.
#[test]
fn records_of_other_cases_engines_and_entries_contradict() {
    fn lines(text: &str, change: impl FnOnce(Vec<&str>) -> Vec<String>) -> String {
        change(text.lines().collect()).join("\n") + "\n"
    }
    let owned = |line: &&str| (*line).to_owned();
    type Change<'a> = &'a dyn Fn(String) -> String;
    let cut = |text: String| lines(&text, |all| all[..2].iter().map(owned).collect());
    let fails = |text: String| text.replacen("\"outcome\":\"pass\"", "\"outcome\":\"fail\"", 1);
    let other_status = |text: String| {
        let from = text.find("\"sha256\"").unwrap();
        let status = text[..from].rfind("\"status\":0").unwrap();
        format!("{}\"status\":7{}", &text[..status], &text[status + 10..])
    };
    let other_engine = |text: String| {
        lines(&text, |all| {
            let mut first: Value = serde_json::from_str(all[0]).unwrap();
            first["engines"]["wasmi"] = "9.9.9".into();
            [first.to_string()]
                .into_iter()
                .chain(all[1..].iter().map(owned))
                .collect()
        })
    };
    let twice = |text: String| {
        lines(&text, |all| {
            let mut answered: Value = serde_json::from_str(all[1]).unwrap();
            answered["case"] = "vector:another".into();
            all.iter()
                .map(owned)
                .chain([answered.to_string()])
                .collect()
        })
    };
    let broken = |text: String| text.replacen("\"fresh\": \"sound\"", "\"fresh\": \"broken\"", 1);
    let stranger = |text: String| {
        let mut all: Value = serde_json::from_str(&text).unwrap();
        let mut one = all[0].clone();
        one["runtime"] = "v8".into();
        all.as_array_mut().unwrap().push(one);
        all.to_string()
    };
    let forged: [(&str, Change<'_>, &str); 7] = [
        ("outputs.jsonl", &cut, "outputs.jsonl"),
        ("outputs.jsonl", &other_status, "outputs.jsonl"),
        ("outputs.jsonl", &other_engine, "qualify.json"),
        ("outputs.jsonl", &twice, "results.jsonl"),
        ("traps.jsonl", &fails, "traps.jsonl"),
        ("traps.json", &broken, "traps.json"),
        ("numerics.json", &stranger, "numerics.json"),
    ];
    for (number, (record, change, named)) in forged.into_iter().enumerate() {
        let (_keep, run) = copy(false);
        forge(&run, record, change);
        let (exit, document) = verify(&run);
        assert_eq!(exit, 1, "{number}: {record}");
        assert!(
            names(&document, named, "contradicts"),
            "{number}: {document:#}"
        );
    }
    for (from, to) in [
        ("\"command\": \"qualify\"", "\"command\": \"probe\""),
        ("\"wasmi\": \"2", "\"wasmi\": \"9"),
        ("\"harness\": \"", "\"harness\": \"9"),
    ] {
        let (_keep, run) = copy(false);
        forge_run(&run, from, to);
        let (exit, document) = verify(&run);
        let problems = document["problems"].as_array().unwrap();
        assert!(exit == 1 && !problems.is_empty(), "{from}: {document:#}");
    }
    // A device that nobody asked for is none that a kernel is known to fit.
    let (_keep, run) = copy(false);
    let (server, embedded) = ("\"profile\": \"server\"", "\"profile\": \"embedded\"");
    forge(&run, "qualify.json", |text| {
        text.replacen(server, embedded, 1)
    });
    forge_run(&run, server, embedded);
    let (exit, document) = verify(&run);
    assert_eq!((exit, &document["follows"]), (1, &"not-qualified".into()));
    assert_eq!(document["profile"], "embedded");
}

#[test]
fn a_report_says_of_records_that_were_changed_that_they_were() {
    let (_keep, run) = copy(true);
    let path = run.join("qualify.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("not-qualified", "qualified")).unwrap();
    let (exit, document) = json(&["report", run.to_str().unwrap()]);
    assert_eq!(exit, 0);
    let said = "the records are not those of a run: changed: qualify.json";
    assert!(
        document["verdict"].as_str().unwrap().starts_with(said),
        "{document}"
    );
    let summary = fs::read_to_string(run.join("report/summary.md")).unwrap();
    assert!(summary.contains(&format!("**{said}")), "{summary}");
}

#[test]
fn a_folder_that_is_none_of_a_run_is_usage() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("none")] {
        let (exit, document) = verify(&path);
        assert_eq!(exit, 2);
        assert!(document["error"].as_str().unwrap().contains("qualify"));
    }
}

#[test]
fn hostile_folders_end_in_words() {
    let (_keep, run) = copy(false);
    for record in [
        "qualify.json",
        "results.jsonl",
        "outputs.jsonl",
        "conform.json",
    ] {
        let bytes = fs::read(run.join(record)).unwrap();
        for content in [
            "",
            "{",
            "[[[[",
            "null",
            "{\"verdict\":\"qualified\"}\n",
            "\u{0}\n",
        ] {
            fs::write(run.join(record), content).unwrap();
            let (exit, document) = verify(&run);
            assert_eq!(exit, 1, "{record} {content:?}");
            assert!(names(&document, record, "changed"), "{document}");
        }
        fs::write(run.join(record), bytes).unwrap();
    }
    #[cfg(unix)]
    {
        fs::remove_file(run.join("basics.json")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", run.join("basics.json")).unwrap();
        let (exit, document) = verify(&run);
        assert_eq!(exit, 1);
        assert!(names(&document, "basics.json", "changed"), "{document}");
    }
}
