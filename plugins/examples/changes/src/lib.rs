//! Passes a record on only if its value is not the one that its key had last. Keeps one value for
//! each key, so it is also the example of a large state of which little changes at a time.

use pawl_sdk::prelude::*;

/// The operator: the last value of each key.
pub struct Changes {
    last: Buckets<Vec<u8>, Vec<u8>>,
}

impl Operator for Changes {
    const NAME: &'static str = "changes";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    type Config = NoConfig;

    fn configure(_: NoConfig) -> Result<(Self, Wiring), String> {
        Ok((Self { last: Buckets::new() }, Wiring::to("changed").inherits_headers()))
    }

    fn process(&mut self, record: Record<'_>, out: &mut Emitter<'_>) -> Result<(), Rejection> {
        let key = record.key().ok_or_else(|| Rejection::permanent("key", "there is no key"))?;
        let value = record.value().unwrap_or_default();
        // Looked at before it is borrowed to be changed: what is equal stays unchanged.
        if self.last.get(key).is_some_and(|last| last == value) {
            return Ok(());
        }
        let last = self.last.get_or(key, Vec::new);
        last.clear();
        last.extend_from_slice(value);
        out.emit(record.value());
        Ok(())
    }

    fn state(&mut self) -> Vec<&mut dyn State> {
        vec![&mut self.last]
    }
}

pawl_sdk::export!(Changes);

#[cfg(test)]
mod tests {
    use super::*;
    use pawl_sdk::testing::{Harness, Input};

    #[test]
    fn only_what_differs_from_the_last_value_of_its_key_goes_on() {
        let mut host = Harness::<Changes>::new("").unwrap();
        let ran = host.process(&[
            Input::new("a", "1"),
            Input::new("a", "1"),
            Input::new("b", "1"),
            Input::new("a", "2"),
            Input::new("a", "1"),
        ]);
        let sent: Vec<_> = ran.sent.iter().map(|sent| (sent.key.clone(), sent.text())).collect();
        let key = |key: &str| Some(key.as_bytes().to_vec());
        let text = str::to_owned;
        let expected = [
            (key("a"), text("1")),
            (key("b"), text("1")),
            (key("a"), text("2")),
            (key("a"), text("1")),
        ];
        assert_eq!(sent, expected);
    }

    #[test]
    fn a_record_without_a_key_is_refused() {
        let mut host = Harness::<Changes>::new("").unwrap();
        let ran = host.process(&[Input::new("", "1").no_key()]);
        assert_eq!(ran.rejected[0].1.kind, "key");
        assert!(ran.sent.is_empty());
    }

    #[test]
    fn a_restored_operator_knows_the_last_values() {
        let mut host = Harness::<Changes>::new("").unwrap();
        host.process(&[Input::new("a", "1")]);
        let mut again = Harness::<Changes>::restored("", 1, &host.snapshot()).unwrap();
        assert!(again.process(&[Input::new("a", "1")]).sent.is_empty());
        assert_eq!(again.process(&[Input::new("a", "2")]).sent.len(), 1);
    }
}
