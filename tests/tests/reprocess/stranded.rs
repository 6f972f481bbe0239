//! What was sent back to a sink that has become one that sends at most once does not wait for ever
//! without a word.

use crate::world::{replay, rows_sent};
use pawl_tests::{Draft, Folder};

fn pipeline(mode: &str) -> String {
    format!(
        r#"
pawl = 1
name = "t"
data = "data"
plugins = ["PLUGINS"]
[topics.in]
[topics.passed]
[[stage]]
name = "pass"
input = "in"
output = "passed"
[[stage.operator]]
name = "pass"
plugin = "identity"
[[sink]]
name = "hook"
input = "passed"
[sink.http]
url = "http://127.0.0.1:1/"
mode = "{mode}"
"#
    )
}

#[test]
fn a_sink_that_sends_at_most_once_stops_if_something_sent_back_waits_for_it() {
    let folder = Folder::new("stranded", &pipeline("at-least-once"));
    let mut draft = Draft::new(0);
    (draft.stage, draft.operator) = ("hook".to_owned(), "hook".to_owned());
    draft.origin = ("passed".to_owned(), 0, 0);
    folder.write_letters(&[draft]);
    replay(&folder, &[]).success();
    assert_eq!(rows_sent(&folder, "hook").len(), 1);
    folder.write_pipeline(&pipeline("at-most-once"));
    folder.produce("in", "x\n");
    let said = ["sent-back-stranded", "t.hook.replay/0", "at-least-once", "let them pass"];
    folder.run(&["--until-idle"]).fails(1, &said);
    assert_eq!(folder.stored().texts("passed"), ["x"], "the rest goes on");
    let told = folder.pawl(&["explain", "sent-back-stranded"], b"").success().text();
    assert!(told.contains("at-least-once"), "{told}");
}
