//! One dead letter in its batch, by reference. Believes nothing: any client may write to the topic.

use pawl_core::column::ByteColumn;
use pawl_core::identity::time_of_text;
use pawl_core::record::{NO_TIME, Offset, Records, Timestamp};

/// The years 1 to 9999 in milliseconds since the Unix epoch: what lies outside is no time at which
/// anything failed, and sums of what lies inside never overflow.
const YEARS: std::ops::Range<Timestamp> = -62_135_596_800_000..253_402_300_800_000;

/// The headers of metadata that are looked at, so that a batch's columns are found only once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is the header of its name")]
pub enum Meta {
    Id,
    Timestamp,
    Stage,
    Operator,
    Entry,
    OperatorVersion,
    Component,
    Class,
    Kind,
    Message,
    Disposition,
    ReplayCount,
    ReplayId,
    Topic,
    Partition,
    Offset,
    EventTime,
    SchemaVersion,
}

impl Meta {
    /// All of them.
    pub const ALL: [Meta; 18] = [
        Meta::Id,
        Meta::Timestamp,
        Meta::Stage,
        Meta::Operator,
        Meta::Entry,
        Meta::OperatorVersion,
        Meta::Component,
        Meta::Class,
        Meta::Kind,
        Meta::Message,
        Meta::Disposition,
        Meta::ReplayCount,
        Meta::ReplayId,
        Meta::Topic,
        Meta::Partition,
        Meta::Offset,
        Meta::EventTime,
        Meta::SchemaVersion,
    ];

    /// The header.
    pub fn header(self) -> &'static str {
        match self {
            Meta::Id => "pawl-id",
            Meta::Timestamp => "pawl-timestamp",
            Meta::Stage => "pawl-stage",
            Meta::Operator => "pawl-operator",
            Meta::Entry => "pawl-entry",
            Meta::OperatorVersion => "pawl-operator-version",
            Meta::Component => "pawl-component",
            Meta::Class => "pawl-class",
            Meta::Kind => "pawl-error-kind",
            Meta::Message => "pawl-error-message",
            Meta::Disposition => "pawl-disposition",
            Meta::ReplayCount => "pawl-replay-count",
            Meta::ReplayId => "pawl-replay-id",
            Meta::Topic => "pawl-topic",
            Meta::Partition => "pawl-partition",
            Meta::Offset => "pawl-offset",
            Meta::EventTime => "pawl-event-time",
            Meta::SchemaVersion => "pawl-schema-version",
        }
    }
}

/// The columns of a batch of dead letters.
pub(crate) struct Columns<'a> {
    pub records: &'a Records,
    meta: [Option<&'a ByteColumn>; Meta::ALL.len()],
}

impl<'a> Columns<'a> {
    pub fn of(records: &'a Records) -> Self {
        Self { records, meta: Meta::ALL.map(|meta| records.header(meta.header())) }
    }

    /// A column of metadata, if any letter of the batch has it.
    pub fn meta(&self, meta: Meta) -> Option<&'a ByteColumn> {
        self.meta.get(meta as usize).copied().flatten()
    }
}

/// A row of the topic of the dead letters.
#[derive(Clone, Copy)]
pub struct Letter<'a> {
    /// Partition of the topic of the dead letters.
    pub partition: u32,
    /// Offset there.
    pub offset: Offset,
    /// Its row in the columns.
    pub row: usize,
    pub(crate) columns: &'a Columns<'a>,
}

impl<'a> Letter<'a> {
    /// All columns of its batch.
    pub fn records(&self) -> &'a Records {
        self.columns.records
    }

    /// A header of metadata.
    pub fn meta(&self, meta: Meta) -> Option<&'a [u8]> {
        self.columns.meta(meta)?.get(self.row)
    }

    /// A header of metadata as text; empty if it is absent or no text.
    pub fn text(&self, meta: Meta) -> &'a str {
        self.meta(meta).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// A number in a header of metadata.
    pub fn number<T: std::str::FromStr>(&self, meta: Meta) -> Option<T> {
        self.text(meta).parse().ok()
    }

    /// Any header.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.records().header(name)?.get(self.row)
    }

    /// All headers of this row, as they are stored.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        let (records, row) = (self.columns.records, self.row);
        let headers = records.headers.iter();
        headers.filter_map(move |header| Some((header.name.as_str(), header.column.get(row)?)))
    }

    /// Equal ids are the same dead letter. None: it is none of ours.
    pub fn id(&self) -> Option<u128> {
        u128::from_str_radix(self.text(Meta::Id), 16).ok()
    }

    /// When it failed; when it was appended, if it does not say so or says a year that none is.
    pub fn failed_at(&self) -> Timestamp {
        let told = time_of_text(self.text(Meta::Timestamp)).filter(|at| YEARS.contains(at));
        let appended = self.records().timestamps.get(self.row).copied();
        told.or(appended).unwrap_or_default().clamp(YEARS.start, YEARS.end)
    }

    /// The event time of the refused record, or `NO_TIME`.
    pub fn event_time(&self) -> Timestamp {
        time_of_text(self.text(Meta::EventTime)).unwrap_or(NO_TIME)
    }

    /// How often it was sent back.
    pub fn replays(&self) -> u32 {
        let told = self.text(Meta::ReplayCount);
        // More than can be counted is still more than any bound.
        let is_large = !told.is_empty() && told.bytes().all(|byte| byte.is_ascii_digit());
        told.parse().unwrap_or(if is_large { u32::MAX } else { 0 })
    }

    /// The refused operator's input.
    pub fn payload(&self) -> &'a [u8] {
        self.records().values.get(self.row).unwrap_or_default()
    }

    /// Where it lies, as `pawl dlq show` takes it.
    pub fn place(&self) -> String {
        format!("{}/{}", self.partition, self.offset)
    }
}
