//! A second instance makes the same of the same. Two fresh instances of a deterministic machine are
//! equal by force, so what differs between crashes has to be varied: where in memory data lies.
//!
//! Blanks around the configuration move everything that is allocated behind it, and mean nothing.
//! A plugin may still use the text itself, so blanks before and behind are compared: they make the
//! same length and different texts. Only what follows the length, and not the text, is told.

use super::batches::first;
use super::{Parting, Verdict, found, parting};
use crate::history::{Cut, Item};
use crate::kit::Kit;
use crate::player::{Broke, Player};
use crate::trace::Trace;

/// Blanks that are put around a configuration.
const BLANKS: [usize; 8] = [8, 24, 72, 200, 1_000, 2_048, 4_100, 66_000];

/// Rows per call.
const CUT: Cut = Cut::Every(8);

/// CF-10.
pub(super) fn second_instance(kit: &Kit) -> Verdict {
    if let Some(why) = kit.nothing_seen() {
        return Verdict::not_shown(why);
    }
    for cut in [Cut::Every(1), CUT] {
        let fails = |items: &[Item]| {
            let one = kit.play(items, cut).ok()?;
            parting(kit, &one, kit.play(items, cut)).map(|parting| parting.what)
        };
        if let Some(what) = fails(&kit.items) {
            return Verdict::of(vec![found(kit, &kit.items, cut, what, &fails)], "");
        }
    }
    let whole = super::batches::large(kit, 300);
    for blanks in BLANKS {
        if kit.watch.is_law_over() {
            break;
        }
        let Some(moved) = Moved::new(kit, blanks) else { continue };
        let fails = |items: &[Item]| moved.outcomes(kit, items);
        // What comes out together comes in an order: so much at once shows it.
        for items in [&kit.items, &whole] {
            if let Some(what) = fails(items) {
                return Verdict::of(vec![found(kit, items, CUT, what, &fails)], "");
            }
        }
    }
    // What was allocated before in batches of another size moves data, too.
    let select = |parting: Parting| {
        let what = parting.what;
        parting.only_order.then(|| format!("{what}; all that differs is the order"))
    };
    if let (Some(finding), _) = first(kit, &select) {
        return Verdict::of(vec![finding], "");
    }
    let emitted = kit.survey.trace.emitted();
    Verdict::passed(format!("{emitted} emissions, the same each time"))
}

/// The configuration with blanks before and behind it.
struct Moved {
    before: String,
    behind: String,
    blanks: usize,
}

impl Moved {
    /// None if the plugin does not take blanks.
    fn new(kit: &Kit, blanks: usize) -> Option<Self> {
        let space = " ".repeat(blanks);
        let before = format!("{space}{}", kit.config);
        let behind = format!("{}{space}", kit.config);
        let taken = kit.instance(&before).is_ok() && kit.instance(&behind).is_ok();
        taken.then_some(Self { before, behind, blanks })
    }

    fn outcomes(&self, kit: &Kit, items: &[Item]) -> Option<String> {
        let play = |config: &str| -> Result<Trace, Broke> {
            let mut player = Player::configured(kit, config)?;
            player.play(items, CUT)?;
            Ok(player.trace)
        };
        let plain = play(&kit.config).ok()?;
        let (before, behind) = (play(&self.before).ok()?, play(&self.behind).ok()?);
        if before != behind {
            return None;
        }
        let what = parting(kit, &plain, Ok(before))?.what;
        Some(format!("{what}; only where data lies in memory differs ({})", self.said()))
    }

    fn said(&self) -> String {
        format!("{} blanks around the configuration", self.blanks)
    }
}

/// Whether the parts of a state depend on where in memory they lie. Says how.
pub(super) fn moved_state(kit: &Kit, items: &[Item]) -> Option<String> {
    let state = |config: &str| -> Result<Vec<Vec<u8>>, Broke> {
        let mut player = Player::configured(kit, config)?;
        player.play(items, CUT)?;
        player.full_snapshot()
    };
    let plain = state(&kit.config).ok()?;
    for blanks in BLANKS {
        if kit.watch.is_law_over() {
            break;
        }
        let Some(moved) = Moved::new(kit, blanks) else { continue };
        let (Ok(before), Ok(behind)) = (state(&moved.before), state(&moved.behind)) else {
            continue;
        };
        if before == behind && before != plain {
            let what = super::state::parts_differ(&plain, &before)?;
            return Some(format!("{what}, where only memory differs ({})", moved.said()));
        }
    }
    None
}
