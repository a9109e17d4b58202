//! The smallest signed vector of each kernel of a pack, as the bytes of a call: for devices that a host does not fit on. `scripts/embedded` uses it.
//!
//! - `frames write PACK TRUST_LIST FOLDER`: for each kernel its base module as `KERNEL.wasm`, and `KERNEL.frame`: seven words, little-endian
//!   (a magic number, where the frame begins, the descriptor's address, that of the parameters and their size, pages, bytes), then the bytes of
//!   memory from there on, guard bands among them. Prints the kernels, with the vector's name.
//! - `frames judge PACK TRUST_LIST FOLDER`: whether `KERNEL.after`, the same bytes after the call, has intact surroundings and the right output.

use kernel_abi::Descriptor;
use kernel_cases::{
    case::{Case, Entry},
    truth::{self, Verdict},
    vectors,
};
use kernel_pack::{Pack, PackKernel};
use runtime_call::{Fill, Frame};
use std::{error::Error, fs, path::Path};

const MAGIC: u32 = u32::from_le_bytes(*b"FRAM");

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [command, pack, keys, folder] = arguments.as_slice() else {
        return Err("usage: frames write|judge PACK TRUST_LIST FOLDER".into());
    };
    let trust = kernel_pack::TrustList::read(Path::new(keys))?;
    let policy = kernel_pack::Policy::at(std::time::SystemTime::now());
    let pack = kernel_pack::verify(Path::new(pack), &trust, &policy)?;
    let folder = Path::new(folder);
    for kernel in pack.kernels() {
        let (case, frame) = smallest(&pack, kernel)?;
        let file = |extension: &str| folder.join(format!("{}.{extension}", kernel.id()));
        match command.as_str() {
            "write" => {
                fs::write(file("wasm"), kernel.wasm())?;
                fs::write(file("frame"), bytes(&frame))?;
                println!("{} {}", kernel.id(), case.name);
            }
            "judge" => judge(&case, &frame, &fs::read(file("after"))?)
                .map_err(|what| format!("{}: {}: {what}", kernel.id(), case.name))?,
            _ => return Err("write or judge".into()),
        }
    }
    Ok(())
}

/// The vector that takes least memory, with its frame.
fn smallest(pack: &Pack, kernel: &PackKernel) -> Result<(Case, Frame), Box<dyn Error>> {
    let mut smallest: Option<(Case, Frame)> = None;
    let own = pack.vectors().iter();
    for vector in own.filter(|vector| vector.kernel() == kernel.id()) {
        for case in vectors::load_bytes(vector.path(), vector.bytes())? {
            if case.entry != Entry::Forward || !case.expects_output() {
                continue;
            }
            let pages = kernel.limits().max_memory_pages;
            let frame = Frame::place(
                &case.tensors(),
                kernel.facts().heap_base,
                pages,
                Fill::FIRST,
            )?;
            let least = smallest.as_ref().map(|(_, frame)| frame.end());
            if least.is_none_or(|least| frame.end() < least) {
                smallest = Some((case, frame));
            }
        }
    }
    smallest.ok_or_else(|| format!("the pack has no vector for {}", kernel.id()).into())
}

fn bytes(frame: &Frame) -> Vec<u8> {
    let Descriptor { params, .. } = *frame.placed();
    let words = [
        MAGIC,
        frame.start(),
        frame.descriptor_address(),
        params.offset,
        params.size,
        frame.pages(),
        frame.image().len() as u32,
    ];
    let words = words.into_iter().flat_map(u32::to_le_bytes);
    words.chain(frame.image().iter().copied()).collect()
}

fn judge(case: &Case, frame: &Frame, after: &[u8]) -> Result<(), String> {
    if after.len() != frame.image().len() {
        return Err("another length".to_owned());
    }
    frame
        .check(after, true)
        .map_err(|violation| violation.to_string())?;
    match truth::judge_all(case, frame.output(after)) {
        None => Err("nothing says what is right".to_owned()),
        Some(Verdict::Pass { .. }) => Ok(()),
        Some(other) => Err(format!("{other:?}")),
    }
}
