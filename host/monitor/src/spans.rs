//! Traces by OpenTelemetry, where the environment asks for them: a span for each commit, never one
//! for a record. They are made aside and sent by a thread of their own; where the collector is
//! away or slow they are dropped, and no task ever waits for them.

use opentelemetry::trace::{
    Link, Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, TraceFlags, TraceId, TraceState,
    TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, SpanData};
use opentelemetry_sdk::{Resource, trace};
use std::sync::Mutex;
use std::time::{Duration, Instant, UNIX_EPOCH};

/// Each of these says that traces are wanted, and where they go.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

/// Traces of records that a commit is linked to, at most.
pub const LINKS_MAX: usize = 8;

/// How long the end of a run waits for the last spans to be sent.
const END_TIME_MAX: Duration = Duration::from_secs(3);

/// How often it is logged that spans could not be sent.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// A durable commit of a task.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// Whose.
    pub stage: String,
    /// Whose.
    pub partition: u32,
    /// The owner's number.
    pub epoch: u64,
    /// The next row to read, as committed.
    pub position: u64,
    /// Input rows that it holds.
    pub records: u64,
    /// Dead letters that it holds.
    pub dead_letters: u64,
    /// When it was durable, in milliseconds since 1970.
    pub ended_ms: i64,
    /// Microseconds since its first row was taken up.
    pub took_us: u64,
    /// `traceparent` headers of its rows, as they stand there; at most `LINKS_MAX` are used.
    pub traces: Vec<String>,
}

/// Makes spans and sends them.
#[derive(Debug)]
pub struct Spans {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Spans {
    /// As the environment says: nothing unless `OTEL_EXPORTER_OTLP_ENDPOINT` (or that of traces) is
    /// set. The other variables of OpenTelemetry's specification hold too. An error says why none
    /// can be made; that is no reason not to run.
    pub fn from_environment(pipeline: &str) -> Result<Option<Self>, String> {
        let set = |name: &str| std::env::var(name).is_ok_and(|value| !value.is_empty());
        let is = |name: &str, what: &str| std::env::var(name).is_ok_and(|value| value == what);
        let wanted = ENDPOINTS.into_iter().any(set)
            && !is("OTEL_SDK_DISABLED", "true")
            && !is("OTEL_TRACES_EXPORTER", "none");
        if !wanted {
            return Ok(None);
        }
        // Fails only where somebody has chosen one before, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .build()
            .map_err(|error| error.to_string())?;
        let mut resource = Resource::builder()
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(KeyValue::new("pawl.pipeline", pipeline.to_owned()));
        if !set("OTEL_SERVICE_NAME") {
            resource = resource.with_service_name("pawl");
        }
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.build())
            .with_batch_exporter(Telling { exporter, told: Mutex::default() })
            .build();
        let tracer = provider.tracer("pawl");
        Ok(Some(Self { provider, tracer }))
    }

    /// A commit is durable. Does not wait.
    pub fn committed(&self, commit: &Commit) {
        let ended_ms = u64::try_from(commit.ended_ms).unwrap_or(0);
        let ended = UNIX_EPOCH + Duration::from_millis(ended_ms);
        let took = Duration::from_micros(commit.took_us);
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let links = commit.traces.iter().take(LINKS_MAX).filter_map(|text| context_of(text));
        let mut span = SpanBuilder::from_name("commit")
            .with_kind(SpanKind::Internal)
            .with_start_time(ended.checked_sub(took).unwrap_or(UNIX_EPOCH))
            .with_attributes([
                KeyValue::new("pawl.stage", commit.stage.clone()),
                KeyValue::new("pawl.partition", i64::from(commit.partition)),
                KeyValue::new("pawl.epoch", number(commit.epoch)),
                KeyValue::new("pawl.position", number(commit.position)),
                KeyValue::new("pawl.records", number(commit.records)),
                KeyValue::new("pawl.dead_letters", number(commit.dead_letters)),
            ])
            .with_links(links.map(|context| Link::new(context, Vec::new(), 0)).collect())
            .start_with_context(&self.tracer, &Context::new());
        span.end_with_timestamp(ended);
    }
}

impl Drop for Spans {
    fn drop(&mut self) {
        if let Err(error) = self.provider.shutdown_with_timeout(END_TIME_MAX) {
            tracing::debug!(%error, "the last traces may not have been sent");
        }
    }
}

/// Reads a `traceparent` header of W3C's trace context. None if it is malformed.
fn context_of(text: &str) -> Option<SpanContext> {
    let mut parts = text.split('-');
    let (version, trace) = (parts.next()?, parts.next()?);
    let (span, flags) = (parts.next()?, parts.next()?);
    let hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    // Later versions may have more behind, and this one may not.
    let is_whole = version != "00" || parts.next().is_none();
    let is_right = hex(version, 2) && version != "ff" && hex(trace, 32) && hex(span, 16);
    if !(is_right && hex(flags, 2) && is_whole) {
        return None;
    }
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?),
        true,
        TraceState::default(),
    );
    context.is_valid().then_some(context)
}

/// Says, now and then, that spans could not be sent.
#[derive(Debug)]
struct Telling {
    exporter: SpanExporter,
    told: Mutex<Option<Instant>>,
}

impl trace::SpanExporter for Telling {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let outcome = self.exporter.export(batch).await;
        if let Err(error) = &outcome
            && let Ok(mut told) = self.told.lock()
            && told.is_none_or(|at| at.elapsed() >= WARN_EVERY)
        {
            *told = Some(Instant::now());
            tracing::warn!(spans, %error, "traces could not be sent and were dropped");
        }
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn trace_contexts_are_read_and_malformed_ones_are_none() {
        let known = context_of(&format!("00-{TRACE}-00f067aa0ba902b7-01")).unwrap();
        assert_eq!(known.trace_id().to_string(), TRACE);
        assert!(known.is_sampled());
        assert!(context_of(&format!("cc-{TRACE}-00f067aa0ba902b7-01-more")).is_some());
        for bad in [
            "",
            "00",
            "----",
            &format!("00-{TRACE}-00f067aa0ba902b7"),
            &format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
            &format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            &format!("00-{TRACE}-0000000000000000-01"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-é4bf92f3577b34da6a3ce929d0e0e47-00f067aa0ba902b7-01",
        ] {
            assert!(context_of(bad).is_none(), "{bad}");
        }
    }
}
