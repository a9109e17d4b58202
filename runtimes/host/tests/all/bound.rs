//! Engines whose instances stay on the thread that made them: the host serves from threads of its own.

use crate::{
    packs::{Call, Habit, Packs, TRAPS, first, trusted},
    zeros,
};
use runtime_api::{Budget, Info, Instance, Module, Options, Result, Runtime};
use runtime_host::{Breaker, Host, HostBuilder, Path, Trust, Watch};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::ThreadId,
    time::{Duration, Instant},
};

/// wasmi, as if its instances could not go from thread to thread, and how many of them there are.
struct Bound(Box<dyn Runtime>, Arc<AtomicUsize>);

impl Runtime for Bound {
    fn info(&self) -> &Info {
        self.0.info()
    }

    fn compile(&self, wasm: &[u8], options: &Options) -> Result<Box<dyn Module>> {
        let module = self.0.compile(wasm, options)?;
        Ok(Box::new(BoundModule(module, Arc::clone(&self.1))))
    }
}

struct BoundModule(Box<dyn Module>, Arc<AtomicUsize>);

impl Module for BoundModule {
    fn instantiate(&self, budget: Budget) -> Result<Box<dyn Instance>> {
        let inner = self.0.instantiate(budget)?;
        self.1.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(BoundInstance {
            inner,
            alive: Arc::clone(&self.1),
            thread: std::thread::current().id(),
        }))
    }
}

/// Fails on any other thread than its own.
struct BoundInstance {
    inner: Box<dyn Instance>,
    alive: Arc<AtomicUsize>,
    thread: ThreadId,
}

impl BoundInstance {
    fn here(&mut self) -> &mut dyn Instance {
        assert_eq!(self.thread, std::thread::current().id());
        self.inner.as_mut()
    }
}

impl Instance for BoundInstance {
    fn entry(&mut self, export: &str, parameters: usize) -> Result<runtime_api::Entry> {
        self.here().entry(export, parameters)
    }

    fn call(
        &mut self,
        entry: runtime_api::Entry,
        arguments: &[u32],
        budget: Budget,
    ) -> Result<i32> {
        self.here().call(entry, arguments, budget)
    }

    fn global(&mut self, export: &str) -> Result<i32> {
        self.here().global(export)
    }

    fn memory_pages(&mut self) -> Result<u32> {
        self.here().memory_pages()
    }

    fn grow(&mut self, pages: u32) -> Result<()> {
        self.here().grow(pages)
    }

    fn read(&mut self, at: u32, into: &mut [u8]) -> Result<()> {
        self.here().read(at, into)
    }

    fn write(&mut self, at: u32, bytes: &[u8]) -> Result<()> {
        self.here().write(at, bytes)
    }
}

impl Drop for BoundInstance {
    fn drop(&mut self) {
        self.here();
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

fn builder(alive: &Arc<AtomicUsize>) -> HostBuilder {
    Host::builder()
        .engine(Box::new(Bound(
            runtime_wasmi::runtime().unwrap(),
            Arc::clone(alive),
        )))
        .budget(Budget::Fuel(1_000_000))
        .trust(Trust::list(trusted()))
        .threads(2)
        .native(zeros)
        .breaker(Breaker {
            failures: 0,
            rest: Duration::ZERO,
        })
        .watch(Watch {
            failures: 0,
            ..Watch::default()
        })
}

#[test]
fn calls_from_many_threads_are_served_where_the_instances_are() {
    let packs = Packs::new();
    let host = builder(&Arc::default()).build().unwrap();
    host.upgrade(&packs.pack(3, Habit::Good)).unwrap();
    std::thread::scope(|scope| {
        for caller in 1..=4_u8 {
            let host = &host;
            scope.spawn(move || {
                for call in 0..100 {
                    let traps = call % 10 == 0;
                    let x = if traps { TRAPS } else { f32::from(caller) };
                    let served = host.call("scale", &Call::new(&[x, 1.0]).tensors()).unwrap();
                    let due = if traps {
                        (Path::Native, 0.0)
                    } else {
                        (Path::Kernel, 3.0 * x)
                    };
                    assert_eq!((served.path, first(&served.output)), due);
                }
            });
        }
    });
    let totals = host.totals();
    assert_eq!(
        (totals.calls, totals.served, totals.degraded),
        (400, 360, 40)
    );
    assert!((1..=2).contains(&host.instances()), "{}", host.instances());
}

#[test]
fn instances_are_reset_and_go_with_their_generation() {
    let packs = Packs::new();
    let second = |host: &Host| {
        host.upgrade(&packs.pack(1, Habit::Leaks)).unwrap();
        host.call("scale", &Call::new(&[100.0]).tensors()).unwrap();
        first(
            &host
                .call("scale", &Call::new(&[2.0]).tensors())
                .unwrap()
                .output,
        )
    };
    assert_eq!(second(&builder(&Arc::default()).build().unwrap()), 102.0);
    let alive = Arc::default();
    let host = builder(&alive).isolate(true).build().unwrap();
    assert_eq!(second(&host), 2.0);
    // One that the health check made waits in each of the two generations that there are.
    let waiting = || alive.load(Ordering::Relaxed);
    host.upgrade(&packs.pack(2, Habit::Good)).unwrap();
    assert_eq!(waiting(), 2);
    host.upgrade(&packs.pack(3, Habit::Good)).unwrap();
    // Threads hear of it between two calls.
    let deadline = Instant::now() + Duration::from_secs(10);
    while waiting() > 2 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(waiting(), 2);
    drop(host);
    assert_eq!(waiting(), 0);
}
