//! The plugin's limits on the command line: one option for each field of `limits` in a pipeline
//! file, with the same name and default.

use clap::Args;
use clap::builder::RangedU64ValueParser;
use pawl_pipeline::Limits;

/// A whole number of at least this.
fn from(least: u64) -> RangedU64ValueParser {
    RangedU64ValueParser::new().range(least..)
}

/// What may be said of limits.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits, as in a pipeline file")]
pub struct LimitOptions {
    /// Bytes of memory
    #[arg(long, value_name = "N", value_parser = from(65_536))]
    memory_bytes_max: Option<u64>,
    /// Elements of all tables
    #[arg(long, value_name = "N", value_parser = from(1))]
    table_elements_max: Option<u64>,
    /// Milliseconds for each call
    #[arg(long, value_name = "N", value_parser = from(1))]
    time_per_call_ms: Option<u64>,
    /// Microseconds for each record of a call on top
    #[arg(long, value_name = "N", value_parser = from(1))]
    time_per_record_us: Option<u64>,
    /// Bytes that one call may return
    #[arg(long, value_name = "N", value_parser = from(1))]
    output_bytes_max: Option<u64>,
    /// Bytes of a snapshot
    #[arg(long, value_name = "N", value_parser = from(1))]
    state_bytes_max: Option<u64>,
    /// Bytes of the component
    #[arg(long, value_name = "N", value_parser = from(1))]
    component_bytes_max: Option<u64>,
    /// Milliseconds that compiling may take
    #[arg(long, value_name = "N", value_parser = from(1))]
    compile_time_max_ms: Option<u64>,
    /// Fuel for each record
    #[arg(long, value_name = "N", value_parser = from(1))]
    fuel_per_record: Option<u64>,
}

impl LimitOptions {
    /// The limits that a pipeline would have.
    pub fn limits(&self) -> Limits {
        let usual = Limits::default();
        Limits {
            memory_bytes_max: self.memory_bytes_max.unwrap_or(usual.memory_bytes_max),
            table_elements_max: self.table_elements_max.unwrap_or(usual.table_elements_max),
            time_per_call_ms: self.time_per_call_ms.unwrap_or(usual.time_per_call_ms),
            time_per_record_us: self.time_per_record_us.unwrap_or(usual.time_per_record_us),
            output_bytes_max: self.output_bytes_max.unwrap_or(usual.output_bytes_max),
            state_bytes_max: self.state_bytes_max.unwrap_or(usual.state_bytes_max),
            component_bytes_max: self.component_bytes_max.unwrap_or(usual.component_bytes_max),
            compile_time_max_ms: self.compile_time_max_ms.unwrap_or(usual.compile_time_max_ms),
            fuel_per_record: self.fuel_per_record.or(usual.fuel_per_record),
        }
    }

    /// What was given, for a command line that does the same again.
    pub fn given(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = [
            ("--memory-bytes-max", self.memory_bytes_max),
            ("--table-elements-max", self.table_elements_max),
            ("--time-per-call-ms", self.time_per_call_ms),
            ("--time-per-record-us", self.time_per_record_us),
            ("--output-bytes-max", self.output_bytes_max),
            ("--state-bytes-max", self.state_bytes_max),
            ("--component-bytes-max", self.component_bytes_max),
            ("--compile-time-max-ms", self.compile_time_max_ms),
            ("--fuel-per-record", self.fuel_per_record),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}
