//! Calls that an engine times, held against what the harness knows: how many there were, because the kernel counts them in memory, and how long all
//! of them took together, by its own clock.

use super::{Plant, Tried};
use crate::{
    clock::{self, Stand},
    conform::{
        observe::{self, Exchange, Loaded},
        subject::{self, Subject},
    },
};
use assay_worker::{InstanceChoice, RunError, Worker, protocol::Timed};
use kernel_abi::export;
use runtime_api::{Budget, Error};
use runtime_call::{Form, Invocation, Read, Write};
use std::time::{Duration, Instant};

/// Calls that are timed first.
const FEW: u64 = 32;
/// How many times as many are timed next, at most.
const MORE: f64 = 64.0;
/// Batches of a request.
const BATCHES: u32 = 2;
/// How long the calls of a request have to take together for the clocks to be compared.
const LONG: Duration = Duration::from_millis(120);
/// What a request may take that is no call: its way through the pipes, and the wait for a processor.
const BESIDE: Duration = Duration::from_millis(30);
/// Times that are longer than they were, by what two clocks differ in.
const BEYOND: Duration = Duration::from_millis(5);
/// How long a request may take.
const WITHIN: Duration = Duration::from_secs(20);
/// Calls, beyond which an engine is not believed.
const MOST: u64 = 1 << 30;

/// Has an engine time calls of a kernel that counts them at this address.
pub(super) fn calls(
    worker: &mut Worker,
    subject: &Subject,
    loaded: Loaded,
    plant: &Plant<'_>,
    counter: u32,
) -> Tried {
    let prepared = &plant.work.cases[plant.at.index];
    let place = prepared.second.again(plant.at.seed);
    let placed = match subject::place(&prepared.case, subject, &place) {
        Ok(placed) => placed,
        Err(error) => return Tried::Error(format!("failed to {error}")),
    };
    let frame = &placed.frame;
    let mut used_up = 0;
    let mut exchange = Exchange {
        worker,
        subject,
        loaded,
        used_up: &mut used_up,
    };
    let init = exchange.call(export::INIT, vec![0, 0]);
    let written = Invocation {
        pages: placed.pages,
        writes: vec![Write::Bytes {
            at: frame.start(),
            bytes: frame.image().to_vec(),
        }],
        calls: vec![init],
        reads: Vec::new(),
    };
    if let Err(ended) = exchange.run(InstanceChoice::Fresh, written) {
        return Tried::Not(observe::describe(&ended));
    }
    let mut call = exchange.call(
        subject.export(prepared.case.entry),
        vec![frame.descriptor_address()],
    );
    let (mut iterations, mut due) = (FEW, 0_u64);
    loop {
        let what = Timed::Call { call: call.clone() };
        let start = Instant::now();
        let timed = exchange
            .worker
            .time(loaded.module, what, (iterations, 0, BATCHES), WITHIN);
        let took = start.elapsed();
        let times = match timed {
            Ok(times) => times,
            // An engine may time calls without a budget alone: what is looked at here are the calls and the clock.
            Err(RunError::Engine(Error::Unsupported { .. })) if call.budget != Budget::None => {
                call.budget = Budget::None;
                continue;
            }
            Err(RunError::Engine(error)) => return Tried::Not(format!("failed to {error}")),
            Err(RunError::Worker(error)) => return Tried::Error(format!("failed to {error}")),
        };
        due += iterations * u64::from(BATCHES);
        let batches = times.series.iter().flat_map(|series| &series.batches);
        let reported = Duration::from_nanos(batches.map(|batch| batch.nanoseconds).sum());
        if times.returned != 0 {
            return Tried::Not(format!("a timed call returned {}", times.returned));
        }
        if let Err(what) = counted(&mut exchange, counter, due) {
            return Tried::Not(what);
        }
        if took < LONG && iterations < MOST {
            let more = 1.25 * LONG.as_secs_f64() / took.as_secs_f64().max(1e-6);
            iterations = (iterations as f64 * more.clamp(2.0, MORE)) as u64;
            continue;
        }
        return compared(iterations * u64::from(BATCHES), reported, took);
    }
}

/// Whether the kernel counted as many calls as were asked for.
fn counted(exchange: &mut Exchange<'_>, counter: u32, due: u64) -> Result<(), String> {
    let look = Invocation {
        pages: 0,
        writes: Vec::new(),
        calls: Vec::new(),
        reads: vec![Read {
            at: counter,
            length: 4,
            form: Form::Bytes,
        }],
    };
    let (_, seen) = exchange
        .run(InstanceChoice::Same, look)
        .map_err(|ended| observe::describe(&ended))?;
    let due = (due as u32).to_le_bytes();
    let bytes = seen.reads.first().map(|read| read.0.as_slice());
    if bytes == Some(&due) {
        return Ok(());
    }
    let seen = bytes.and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
    Err(format!(
        "{} calls were made where {} were to be timed",
        seen.map_or("nobody knows how many".to_owned(), |seen| {
            u32::from_le_bytes(seen).to_string()
        }),
        u32::from_le_bytes(due)
    ))
}

/// Holds times that were reported against those that passed.
fn compared(calls: u64, reported: Duration, took: Duration) -> Tried {
    let figures = format!(
        "{calls} calls are reported to have taken {:.1} ms of {:.1} ms that passed",
        reported.as_secs_f64() * 1e3,
        took.as_secs_f64() * 1e3
    );
    match clock::stand(reported, took, BEYOND, BESIDE) {
        Stand::Fits => Tried::Told(figures),
        Stand::More => Tried::Not(figures),
        Stand::Less => Tried::Busy(figures),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_held_against_the_clock() {
        let milliseconds = Duration::from_millis;
        let told = |reported, took| compared(1, milliseconds(reported), milliseconds(took));
        assert!(matches!(told(120, 125), Tried::Told(_)));
        assert!(matches!(told(70, 125), Tried::Told(_)));
        assert!(matches!(told(125 / 20, 125), Tried::Busy(_)));
        assert!(matches!(told(250, 125), Tried::Not(_)));
    }
}
