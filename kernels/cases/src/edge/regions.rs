//! Regions that a host must not pass, whatever the kernel: misaligned, outside memory, overlapping, of the wrong size, and
//! what comes first where two things are wrong at once.

use super::{
    super::case::{Entry, Tweak, Word},
    call::{Call, INPUT, NOT_IMPLEMENTED, OK, OUTPUT, PARAMS, Table},
};
use kernel_abi::{Descriptor, REGION_ALIGNMENT};

/// Bytes below the heap base at which no region of the tables reaches it.
const FAR_BELOW_HEAP: u32 = 2048;

/// A region's words.
#[derive(Clone, Copy)]
struct Region {
    name: &'static str,
    offset: Word,
    size: Word,
}

const A: Region = Region {
    name: "a",
    offset: Word::InputAOffset,
    size: Word::InputASize,
};
const B: Region = Region {
    name: "b",
    offset: Word::InputBOffset,
    size: Word::InputBSize,
};
const OUT: Region = Region {
    name: "output",
    offset: Word::OutputOffset,
    size: Word::OutputSize,
};
const WORK: Region = Region {
    name: "scratch",
    offset: Word::ScratchOffset,
    size: Word::ScratchSize,
};
const PARAMETERS: Region = Region {
    name: "params",
    offset: Word::ParamsOffset,
    size: Word::ParamsSize,
};

impl Region {
    /// Its bytes in a call.
    fn length(self, call: &Call) -> u32 {
        match self.name {
            "a" => call.a.len() as u32,
            "b" => call.b.len() as u32,
            "output" => call.output_size,
            "scratch" => call.scratch_size,
            _ => call.params.len() as u32,
        }
    }
}

/// The largest multiple of 16 that is below a number.
fn below(length: u32) -> u32 {
    length.saturating_sub(1) / REGION_ALIGNMENT * REGION_ALIGNMENT
}

