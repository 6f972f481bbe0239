//! pawl-tests
