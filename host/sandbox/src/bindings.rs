//! The contract as `wasmtime` generates it from `wit/operator-0.1.0`. Arguments are borrowed: a
//! batch is copied once, into the guest. Nothing of it may be seen outside this crate.
#![allow(missing_docs, unsafe_code, reason = "generated from the contract")]

wasmtime::component::bindgen!({
    path: "../../wit/operator-0.1.0",
    world: "plugin",
    ownership: Borrowing { duplicate_if_necessary: true },
});
