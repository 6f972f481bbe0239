//! Whether a person looks at stdout or stderr, and what that permits. Colour goes to terminals
//! alone, and not where `NO_COLOR` is set or `TERM` is `dumb`; `--color` decides otherwise.

use clap::{Args, ValueEnum};
use std::io::IsTerminal;
use std::sync::OnceLock;

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// What every program takes.
#[derive(Debug, Args)]
pub struct Look {
    /// Colour: auto (on terminals, unless NO_COLOR is set or TERM is dumb), always or never
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub color: Color,
}

/// How a piece of text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Headings and names.
    Bold,
    /// What stands beside the matter.
    Dim,
    /// Something failed.
    Red,
    /// Something needs a look.
    Yellow,
    /// All is well.
    Green,
}

static CHOICE: OnceLock<Color> = OnceLock::new();

/// What the command line says; the first call counts.
pub fn choose(color: Color) {
    CHOICE.get_or_init(|| color);
}

/// Whether a person looks at stdout.
pub fn stdout_is_watched() -> bool {
    std::io::stdout().is_terminal() && !is_dumb()
}

/// Whether a person looks at stderr, so that a line there may move.
pub fn stderr_is_watched() -> bool {
    std::io::stderr().is_terminal() && !is_dumb()
}

/// Characters of a line of the terminal that stdout is; none if it is no terminal.
pub fn stdout_width() -> Option<usize> {
    let term = console::Term::stdout();
    let width = term.size_checked().map(|(_, width)| usize::from(width));
    width.filter(|_| stdout_is_watched())
}

/// A text for stdout, in colour where there is any.
pub fn paint(paint: Paint, text: &str) -> String {
    painted(paint, text, has_color(stdout_is_watched()))
}

/// As `paint`, for stderr.
pub fn paint_note(paint: Paint, text: &str) -> String {
    painted(paint, text, has_color(stderr_is_watched()))
}

fn has_color(watched: bool) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    decide(CHOICE.get().copied().unwrap_or_default(), watched, refused)
}

fn decide(choice: Color, watched: bool, refused: bool) -> bool {
    match choice {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => watched && !refused,
    }
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

fn painted(paint: Paint, text: &str, color: bool) -> String {
    let code = match paint {
        Paint::Bold => 1,
        Paint::Dim => 2,
        Paint::Red => 31,
        Paint::Yellow => 33,
        Paint::Green => 32,
    };
    match color && !text.is_empty() {
        true => format!("\x1b[{code}m{text}\x1b[0m"),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_for_those_who_look_and_have_not_refused_unless_asked_for() {
        assert!(decide(Color::Auto, true, false));
        assert!(!decide(Color::Auto, true, true));
        assert!(!decide(Color::Auto, false, false));
        assert!(decide(Color::Always, false, true));
        assert!(!decide(Color::Never, true, false));
        assert_eq!(painted(Paint::Red, "x", true), "\x1b[31mx\x1b[0m");
        assert_eq!(painted(Paint::Red, "x", false), "x");
    }
}
