//! All that a task's future depends on besides its operators: what a checkpoint holds of the core.
//! Position, watermarks, dedup windows and counters are one value, stored together or not at all.

use crate::breaker::Breaker;
use crate::clock::Clock;
use crate::commit::Progress;
use crate::counters::{Counters, EdgeCounters};
use crate::heard::Heard;
use crate::record::{NO_TIME, Offset, Producer, Timestamp};
use crate::spec::Spec;
use crate::window::{Segment, Window, WindowSnapshot};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The state of one task's core.
#[derive(Clone, Debug)]
pub struct State {
    /// What is plainly stored.
    pub plain: Plain,
    /// The dedup window of each edge that has one.
    pub windows: Vec<Option<Window>>,
}

/// The part of the state that is small.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plain {
    /// How far the task has come.
    pub progress: Progress,
    /// Sum of the hashes of all input rows.
    pub input_sum: u128,
    /// Sum of the hashes of everything made.
    pub output_sum: u128,
    /// Up to where rows that were sent back are to be taken in, before anything else.
    pub admitting: Offset,
    /// The generation of producers that the task has announced.
    pub generation: u64,
    /// Its producers, of all topics.
    pub producers: Vec<Producer>,
    /// Whether the task has announced that it is idle.
    pub idle: bool,
    /// Number of the last control row.
    pub control_number: u64,
    /// Event time, where an edge makes a watermark.
    pub clock: Clock,
    /// What producers said, where they do.
    pub heard: Heard,
    /// The watermark of the edge that judges time.
    pub watermark: Timestamp,
    /// The watermark last given to each operator's `advance`.
    pub operator_watermarks: Vec<Timestamp>,
    /// Which of the last records failed.
    pub breaker: Breaker,
    /// What became of the records.
    pub counters: Counters,
}

/// The state as a checkpoint holds it; sealed segments of the windows are stored beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    plain: Plain,
    windows: Vec<Option<WindowImage>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct WindowImage {
    #[serde(with = "serde_bytes")]
    open: Vec<u8>,
    sealed: Vec<u64>,
}

/// A sealed segment of the window of one edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeSegment {
    /// Index of the edge.
    pub edge: usize,
    /// The segment; its `first` slot is its number.
    pub segment: Arc<Segment>,
}

impl State {
    /// The state of a task at its birth.
    pub fn new(spec: &Spec) -> Self {
        let edges = spec.operators.len();
        let counters =
            Counters { edges: vec![EdgeCounters::default(); edges], ..Counters::default() };
        let plain = Plain {
            progress: Progress::default(),
            input_sum: 0,
            output_sum: 0,
            admitting: 0,
            generation: 0,
            producers: Vec::new(),
            idle: false,
            control_number: 0,
            clock: Clock::default(),
            heard: Heard::default(),
            watermark: NO_TIME,
            operator_watermarks: vec![NO_TIME; edges],
            breaker: Breaker::default(),
            counters,
        };
        let mut state = Self { plain, windows: Vec::new() };
        state.fit(spec);
        state
    }

    /// The state for a checkpoint: the small part by value, sealed segments by reference.
    pub fn image(&self) -> (Image, Vec<EdgeSegment>) {
        let mut segments = Vec::new();
        let mut windows = Vec::with_capacity(self.windows.len());
        for (edge, window) in self.windows.iter().enumerate() {
            windows.push(window.as_ref().map(|window| {
                let WindowSnapshot { open, sealed } = window.snapshot();
                let numbers = sealed.iter().map(|segment| segment.first()).collect();
                segments.extend(sealed.into_iter().map(|segment| EdgeSegment { edge, segment }));
                WindowImage { open, sealed: numbers }
            }));
        }
        (Image { plain: self.plain.clone(), windows }, segments)
    }

    /// The state from a checkpoint. `None` if segments are missing or do not belong together.
    pub fn from_image(image: Image, segments: &[EdgeSegment], spec: &Spec) -> Option<Self> {
        let mut windows = Vec::with_capacity(image.windows.len());
        for (edge, window) in image.windows.iter().enumerate() {
            windows.push(match window {
                None => None,
                Some(window) => {
                    let sealed: Option<Vec<Arc<Segment>>> = window
                        .sealed
                        .iter()
                        .map(|number| {
                            let found = segments.iter().find(|candidate| {
                                candidate.edge == edge && candidate.segment.first() == *number
                            });
                            found.map(|found| Arc::clone(&found.segment))
                        })
                        .collect();
                    let snapshot = WindowSnapshot { open: window.open.clone(), sealed: sealed? };
                    Some(Window::restore(ids_max(spec, edge), &snapshot)?)
                }
            });
        }
        let mut state = Self { plain: image.plain, windows };
        state.fit(spec);
        Some(state)
    }

    /// The small part of the state, for those who only look.
    pub fn plain_of(image: &Image) -> &Plain {
        &image.plain
    }

    /// How far the state had come when the image was made.
    pub fn progress_of(image: &Image) -> Progress {
        image.plain.progress
    }

    /// Brings the lists to the specification's number of edges: a changed pipeline keeps what it
    /// had for the edges that are still there.
    pub(crate) fn fit(&mut self, spec: &Spec) {
        let edges = spec.operators.len();
        self.plain.counters.edges.resize(edges, EdgeCounters::default());
        self.plain.operator_watermarks.resize(edges, NO_TIME);
        self.windows.resize(edges, None);
        for (edge, window) in self.windows.iter_mut().enumerate() {
            let wanted = spec.operators.get(edge).is_some_and(|op| op.edge.dedup.is_some());
            if !wanted {
                *window = None;
                continue;
            }
            let ids_max = ids_max(spec, edge);
            let fitting = window.take().and_then(|window| match window.has_bound(ids_max) {
                true => Some(window),
                false => Window::restore(ids_max, &window.snapshot()),
            });
            *window = Some(fitting.unwrap_or_else(|| Window::new(ids_max)));
        }
    }
}

fn ids_max(spec: &Spec, edge: usize) -> u64 {
    spec.operators
        .get(edge)
        .and_then(|operator| operator.edge.dedup)
        .map_or(1, |dedup| dedup.ids_max)
}
