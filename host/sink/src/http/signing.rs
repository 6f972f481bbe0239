//! The text that names a record to the receiver, and the signature.
//!
//! **Key text.** The id itself where it is 1 to 255 printable ASCII characters (space to `~`)
//! without a space at either end: as a structured-field string (RFC 8941) it stands in quotes,
//! `"` and `\` escaped by `\`. Any other id becomes `sha256-` and the hex SHA-256 of its UTF-8
//! bytes; so does one that itself begins with `sha256-`, so that two ids never share a text.
//!
//! **Signature.** `sha256=` and the hex HMAC-SHA256, by the secret's bytes, of the key text, a dot,
//! and the body. No time is in it, unlike in Standard Webhooks: it is the same for each attempt,
//! and a receiver that remembers `webhook-id` is safe against replays as well. To verify:
//!
//! ```text
//! printf '%s.%s' "$WEBHOOK_ID" "$BODY" | openssl dgst -sha256 -hmac "$SECRET"
//! ```
//!
//! ```python
//! expected = hmac.new(secret, webhook_id.encode() + b"." + body, hashlib.sha256).hexdigest()
//! ok = hmac.compare_digest("sha256=" + expected, headers["Pawl-Signature"])
//! ```

use ring::{digest, hmac};
use std::borrow::Cow;

const HASHED: &str = "sha256-";

/// Characters of a key that receivers can be expected to keep.
const KEY_CHARS_MAX: usize = 255;

/// The text by which the receiver knows a record.
pub(super) fn key_text(id: &str) -> Cow<'_, str> {
    let printable = id.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let whole = printable && !id.is_empty() && id.trim_matches(' ').len() == id.len();
    if whole && id.len() <= KEY_CHARS_MAX && !id.starts_with(HASHED) {
        return Cow::Borrowed(id);
    }
    let hash = digest::digest(&digest::SHA256, id.as_bytes());
    Cow::Owned(format!("{HASHED}{}", hex(hash.as_ref())))
}

/// A text of printable ASCII as a structured-field string.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// What signs bodies.
pub(super) struct Signer(hmac::Key);

impl Signer {
    pub(super) fn new(secret: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
    }

    /// The value of `Pawl-Signature`.
    pub(super) fn sign(&self, key_text: &str, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(key_text.as_bytes());
        context.update(b".");
        context.update(body);
        format!("sha256={}", hex(context.sign().as_ref()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stand_in_quotes_and_are_escaped() {
        assert_eq!(quoted(&key_text("alert-7")), "\"alert-7\"");
        assert_eq!(quoted(&key_text(r#"a "b" \c"#)), r#""a \"b\" \\c""#);
    }

    #[test]
    fn ids_that_no_header_can_hold_are_hashed_and_never_meet() {
        let long = "x".repeat(256);
        let literal = key_text("é").into_owned();
        assert_eq!(
            literal,
            "sha256-4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c"
        );
        let ids = ["", " a", "a ", "a\nb", "é", "\u{7f}", &long, &literal, "sha256-"];
        let mut texts: Vec<_> = ids.iter().map(|id| key_text(id).into_owned()).collect();
        assert!(texts.iter().all(|text| text.len() == 7 + 64 && text.starts_with("sha256-")));
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), ids.len());
        assert_eq!(key_text(&long[1..]), &long[1..]);
    }

    /// By `printf '%s.%s' alert-7 '{"n":1}' | openssl dgst -sha256 -hmac secret`.
    #[test]
    fn a_signature_is_what_openssl_says() {
        assert_eq!(
            Signer::new("secret").sign("alert-7", b"{\"n\":1}"),
            "sha256=3d7ac1ae298e60e2f6795bdb932f706ed493234931d6665adcaa14fc7d163fb1"
        );
    }
}
