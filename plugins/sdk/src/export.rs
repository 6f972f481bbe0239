//! What makes a component of an operator: the contract's exports, tied to a `Driver`.
//!
//! Only moves lists from one type to another; nothing is decided, and nothing copied, here.

/// Exports an operator as the component's. Once per plugin, whose crate type is `cdylib`.
#[macro_export]
macro_rules! export {
    ($operator:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use ::std::{cell::RefCell, string::String, vec::Vec};
            use $crate::export::{Component, bindings as wit};

            ::std::thread_local! {
                static DRIVER: RefCell<$crate::Driver<$operator>> =
                    const { RefCell::new($crate::Driver::new()) };
            }

            struct Plugin;

            impl wit::Guest for Plugin {
                fn describe() -> wit::Description {
                    Component::describe::<$operator>()
                }
                fn configure(config: String) -> Result<wit::Wiring, String> {
                    DRIVER.with_borrow_mut(|driver| Component::configure(driver, &config))
                }
                fn process(input: wit::Batch) -> wit::Outcome {
                    DRIVER.with_borrow_mut(|driver| Component::process(driver, input))
                }
                fn advance(watermark: i64) -> wit::Outcome {
                    DRIVER.with_borrow_mut(|driver| Component::advance(driver, watermark))
                }
                fn snapshot(part: u32, full: bool) -> wit::StatePart {
                    DRIVER.with_borrow_mut(|driver| Component::snapshot(driver, part, full))
                }
                fn restore(version: u32, data: Vec<u8>, more: bool) -> Result<(), String> {
                    DRIVER.with_borrow_mut(|driver| driver.restore(version, &data, more))
                }
            }

    $crate::export::generated::export!(Plugin with_types_in $crate::export::generated);
        };
        // On other targets the operator is only tested: no exports, but it is used.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() -> $crate::Driver<$operator> = $crate::Driver::new;
    };
}

#[cfg(target_arch = "wasm32")]
pub use component::*;

#[cfg(target_arch = "wasm32")]
mod component {
    use crate::{ByteColumn, Driver, Emissions, Operator, Verdict};

    #[allow(missing_docs, unsafe_code, clippy::all, reason = "generated from the contract")]
    pub mod generated {
        wit_bindgen::generate!({
            path: "../../wit/operator-0.1.0",
            world: "plugin",
            pub_export_macro: true,
            runtime_path: "::pawl_sdk::wit_bindgen::rt",
        });
    }
    pub use generated::exports::pawl::operator::operator as bindings;

    /// Turns the SDK's values into the contract's, by moving.
    pub struct Component;

    impl Component {
        /// `describe`.
        pub fn describe<O: Operator>() -> bindings::Description {
            let own = Driver::<O>::describe();
            bindings::Description {
                name: own.name,
                version: own.version,
                state_version: own.state_version,
                restores: own.restores,
            }
        }

        /// `configure`.
        pub fn configure<O: Operator>(
            driver: &mut Driver<O>,
            config: &str,
        ) -> Result<bindings::Wiring, String> {
            let own = driver.configure(config)?;
            Ok(bindings::Wiring {
                outputs: own.outputs,
                wants: own.wants,
                sets: own.sets,
                inherits_headers: own.inherits_headers,
                delay: own.delay,
                ahead: own.ahead,
            })
        }

        /// `process`.
        pub fn process<O: Operator>(
            driver: &mut Driver<O>,
            input: bindings::Batch,
        ) -> bindings::Outcome {
            outcome(driver.process(crate::Batch {
                keys: column_in(input.keys),
                values: column_in(input.values),
                event_times: input.event_times,
                headers: input.headers.into_iter().map(column_in).collect(),
            }))
        }

        /// `advance`.
        pub fn advance<O: Operator>(driver: &mut Driver<O>, watermark: i64) -> bindings::Outcome {
            outcome(driver.advance(watermark))
        }

        /// `snapshot`.
        pub fn snapshot<O: Operator>(
            driver: &mut Driver<O>,
            part: u32,
            full: bool,
        ) -> bindings::StatePart {
            let own = driver.snapshot(part, full);
            bindings::StatePart { data: own.data, more: own.more }
        }
    }

    fn outcome(own: crate::Outcome) -> bindings::Outcome {
        let rejections = own.rejections.into_iter().map(|(row, rejection)| bindings::Rejection {
            row,
            verdict: match rejection.verdict {
                Verdict::Permanent => bindings::Verdict::Permanent,
                Verdict::Discard => bindings::Verdict::Discard,
            },
            kind: rejection.kind,
            message: rejection.message,
        });
        bindings::Outcome {
            rejections: rejections.collect(),
            emissions: emissions(own.emissions),
            taken: own.taken,
            more: own.more,
        }
    }

    fn emissions(own: Emissions) -> bindings::Emissions {
        bindings::Emissions {
            outputs: own.outputs,
            keys: column_out(own.keys),
            values: column_out(own.values),
            event_times: own.event_times,
            causes: own.causes,
            ids: column_out(own.ids),
            priorities: own.priorities,
            headers: own.headers.into_iter().map(column_out).collect(),
        }
    }

    fn column_in(column: bindings::ByteColumn) -> ByteColumn {
        ByteColumn { data: column.data, ends: column.ends, nulls: column.nulls }
    }

    fn column_out(column: ByteColumn) -> bindings::ByteColumn {
        bindings::ByteColumn { data: column.data, ends: column.ends, nulls: column.nulls }
    }
}
