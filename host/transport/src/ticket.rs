//! The answer to a commit that is on its way to the disk. Dropping a ticket does not undo the
//! commit; it only means that nobody learns what became of it.

use crate::error::Error;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

/// Where a commit's outcome is read.
#[derive(Debug)]
#[must_use = "a commit is durable only when its ticket says so"]
pub struct Ticket {
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting(Receiver<Result<(), Error>>),
    Settled(Result<(), Error>),
}

/// Where a commit's outcome is told, once.
#[derive(Debug)]
pub struct Answer(SyncSender<Result<(), Error>>);

impl Ticket {
    /// A ticket and the place where a transport tells its outcome. If the `Answer` is dropped
    /// without a word, the ticket answers with a fatal error.
    pub fn pair() -> (Answer, Self) {
        let (sender, receiver) = sync_channel(1);
        (Answer(sender), Self { state: State::Waiting(receiver) })
    }

    /// A ticket whose outcome is known already.
    pub fn settled(outcome: Result<(), Error>) -> Self {
        Self { state: State::Settled(outcome) }
    }

    /// Waits until the commit is durable, or is known not to be stored. After a fatal error only
    /// the next start can tell whether it was stored; then it was stored whole or not at all.
    pub fn wait(self) -> Result<(), Error> {
        match self.state {
            State::Waiting(receiver) => receiver.recv().unwrap_or_else(|_| Err(unanswered())),
            State::Settled(outcome) => outcome,
        }
    }

    /// The outcome if it is known, without waiting. Asked again it says the same.
    pub fn try_wait(&mut self) -> Option<Result<(), Error>> {
        if let State::Waiting(receiver) = &self.state {
            let outcome = match receiver.try_recv() {
                Ok(outcome) => outcome,
                Err(TryRecvError::Empty) => return None,
                Err(TryRecvError::Disconnected) => Err(unanswered()),
            };
            self.state = State::Settled(outcome);
        }
        match &self.state {
            State::Settled(outcome) => Some(outcome.clone()),
            State::Waiting(_) => None,
        }
    }
}

impl Answer {
    /// Tells the outcome. Nobody may be waiting any more; that is no error.
    pub fn tell(self, outcome: Result<(), Error>) {
        drop(self.0.send(outcome));
    }
}

fn unanswered() -> Error {
    Error::Poisoned { first: "the writer ended without an answer".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_says_nothing_before_the_answer_and_the_same_ever_after() {
        let (answer, mut ticket) = Ticket::pair();
        assert_eq!(ticket.try_wait(), None);
        answer.tell(Ok(()));
        assert_eq!(ticket.try_wait(), Some(Ok(())));
        assert_eq!(ticket.try_wait(), Some(Ok(())));
        assert_eq!(ticket.wait(), Ok(()));
    }

    #[test]
    fn a_lost_answer_is_a_fatal_error_and_never_a_success() {
        let (answer, mut ticket) = Ticket::pair();
        drop(answer);
        assert!(matches!(ticket.try_wait(), Some(Err(Error::Poisoned { .. }))));
        assert!(ticket.wait().is_err());
    }
}
