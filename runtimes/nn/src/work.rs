//! Work of a backend, kept away from whoever waits for it: a panic is an error, and so is taking too long.

use crate::Error;
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

/// Carries out work here. A panic in it is an error.
pub(crate) fn here<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    // What the work may have left half done is the backend's own: graphs are immutable, and tensors are only read.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(&*panic)))
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let words = panic.downcast_ref::<&str>().copied();
    let words = words.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Error::Failed(format!("the backend panicked: {}", words.unwrap_or("?")))
}

/// What a guest hears of work that took longer.
pub(crate) fn too_long(time: Duration) -> Error {
    let time = time.as_millis();
    Error::Failed(format!("the backend took longer than {time} ms"))
}

#[cfg(not(target_family = "wasm"))]
pub(crate) use threads::{LeftBehind, Worker, apart};
#[cfg(target_family = "wasm")]
pub(crate) use {
    here as apart,
    without_threads::{LeftBehind, Worker},
};

#[cfg(not(target_family = "wasm"))]
mod threads {
    use super::*;
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
            mpsc::{RecvTimeoutError, Sender, channel},
        },
        thread,
    };

    type Job = Box<dyn FnOnce() + Send>;

    /// How many threads were given up and still work.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct LeftBehind(Arc<AtomicUsize>);

    impl LeftBehind {
        pub(crate) fn count(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    /// Counts one until it is dropped.
    struct Counted(LeftBehind);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A thread that works for one guest, and another one after it was given up.
    pub(crate) struct Worker {
        jobs: Option<Sender<Job>>,
        left_behind: LeftBehind,
        most: usize,
    }

    impl Worker {
        pub(crate) fn new(left_behind: LeftBehind, most: usize) -> Self {
            Self {
                jobs: None,
                left_behind,
                most,
            }
        }

        /// Has the work done within the time.
        pub(crate) fn within<T: Send + 'static>(
            &mut self,
            time: Duration,
            work: impl FnOnce() -> Result<T, Error> + Send + 'static,
        ) -> Result<T, Error> {
            if self.left_behind.count() > self.most {
                return Err(Error::Busy(format!(
                    "{} computations took too long and still run",
                    self.left_behind.count()
                )));
            }
            let jobs = match &self.jobs {
                Some(jobs) => jobs,
                None => self.jobs.insert(start()?),
            };
            let (give, get) = channel();
            let (stop, stopped) = channel::<Counted>();
            let job: Job = Box::new(move || {
                // Nobody listens where the work took too long.
                let _ = give.send(here(work));
                // The one who gave up says that this thread was counted; dropping it counts it out.
                drop(give);
                stopped.iter().for_each(drop);
            });
            jobs.send(job)
                .map_err(|_| Error::Failed("the backend's thread has ended".to_owned()))?;
            match get.recv_timeout(time) {
                Ok(result) => {
                    drop(stop);
                    result
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.left_behind.0.fetch_add(1, Ordering::Relaxed);
                    let _ = stop.send(Counted(self.left_behind.clone()));
                    self.jobs = None;
                    Err(too_long(time))
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.jobs = None;
                    Err(Error::Failed("the backend's thread has ended".to_owned()))
                }
            }
        }
    }

    /// Of a thread that loads or computes: libraries follow graphs by recursion, and limits of graphs (`backends`) are made for this.
    const STACK: usize = 16 << 20;

    /// Carries out work on a thread with that stack, and waits for it however long it takes.
    pub(crate) fn apart<T: Send>(
        work: impl FnOnce() -> Result<T, Error> + Send,
    ) -> Result<T, Error> {
        thread::scope(|scope| {
            let thread = thread::Builder::new().name("nn-backend".to_owned());
            let started = thread.stack_size(STACK).spawn_scoped(scope, || here(work));
            let started =
                started.map_err(|error| Error::Busy(format!("start a thread: {error}")))?;
            started
                .join()
                .unwrap_or_else(|panic| Err(panicked(&*panic)))
        })
    }

    fn start() -> Result<Sender<Job>, Error> {
        let (jobs, todo) = channel::<Job>();
        let work = move || todo.into_iter().for_each(|job| job());
        let thread = thread::Builder::new().name("nn-backend".to_owned());
        // Given up threads end once their work is done.
        match thread.stack_size(STACK).spawn(work) {
            Ok(_) => Ok(jobs),
            Err(error) => Err(Error::Busy(format!("start a thread: {error}"))),
        }
    }
}

#[cfg(target_family = "wasm")]
mod without_threads {
    use super::*;

    /// Nothing is left behind where there are no threads.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct LeftBehind;

    impl LeftBehind {
        pub(crate) fn count(&self) -> usize {
            0
        }
    }

    /// WebAssembly has no threads: the work is done here, and nobody can give it up.
    pub(crate) struct Worker;

    impl Worker {
        pub(crate) fn new(_: LeftBehind, _: usize) -> Self {
            Self
        }

        pub(crate) fn within<T>(
            &mut self,
            _: Duration,
            work: impl FnOnce() -> Result<T, Error>,
        ) -> Result<T, Error> {
            here(work)
        }
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use super::*;
    use std::{
        sync::mpsc::channel,
        thread,
        time::{Duration, Instant},
    };

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn work_is_done_a_panic_is_an_error_and_the_thread_goes_on() {
        let mut worker = Worker::new(LeftBehind::default(), 0);
        assert_eq!(worker.within(LONG, || Ok(7)), Ok(7));
        let panicked = worker.within(LONG, || -> Result<(), _> { panic!("planted {}", 1) });
        assert_eq!(
            panicked,
            Err(Error::Failed("the backend panicked: planted 1".to_owned()))
        );
        assert_eq!(worker.within(LONG, || Ok(8)), Ok(8));
    }

    #[test]
    fn what_takes_too_long_is_left_behind_and_counted_until_it_ends() {
        let left_behind = LeftBehind::default();
        let mut worker = Worker::new(left_behind.clone(), 0);
        let (end, ended) = channel::<()>();
        let hung = worker.within(SHORT, move || {
            let _ = ended.recv();
            Ok(())
        });
        assert!(matches!(hung, Err(Error::Failed(_))), "{hung:?}");
        assert_eq!(left_behind.count(), 1);
        let refused = worker.within(LONG, || Ok(()));
        assert!(matches!(refused, Err(Error::Busy(_))), "{refused:?}");
        drop(end);
        let patience = Instant::now() + LONG;
        while left_behind.count() > 0 && Instant::now() < patience {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(worker.within(LONG, || Ok(9)), Ok(9));
    }
}
