//! pawl-service