/// Rows for a call that the kernel would take, of the gradient if it is one. Scratch is present; rows that take tensors of more
/// than 16 bytes, or of more than one element, are left out where the call has none. `element` is the number of bytes by which
/// sizes are wrong, `bad_params` parameters of the right length with a value that is refused.
pub(super) fn rows(table: &mut Table, good: &Call, element: usize, bad_params: &[u8]) {
    let mut table = Rows {
        prefix: match good.entry {
            Entry::Forward => "",
            Entry::Backward => "backward-",
        },
        table,
    };
    let lone = good;
    let good = || good.clone();
    let element = element as i32;
    let inputs: &[Region] = match (lone.a.is_empty(), lone.b.is_empty()) {
        (false, true) => &[A],
        (true, false) => &[B],
        (true, true) => &[],
        (false, false) => &[A, B],
    };
    let has = |name: &str| inputs.iter().any(|region| region.name == name);
    let tensors = || inputs.iter().copied().chain([OUT, WORK]);
    let all = || tensors().chain([PARAMETERS]);

    // Alignment: elements may lie anywhere, regions only at multiples of 16.
    for region in all() {
        for by in [1, 2, 4, 8] {
            let name = format!("misaligned-{}-by-{by}", region.name);
            table.row(name, INPUT, good().add(region.offset, by));
        }
    }

    // Memory: below the heap base, at its end and beyond.
    for region in all() {
        let tweaks = [
            (
                "below-heap",
                Tweak::BelowHeap(region.offset, FAR_BELOW_HEAP),
            ),
            ("behind-memory", Tweak::FromMemoryEnd(region.offset, 0)),
            ("offset-near-2^32", Tweak::Set(region.offset, u32::MAX - 15)),
        ];
        for (name, tweak) in tweaks {
            let name = format!("{name}-{}", region.name);
            table.row(name, INPUT, good().tweak(tweak));
        }
    }
    // By as little as it takes.
    for region in all() {
        let last = Tweak::LastBelowHeap(region.offset);
        let name = format!("{}-from-16-below-heap", region.name);
        table.row(name, INPUT, good().tweak(last));
        let most = below(region.length(lone));
        if most > 0 {
            let name = format!("{}-just-beyond-end", region.name);
            let tweak = Tweak::FromMemoryEnd(region.offset, most);
            table.row(name, INPUT, good().tweak(tweak));
        }
    }
    let odd = good().scratch(lone.scratch_size / 16 * 16 + 17);
    let most = below(odd.scratch_size);
    table.row(
        "scratch-a-byte-beyond-end",
        INPUT,
        odd.tweak(Tweak::FromMemoryEnd(WORK.offset, most)),
    );
    if has("a") {
        table.row("a-at-0", INPUT, good().set(A.offset, 0));
    }
    table.row("params-at-0", INPUT, good().set(PARAMETERS.offset, 0));
    for region in tensors() {
        // A region of 16 bytes ends with memory.
        if region.length(lone) > REGION_ALIGNMENT {
            let straddling = Tweak::FromMemoryEnd(region.offset, 16);
            let name = format!("straddling-end-{}", region.name);
            table.row(name, INPUT, good().tweak(straddling));
        }
        // Offset plus size is 2^32 - 1 at most if it wraps.
        let name = format!("size-2^32-1-{}", region.name);
        table.row(name, INPUT, good().set(region.size, u32::MAX));
    }
    table.row(
        "params-size-2^32-1",
        PARAMS,
        good().set(PARAMETERS.size, u32::MAX),
    );
    // What a load of 8 or 16 bits in the place of 32 would take for the same.
    for region in tensors() {
        let name = format!("size-2^31-more-{}", region.name);
        table.row(name, INPUT, good().add(region.size, i32::MIN));
    }
    for region in all() {
        let name = format!("offset-2^31-more-{}", region.name);
        table.row(name, INPUT, good().add(region.offset, i32::MIN));
    }
    for (name, by) in [("2^8", 1 << 8), ("2^31", i32::MIN)] {
        let name = format!("params-size-{name}-more");
        table.row(name, PARAMS, good().add(PARAMETERS.size, by));
    }

    // Regions that share a byte: the first is moved over the second, and what is around that leaves the others alone.
    let mut pairs = vec![
        (OUT, A),
        (A, PARAMETERS),
        (OUT, PARAMETERS),
        (WORK, PARAMETERS),
        (WORK, OUT),
        (WORK, A),
    ];
    pairs.extend([(A, B), (OUT, B), (B, PARAMETERS), (WORK, B)]);
    pairs.retain(|(one, other)| {
        let exists = |region: &Region| region.name.len() > 1 || has(region.name);
        exists(one) && exists(other)
    });
    for (moved, onto) in pairs {
        for (how, by) in meetings(moved.length(lone), onto.length(lone)) {
            let name = format!("{}-{how}-{}", moved.name, onto.name);
            table.row(name, INPUT, good().copy(moved.offset, onto.offset, by));
        }
    }
    for region in tensors() {
        for (how, by) in meetings(region.length(lone), Descriptor::SIZE as u32) {
            let name = format!("{}-{how}-descriptor", region.name);
            let onto = good().tweak(Tweak::Descriptor(region.offset, by));
            table.row(name, INPUT, onto);
        }
    }
    // The output is followed by a guard band and scratch.
    table.row(
        "output-grown-over-scratch",
        INPUT,
        good().add(OUT.size, 128),
    );

    // Sizes.
    for region in inputs {
        for (name, by) in [("short", -element), ("long", element), ("byte-short", -1)] {
            let name = format!("{name}-{}", region.name);
            table.row(name, INPUT, good().add(region.size, by));
        }
        let name = format!("absent-{}", region.name);
        table.row(name, INPUT, good().set(region.size, 0));
    }
    // An output of one element that is an element short is absent, and its offset means nothing.
    let has_shorter = i64::from(lone.output_size) > i64::from(element);
    if has_shorter {
        table.row("short-output", OUTPUT, good().add(OUT.size, -element));
    }
    for (name, by) in [("long", element), ("byte-long", 1)] {
        table.row(format!("{name}-output"), OUTPUT, good().add(OUT.size, by));
    }
    table.row("absent-output", OUTPUT, good().set(OUT.size, 0));
    for (name, size) in [("no-params", 0), ("params-of-4-bytes", 4)] {
        table.row(name, PARAMS, good().params_length(size));
    }
    let length = good().params.len();
    for (name, by) in [("byte-short", -1), ("byte-long", 1), ("4-bytes-long", 4)] {
        let length = length.saturating_add_signed(by);
        table.row(
            format!("{name}-params"),
            PARAMS,
            good().params_length(length),
        );
    }

    for absent in [A, B] {
        if !has(absent.name) {
            rows_of_absent(&mut table, lone, absent, inputs);
        }
    }
    sizes_of_nothing(&mut table, lone.clone(), WORK);

    two_mistakes(&mut table, lone, element, bad_params);
}

