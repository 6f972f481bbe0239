//! Topics that belong to the host: their names, and what each is for. No file declares one, and no
//! client writes to one.

use crate::pipeline::Pipeline;

/// What a topic of the host's own is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnTopic {
    /// Dead letters.
    DeadLetters,
    /// Dead letters of one stage that were sent back.
    SentBack,
    /// Which dead letters were sent back.
    Ledger,
    /// When somebody looked at the dead letters, and up to where.
    Reviews,
    /// How far a source has come.
    Place,
}

impl OwnTopic {
    /// In a word or two.
    pub fn words(self) -> &'static str {
        match self {
            OwnTopic::DeadLetters => "dead letters",
            OwnTopic::SentBack => "dead letters sent back",
            OwnTopic::Ledger => "which dead letters were sent back",
            OwnTopic::Reviews => "reviews of dead letters",
            OwnTopic::Place => "place of a source",
        }
    }
}

impl Pipeline {
    /// The topic that says which dead letters were sent back.
    pub fn ledger_topic(&self) -> String {
        ledger(&self.name)
    }

    /// The topic of the reviews of dead letters.
    pub fn reviews_topic(&self) -> String {
        reviews(&self.name)
    }

    /// What a topic is for, if it is one of the host's own.
    pub fn own_topic(&self, topic: &str) -> Option<OwnTopic> {
        if topic == self.dead_letters.topic {
            return Some(OwnTopic::DeadLetters);
        }
        if self.stages.iter().any(|stage| stage.replay == topic) {
            return Some(OwnTopic::SentBack);
        }
        reserved(&self.name, topic)
    }
}

/// What a name is reserved for in the pipeline `pipeline`, whatever stages and sources it has.
pub(crate) fn reserved(pipeline: &str, topic: &str) -> Option<OwnTopic> {
    if topic == ledger(pipeline) {
        Some(OwnTopic::Ledger)
    } else if topic == reviews(pipeline) {
        Some(OwnTopic::Reviews)
    } else {
        // A source that is no longer in the file may come back.
        topic.starts_with(&format!("{pipeline}.source.")).then_some(OwnTopic::Place)
    }
}

fn ledger(pipeline: &str) -> String {
    format!("{pipeline}.replayed")
}

fn reviews(pipeline: &str) -> String {
    format!("{pipeline}.reviews")
}
