//! A tiny model of the same architecture with random weights, made on the spot: nothing is fetched. Native kernels against kernels in
//! the sandbox, token by token and bit by bit.

#![allow(
    clippy::unwrap_used,
    reason = "tests say what they expect by unwrapping"
)]

use candle_core::{
    Device, Tensor,
    quantized::{
        GgmlDType, QTensor,
        gguf_file::{self, Content, Value},
    },
};
use llm::{
    cache::Format,
    compare::{Drift, Equality, Trace},
    engines::{self, Limit},
    generate::Session,
    hosted::{Hosted, Source},
    kernels::{Call, Kernel, Kernels, Native, Timed},
    model::Model,
    packs::Fault,
    upgrades::{self, Step, Story},
};
use runtime_host::{Event, Reason};
use std::{collections::BTreeSet, io::Cursor, path::Path, sync::OnceLock};

const HIDDEN: usize = 64;
const FEED_FORWARD: usize = 96;
const LAYERS: usize = 2;
const KV: usize = 32;
const VOCABULARY: usize = 128;
const PROMPT: &[u32] = &[1, 17, 3, 99, 64];

/// A GGUF file, with `change` made to its metadata.
fn gguf(change: impl FnOnce(&mut Vec<(&'static str, Value)>)) -> Vec<u8> {
    let mut metadata = vec![
        ("general.architecture", Value::String("llama".to_owned())),
        ("llama.block_count", Value::U32(LAYERS as u32)),
        ("llama.embedding_length", Value::U32(HIDDEN as u32)),
        ("llama.feed_forward_length", Value::U32(FEED_FORWARD as u32)),
        ("llama.attention.head_count", Value::U32(4)),
        ("llama.attention.head_count_kv", Value::U32(2)),
        ("llama.rope.dimension_count", Value::U32(16)),
        ("llama.context_length", Value::U32(64)),
        ("llama.rope.freq_base", Value::F32(10_000.0)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
    ];
    change(&mut metadata);
    let mut random = fastrand::Rng::with_seed(7);
    let mut tensor = |shape: &[usize], kind| {
        let values: Vec<f32> = (0..shape.iter().product())
            .map(|_| random.f32() - 0.5)
            .collect();
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        QTensor::quantize(&tensor, kind).unwrap()
    };
    let mut tensors = vec![
        (
            "token_embd.weight".to_owned(),
            tensor(&[VOCABULARY, HIDDEN], GgmlDType::Q8_0),
        ),
        (
            "output_norm.weight".to_owned(),
            tensor(&[HIDDEN], GgmlDType::F32),
        ),
    ];
    for layer in 0..LAYERS {
        let parts: [(&str, &[usize]); 9] = [
            ("attn_norm", &[HIDDEN]),
            ("attn_q", &[HIDDEN, HIDDEN]),
            ("attn_k", &[KV, HIDDEN]),
            ("attn_v", &[KV, HIDDEN]),
            ("attn_output", &[HIDDEN, HIDDEN]),
            ("ffn_norm", &[HIDDEN]),
            ("ffn_gate", &[FEED_FORWARD, HIDDEN]),
            ("ffn_up", &[FEED_FORWARD, HIDDEN]),
            ("ffn_down", &[HIDDEN, FEED_FORWARD]),
        ];
        for (part, shape) in parts {
            let kind = if shape.len() == 1 {
                GgmlDType::F32
            } else {
                GgmlDType::Q4_1
            };
            tensors.push((format!("blk.{layer}.{part}.weight"), tensor(shape, kind)));
        }
    }
    let metadata: Vec<_> = metadata.iter().map(|(key, value)| (*key, value)).collect();
    let tensors: Vec<_> = tensors
        .iter()
        .map(|(name, tensor)| (name.as_str(), tensor))
        .collect();
    let mut file = Cursor::new(Vec::new());
    gguf_file::write(&mut file, &metadata, &tensors).unwrap();
    file.into_inner()
}

fn read(file: &[u8]) -> anyhow::Result<Model> {
    let mut reader = Cursor::new(file);
    let content = Content::read(&mut reader)?;
    Model::read(&content, &mut reader)
}

fn tiny() -> Model {
    read(&gguf(|_| ())).unwrap()
}

fn core_pack() -> Source {
    let packs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/packs");
    Source {
        pack: packs.join("core"),
        trust: packs.join("trusted_keys"),
    }
}

fn trace(model: &Model, format: Format, kernels: &mut dyn Kernels) -> Trace {
    Trace::take(model, format, kernels, PROMPT, 24).unwrap()
}

const NATIVE: Native = Native { simd: true };

fn assert_equal_on(engine: &str) {
    let model = tiny();
    let capabilities = engines::open(engine).unwrap().info().capabilities.clone();
    let honoured = capabilities.budgets;
    // Sums in lanes have other bits.
    let simd = capabilities
        .features
        .iter()
        .any(|feature| feature == "simd");
    let limits =
        Limit::ALL.map(|limit| (honoured.contains(&limit.budget().kind())).then_some(limit));
    assert!(
        limits.contains(&Some(Limit::Epoch)),
        "{engine}: {honoured:?}"
    );
    for limit in limits.into_iter().flatten() {
        let hosted = Hosted::open(&core_pack(), engine, limit.budget()).unwrap();
        let mut hosted = Timed::new(hosted);
        hosted.is_on = true;
        for format in [Format::F32, Format::Q8, Format::Q4] {
            let native = trace(&model, format, &mut Native { simd });
            let distinct: BTreeSet<u32> = native.tokens.iter().copied().collect();
            assert!(
                distinct.len() > 4,
                "a text that says something: {distinct:?}"
            );
            let equality = Equality::of(&native, &trace(&model, format, &mut hosted));
            assert!(
                equality.holds(),
                "{engine}, {format:?}, {limit:?}: {equality:?}"
            );
            // Five kernels a layer and the last norm, for the prompt and each token; the cache's beside them.
            let calls: u64 = hosted.take().values().map(|spent| spent.calls).sum();
            let of_cache = if format == Format::F32 { 0 } else { 4 };
            assert_eq!(calls, 25 * (LAYERS as u64 * (5 + of_cache) + 1));
        }
    }
}

#[test]
fn cranelift_gives_the_tokens_and_bits_of_native_kernels() {
    assert_equal_on("wasmtime.cranelift");
}

#[test]
fn wasmi_gives_the_tokens_and_bits_of_native_kernels() {
    assert_equal_on("wasmi.fast");
}

#[cfg(feature = "wamr")]
#[test]
fn wamr_gives_the_tokens_and_bits_of_native_kernels() {
    assert_equal_on("wamr.aot");
    assert_equal_on("wamr.fast");
}

#[cfg(feature = "wasmer")]
#[test]
fn wasmer_gives_the_tokens_and_bits_of_native_kernels() {
    assert_equal_on("wasmer.llvm");
}

/// Native kernels, one of which has a fault in one bit.
struct Faulty(Kernel);

impl Kernels for Faulty {
    fn run(&mut self, call: Call<'_>) -> anyhow::Result<()> {
        let Call {
            kernel,
            params,
            a,
            b,
            output,
        } = call;
        { NATIVE }.run(Call {
            kernel,
            params,
            a,
            b,
            output: &mut *output,
        })?;
        if kernel == self.0 {
            output[0] ^= 1;
        }
        Ok(())
    }

    fn describe(&self) -> String {
        "faulty".to_owned()
    }
}

#[test]
fn a_wrong_bit_of_any_kernel_is_seen() {
    let model = tiny();
    let of = [
        (
            Format::F32,
            [Kernel::RmsNorm, Kernel::Rope, Kernel::Swiglu].as_slice(),
        ),
        (Format::Q8, &[Kernel::PackQ8, Kernel::UnpackQ8]),
        (Format::Q4, &[Kernel::PackQ4, Kernel::UnpackQ4]),
    ];
    for (format, kernels) in of {
        let native = trace(&model, format, &mut { NATIVE });
        for &kernel in kernels {
            let equality = Equality::of(&native, &trace(&model, format, &mut Faulty(kernel)));
            assert!(!equality.holds(), "{kernel:?}");
        }
    }
}

#[test]
fn a_prompt_at_once_and_token_by_token_is_the_same_text() {
    let model = tiny();
    let mut at_once = Session::new(&model, Format::F32, NATIVE);
    let mut one_by_one = Session::new(&model, Format::F32, NATIVE);
    let logits = at_once.feed(PROMPT).unwrap();
    let mut other = Vec::new();
    for token in PROMPT {
        other = one_by_one.feed(&[*token]).unwrap();
    }
    for (one, other) in logits.iter().zip(&other) {
        assert!((one - other).abs() < 1e-3, "{one} {other}");
    }
}

#[test]
fn a_position_and_a_token_before_it_matter() {
    let model = tiny();
    let logits = |prompt: &[u32]| {
        Session::new(&model, Format::F32, NATIVE)
            .feed(prompt)
            .unwrap()
    };
    assert_ne!(logits(&[1, 2, 3]), logits(&[2, 1, 3]));
    assert_ne!(logits(&[3]), logits(&[2, 3]));
}

#[test]
fn blocks_move_logits_a_little_and_take_less_room() {
    let model = tiny();
    let exact = trace(&model, Format::F32, &mut { NATIVE });
    let drift = |format| Drift::of(&model, format, &mut { NATIVE }, PROMPT, &exact).unwrap();
    let (q8, q4) = (drift(Format::Q8), drift(Format::Q4));
    assert!(q8.largest > 0.0 && q8.mean < q4.mean, "{q8:?} {q4:?}");
    assert!(f64::from(q8.largest) < q8.spread / 4.0, "{q8:?}");
    // 34 and 18 bytes in place of 128.
    assert_eq!(q8.cache_bytes * 128, q8.f32_bytes * 34);
    assert_eq!(q4.cache_bytes * 128, q4.f32_bytes * 18);
    assert_eq!(drift(Format::F32).largest, 0.0);
}

#[test]
fn what_cannot_be_run_is_refused_with_its_reason() {
    let refused = |change: fn(&mut Vec<(&'static str, Value)>)| {
        format!("{:#}", read(&gguf(change)).unwrap_err())
    };
    assert!(
        refused(|all| all[0].1 = Value::String("gpt2".to_owned())).contains("architecture `gpt2`")
    );
    assert!(
        refused(|all| all.retain(|(key, _)| *key != "llama.block_count"))
            .contains("no `llama.block_count`")
    );
    assert!(refused(|all| all[1].1 = Value::U32(3)).contains("blk.2.attn_norm.weight"));
    assert!(refused(|all| all[3].1 = Value::U32(128)).contains("has the shape"));
    assert!(refused(|all| all[5].1 = Value::U32(3)).contains("cannot share"));
    assert!(refused(|all| all[6].1 = Value::U32(8)).contains("8 of 16 elements"));

    let model = tiny();
    let mut session = Session::new(&model, Format::F32, NATIVE);
    assert!(session.feed(&[]).is_err());
    assert!(session.feed(&[VOCABULARY as u32]).is_err());
    let error = session.feed(&[1; 65]).unwrap_err().to_string();
    assert!(error.contains("above its 64 positions"), "{error}");
}

/// A text with upgrades in it.
fn story_on(engine: &str) -> Story {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let mut heard = |_, _: Option<&Step>| ();
    upgrades::run(
        &tiny(),
        &core_pack(),
        &fixtures,
        engine,
        PROMPT,
        24,
        &mut heard,
    )
    .unwrap()
}

/// Its loops take a moment, so both tests look at one.
fn story() -> Story {
    static STORY: OnceLock<Story> = OnceLock::new();
    STORY.get_or_init(|| story_on("wasmtime.cranelift")).clone()
}

#[test]
fn upgrades_good_and_bad_do_not_change_the_text() {
    assert_is_good(&story());
}

#[cfg(feature = "wamr")]
#[test]
fn upgrades_do_not_change_the_text_on_wamr() {
    assert_is_good(&story_on("wamr.aot"));
}

#[cfg(feature = "wasmer")]
#[test]
fn upgrades_do_not_change_the_text_on_wasmer() {
    assert_is_good(&story_on("wasmer.llvm"));
}

fn assert_is_good(story: &Story) {
    assert_eq!(story.check(), Ok(()));
    assert_eq!(
        story.tokens,
        trace(&tiny(), Format::F32, &mut { NATIVE }).tokens
    );
    let faults: Vec<Fault> = story.steps.iter().map(|step| step.fault).collect();
    assert_eq!(
        faults,
        [Fault::None, Fault::Wrong, Fault::Traps, Fault::Loops]
    );
    let serves: Vec<Option<u64>> = story.steps.iter().map(|step| step.serves).collect();
    assert_eq!(serves, [Some(2); 4], "the good one goes on");
    assert!(
        story.steps[1]
            .outcome
            .as_ref()
            .unwrap_err()
            .contains("health check"),
        "{story:?}"
    );
    assert!(story.degraded >= 6, "{story:?}");
    let reasons: Vec<Reason> = story
        .steps
        .iter()
        .flat_map(|step| &step.events)
        .filter_map(|event| match event {
            Event::Degraded { reason, .. } => Some(*reason),
            _ => None,
        })
        .collect();
    assert!(
        reasons.contains(&Reason::Trap) && reasons.contains(&Reason::Budget),
        "{reasons:?}"
    );
}

#[test]
fn a_story_that_went_another_way_is_told() {
    let good = story();
    let check = |change: &dyn Fn(&mut Story)| {
        let mut story = good.clone();
        change(&mut story);
        story.check().is_err()
    };
    assert!(check(&|story| story.equal = false));
    assert!(check(&|story| story.failed = 1));
    assert!(check(&|story| story.degraded -= 1));
    assert!(check(&|story| story.steps[0].serves = Some(1)));
    assert!(check(&|story| story.steps[1].outcome = Ok(3)));
    assert!(check(&|story| story.steps[2]
        .events
        .retain(|event| !matches!(event, Event::RolledBack { .. }))));
}

#[test]
fn an_unknown_engine_is_told_with_those_that_there_are() {
    let error = Hosted::open(&core_pack(), "nowhere", Limit::None.budget())
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("`nowhere`") && error.contains("wasmtime.cranelift"),
        "{error}"
    );
}