/// Two things wrong at once: the earlier check answers.
fn two_mistakes(table: &mut Rows<'_>, lone: &Call, element: i32, bad_params: &[u8]) {
    let good = || lone.clone();
    let has_a = !lone.a.is_empty();
    let refused = || good().params(bad_params);
    table.row("bad-value", PARAMS, refused());
    if has_a {
        table.row(
            "bad-value-and-misaligned-a",
            PARAMS,
            refused().add(A.offset, 8),
        );
        table.row(
            "bad-value-and-short-a",
            PARAMS,
            refused().add(A.size, -element),
        );
        table.row(
            "bad-value-and-output-over-a",
            PARAMS,
            refused().copy(OUT.offset, A.offset, 0),
        );
    }
    table.row(
        "misaligned-params-of-the-wrong-length",
        PARAMS,
        good().add(PARAMETERS.offset, 8).add(PARAMETERS.size, -1),
    );
    table.row(
        "bad-value-in-misaligned-params",
        INPUT,
        refused().add(PARAMETERS.offset, 8),
    );
    if has_a && !lone.b.is_empty() {
        // Together they have as many bytes as they should.
        for (name, by) in [
            ("long-a-and-short-b", element),
            ("short-a-and-long-b", -element),
        ] {
            table.row(name, INPUT, good().add(A.size, by).add(B.size, -by));
        }
    }
    if i64::from(lone.output_size) > i64::from(element) {
        let short = || good().add(OUT.size, -element);
        table.row(
            "misaligned-output-of-the-wrong-size",
            INPUT,
            short().add(OUT.offset, 8),
        );
        if has_a {
            table.row(
                "short-a-and-short-output",
                INPUT,
                short().add(A.size, -element),
            );
        }
        table.row(
            "short-output-and-misaligned-scratch",
            INPUT,
            short().add(WORK.offset, 8),
        );
    }
}

/// Rows for a kernel that needs scratch: `good` has exactly as much as it needs.
pub(super) fn rows_with_scratch(table: &mut Table, good: &Call, element: usize) {
    let small = || good.clone().scratch(good.scratch_size - 1);
    let element = element as i32;
    if i64::from(good.output_size) > i64::from(element) {
        table.row(
            "short-output-and-small-scratch",
            OUTPUT,
            small().add(OUT.size, -element),
        );
    }
    if !good.a.is_empty() {
        table.row(
            "short-a-and-small-scratch",
            INPUT,
            small().add(A.size, -element),
        );
    }
    table.row(
        "small-misaligned-scratch",
        INPUT,
        small().add(WORK.offset, 8),
    );
    table.row(
        "small-scratch-over-output",
        INPUT,
        small().copy(WORK.offset, OUT.offset, 0),
    );
}

