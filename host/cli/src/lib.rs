//! pawl
