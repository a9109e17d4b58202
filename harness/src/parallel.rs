//! Work side by side. WebAssembly has no threads: there the same work is done one after the other.

use anyhow::Result;
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

/// Whether threads can be started.
const THREADS: bool = cfg!(not(target_family = "wasm"));

/// As many at a time as there are processors.
pub(crate) fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Works on every item, `at_once` at a time; results in the order of the items.
pub(crate) fn each<I: Sync, T: Send>(
    items: &[I],
    at_once: usize,
    work: impl Fn(&I) -> T + Sync,
) -> Vec<T> {
    let mut results: Vec<Option<T>> = items.iter().map(|_| None).collect();
    let order: Vec<usize> = (0..items.len()).collect();
    let working = |index: usize, say: &Say<'_, (usize, T)>| {
        say((index, work(&items[index])));
    };
    let kept = messages(&order, at_once, &working, &mut |(index, result)| {
        results[index] = Some(result);
        Ok(())
    });
    // Nothing that is done with a message here can fail.
    drop(kept);
    results.into_iter().flatten().collect()
}

/// Takes a message; false if nobody listens any more.
pub(crate) type Say<'a, M> = dyn Fn(M) -> bool + 'a;

/// Begins the work of these numbers in this order, `at_once` at a time, and hands every message of it to `hear`, in this thread and
/// in the order of each work.
///
/// # Errors
/// Whatever `hear` answers; the work ends with its next message then.
pub(crate) fn messages<M: Send>(
    order: &[usize],
    at_once: usize,
    work: &(impl Fn(usize, &Say<'_, M>) + Sync),
    hear: &mut dyn FnMut(M) -> Result<()>,
) -> Result<()> {
    if THREADS {
        in_threads(order, at_once, work, hear)
    } else {
        one_by_one(order, work, hear)
    }
}

fn in_threads<M: Send>(
    order: &[usize],
    at_once: usize,
    work: &(impl Fn(usize, &Say<'_, M>) + Sync),
    hear: &mut dyn FnMut(M) -> Result<()>,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for begun in 0..at_once.min(order.len()) {
            let (sender, next) = (sender.clone(), &next);
            let working = move || {
                let heard = Cell::new(true);
                while heard.get()
                    && let Some(&number) = order.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    work(number, &|message| {
                        heard.set(sender.send(message).is_ok());
                        heard.get()
                    });
                }
            };
            // Where the system gives no more threads, those that there are do all of it.
            match thread::Builder::new().spawn_scoped(scope, working) {
                Ok(_) => {}
                Err(_) if begun == 0 => return one_by_one(order, work, hear),
                Err(_) => break,
            }
        }
        drop(sender);
        for message in receiver {
            hear(message)?;
        }
        Ok(())
    })
}

fn one_by_one<M>(
    order: &[usize],
    work: &impl Fn(usize, &Say<'_, M>),
    hear: &mut dyn FnMut(M) -> Result<()>,
) -> Result<()> {
    let heard = RefCell::new((hear, Ok(())));
    for &number in order {
        work(number, &|message| {
            let (hear, result) = &mut *heard.borrow_mut();
            if result.is_ok() {
                *result = hear(message);
            }
            result.is_ok()
        });
        if heard.borrow().1.is_err() {
            break;
        }
    }
    heard.into_inner().1
}

/// Somebody who answers questions in the order in which they are asked: in a thread of its own, which is the one that started a
/// worker and must live as long as that, or when it is asked.
pub(crate) enum Respondent<Q, A> {
    /// In a thread.
    Thread(mpsc::Sender<Q>, mpsc::Receiver<A>),
    /// In the thread that asks.
    Here(RefCell<Answering<Q, A>>),
}

/// Who answers, and the answers that were not fetched.
type Answering<Q, A> = (Box<dyn FnMut(Q) -> A>, VecDeque<A>);

impl<Q: Send + 'static, A: Send + 'static> Respondent<Q, A> {
    /// Starts who answers: what `make` makes in the thread that it stays in.
    pub(crate) fn start<F: FnMut(Q) -> A + 'static>(
        make: impl FnOnce() -> F + Send + 'static,
    ) -> Self {
        if !THREADS {
            return Self::Here(RefCell::new((Box::new(make()), VecDeque::new())));
        }
        let (questions, to_answer) = mpsc::channel();
        let (to_send, answers) = mpsc::channel();
        let answering = move || {
            let mut answer = make();
            for question in to_answer {
                if to_send.send(answer(question)).is_err() {
                    return;
                }
            }
        };
        // Where the system gives no thread, nobody is there, and whoever asks is told so.
        drop(thread::Builder::new().spawn(answering));
        Self::Thread(questions, answers)
    }

    /// Asks; false if nobody is there any more.
    pub(crate) fn ask(&self, question: Q) -> bool {
        match self {
            Self::Thread(questions, _) => questions.send(question).is_ok(),
            Self::Here(here) => {
                let (answer, answers) = &mut *here.borrow_mut();
                answers.push_back(answer(question));
                true
            }
        }
    }

    /// The answer to the first question that has none yet.
    pub(crate) fn answer(&self) -> Option<A> {
        match self {
            Self::Thread(_, answers) => answers.recv().ok(),
            Self::Here(here) => here.borrow_mut().1.pop_front(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saying(number: usize, say: &Say<'_, (usize, u32)>) {
        for word in 0..3 {
            if !say((number, word)) {
                return;
            }
        }
    }

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u64> = (0..50).collect();
        for at_once in [1, 3, 100] {
            let doubled = each(&items, at_once, |item| item * 2);
            assert_eq!(
                doubled,
                items.iter().map(|item| item * 2).collect::<Vec<_>>()
            );
        }
        assert_eq!(each(&[0_u8; 0], 4, |_| ()), []);
    }

    #[test]
    fn every_message_is_heard_once_and_an_error_ends_the_work() {
        let order = [4, 2, 7];
        type Run = fn(&[usize], &mut dyn FnMut((usize, u32)) -> Result<()>) -> Result<()>;
        let mut runs: Vec<Run> = vec![|order, hear| one_by_one(order, &saying, hear)];
        if THREADS {
            runs.push(|order, hear| in_threads(order, 2, &saying, hear));
        }
        for run in runs {
            let mut heard = Vec::new();
            run(&order, &mut |message| {
                heard.push(message);
                Ok(())
            })
            .unwrap();
            for number in order {
                let words: Vec<u32> = heard
                    .iter()
                    .filter(|(of, _)| *of == number)
                    .map(|(_, word)| *word)
                    .collect();
                assert_eq!(words, [0, 1, 2], "{number}");
            }
            assert_eq!(heard.len(), 9);

            let mut few = 0;
            let ended = run(&order, &mut |_| {
                few += 1;
                anyhow::ensure!(few < 4);
                Ok(())
            });
            assert!(ended.is_err());
            assert_eq!(few, 4);
        }
    }

    #[test]
    fn a_respondent_answers_in_order() {
        let counting = Respondent::start(|| {
            let mut asked = 0;
            move |question: u32| {
                asked += 1;
                (asked, question)
            }
        });
        assert!(counting.ask(7) && counting.ask(8));
        assert_eq!(counting.answer(), Some((1, 7)));
        assert_eq!(counting.answer(), Some((2, 8)));
    }
}