/// A region that the call has not. Its offset means nothing; that of one that the kernel has no use for is refused wherever it lies.
fn rows_of_absent(table: &mut Rows<'_>, lone: &Call, absent: Region, inputs: &[Region]) {
    let good = || lone.clone();
    let name = absent.name;
    let anywhere = good().set(absent.offset, 7);
    table.row(format!("absent-{name}-anywhere"), OK, anywhere);
    let present = || good().set(absent.size, 16);
    for onto in inputs.iter().copied().chain([OUT, WORK, PARAMETERS]) {
        let over = present().copy(absent.offset, onto.offset, 0);
        table.row(format!("unused-{name}-over-{}", onto.name), INPUT, over);
    }
    let over = present().tweak(Tweak::Descriptor(absent.offset, 0));
    table.row(format!("unused-{name}-over-descriptor"), INPUT, over);
    let misaligned = present().copy(absent.offset, WORK.offset, 8);
    table.row(format!("unused-misaligned-{name}"), INPUT, misaligned);
    for (how, tweak) in [
        (
            "below-heap",
            Tweak::BelowHeap(absent.offset, FAR_BELOW_HEAP),
        ),
        ("behind-memory", Tweak::FromMemoryEnd(absent.offset, 0)),
        ("straddling-end", Tweak::FromMemoryEnd(absent.offset, 8)),
        ("at-end", Tweak::FromMemoryEnd(absent.offset, 16)),
        ("offset-near-2^32", Tweak::Set(absent.offset, u32::MAX - 15)),
    ] {
        table.row(
            format!("unused-{name}-{how}"),
            INPUT,
            present().tweak(tweak),
        );
    }
    sizes_of_nothing(table, good(), absent);
}

/// Sizes of a region that lies nowhere: their low 8 or 16 bits say that it is absent.
fn sizes_of_nothing(table: &mut Rows<'_>, lone: Call, absent: Region) {
    for bit in [8, 16, 31] {
        let name = format!("{}-nowhere-of-2^{bit}-bytes", absent.name);
        let nowhere = lone.clone().set(absent.offset, 0);
        table.row(name, INPUT, nowhere.set(absent.size, 1 << bit));
    }
}

/// Where a region of so many bytes may begin, counted from the begin of another, so that they share bytes.
fn meetings(moved: u32, onto: u32) -> Vec<(&'static str, i32)> {
    let end = below(onto) as i32;
    let mut meetings = vec![("over", 0), ("reaching", -(below(moved) as i32))];
    if end > 0 {
        meetings.push(("over-end-of", end));
    }
    if end > 16 {
        meetings.push(("16-bytes-into", 16));
    }
    meetings.retain(|(how, by)| *by != 0 || *how == "over");
    meetings
}

/// A table with what the names of its rows begin with.
struct Rows<'a> {
    prefix: &'static str,
    table: &'a mut Table,
}

impl Rows<'_> {
    fn row(&mut self, name: impl AsRef<str>, expect: kernel_abi::Status, call: Call) {
        let name = format!("{}{}", self.prefix, name.as_ref());
        self.table.row(name, expect, call);
    }
}

/// Rows for a kernel without a gradient: it says so whatever it is passed.
pub(super) fn no_gradient_rows(table: &mut Table, good: &Call, bad_params: &[u8]) {
    let good = || good.clone().backward();
    let calls = [
        ("backward", good()),
        ("backward-no-params", good().params_length(0)),
        ("backward-bad-value", good().params(bad_params)),
        ("backward-misaligned-a", good().add(A.offset, 8)),
        ("backward-absent-output", good().set(OUT.size, 0)),
        (
            "backward-params-behind-memory",
            good().tweak(Tweak::FromMemoryEnd(PARAMETERS.offset, 0)),
        ),
    ];
    for (name, call) in calls {
        table.row(name, NOT_IMPLEMENTED, call);
    }
}
