//! Bytes that are no operator: refused, with the reason, before or while they are compiled.

use crate::{ENGINE, batch, plugin};
use pawl_core::operator::Operator;
use pawl_sandbox::{Component, Error, Limits};

fn refusal(bytes: &[u8], limits: &Limits) -> Error {
    match Component::compile(&ENGINE, bytes, limits) {
        Ok(_) => panic!("was compiled"),
        Err(error) => error,
    }
}

#[test]
fn a_smuggled_import_is_refused_by_name() {
    let error = refusal(&plugin("misbehaving_smuggler"), &Limits::default());
    assert_eq!(error, Error::Import("pawl:smuggler/contraband".to_owned()));
}

#[test]
fn what_is_not_a_component_is_told_apart() {
    let limits = Limits::default();
    assert!(matches!(refusal(b"", &limits), Error::NotWasm(_)));
    assert!(matches!(refusal(b"{\"not\": \"wasm\"}", &limits), Error::NotWasm(_)));
    assert_eq!(refusal(b"\0asm\x01\0\0\0", &limits), Error::CoreModule);
    assert!(matches!(refusal(b"\0asm\x0d\0\x01\0", &limits), Error::MissingExport(_)));
}

#[test]
fn a_component_too_large_is_not_even_parsed() {
    let limits = Limits { component_bytes_max: 7, ..Limits::default() };
    assert_eq!(refusal(b"no wasm!", &limits), Error::TooLarge { bytes: 8, max: 7 });
}

#[test]
fn a_compilation_that_takes_too_long_is_given_up() {
    let limits = Limits { compile_time_max_ms: 0, ..Limits::default() };
    assert_eq!(refusal(&plugin("misbehaving"), &limits), Error::CompileTimeout { max_ms: 0 });
}

#[test]
fn a_component_cut_short_anywhere_is_refused() {
    let whole = plugin("misbehaving");
    for end in (0..whole.len()).step_by(61) {
        refusal(&whole[..end], &Limits::default());
    }
}

#[test]
fn a_component_with_a_flipped_bit_is_refused_or_works_or_fails_but_never_panics() {
    let whole = plugin("misbehaving");
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1_u64);
    println!("SEED={seed}");
    let mut random = seed;
    let (mut refused, mut computed) = (0, 0);
    for _ in 0..40 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        let mut bytes = whole.clone();
        let bit = (random >> 20) as usize % (8 * bytes.len());
        bytes[bit / 8] ^= 1 << (bit % 8);
        let limits = Limits { time_per_call_ms: 100, ..Limits::default() };
        match Component::compile(&ENGINE, &bytes, &limits) {
            Err(_) => refused += 1,
            Ok(component) => {
                let called = component
                    .instantiate("{}", &limits)
                    .map(|mut instance| instance.process(&batch(&["a", "b"])).is_ok());
                computed += usize::from(called == Ok(true));
            }
        }
    }
    println!("{refused} refused, {computed} computed");
}

#[test]
fn the_digest_is_that_of_the_bytes_and_what_is_shared_crosses_threads() {
    fn crosses<T: Send + Sync>() {}
    fn moves<T: Send>() {}
    crosses::<Component>();
    crosses::<pawl_sandbox::Engine>();
    moves::<pawl_sandbox::Instance>();
    let digest = crate::MISBEHAVING.digest();
    assert_eq!(digest, crate::MISBEHAVING.clone().digest());
    assert!(digest.bytes().all(|byte| byte.is_ascii_hexdigit()) && digest.len() == 64);
}
