//! Backends that are wrong on purpose. Each must end in an error code, or be found.

use super::{
    Finding, Found, MISUSE_GUEST, PATIENT, Wrong, finding, guest, models, offering, patient,
};
use crate::{
    Backend, Dtype, Encoding, Error, Graph, Input, Limits, Target, Tensor, abi::Errno,
    backends::Native,
};
use runtime_api::Runtime;
use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

/// What a backend does wrong.
#[derive(Clone)]
enum Fault {
    /// Computing panics.
    Panics,
    /// Computing does not end until somebody opens the gate.
    Hangs(Arc<Gate>),
    /// The output is off in one bit of 8 KiB.
    Lies,
    /// The output is larger than any limit.
    Floods,
}

#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn pass(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = self.opened.wait_while(open, |open| !*open);
        drop(passed.unwrap_or_else(PoisonError::into_inner));
    }

    fn open(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.opened.notify_all();
    }
}

/// Native code with a fault.
struct Planted(Fault);

struct PlantedGraph(Arc<dyn Graph>, Fault);

impl Backend for Planted {
    fn id(&self) -> &'static str {
        "planted"
    }

    fn encoding(&self) -> Encoding {
        Encoding::Kernels
    }

    fn recognises(&self, parts: &[Vec<u8>]) -> bool {
        Native::base().recognises(parts)
    }

    fn load(&self, parts: &[Vec<u8>], target: Target) -> Result<Arc<dyn Graph>, Error> {
        let graph = Native::base().load(parts, target)?;
        Ok(Arc::new(PlantedGraph(graph, self.0.clone())))
    }
}

impl Graph for PlantedGraph {
    fn inputs(&self) -> &[Input] {
        self.0.inputs()
    }

    fn compute(&self, inputs: &[Arc<Tensor>], time: Duration) -> Result<Vec<Tensor>, Error> {
        match &self.1 {
            Fault::Panics => panic!("planted"),
            Fault::Hangs(gate) => gate.pass(),
            Fault::Floods => {
                let bytes = vec![0; 2 << 20];
                return Ok(vec![Tensor::new(Dtype::U8, vec![2 << 20], bytes)?]);
            }
            Fault::Lies => {}
        }
        let mut outputs = self.0.compute(inputs, time)?;
        if let (Fault::Lies, Some(output)) = (&self.1, outputs.first_mut()) {
            let mut bytes = output.bytes().to_vec();
            // The highest bit of a mantissa.
            bytes[2] ^= 0x40;
            *output = Tensor::new(output.dtype(), output.dimensions().to_vec(), bytes)?;
        }
        Ok(outputs)
    }
}

pub(super) fn findings(runtime: &dyn Runtime) -> Vec<Finding> {
    let small = Limits {
        tensor_bytes: 1 << 20,
        ..patient()
    };
    vec![
        finding(
            "a backend that panics",
            ends(runtime, Fault::Panics, patient(), Errno::RuntimeError),
        ),
        finding("a backend that hangs", hangs(runtime)),
        finding(
            "an output beyond the limit",
            ends(runtime, Fault::Floods, small, Errno::TooLarge),
        ),
        finding("a backend that lies is found", lies(runtime)),
    ]
}

fn planted(fault: Fault) -> Arc<dyn Backend> {
    Arc::new(Planted(fault))
}

/// Computes once, then once more: the guest goes on.
fn ends(runtime: &dyn Runtime, fault: Fault, limits: Limits, due: Errno) -> Found {
    let nn = offering(&planted(fault), &models::all()[0], limits)?;
    let mut instance = guest(runtime, MISUSE_GUEST, nn)?.instantiate(PATIENT)?;
    let entry = instance.entry("once", 0)?;
    for _ in 0..2 {
        let code = instance.call(entry, &[], PATIENT)?;
        if code != due as i32 {
            let due = due.name();
            return Err(Wrong::Fails(format!("{code} where {due} is due")));
        }
    }
    Ok(due.name().to_owned())
}

/// What hangs is given up; when too many hang, nothing more is begun; when they end, all goes on.
fn hangs(runtime: &dyn Runtime) -> Found {
    let gate = Arc::new(Gate::default());
    let limits = Limits {
        compute: Duration::from_millis(50),
        left_behind: 1,
        ..patient()
    };
    let nn = offering(
        &planted(Fault::Hangs(Arc::clone(&gate))),
        &models::all()[0],
        limits,
    )?;
    let mut instance = guest(runtime, MISUSE_GUEST, nn)?.instantiate(PATIENT)?;
    let entry = instance.entry("once", 0)?;
    let codes: Result<Vec<i32>, _> = (0..3).map(|_| instance.call(entry, &[], PATIENT)).collect();
    gate.open();
    let due = [Errno::RuntimeError, Errno::RuntimeError, Errno::Busy];
    let names = due.map(Errno::name).join(", ");
    match codes? {
        codes if codes == due.map(|errno| errno as i32) => Ok(names),
        codes => Err(Wrong::Fails(format!("{codes:?} where {names} are due"))),
    }
}

fn lies(runtime: &dyn Runtime) -> Found {
    let backend = planted(Fault::Lies);
    match models::by_name(runtime, &backend, &models::all()[0]) {
        Err(Wrong::Fails(what)) => Ok(what),
        Err(unsupported) => Err(unsupported),
        Ok(_) => Err(Wrong::Fails("nobody saw it".to_owned())),
    }
}
