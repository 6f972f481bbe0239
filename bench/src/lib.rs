//! pawl-bench
