//! What a verdict rests on besides what was seen: truths, and native code.

use super::*;

#[test]
fn a_verdict_says_whose_truth_it_rests_on() {
    let say = |truth: &Truth| {
        let mut conform = evidence().conform;
        conform.coverage = vec![covered(3)];
        conform.truths = vec![truth.clone()];
        words(
            Word::Qualified,
            &not_asked(20, &[], &["kernel".to_owned()], 1, &conform),
            None,
            &[],
        )
    };
    let own = truth("the author's own vectors", Strength::Own, 40);
    assert_eq!(
        say(&own),
        "qualified, though by the author's own truth alone: kernel"
    );
    assert_eq!(
        say(&truth("onnx Gelu-20", Strength::Independent, 32)),
        "qualified"
    );
    // Too few calls are no truth.
    assert_eq!(
        truth("onnx Gelu-20", Strength::Independent, 31).strength(),
        None
    );
}

#[test]
fn a_kernel_that_nothing_judges_is_no_fault_of_the_engine_s_and_no_qualification() {
    let mut seen = evidence();
    seen.conform.truths[0].unjudged = Some("no truth".to_owned());
    seen.conform.reasons = vec!["kernel was not judged: no truth".to_owned()];
    seen.conform.verdict = Whole::Fail;
    let verdict = judge(&seen, Profile::Server);
    assert_eq!(verdict.word, Word::NotQualified);
    assert_eq!(verdict.engines[0].verdict, EngineWord::Qualified);
    assert_eq!(
        verdict.engines[0].limitations,
        ["kernel was not judged: no truth"]
    );
    // Nor does it qualify where the record of the truth is gone.
    let mut seen = evidence();
    seen.conform.truths.clear();
    let verdict = judge(&seen, Profile::Server);
    assert_eq!(verdict.word, Word::NotQualified);
}

fn native_code(kernel: &str, differs: bool) -> NativeCode {
    NativeCode {
        kernel: kernel.to_owned(),
        engine: ENGINE.to_owned(),
        target: "here".to_owned(),
        differs,
        reason: "why".to_owned(),
        confinement: "not confined: how".to_owned(),
        judged: Judged::Beside,
    }
}

#[test]
fn native_code_that_nobody_compared_is_part_of_every_verdict_s_words_and_named_once() {
    let say = |word, codes: &[NativeCode]| {
        let mut engine = evidence().conform.engines.remove(0);
        engine.native_code_not_compared = codes.to_vec();
        words(word, &[], None, &[engine])
    };
    assert_eq!(say(Word::Qualified, &[]), "qualified");
    assert_eq!(
        say(
            Word::Qualified,
            &[native_code("a", false), native_code("b", false)]
        ),
        "qualified; it rests on native code that was not compared, on one of a, b (why; not confined: how)"
    );
    assert_eq!(
        say(
            Word::NotQualified,
            &[
                native_code("a", true),
                native_code(NativeCode::EVERY_MODULE, false)
            ]
        ),
        "not-qualified; it rests on native code that was not compared, on one of whatever else it ran (why; not confined: how), \
         and on native code that differs, on one of a (why; not confined: how)"
    );
}

#[test]
fn a_form_must_hold_as_its_module_does_and_its_native_code_stands_in_the_verdict() {
    let with_form = |outcome, passed| {
        let mut seen = evidence();
        let form = Entry {
            variant: "form:one-1.0.0-here".to_owned(),
            outcome,
            passed,
            ..sum(Layer::L1)
        };
        seen.conform.results.push(form);
        let codes = &mut seen.conform.engines[0].native_code_not_compared;
        codes.push(native_code("kernel", true));
        judge(&seen, Profile::Server)
    };
    let good = with_form(Outcome::Pass, 3);
    assert_eq!(good.word, Word::Qualified);
    let codes = &good.engines[0].native_code_not_compared;
    assert_eq!(*codes, [native_code("kernel", true)]);
    for (outcome, passed) in [(Outcome::Fail, 2), (Outcome::Unsupported, 0)] {
        let bad = with_form(outcome, passed);
        assert_eq!(bad.word, Word::NotQualified);
        let reason = &bad.engines[0].reasons[0];
        assert!(
            reason.starts_with("kernel (form:one-1.0.0-here) L1"),
            "{reason}"
        );
    }
}
