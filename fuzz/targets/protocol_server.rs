//! Bytes as what a harness sends to a worker: the worker answers or ends, and never panics.
#![no_main]

use runtime_api::{
    Budget, Capabilities, Entry, Error, Info, Instance, Kind, Module, Options, Result, Runtime,
    inside,
};

/// An engine in which nothing runs: two pages of memory, and every export returns the sum of its arguments.
struct Stub(Info);

impl Runtime for Stub {
    fn info(&self) -> &Info {
        &self.0
    }

    fn compile(&self, _: &[u8], _: &Options) -> Result<Box<dyn Module>> {
        Ok(Box::new(StubModule))
    }
}

struct StubModule;

impl Module for StubModule {
    fn instantiate(&self, _: Budget) -> Result<Box<dyn Instance>> {
        Ok(Box::new(StubInstance(vec![0; 2 * 65_536])))
    }
}

struct StubInstance(Vec<u8>);

impl StubInstance {
    fn place(&self, at: u32, length: usize) -> Result<std::ops::Range<usize>> {
        inside(at, length as u64, self.0.len() as u64)
    }
}

impl Instance for StubInstance {
    fn entry(&mut self, export: &str, parameters: usize) -> Result<Entry> {
        if parameters > 2 {
            return Err(Error::Export {
                name: export.to_owned(),
                message: "too many parameters".to_owned(),
            });
        }
        Ok(Entry(parameters))
    }

    fn call(&mut self, entry: Entry, arguments: &[u32], _: Budget) -> Result<i32> {
        assert_eq!(
            entry.0,
            arguments.len(),
            "as many arguments as were resolved"
        );
        Ok(arguments
            .iter()
            .fold(0_u32, |sum, one| sum.wrapping_add(*one)) as i32)
    }

    fn global(&mut self, _: &str) -> Result<i32> {
        Ok(0)
    }

    fn memory_pages(&mut self) -> Result<u32> {
        Ok((self.0.len() / 65_536) as u32)
    }

    fn grow(&mut self, pages: u32) -> Result<()> {
        if pages > 2 {
            return Err(Error::trap(
                runtime_api::Stage::Call,
                runtime_api::Trap::ResourceLimit,
            ));
        }
        let length = self.0.len() + pages as usize * 65_536;
        self.0.resize(length.min(4 * 65_536), 0);
        Ok(())
    }

    fn read(&mut self, at: u32, into: &mut [u8]) -> Result<()> {
        let place = self.place(at, into.len())?;
        into.copy_from_slice(&self.0[place]);
        Ok(())
    }

    fn write(&mut self, at: u32, bytes: &[u8]) -> Result<()> {
        let place = self.place(at, bytes.len())?;
        self.0[place].copy_from_slice(bytes);
        Ok(())
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let stub = Stub(Info {
        id: "stub".to_owned(),
        engine: "stub".to_owned(),
        version: "1.0.0".to_owned(),
        kind: Kind::Interpreter,
        build: Default::default(),
        capabilities: Capabilities {
            features: Vec::new(),
            budgets: Vec::new(),
            interruption: String::new(),
            memory_limit: true,
            table_limit: true,
            stack_limit: true,
        },
    });
    let mut replies = Vec::new();
    drop(assay_worker::serve(&stub, bytes, &mut replies));
    // Whatever it was asked, every line that it wrote is a reply.
    for line in replies
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let reply = serde_json::from_slice::<assay_worker::protocol::Reply>(line);
        assert!(reply.is_ok(), "{}", String::from_utf8_lossy(line));
    }
});
