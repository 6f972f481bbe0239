//! memory_disk
