//! The laws by name, as in ARCHITECTURE.md: what the core, the model tests and the crash tests
//! check. A broken law stops the task; it is never papered over.

/// A law of the design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// A position enters a commit only when every record below has a durable outcome.
    Al1,
    /// No commit lies beyond what checkpoint, input and decisions can rebuild.
    Al2,
    /// A replay gives every output the same id and the same bytes.
    Eo1,
    /// Within the horizon no id takes effect twice.
    Eo2,
    /// `restore(snapshot(s))` behaves as `s`.
    Ck1,
    /// State, dedup, watermarks and position are stored together or not at all.
    Ck2,
    /// A torn, corrupt, foreign or superseded checkpoint is never used.
    Ck3,
    /// A checkpoint is never ahead of the durable commit.
    Ck4,
    /// Outputs are a function of records and decisions.
    Dt1,
    /// A watermark never goes back.
    Wm1,
    /// Order within a partition is kept.
    Or1,
    /// A superseded owner stores and publishes nothing.
    Fn1,
    /// One dead letter id per refused record, operator and attempt; payload untouched.
    Dl1,
    /// Killed at any interval, a task still gets on.
    Lv1,
    /// Everything has a bound.
    Bd1,
    /// Everything a guest returns is hostile until checked.
    Sb1,
}

/// A law does not hold: what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub law: Law,
    /// What was seen.
    pub what: String,
}

impl Violation {
    /// A violation of `law`.
    pub fn of(law: Law, what: impl Into<String>) -> Self {
        Self { law, what: what.into() }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "law {} does not hold: {}", self.law, self.what)
    }
}

impl std::fmt::Display for Law {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = format!("{self:?}").to_uppercase();
        let (letters, number) = name.split_at(2);
        write!(f, "{letters}-{number}")
    }
}
