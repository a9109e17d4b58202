//! What an application sees of its host: metrics as Prometheus reads them, and the log.

use crate::{
    builder,
    packs::{Call, Habit, LOOPS, Packs, REFUSED, SPILLS, TRAPS},
    zeros,
};
use metrics_exporter_prometheus::PrometheusBuilder;
use runtime_api::{Budget, Error, Info, Instance, Module, Options, Result, Runtime};
use runtime_host::{Breaker, Host, Measure, Path, Trust, Watch};
use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

fn never() -> Watch {
    Watch {
        window: Duration::ZERO,
        failures: 0,
        share: 1.0,
    }
}

/// What a client reads that asks a server for its metrics over HTTP.
fn scrape(text: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let read = stream.read(&mut request).unwrap();
        assert!(request[..read].starts_with(b"GET /metrics"));
        let length = text.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {length}\r\n\r\n"
        );
        write!(stream, "{head}{text}").unwrap();
    });
    let answer = minreq::get(format!("http://{address}/metrics")).send();
    let answer = answer.unwrap();
    server.join().unwrap();
    assert_eq!(answer.status_code, 200);
    answer.as_str().unwrap().to_owned()
}

/// The value of a sample whose name and labels contain all of `parts`.
fn sample(text: &str, parts: &[&str]) -> Option<f64> {
    let line = text
        .lines()
        .find(|line| !line.starts_with('#') && parts.iter().all(|part| line.contains(part)))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn a_client_reads_every_call_with_its_reason() {
    let packs = Packs::new();
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let text = metrics::with_local_recorder(&recorder, || {
        let host = builder()
            .native(zeros)
            .measure(Measure::Latency)
            .watch(never())
            .build()
            .unwrap();
        host.upgrade(&packs.pack(1, Habit::Good)).unwrap();
        for x in [1.0, 2.0, TRAPS, 3.0, LOOPS, LOOPS] {
            host.call("scale", &Call::new(&[x]).tensors()).unwrap();
        }
        host.upgrade(&packs.pack(2, Habit::Good)).unwrap();
        host.call("scale", &Call::new(&[1.0]).tensors()).unwrap();
        // One that waits for the next call; with its generation it goes.
        let instances = ["kernel_host_instances", r#"generation="2""#];
        assert_eq!(sample(&scrape(handle.render()), &instances), Some(1.0));
        host.rollback().unwrap();
        let text = scrape(handle.render());
        assert_eq!(sample(&text, &instances), Some(0.0));
        text
    });
    let engine = format!("engine=\"{}\"", runtime_wasmi::runtime().unwrap().info().id);
    let first = [r#"kernel="scale""#, engine.as_str(), r#"generation="1""#];
    let of = |name: &str, more: &[&str]| {
        let parts: Vec<_> = [name].iter().chain(&first).chain(more).copied().collect();
        sample(&text, &parts)
    };
    assert_eq!(of("kernel_host_calls_total", &[]), Some(6.0), "{text}");
    assert_eq!(of("kernel_host_served_total", &[]), Some(3.0));
    assert_eq!(
        of("kernel_host_degraded_total", &[r#"reason="trap""#]),
        Some(1.0)
    );
    assert_eq!(
        of("kernel_host_degraded_total", &[r#"reason="budget""#]),
        Some(2.0)
    );
    assert_eq!(of("kernel_host_call_seconds_count", &[]), Some(3.0));
    assert_eq!(sample(&text, &["kernel_host_upgrades_total"]), Some(2.0));
    assert_eq!(sample(&text, &["kernel_host_rollbacks_total"]), Some(1.0));
}

/// wasmi, which makes no more instances once it is told so.
struct Ends(Box<dyn Runtime>, Arc<AtomicBool>);

impl Runtime for Ends {
    fn info(&self) -> &Info {
        self.0.info()
    }

    fn compile(&self, wasm: &[u8], options: &Options) -> Result<Box<dyn Module>> {
        let module = self.0.compile(wasm, options)?;
        Ok(Box::new(EndsModule(module, Arc::clone(&self.1))))
    }
}

struct EndsModule(Box<dyn Module>, Arc<AtomicBool>);

impl Module for EndsModule {
    fn instantiate_movable(&self, budget: Budget) -> Result<Box<dyn Instance + Send>> {
        if self.1.load(Ordering::Relaxed) {
            return Err(Error::Adapter {
                message: "planted".to_owned(),
            });
        }
        self.0.instantiate_movable(budget)
    }
}

#[test]
fn every_degraded_call_is_counted_with_its_reason() {
    let packs = Packs::new();
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let ended = Arc::new(AtomicBool::new(false));
    let text = metrics::with_local_recorder(&recorder, || {
        let engine = Ends(runtime_wasmi::runtime().unwrap(), Arc::clone(&ended));
        let host = Host::builder()
            .engine(Box::new(engine))
            .budget(Budget::Fuel(1_000_000))
            .trust(Trust::list(crate::packs::trusted()))
            // It answers what the kernel refuses, too.
            .native(|_, tensors| Some(Ok(vec![0; tensors.a.len()])))
            .breaker(Breaker {
                failures: 8,
                rest: Duration::from_secs(3600),
            })
            .watch(never())
            .build()
            .unwrap();
        host.upgrade(&packs.pack(1, Habit::Good)).unwrap();
        let call = |x: f32| host.call("scale", &Call::new(&[x]).tensors()).unwrap();
        for x in [1.0, TRAPS, LOOPS, LOOPS, SPILLS, REFUSED] {
            assert_eq!(call(x).path == Path::Kernel, x == 1.0, "{x}");
        }
        // A trap takes the last instance along, and then there is none.
        assert_eq!(call(TRAPS).path, Path::Native);
        ended.store(true, Ordering::Relaxed);
        assert_eq!(call(1.0).path, Path::Native);
        // The eighth failure in a row: from here on it rests.
        assert_eq!(call(1.0).path, Path::Native);
        assert_eq!(call(1.0).path, Path::Native);
        let totals = host.totals();
        assert_eq!(
            (totals.calls, totals.served, totals.degraded, totals.failed),
            (10, 1, 9, 0)
        );
        scrape(handle.render())
    });
    for (reason, count) in [
        ("trap", 2.0),
        ("budget", 2.0),
        ("contract", 1.0),
        ("status", 1.0),
        ("engine", 2.0),
        ("breaker", 1.0),
    ] {
        let reason = format!("reason=\"{reason}\"");
        let degraded = ["kernel_host_degraded_total", reason.as_str()];
        assert_eq!(sample(&text, &degraded), Some(count), "{reason}: {text}");
    }
}

#[test]
fn off_tells_nothing() {
    let packs = Packs::new();
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        let host = builder().measure(Measure::Off).build().unwrap();
        host.upgrade(&packs.pack(1, Habit::Good)).unwrap();
        host.call("scale", &Call::new(&[1.0]).tensors()).unwrap();
    });
    assert_eq!(handle.render().trim(), "");
}

/// Where a log goes to.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_failure_is_logged_with_its_context() {
    let packs = Packs::new();
    let log = Log::default();
    let written = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || written.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let host = builder().native(zeros).build().unwrap();
        host.upgrade(&packs.pack(1, Habit::Good)).unwrap();
        host.call("scale", &Call::new(&[TRAPS, 1.0]).tensors())
            .unwrap();
    });
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let line = text
        .lines()
        .find(|line| line.contains("a kernel failed"))
        .unwrap();
    for part in [
        "WARN",
        "scale",
        "wasmi",
        "generation=1",
        "kernel_forward",
        "Fuel(1000000)",
        "a=8",
        "Unreachable",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
}
